"""The mouth of one session: its turns' answers, from their first token to what is remembered of them.

An answer is `Reply.run`; here it gets its task, is held, resumed, cut, and afterwards remembered as it was heard,
stored, and closed with its metrics. There is at most one that is heard, beside those being joined and stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Protocol

import msgspec

from vivavoce.agent import Agent, Asked, NoReply
from vivavoce.core import moves
from vivavoce.engines.base import ChatRequest, Delta, Engines, Message
from vivavoce.errors import VivavoceError
from vivavoce.events import (
    Error,
    Event,
    Hold,
    Interrupted,
    InterruptReason,
    Outcome,
    Played,
    ReplyStarted,
    Resume,
    ServerMessage,
    TTSChunk,
    TTSComplete,
)
from vivavoce.memory.base import Turn
from vivavoce.session.agent_view import AgentView
from vivavoce.session.conversation import Conversation, room_for
from vivavoce.session.options import Options
from vivavoce.session.outbox import Outbox
from vivavoce.session.reply import Reply, ReplyLimits, VoiceOut
from vivavoce.session.speaker import Speaker
from vivavoce.session.timers import SessionTimers
from vivavoce.session.voice_out import PcmOut, WavOut
from vivavoce.settings import Settings
from vivavoce.text.phrases import PhraseBuffer
from vivavoce.tools.loop import ToolLimits

log = logging.getLogger(__name__)

HOOK_S = 5.0
"""How long `on_interrupted` may take."""
BY_THE_USER = frozenset({"user_speech", "command_collision", "client_cancel"})
"""The interruptions that an agent is told of."""
STORE_S = 2.0
"""Making a turn durable may take this long; the store then goes on by itself."""


class Floor(Protocol):
    """What an answer needs of its session."""

    engines: Engines
    settings: Settings
    conversation: Conversation
    outbox: Outbox
    options: Options
    timers: SessionTimers
    voice: str | None
    agent: Agent
    view: AgentView

    def emit(self, event: Event) -> None: ...

    def handle(self, event: moves.Event) -> None: ...

    async def ready(self, agent: Agent) -> None:
        """Wait until *agent* has started, or failed to."""

    def close_turn(self, number: int, outcome: Outcome, emit: Callable[[Event], None]) -> None: ...


class _Cut(msgspec.Struct, frozen=True):
    """How a reply was interrupted."""

    heard: str
    reason: InterruptReason
    forget: bool


class _Running:
    """A turn with an answer, and the task that runs it."""

    def __init__(
        self, reply: Reply, agent: Agent, user: str | None, out: VoiceOut, emit: Callable[[Event], None]
    ) -> None:
        self.reply = reply
        self.agent = agent
        self.user = user
        self.steps: list[Message] = []
        """What was exchanged with tools before the answer."""
        self.out = out
        self.emit = emit
        self.task: asyncio.Task[None] | None = None
        self.started = False
        self.cut: _Cut | None = None
        self.outcome: Outcome = "failed"
        self.limit: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Stop the task. One that has not begun is left to find the cut by itself: it has a turn to close."""
        if self.task is not None and (self.started or self.cut is None):
            self.task.cancel()


class ReplyHost:
    """What an answer may do to its session."""

    def __init__(self, reply: Reply, timers: SessionTimers) -> None:
        self._reply = reply
        self.timers = timers

    async def confirmed(self) -> None:
        await self._reply.gate.confirmed.wait()


