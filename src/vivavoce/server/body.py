"""Requests are read whole before they are answered: bounded in size and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.server.errors import problem
from vivavoce.server.paths import own_path


class WholeBody:
    """ASGI middleware: reads a request's body, up to a size and a time, and hands it on in one piece.

    Reading it here, and not where it is used, means that no endpoint ever holds anything while a client dawdles. A
    request without a body (neither `Content-Length` nor `Transfer-Encoding`) passes untouched.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        timeout_s: float,
        max_bytes: int,
        unbounded: Collection[str] = frozenset(),
    ) -> None:
        """unbounded: paths that read their body themselves, with limits of their own."""
        self._app = app
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._unbounded = unbounded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or own_path(scope) in self._unbounded or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._read(scope, receive)
        except TimeoutError:
            sentence = f"The request was not complete within {self._timeout_s:g} s."
            refusal = problem(408, "REQUEST_TIMEOUT", sentence, headers={"Connection": "close"})
        except _TooLargeError:
            sentence = f"The body is larger than {self._max_bytes} bytes."
            refusal = problem(413, "TOO_LARGE", sentence, headers={"Connection": "close"})
        except ConnectionAbortedError:
            return
        else:
            await self._app(scope, _replayed(body, receive), send)
            return
        await refusal(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """The body. Raises _TooLargeError, or ConnectionAbortedError when the client is gone."""
        if _announced(scope) > self._max_bytes:
            raise _TooLargeError
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ConnectionAbortedError
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise _TooLargeError
            if not message.get("more_body", False):
                return bytes(body)


class _TooLargeError(Exception):
    pass


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _announced(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives *body* first, and then what the connection gives."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
