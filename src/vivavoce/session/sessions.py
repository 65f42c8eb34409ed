"""The sessions of a process: who is here, who may come back, who must leave."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

import msgspec

from vivavoce.agent import Agent
from vivavoce.errors import ServerBusy
from vivavoce.events import InterruptReason, ServerMessage
from vivavoce.session.options import Options
from vivavoce.session.session import Session

MAX_PARKED = 256
MAX_PARKED_CHARACTERS = 64 << 20
"""What all parked sessions together may hold; the oldest go first."""


class Connection(Protocol):
    """A transport's side of a session."""

    @property
    def session(self) -> Session | None: ...

    def send(self, message: ServerMessage) -> None: ...

    def end(self, code: int, reason: str, interrupt: InterruptReason) -> None:
        """Close the connection, after what waits to be sent."""

    async def ended(self) -> None:
        """Wait until nothing of the connection is left."""


class Parked(msgspec.Struct, kw_only=True):
    """What is left of a session whose socket was lost: enough for its client to come back."""

    owner: str
    conversation_id: str
    options: Options
    agent: Agent
    userdata: MutableMapping[str, Any]
    turn: int
    """Number of the last turn."""
    n: int
    replay: deque[tuple[int, str]]
    until: float

    @property
    def size(self) -> int:
        return sum(len(text) for _, text in self.replay)


class Sessions:
    """Live and parked sessions. All methods belong to the event loop."""

    def __init__(self, *, limit: int, window_s: float, clock: Callable[[], float], enabled: bool = True) -> None:
        self.limit = limit
        self.enabled = enabled
        """The switch that turns streaming off."""
        self.draining = False
        self._window_s = window_s
        self._clock = clock
        self._live: dict[Connection, str] = {}
        self._parked: OrderedDict[str, Parked] = OrderedDict()
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._live)

    @property
    def parked(self) -> int:
        """Lost sessions whose clients may come back."""
        return len(self._parked)

    @property
    def connections(self) -> list[Connection]:
        return list(self._live)

    def admit(self, connection: Connection, owner: str) -> None:
        """Take a connection in. Raises ServerBusy when the server is full or shutting down."""
        if self.draining:
            raise ServerBusy("SHUTTING_DOWN", "the server is shutting down", retry_after_s=2.0)
        if not self.enabled:
            raise ServerBusy("OVERLOADED", "streaming is switched off (STREAM_ENABLED)", retry_after_s=60.0)
        if len(self._live) >= self.limit:
            raise ServerBusy("SESSION_LIMIT", f"all {self.limit} sessions are taken", retry_after_s=5.0)
        self._live[connection] = owner
        self._empty.clear()

    def leave(self, connection: Connection) -> None:
        self._live.pop(connection, None)
        if not self._live:
            self._empty.set()

    async def resume(self, session_id: str, owner: str) -> Parked | None:
        """What is parked under *session_id*, taken out; a live connection of the same session gives way to this one."""
        for connection, other in list(self._live.items()):
            session = connection.session
            if session is not None and session.id == session_id and other == owner:
                connection.end(4001, "superseded by a newer connection", "disconnect")
                await connection.ended()
        self._forget_old()
        parked = self._parked.get(session_id)
        if parked is None or parked.owner != owner:
            return None
        return self._parked.pop(session_id)

    def park(self, session: Session, owner: str) -> None:
        """Keep what the session's client needs to come back."""
        self._forget_old()
        outbox = session.outbox
        until = self._clock() + self._window_s
        self._parked[session.id] = Parked(
            owner=owner,
            conversation_id=session.conversation.id,
            options=session.options,
            agent=session.agent,
            userdata=session.view.userdata,
            turn=session.last_turn,
            n=outbox.n,
            replay=outbox.replay,
            until=until,
        )
        held = sum(parked.size for parked in self._parked.values())
        while len(self._parked) > MAX_PARKED or held > MAX_PARKED_CHARACTERS:
            held -= self._parked.popitem(last=False)[1].size
        asyncio.get_running_loop().call_later(self._window_s + 0.1, self._forget_old)

    async def drain(self, notice: Callable[[float], ServerMessage], limit_s: float) -> None:
        """Take nobody new, tell everybody, let running turns finish for *limit_s*, then close all.

        notice: makes the broadcast from the seconds after which that client should connect again (spread out).
        """
        self.draining = True
        for at, connection in enumerate(self.connections):
            connection.send(notice(1.0 + (at % 20) * 0.25))
        try:
            async with asyncio.timeout(limit_s):
                for connection in self.connections:
                    if connection.session is not None:
                        await connection.session.quiet()
        except TimeoutError:
            pass
        for connection in self.connections:
            connection.end(1012, "the server is restarting", "shutdown")
        if self._live:
            async with asyncio.timeout(5.0):
                await self._empty.wait()

    def _forget_old(self) -> None:
        now = self._clock()
        for session_id in [key for key, parked in self._parked.items() if parked.until < now]:
            del self._parked[session_id]


def new_session_id() -> str:
    """128 random bits: a session id cannot be guessed."""
    return secrets.token_hex(16)
