"""A deadline for the heads of requests, which uvicorn does not have: it would wait for the rest of a header for ever.

`DeadlineProtocol` goes where uvicorn takes `http=`. Bodies have their deadline in `body`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from vivavoce.server.errors import last_words, problem

HEAD_TIMEOUT_S = 10.0
"""From the connection's opening, or from the first byte of a further request, to the end of the head."""


class DeadlineProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol, closing connections that do not get a request's head across in time (408)."""

    head_timeout_s = HEAD_TIMEOUT_S
    _head_timer: asyncio.TimerHandle | None = None
    _has_begun = False
    """Whether the client has ever sent anything: browsers open connections ahead, and want no answer on those."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        self._has_begun = True
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before or self._is_upgraded() or self.transport.is_closing():
            self._head_is_here()
        elif self._head_timer is None and (before is None or before.response_complete):
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def _is_upgraded(self) -> bool:
        return self.transport.get_protocol() is not self

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._too_late)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_late(self) -> None:
        self._head_timer = None
        if self._is_upgraded() or self.transport.is_closing():
            return
        if self._has_begun:
            answer = problem(408, "REQUEST_TIMEOUT", f"The request was not complete within {self.head_timeout_s:g} s.")
            self.transport.write(last_words(answer))
        self.transport.close()


def with_deadline(seconds: float) -> type[Any]:
    """The protocol class for uvicorn's `http=`, with a deadline of *seconds*."""
    return type("DeadlineProtocol", (DeadlineProtocol,), {"head_timeout_s": seconds})
