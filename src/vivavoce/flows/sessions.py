"""The sessions of flows over HTTP: one state each, at most one answer in the making, and its events for a while.

An answer is a task of its own, so that a client whose connection was lost may come back to it. Nobody reading for
`grace_s` cancels it: that is an interruption, after which the user's next words go to the next listen.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from vivavoce.engines.base import ChatModel, Timers
from vivavoce.errors import ClientError, EngineError, ServerBusy
from vivavoce.flows.errors import FlowError
from vivavoce.flows.events import FlowEvent, Token
from vivavoce.flows.executor import FlowRun, FlowState
from vivavoce.flows.model import Flow
from vivavoce.flows.node import Services, Turn

log = logging.getLogger("vivavoce.flows")

MAX_INPUT = 8_000
"""Characters."""
KEPT_BYTES = 1 << 20
"""Of one answer's events."""
UNREAD_BYTES = 256 * 1024
"""So far an answer may be ahead of its reader."""
EVICTABLE_S = 60.0
"""A session unused for so long makes room for a new one, when all are taken."""


class FlowInput(msgspec.Struct, frozen=True):
    """What the user says."""

    input: Annotated[str, Meta(max_length=MAX_INPUT)] | None = None
    """Left out: the flow begins, and says what it says first."""


class Kept(msgspec.Struct, frozen=True):
    """One event as it is sent."""

    data: bytes
    plain: bool
    """Whether every client gets it, and not only one that asked for all events."""
    end: int
    """Bytes of it and all before it."""


class Answer:
    """The events of one input's answer, for its reader."""

    def __init__(self, run: str) -> None:
        self.run = run
        """Names it: event 3 has the id `<run>.3`."""
        self.events: list[Kept] = []
        self.closed = False
        """Whether its last event is there."""
        self.finished = False
        """Whether nothing of it is at work any more."""
        self.readers = 0
        self.task: asyncio.Task[None] | None = None
        self._size = 0
        self._read = 0  # bytes
        self._moved = asyncio.Event()
        self._abandoned: asyncio.TimerHandle | None = None

    def put(self, event: dict[str, Any], *, plain: bool = True) -> None:
        """Append an event, for whoever reads."""
        data = msgspec.json.encode(event)
        self._size += len(data)
        self.events.append(Kept(data, plain, self._size))
        self._wake()

    def close(self, event: dict[str, Any]) -> None:
        """The last event; nothing after the first one."""
        if not self.closed:
            self.closed = True
            self.put(event)

    @property
    def full(self) -> bool:
        return self._size > KEPT_BYTES

    def finish(self) -> None:
        self.close(_error("CANCELLED", "the answer was cancelled: nobody was listening"))
        self.finished = True
        if self._abandoned is not None:
            self._abandoned.cancel()
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def room(self) -> None:
        """Wait while the reader is too far behind."""
        while self.readers and self._size - self._read > UNREAD_BYTES:
            await self._moved.wait()

    async def after(self, count: int) -> list[Kept] | None:
        """The events behind the first *count*; waits for one; None when there is no other."""
        while len(self.events) <= count:
            if self.finished:
                return None
            await self._moved.wait()
        return self.events[count:]

    def seen(self, count: int) -> None:
        """The reader has been sent the first *count* events."""
        self._read = self.events[count - 1].end if count else 0
        self._wake()

    def attach(self) -> None:
        self.readers += 1
        if self._abandoned is not None:
            self._abandoned.cancel()
            self._abandoned = None

    def detach(self, grace_s: float) -> None:
        """A reader is gone; the last one's answer is cancelled after *grace_s*."""
        self.readers -= 1
        if not self.readers and not self.finished:
            self._abandoned = asyncio.get_running_loop().call_later(grace_s, self.cancel)
        self._wake()

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class FlowSession:
    """One client's way through one flow."""

    def __init__(self, id: str, used_at: float) -> None:
        self.id = id
        self.state: FlowState | None = None
        self.answer: Answer | None = None
        """The latest one."""
        self.used_at = used_at

    def drop(self, answer: Answer) -> None:
        """Forget the events of *answer*; who reads them goes on."""
        if self.answer is answer:
            self.answer = None

    @property
    def busy(self) -> bool:
        return self.answer is not None and not self.answer.finished


class AlwaysCertain:
    """The host of a request: nothing about it is a guess, and nothing can ring."""

    timers: Timers | None = None

    async def confirmed(self) -> None:
        """At once."""