class Answering:
    """The answers of one session. Methods are called by the session as it performs the turn rules' actions."""

    def __init__(self, floor: Floor, clock: Callable[[], float]) -> None:
        self._floor = floor
        self._clock = clock
        self._running: dict[int, _Running] = {}
        self._closed = False
        self._telling: set[_Running] = set()  # turns that are over, whose agent is told of the interruption

    def __bool__(self) -> bool:
        """Whether a turn with an answer is open."""
        return bool(self._running)

    @property
    def audible(self) -> bool:
        return any(running.reply.playback.audible for running in self._running.values())

    def close(self) -> None:
        """The session is over: nobody is told any more. The answers were cut before."""
        self._closed = True
        for running in self._telling:
            running.cancel()

    def launch(
        self,
        group: asyncio.TaskGroup,
        number: int,
        user: str | None,
        *,
        recital: str | None = None,
        confirmed: bool = True,
    ) -> None:
        """Start the task of a turn: an answer to *user*; else a *recital*, or without one what the agent opens with."""
        floor, settings = self._floor, self._floor.settings
        emit = floor.emit if user is not None else self._emit_as_agent
        reply = Reply(
            number,
            speaker=self._speaker(),
            phrases=PhraseBuffer(
                max_phrase_length=settings.tts.max_phrase_length,
                max_tokens_per_phrase=settings.streaming.max_tokens_per_phrase,
                max_buffer_time=settings.streaming.max_buffer_time,
                language=floor.options.language,
            ),
            limits=reply_limits(settings, floor.agent),
            emit=emit,
            clock=self._clock,
            confirmed=confirmed,
            playback=floor.outbox.playback(),
        )
        out = PcmOut if floor.options.audio_out == "pcm" else WavOut
        voice_out = out(reply, floor.outbox, floor.engines.tts.sample_rate, self._clock)
        running = _Running(reply, floor.agent, user, voice_out, emit)
        self._running[number] = running
        floor.emit(ReplyStarted(turn_id=number, preemptive=not confirmed))
        running.task = group.create_task(self._turn(running, recital), name=f"turn {number}")

    def confirm(self, number: int) -> None:
        """The turn is certain: let it be heard."""
        self._floor.emit(ReplyStarted(turn_id=number, preemptive=False))
        self._running[number].reply.confirm()

    def hold(self, number: int, reason: str) -> None:
        """Send no more audio, and have the client pause."""
        reply = self._running[number].reply
        reply.gate.hold()
        reply.playback.hold(self._clock())
        reply.moved.set()
        reply.emit(Hold(reason=reason, turn_id=number))

    def resume(self, number: int, reason: str) -> None:
        reply = self._running[number].reply
        reply.playback.resume(self._clock())
        reply.gate.resume()
        reply.moved.set()
        reply.emit(Resume(reason=reason, turn_id=number))

    def cut(self, number: int, reason: InterruptReason, *, forget: bool) -> None:
        """Interrupt: the client is told before anything is awaited, then the reply is cancelled."""
        running = self._running[number]
        heard = running.reply.playback.heard_text(self._clock())
        self._floor.outbox.flush(number)
        running.reply.emit(Interrupted(reason=reason, heard_text=heard, turn_id=number))
        running.reply.silence()
        running.cut = _Cut(heard, reason, forget)
        running.cancel()

    def discard(self, number: int) -> None:
        """Nobody ever knows of it."""
        running = self._running.pop(number)
        running.reply.silence()
        running.cancel()

    def played(self, report: Played) -> None:
        """What the listener has heard."""
        if (running := self._running.get(report.turn_id)) is not None:
            running.reply.playback.played(report.seq, report.ms)
            running.reply.moved.set()

    async def _turn(self, running: _Running, recital: str | None) -> None:
        """One turn: answer, remember what was heard, make it durable, close it with its metrics."""
        running.started = True
        try:
            async with self._floor.conversation.floor:
                if running.cut is None:
                    self._limit(running, self._clock())  # not while another connection has the floor
                    await self._answer(running, recital)
                record = self._remember(running)
        except asyncio.CancelledError:
            if running.cut is None:  # discarded
                return
            _uncancel()  # interrupted while it waited for another connection's turn
            record = self._remember(running)
        finally:
            if running.limit is not None:
                running.limit.cancel()
        try:
            async with asyncio.timeout(STORE_S):
                await self._floor.conversation.store(record)
        except TimeoutError:
            log.warning("turn %d is not stored yet: the conversation store is slow", running.reply.number)
        self._running.pop(running.reply.number, None)
        self._floor.close_turn(running.reply.number, running.outcome, running.emit)
        await self._interrupted(running)

    async def _answer(self, running: _Running, recital: str | None) -> None:
        """Run the reply to its end, whatever that is, and say so: exactly one closing message for each turn."""
        reply = running.reply
        try:
            deltas = self._deltas(running) if recital is None else _recite(recital)
            running.outcome = await reply.run(deltas, running.out)
        except asyncio.CancelledError:
            if running.cut is None:
                raise
            _uncancel()
            return
        except Exception:  # the boundary of a turn: a defect of ours ends the turn, not the session
            log.exception("turn %d broke", reply.number)
        if running.outcome == "failed":
            reply.emit(error_message(reply.error, reply.number))
        else:
            reply.emit(TTSComplete(turn_id=reply.number))
        self._floor.handle(moves.ReplyEnded(reply.number))

    def _speaker(self) -> Speaker | None:
        floor, agent = self._floor, self._floor.agent
        if not floor.voice or not floor.outbox.takes(TTSChunk):
            return None
        prepare = partial(agent.before_speech, floor.view) if agent.hooks("before_speech") else None
        return Speaker(floor.engines.tts, floor.voice, prepare)

    async def _deltas(self, running: _Running) -> AsyncGenerator[Delta, None]:
        """The agent's answer to *running*, or its opening."""
        agent, heard, options = running.agent, running.user, self._floor.options
        try:
            await self._floor.ready(agent)
            if heard is not None and agent.hooks("on_user_turn"):
                await running.reply.gate.confirmed.wait()
                heard = await agent.on_user_turn(self._floor.view, heard) or heard
            asked = self._asked(running, heard, options)  # those it began with, though its hook hands over
            stream = agent.opening(asked) if heard is None else agent.respond(asked)
            async with aclosing(stream) as deltas:
                async for delta in deltas:
                    yield delta
        except NoReply:
            yield Delta(finish="stop")

    def _asked(self, running: _Running, heard: str | None, options: Options) -> Asked:
        floor, agent, number = self._floor, running.agent, running.reply.number
        llm = floor.engines.llm if agent.model is None or isinstance(agent.model, str) else agent.model
        room = room_for(floor.settings, agent, options.instructions, llm)
        shown = floor.conversation.context(heard, room, running.steps)
        request = ChatRequest(
            messages=shown.messages,
            pins=shown.pins,
            summary=shown.summary,
            host=ReplyHost(running.reply, floor.timers),
            instructions=options.instructions,
            language=options.language,
            temperature=agent.temperature,
            max_tokens=agent.max_tokens,
            model=agent.model if isinstance(agent.model, str) else None,
        )

        def emit(message: ServerMessage) -> None:
            running.reply.emit(msgspec.structs.replace(message, turn_id=number))

        remember = running.steps.append
        return Asked(
            request=request,
            llm=llm,
            session=floor.view,
            emit=emit,
            remember=remember,
            when_certain=running.reply.when_confirmed,
            tools=tool_limits(floor.settings),
            take_over=partial(self._take_over, running, heard),
        )

    async def _take_over(
        self, running: _Running, heard: str | None, agent: Agent, limits: ToolLimits
    ) -> AsyncGenerator[Delta, None]:
        """A tool has handed the session over: *agent* answers what is left of this turn, in its own voice."""
        self._floor.view.hand_off(agent)
        running.agent, running.reply.speaker = agent, self._speaker()
        await self._floor.ready(agent)
        asked = msgspec.structs.replace(self._asked(running, heard, self._floor.options), tools=limits)
        async with aclosing(agent.opening(asked) if agent.opens else agent.respond(asked)) as deltas:
            async for delta in deltas:
                yield delta

    async def _interrupted(self, running: _Running) -> None:
        """Tell the agent that it was cut off, once the turn is closed: the next one does not wait for it."""
        agent, cut = running.agent, running.cut
        if cut is None or cut.reason not in BY_THE_USER or self._closed or not agent.hooks("on_interrupted"):
            return
        self._telling.add(running)
        try:
            async with asyncio.timeout(HOOK_S):
                await agent.on_interrupted(self._floor.view, cut.heard)
        except Exception:  # the agent's code: the turn is stored and closed whatever it does
            log.exception("on_interrupted of %s broke", agent.name)
        finally:
            self._telling.discard(running)

    def _remember(self, running: _Running) -> Turn:
        """Take the turn into memory: what was heard of an interrupted answer, nothing of a cancelled one."""
        reply, cut = running.reply, running.cut
        if cut is not None:
            running.outcome, text = "interrupted", "" if cut.forget else cut.heard
        elif running.outcome == "failed" and not (reply.error and reply.error.role == "tts"):
            text = reply.playback.heard_text(self._clock())
        else:
            text = reply.text.strip()
        record = Turn(
            conversation_id=self._floor.conversation.id,
            turn_id=reply.number,
            user=running.user,
            assistant=text,
            interrupted=cut is not None and not cut.forget,
            outcome=running.outcome,
            at=time.time(),
            language=self._floor.options.language,
            steps=tuple(running.steps),
        )
        self._floor.conversation.remember(record)
        return record

    def _limit(self, running: _Running, began: float) -> None:
        """A turn may take `turn_timeout_s`, beside the playing time of what it has said."""
        limit_s = began + self._floor.settings.stream.turn_timeout_s + running.reply.playback.sent_s - self._clock()
        if limit_s <= 0:
            self._floor.handle(moves.TurnTimedOut(running.reply.number))
        else:
            running.limit = asyncio.get_running_loop().call_later(limit_s, self._limit, running, began)

    def _emit_as_agent(self, event: Event) -> None:
        agent = isinstance(event, ServerMessage)
        self._floor.emit(msgspec.structs.replace(event, initiator="agent") if agent else event)


