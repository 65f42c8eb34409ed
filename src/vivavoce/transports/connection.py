"""What every WebSocket in front of a session does: take its place, send, and end.

    reader --what the client does--> Session --outbox--> writer
A connection has two tasks; whatever ends it (the peer, the reader, a slow peer, the server) calls `end` once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from starlette.websockets import WebSocket, WebSocketDisconnect

from vivavoce.errors import ServerBusy
from vivavoce.events import InterruptReason, ServerMessage
from vivavoce.server.state import ServerState
from vivavoce.session.alarm import ending
from vivavoce.session.outbox import Outbox, OutboxLimits
from vivavoce.session.session import Session
from vivavoce.settings import Settings

log = logging.getLogger(__name__)

BAD_LIMIT, BAD_WINDOW_S = 20, 10.0
LAST_WORDS_S = 2.0
"""How long a closing connection may take to send what waits."""


def outbox_limits(settings: Settings) -> OutboxLimits:
    """The limits of a client's queue, from the settings."""
    stream = settings.stream
    return OutboxLimits(
        threshold=stream.backpressure_threshold,
        skip=stream.backpressure_skip_frames,
        bytes=stream.outgoing_bytes,
        replay_bytes=stream.resume_bytes,
    )


class SocketConnection:
    """One WebSocket. A protocol adds `_read`, which makes the session, and `_refuse`."""

    def __init__(self, websocket: WebSocket, server: ServerState, outbox: Outbox) -> None:
        self.session: Session | None = None
        self._websocket = websocket
        self._server = server
        self._outbox = outbox
        self._owner: str = websocket.scope.get("state", {}).get("owner", "local")
        self._end: asyncio.Future[tuple[int, str, InterruptReason]] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._bad: deque[float] = deque(maxlen=BAD_LIMIT)

    # --- what Sessions asks of a connection -------------------------------------------------------------------------

    def send(self, message: ServerMessage) -> None:
        self._outbox.put(message)

    def end(self, code: int, reason: str, interrupt: InterruptReason) -> None:
        if not self._end.done():
            self._end.set_result((code, reason, interrupt))

    async def ended(self) -> None:
        await self._ended.wait()

    # --- what a protocol adds ---------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Make the session and tell it what the client does, until cancelled; ends the connection on any failure."""
        raise NotImplementedError

    async def _refuse(self, busy: ServerBusy) -> None:
        """Tell the client that the server does not take it, and close."""
        raise NotImplementedError

    def _sent(self) -> None:
        """A frame went out."""

    def _left(self, code: int) -> None:
        """The connection ended with *code*; of its session only what can be sent again is left."""

    # --- life -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection, which was accepted, to its end."""
        try:
            self._server.sessions.admit(self, self._owner)
        except ServerBusy as busy:
            await self._refuse(busy)
            return
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(), name="socket writer")
                reader = group.create_task(self._read(), name="socket reader")
                code, reason, interrupt = await self._until_end()
                if self.session is not None:
                    self.session.close(interrupt)
                reader.cancel()
                await asyncio.wait({reader})
                await self._say_goodbye(writer, code, reason)
                self._left(code)
        finally:
            self._server.sessions.leave(self)
            self._ended.set()

    async def _until_end(self) -> tuple[int, str, InterruptReason]:
        """Wait until somebody ends the connection, or nothing has come from the client for too long."""
        loop, idle_s = asyncio.get_running_loop(), self._server.settings.stream.idle_timeout_s
        active_at = loop.time()
        while not self._end.done():
            active_at = self.session.active_at if self.session is not None else active_at
            if (left_s := active_at + idle_s - loop.time()) <= 0:
                self.end(1000, f"neither audio nor text for {idle_s:g} s", "timeout")
            await asyncio.wait({self._end}, timeout=max(left_s, 0.0))
        return self._end.result()

    async def _say_goodbye(self, writer: asyncio.Task[None], code: int, reason: str) -> None:
        """Send what waits, if the peer is still there to take it, and close."""
        if code != 1006:
            try:
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._outbox.drained()
                    await self._websocket.close(code, reason)
            except (TimeoutError, RuntimeError, WebSocketDisconnect):
                pass  # the peer was faster
        self._outbox.close()
        writer.cancel()

    async def _write(self) -> None:
        loop, timeout_s = asyncio.get_running_loop(), self._server.settings.stream.send_timeout_s
        deadline = asyncio.timeout(None)
        patience = ending(deadline)
        try:
            async with deadline:
                while (frame := await self._outbox.next()) is not None:
                    patience.set(loop.time() + timeout_s)
                    if isinstance(frame, str):
                        await self._websocket.send_text(frame)
                    else:
                        await self._websocket.send_bytes(frame)
                    patience.set(None)
                    self._sent()
        except TimeoutError:
            log.warning("a client did not read for %g s: closing it", timeout_s)
            self.end(1006, "slow reader", "disconnect")
            await self._websocket.close(1008, f"nothing was read for {timeout_s:g} s")
        except (WebSocketDisconnect, RuntimeError):
            self.end(1006, "the peer went away", "disconnect")
        finally:
            patience.cancel()

    def _count_bad(self) -> bool:
        """The client sent what nobody can use: one that does not stop is closed. Returns whether it is."""
        now = asyncio.get_running_loop().time()
        self._bad.append(now)
        if len(self._bad) < BAD_LIMIT or now - self._bad[0] >= BAD_WINDOW_S:
            return False
        self.end(1008, "too many bad messages", "error")
        return True

    def _turn_wait_s(self) -> float:
        """Count a turn of this client's address."""
        scope = self._websocket.scope
        access = scope.get("state", {}).get("access")
        return access.turn_wait_s(scope) if access is not None else 0.0