class FlowSessions:
    """The sessions of all flows. Methods belong to the event loop."""

    def __init__(
        self,
        services: Services,
        *,
        limit: int,
        idle_s: float,
        turn_s: float,
        window_s: float,
        clock: Callable[[], float],
    ) -> None:
        """
        limit: sessions that are kept. idle_s: one that is not used for so long is forgotten. turn_s: an answer may take
        so long. window_s: a finished answer's events are kept for so long.
        """
        self._services = services
        self._limit = limit
        self._idle_s = idle_s
        self._turn_s = turn_s
        self._window_s = window_s
        self._clock = clock
        self._sessions: dict[tuple[str, str, str], FlowSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def running(self) -> int:
        """Answers in the making."""
        return len(self._tasks)

    def find(self, owner: str, flow_id: str, session_id: str) -> FlowSession | None:
        """A session, if it is there; it counts as used now."""
        session = self._sessions.get((owner, flow_id, session_id))
        if session is None:
            return None
        now = self._clock()
        if not session.busy and session.used_at + self._idle_s < now:
            del self._sessions[owner, flow_id, session_id]
            return None
        session.used_at = now
        return session

    def open(self, owner: str, flow_id: str, session_id: str) -> FlowSession:
        """The session of this name, made if need be. Raises ServerBusy when all are taken."""
        if (found := self.find(owner, flow_id, session_id)) is not None:
            return found
        self._make_room()
        session = self._sessions[owner, flow_id, session_id] = FlowSession(session_id, self._clock())
        return session

    def _make_room(self) -> None:
        """Forget what was not used for long; raises ServerBusy when that is not enough."""
        now = self._clock()
        for key, session in list(self._sessions.items()):
            if not session.busy and session.used_at + self._idle_s < now:
                del self._sessions[key]
        if len(self._sessions) < self._limit:
            return
        idle = [(each.used_at, key) for key, each in self._sessions.items() if not each.busy]
        used_at, key = min(idle, default=(now, ("", "", "")))
        if used_at + EVICTABLE_S > now:
            raise ServerBusy("SESSION_LIMIT", f"all {self._limit} sessions of flows are taken", retry_after_s=5.0)
        del self._sessions[key]

    def forget(self, flow_id: str) -> None:
        """The flow is gone, and its sessions with it."""
        for key in [key for key in self._sessions if key[1] == flow_id]:
            if (answer := self._sessions.pop(key).answer) is not None:
                answer.cancel()

    def begin(self, session: FlowSession, flow: Flow, text: str | None, llm: ChatModel, *, language: str) -> Answer:
        """Take one input. Raises ClientError for a session that is at work, or one that needs words and gets none."""
        if session.busy:
            raise ClientError("CONFLICT", "This session is still answering; wait for its end, or close its stream.")
        run = FlowRun(flow, self._services, session.state)
        if text is None and run.waiting:
            raise ClientError("BAD_REQUEST", "The flow waits for the user's words: send an input.")
        answer = session.answer = Answer(secrets.token_hex(4))
        work = self._work(session, answer, run, text, llm, language)
        answer.task = asyncio.create_task(work, name=f"flow {flow.id} {session.id}")
        self._tasks.add(answer.task)
        answer.task.add_done_callback(self._tasks.discard)
        answer.task.add_done_callback(partial(self._finished, session, answer))
        return answer

    def _finished(self, session: FlowSession, answer: Answer, _: object) -> None:
        """Nothing of an answer is at work any more; its events are kept a while for a client that was lost."""
        answer.finish()
        asyncio.get_running_loop().call_later(self._window_s, session.drop, answer)

    async def _work(
        self, session: FlowSession, answer: Answer, run: FlowRun, text: str | None, llm: ChatModel, language: str
    ) -> None:
        """Run one input to its end; its last event is `done` or `error`."""

        async def emit(event: FlowEvent) -> None:
            if answer.full:
                raise FlowError("FLOW_LIMIT", f"an answer may have {KEPT_BYTES} bytes", node=event.node)
            if isinstance(event, Token):
                answer.put({"type": "token", "content": event.text})
            else:
                answer.put(msgspec.to_builtins(event), plain=False)
            await answer.room()

        flow, began = run.flow, time.perf_counter()
        turn = Turn(
            text=text, llm=llm, host=AlwaysCertain(), emit=emit, send=lambda _: None, session_id=session.id,
            language=language,
        )  # fmt: skip
        log.info("[FLOW-START] session=%s flow=%s input=<%d chars>", session.id, flow.id, len(text or ""))
        outcome = "failed"
        try:
            async with asyncio.timeout(self._turn_s):
                done = await run.advance(turn)
            answer.close({"type": "done", "content": done.text, "ended": done.ended})
            outcome = "done"
        except TimeoutError:
            answer.close(_error("FLOW_TIMEOUT", f"the turn took longer than {self._turn_s:g} s"))
        except EngineError as error:
            answer.close(_error(error.code, error.message, error.hint))
        except asyncio.CancelledError:
            outcome = "interrupted"
            raise
        except Exception:  # the boundary of a turn: a defect of ours ends the turn, not the session
            log.exception("flow %s broke", flow.id)
            answer.close(_error("INTERNAL", "the flow broke"))
        finally:
            session.state = run.state
            session.used_at = self._clock()
            log.info(
                "[FLOW-DONE] session=%s flow=%s outcome=%s time=%.2fs",
                session.id, flow.id, outcome, time.perf_counter() - began,
            )  # fmt: skip

    async def quiet(self) -> None:
        """Wait until no answer is in the making."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Cancel everything, and wait for it."""
        for task in self._tasks:
            task.cancel()
        await self.quiet()
        self._sessions.clear()


def _error(code: str, message: str, hint: str = "") -> dict[str, Any]:
    return {"type": "error", "content": message, "code": code} | ({"hint": hint} if hint else {})