async def _recite(text: str) -> AsyncGenerator[Delta, None]:
    """A model that says *text*."""
    yield Delta(text, finish="stop")


def error_message(error: VivavoceError | None, turn: int) -> Error:
    """What ends a failed turn; without an *error* it was a defect of ours."""
    if error is None:
        return Error(code="INTERNAL", message="the turn broke", turn_id=turn)
    return Error(code=error.code, message=error.message, hint=error.hint or msgspec.UNSET, turn_id=turn)


def _uncancel() -> None:
    """The cancellation has done its work: the turn goes on to be stored and closed."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def tool_limits(settings: Settings) -> ToolLimits:
    """The limits of a turn's tools, from the settings."""
    tools = settings.tools
    return ToolLimits(
        steps=tools.steps,
        calls=tools.calls,
        timeout_s=tools.timeout_s,
        filler_s=tools.filler_ms / 1000,
        filler=tools.filler,
    )


def reply_limits(settings: Settings, agent: Agent) -> ReplyLimits:
    """The limits of a reply of *agent*, from the settings."""
    return ReplyLimits(
        first_token_s=settings.llm.first_token_timeout_s,
        token_s=settings.llm.token_timeout_s,
        llm_s=settings.llm.timeout_s,
        phrase_s=settings.tts.timeout_s,
        pending=settings.stream.max_pending_phrases,
        parallel=agent.syntheses or settings.tts.thread_workers,
    )
