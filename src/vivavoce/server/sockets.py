"""uvicorn's WebSockets, without its patience for peers that are gone or do not read.

`SocketProtocol` goes where uvicorn takes `ws=`. uvicorn closes a transport gracefully, which waits until the peer has
read all that was written: for ever, where it reads nothing. And it hands the application every message that had come
before the connection was lost, which only keeps alive a session that nobody is in.

A request's line may be longer here than libraries expect: `/ws/chat/stream` has the user's words in it. A head that the
library of WebSockets cannot read is refused; uvicorn would leave that connection open, and silent, for ever.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11

from vivavoce.server.errors import last_words, problem

HEAD_BYTES = 128 * 1024
"""All of a request's head: 8192 characters, each percent-encoded as up to 12 bytes, and its headers."""
http11.MAX_LINE_LENGTH = 1 << 20  # of a head that has passed that limit; what comes in one piece may be longer
LINGER_S = 2.0
"""How long a peer may take to read the last words, and to answer a close."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket: it ends at most LINGER_S after the application has left it."""

    async def run_asgi(self) -> None:
        self.close_timeout = LINGER_S
        try:
            await super().run_asgi()
        finally:
            if not self.disconnected:
                self.loop.call_later(LINGER_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated and not self.transport.is_closing():
            self.transport.write(last_words(problem(431, "BAD_REQUEST_HEAD", "This request's head cannot be read.")))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if (
            self.handshake_complete and self.conn.close_rcvd is None
        ):  # not a goodbye: what it said before is of no use to anybody
            while not self.queue.empty():
                self.queue.get_nowait()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()

    def _give_up(self) -> None:
        if not self.disconnected and self.transport.get_write_buffer_size():
            self.transport.abort()
