"""One client's session: it tells the turn rules what happens, and performs what they decide.

Who has the floor is decided by `TurnTaker.handle`; how an answer is made is `Reply.run`. Everything here is the thin
side: one method per action. All tasks belong to the group of `running`: one per utterance, one per turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import assert_never

import msgspec

from vivavoce.core import endpointing, turns
from vivavoce.core.endpointing import Endpointer
from vivavoce.engines.base import ChatRequest, Delta, Engines, Message, Transcript, pick_voice
from vivavoce.errors import EngineError, VivavoceError
from vivavoce.events import (
    Debug,
    Error,
    Event,
    FinalTranscript,
    FramesReceived,
    Hold,
    Info,
    Interrupted,
    InterruptReason,
    Outcome,
    PartialTranscript,
    Played,
    RecognizerDone,
    ReplyStarted,
    Resume,
    ServerMessage,
    SessionClosed,
    SessionOpened,
    SpeechEnded,
    SpeechStarted,
    SpeechStopped,
    Start,
    TTSComplete,
    Update,
    UtteranceOpened,
)
from vivavoce.memory.base import Turn
from vivavoce.observe.timings import Timings
from vivavoce.session.audio_in import AudioIn
from vivavoce.session.conversation import Conversation
from vivavoce.session.listening import Listening, Utterance
from vivavoce.session.options import Options
from vivavoce.session.outbox import Outbox
from vivavoce.session.reply import Reply, ReplyLimits, Speaker, VoiceOut
from vivavoce.session.timers import SessionTimers
from vivavoce.session.voice_out import PcmOut, WavOut
from vivavoce.settings import Settings
from vivavoce.text.phrases import PhraseBuffer

log = logging.getLogger(__name__)
STORE_S = 2.0
"""Making a turn durable may take this long; the store then goes on by itself."""

Observer = Callable[[Event, float], None]


class _Cut(msgspec.Struct, frozen=True):
    """How a reply was interrupted."""

    heard: str
    forget: bool


class _Running:
    """A turn with an answer, and the task that runs it."""

    def __init__(self, reply: Reply, user: str | None, out: VoiceOut, emit: Callable[[Event], None]) -> None:
        self.reply = reply
        self.user = user
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


class Session:
    """The core that every transport drives: `hear`, `handle`, `update`, `played`; what it says is in its outbox."""

    def __init__(
        self,
        id: str,  # noqa: A002 — the contract's word
        engines: Engines,
        settings: Settings,
        conversation: Conversation,
        outbox: Outbox,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.id = id
        self.engines = engines
        self.settings = settings
        self.voice: str | None = None
        """The voice in force; None where no voice speaks the language."""
        self.conversation = conversation
        self.outbox = outbox
        self.options = Options.default(settings)
        self.created_at = time.time()
        self.turns = 0
        """Turns that were closed."""
        self.timers = SessionTimers(self.announce)
        self._clock = asyncio.get_running_loop().time
        self._opened_at = self._clock()
        self.active_at = self._opened_at
        """When the client last sent audio or text."""
        self._taker = turns.TurnTaker(self.options.turn_rules(settings))
        window_s = engines.vad.window / engines.vad.sample_rate
        endpointer = Endpointer(self.options.endpoint_rules(settings), window_s=window_s)
        self._listening = Listening(
            engines.vad, engines.asr, endpointer, self, clock=self._clock, timeout_s=settings.asr.timeout_s
        )
        self.fresh = False
        """Whether the stream was opened, and nothing was finished since."""
        self._audio_in: AudioIn | None = None
        self._timings = Timings()
        self._observers: list[Observer] = [self._timings, *observers]
        self._replies: dict[int, _Running] = {}
        self._turn_of: tuple[str, int] | None = None  # the last utterance and its turn, for its refinement
        self._failure: EngineError | None = None
        self._wake_up: asyncio.TimerHandle | None = None
        self._group: asyncio.TaskGroup | None = None
        self._changed = asyncio.Event()
        self._frames = self._skipped = self._reported_drops = 0

    # --- life -------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self, transport: str) -> AsyncIterator[Session]:
        """The session's life. Leaving the block interrupts what runs, stores it, and leaves nothing behind."""
        engines, failure = self.engines, None
        async with asyncio.TaskGroup() as group:
            self._group = group
            self.emit(
                SessionOpened(
                    transport=transport,
                    conversation_id=self.conversation.id,
                    sample_rate=self.options.sample_rate,
                    asr=engines.asr.name,
                    llm=engines.llm.name,
                    tts=engines.tts.name,
                )
            )
            try:
                yield self
            except BaseException as error:  # raised again below, once the last turn is stored
                failure = error
            self.close("disconnect")
        self._group = None
        if failure is not None:
            raise failure

    def close(self, reason: InterruptReason) -> None:
        """Interrupt everything and take no more. Idempotent; the group then joins what is left."""
        if self._group is None or self._listening.closed:
            return
        self.handle(turns.Closed(reason))
        self._listening.close()
        self.timers.cancel()
        self._changed.set()
        if self._wake_up is not None:
            self._wake_up.cancel()
        self.emit(SessionClosed(reason=reason, turns=self.turns, seconds=self._clock() - self._opened_at))

    async def quiet(self) -> None:
        """Wait until no turn is under way."""
        while not self._listening.closed and (self._replies or self._taker.listening):
            self._changed.clear()
            await self._changed.wait()

    async def room(self) -> None:
        """Wait while too many utterances are being recognised (audio may come faster than it was spoken)."""
        await self._listening.room()

    @property
    def state(self) -> str:
        """`speaking`, `thinking`, `listening`, for people who watch."""
        for running in self._replies.values():
            return "speaking" if running.reply.playback.audible else "thinking"
        return "listening"

    # --- what the client does ---------------------------------------------------------------------------------------

    def start(self, start: Start) -> None:
        """Open (or reopen) the utterance stream. Raises ClientError for a sample rate that cannot be used."""
        self._audio_in = AudioIn(start.sample_rate, start.encoding, self.engines.vad.sample_rate)
        self._apply(self.options.started(start))
        self.fresh = True
        self._listening.catch_up()
        self.handle(turns.StreamOpened())

    def update(self, update: Update) -> None:
        """Change the live session."""
        self._apply(self.options.updated(update))

    @property
    def utterance_open(self) -> bool:
        """Whether somebody is speaking, and has not finished."""
        return self._listening.endpointer.in_utterance

    @property
    def max_frame_bytes(self) -> int:
        return self._audio_in.max_bytes if self._audio_in else 0

    def hear(self, data: bytes) -> float:
        """Take microphone audio; returns its length in seconds."""
        audio_in = self._audio_in
        if audio_in is None:
            return 0.0
        self._frames += 1
        self.active_at = self._clock()
        if self._frames % 50 == 0:
            self.emit(FramesReceived(frame=self._frames, samples=len(data) // 2))
        if self.options.mode == "asr_only" and self._too_slow():
            return 0.0
        if pcm := audio_in.feed(data):
            self._listening.hear(pcm)
        self._schedule()
        return audio_in.seconds(data)

    def stop(self) -> None:
        """The speaker is done."""
        self.fresh = False
        self._listening.catch_up()
        ended = self._listening.endpointer.stop()
        if ended is not None and self._taker.utterance is not None:
            self._end_utterance(ended)
        else:
            self.handle(turns.StopRequested())

    def type(self, text: str) -> None:
        """A typed turn."""
        self.fresh = False
        self.active_at = self._clock()
        self.handle(turns.Typed(text))

    def cancel(self) -> None:
        """Drop the utterance, or silence the answer."""
        self.fresh = False
        self._listening.catch_up()
        had_utterance, had_reply = self._taker.listening or self.utterance_open, bool(self._replies)
        self._listening.endpointer.drop()
        self.handle(turns.CancelRequested())
        if not had_reply:
            self.emit(Info(message="utterance dropped" if had_utterance else "nothing to cancel"))

    def announce(self, text: str, *, interruptible: bool = True) -> None:
        """The agent says *text* of its own accord, as soon as the floor is free."""
        if self._group is not None:
            self.handle(turns.SayRequested(text, interruptible))

    def played(self, report: Played) -> None:
        """What the listener has heard."""
        running = self._replies.get(report.turn_id)
        if running is not None:
            running.reply.playback.played(report.seq, report.ms)
            running.reply.moved.set()

    # --- what the ears report ---------------------------------------------------------------------------------------

    def on_endpoint(self, endpoint: endpointing.Endpoint) -> None:
        match endpoint:
            case endpointing.SpeechStarted(at_s, first):
                self.handle(turns.SpeechStarted(first))
                self.emit(SpeechStarted(at_ms=round(at_s * 1000)))
            case endpointing.SpeechPaused(at_s):
                self.emit(SpeechStopped(at_ms=round(at_s * 1000)))
            case endpointing.UtteranceEnded():
                self._end_utterance(endpoint)
            case _:
                assert_never(endpoint)

    def on_transcript(self, utterance: Utterance, transcript: Transcript) -> None:
        if transcript.kind == "final":
            self._on_final(utterance, transcript)
            return
        if transcript.text != utterance.shown and len(transcript.text) >= self.settings.stream.min_partial_chars:
            utterance.shown = transcript.text
            if self.settings.stream.debug:
                self.emit(Debug(event="t_partial", values={"utterance": utterance.id, "kind": transcript.kind}))
            self.emit(PartialTranscript(text=transcript.text))
        stable = transcript.kind == "stable"
        self.handle(
            turns.Heard(utterance.id, transcript.text, utterance.speech_s, stable=stable, paused=utterance.paused)
        )

    def on_recognizer_error(self, utterance: Utterance, error: EngineError) -> None:
        self._listening.endpointer.drop()
        self._failure = error
        self.handle(turns.Recognized(utterance.id, "", failed=True))

    def _on_final(self, utterance: Utterance, transcript: Transcript) -> None:
        if transcript.revision:
            if self._turn_of is not None and self._turn_of[0] == utterance.id:
                turn = self._turn_of[1]
                self.emit(FinalTranscript(text=transcript.text, id=utterance.id, revision=1, turn_id=turn))
            return
        self.emit(RecognizerDone(id=utterance.id, busy_s=transcript.busy_s))
        self.handle(turns.Recognized(utterance.id, transcript.text))

    def _end_utterance(self, ended: endpointing.UtteranceEnded) -> None:
        self.fresh = False
        utterance = self._taker.utterance
        if utterance is not None:
            ago_s = self._clock() - self._listening.last_speech_at
            self.emit(SpeechEnded(id=utterance, ago_s=ago_s, audio_s=ended.length_s))
        values = {
            "silence_ms": round(ended.silence_s * 1000),
            "speech_ms": round(ended.speech_s * 1000),
            "length_ms": round(ended.length_s * 1000),
            "vad_silence_ms": self.options.vad_silence_ms,
        }
        if self.settings.stream.debug:
            self.emit(Debug(event="t_finalize_start", values={"reason": ended.reason, **values}))
        self.handle(turns.UtteranceEnded(ended.reason, values))

    # --- the rules' decisions, performed ----------------------------------------------------------------------------

    def handle(self, event: turns.Event) -> None:
        """Tell the turn rules, and do what they say."""
        for action in self._taker.handle(event, self._clock()):
            self._perform(action)
        self._changed.set()
        self._schedule()

    def _perform(self, action: turns.Action) -> None:  # noqa: C901 — one arm for each action
        match action:
            case turns.OpenUtterance(id=utterance):
                self._open_utterance(utterance)
            case turns.FinishUtterance(id=utterance):
                self._listening.finish(utterance)
            case turns.DropUtterances():
                self._listening.drop()
            case turns.StartReply(number, text, preemptive=preemptive):
                self._launch(number, text, confirmed=not preemptive)
            case turns.ConfirmReply(number):
                self.emit(ReplyStarted(turn_id=number, preemptive=False))
                self._replies[number].reply.confirm()
            case turns.DiscardReply(number):
                self._discard(number)
            case turns.StartSpeech(number, text):
                self._launch(number, None, recital=text)
            case turns.EndEmptyTurn():
                self._end_empty_turn(action)
            case turns.Transcribe(number, utterance, text):
                self._turn_of = (utterance, number)
                self.emit(FinalTranscript(text=text, id=utterance, turn_id=number))
            case turns.HoldReply(number, reason):
                self._hold(number, reason)
            case turns.ResumeReply(number, reason):
                self._resume(number, reason)
            case turns.CutReply(number, reason, forget):
                self._cut(number, reason, forget=forget)
            case turns.Explain(decision):
                self.emit(decision)
            case turns.Refuse(code, message):
                self.emit(Error(code=code, message=message))
            case _:
                assert_never(action)

    def _open_utterance(self, utterance: str) -> None:
        if self._group is not None:
            self._listening.open(utterance, self._group)
            self.emit(UtteranceOpened(id=utterance, lead_s=self._listening.endpointer.rules.onset_s))

    def _launch(self, number: int, user: str | None, *, recital: str | None = None, confirmed: bool = True) -> None:
        """Start the task of a turn: an answer to *user*, or a *recital* of the agent's own."""
        if self._group is None:
            return
        emit = self.emit if recital is None else self._emit_as_agent
        reply = Reply(
            number,
            speaker=Speaker(self.engines.tts, self.voice) if self.voice else None,
            phrases=PhraseBuffer(
                max_phrase_length=self.settings.tts.max_phrase_length,
                max_tokens_per_phrase=self.settings.streaming.max_tokens_per_phrase,
                max_buffer_time=self.settings.streaming.max_buffer_time,
            ),
            limits=reply_limits(self.settings),
            emit=emit,
            clock=self._clock,
            confirmed=confirmed,
        )
        out = PcmOut if self.options.audio_out == "pcm" else WavOut
        running = _Running(reply, user, out(reply, self.outbox, self.engines.tts.sample_rate, self._clock), emit)
        self._replies[number] = running
        self.emit(ReplyStarted(turn_id=number, preemptive=not confirmed))
        running.task = self._group.create_task(self._turn(running, recital), name=f"turn {number}")
        self._limit(running, self._clock())

    def _hold(self, number: int, reason: str) -> None:
        reply = self._replies[number].reply
        reply.gate.hold()
        reply.playback.hold(self._clock())
        reply.moved.set()
        reply.emit(Hold(reason=reason, turn_id=number))

    def _resume(self, number: int, reason: str) -> None:
        reply = self._replies[number].reply
        reply.playback.resume(self._clock())
        reply.gate.resume()
        reply.moved.set()
        reply.emit(Resume(reason=reason, turn_id=number))

    def _cut(self, number: int, reason: InterruptReason, *, forget: bool) -> None:
        """Interrupt: the client is told before anything is awaited, then the reply is cancelled."""
        running = self._replies[number]
        heard = running.reply.playback.heard_text(self._clock())
        self.outbox.flush(number)
        running.reply.emit(Interrupted(reason=reason, heard_text=heard, turn_id=number))
        running.reply.silence()
        running.cut = _Cut(heard, forget)
        running.cancel()

    def _discard(self, number: int) -> None:
        running = self._replies.pop(number)
        running.reply.silence()
        running.cancel()

    def _end_empty_turn(self, action: turns.EndEmptyTurn) -> None:
        """A turn without an answer: its transcript, or an error if the recogniser failed, and its metrics."""
        number, error = action.number, self._failure if action.failed else None
        if error is not None:
            self.emit(_error_message(error, number))
        else:
            self._turn_of = (action.utterance, number) if action.utterance else None
            self.emit(FinalTranscript(text=action.text, id=action.utterance or f"t{number}", turn_id=number))
        self._close_turn(number, "failed" if action.failed else "done", self.emit)

    # --- one turn ---------------------------------------------------------------------------------------------------

    async def _turn(self, running: _Running, recital: str | None) -> None:
        """Answer, remember what was heard, make it durable, and close the turn with its metrics."""
        running.started = True
        try:
            async with self.conversation.floor:
                if running.cut is None:
                    await self._answer(running, recital)
                record = self._remember(running)
        except asyncio.CancelledError:
            if running.cut is None:  # discarded: nobody ever knows of it
                return
            _uncancel()  # interrupted while it waited for another connection's turn
            record = self._remember(running)
        finally:
            if running.limit is not None:
                running.limit.cancel()
        try:
            async with asyncio.timeout(STORE_S):
                await self.conversation.store(record)
        except TimeoutError:
            log.warning("turn %d is not stored yet: the conversation store is slow", running.reply.number)
        self._replies.pop(running.reply.number, None)
        self._close_turn(running.reply.number, running.outcome, running.emit)

    async def _answer(self, running: _Running, recital: str | None) -> None:
        """Run the reply to its end, whatever that is, and say so: exactly one closing message for each turn."""
        reply = running.reply
        try:
            deltas = _recite(recital) if recital is not None else self.engines.llm.stream(self._request(running))
            running.outcome = await reply.run(deltas, running.out)
        except asyncio.CancelledError:
            if running.cut is None:
                raise
            _uncancel()
            return
        except Exception:  # the boundary of a turn: a defect of ours ends the turn, not the session
            log.exception("turn %d broke", reply.number)
        if running.outcome == "failed":
            error = reply.error
            code, message = (error.code, error.message) if error else ("INTERNAL", "the turn broke")
            reply.emit(
                Error(code=code, message=message, hint=(error and error.hint) or msgspec.UNSET, turn_id=reply.number)
            )
        else:
            reply.emit(TTSComplete(turn_id=reply.number))
        self.handle(turns.ReplyEnded(reply.number))

    def _request(self, running: _Running) -> ChatRequest:
        options, llm = self.options, self.settings.llm
        return ChatRequest(
            messages=(*self.conversation.messages, Message(role="user", content=running.user or "")),
            host=ReplyHost(running.reply, self.timers),
            instructions=options.instructions,
            language=options.language,
            temperature=llm.temperature,
            max_tokens=llm.max_tokens,
        )

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
            conversation_id=self.conversation.id,
            turn_id=reply.number,
            user=running.user,
            assistant=text,
            interrupted=cut is not None and not cut.forget,
            outcome=running.outcome,
            at=time.time(),
            language=self.options.language,
        )
        self.conversation.remember(record)
        return record

    def _close_turn(self, number: int, outcome: Outcome, emit: Callable[[Event], None]) -> None:
        dropped = self.outbox.dropped + self._skipped
        self.turns += 1
        emit(self._timings.metrics(number, outcome, dropped - self._reported_drops))
        self._reported_drops = dropped
        self._changed.set()

    def _limit(self, running: _Running, began: float) -> None:
        """A turn may take `turn_timeout_s`, beside the playing time of what it has said."""
        limit_s = began + self.settings.stream.turn_timeout_s + running.reply.playback.sent_s - self._clock()
        if limit_s <= 0:
            self.handle(turns.TurnTimedOut(running.reply.number))
        else:
            running.limit = asyncio.get_running_loop().call_later(limit_s, self._limit, running, began)

    # --- small things -----------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Show *event* to the observers, and send it if it is a message."""
        now = self._clock()
        for observe in self._observers:
            observe(event, now)
        if isinstance(event, ServerMessage):
            self.outbox.put(event)

    def _emit_as_agent(self, event: Event) -> None:
        self.emit(msgspec.structs.replace(event, initiator="agent") if isinstance(event, ServerMessage) else event)

    def _apply(self, options: Options) -> None:
        self.options = options
        self._taker.rules = options.turn_rules(self.settings)
        self._listening.endpointer.rules = options.endpoint_rules(self.settings)
        self._listening.hearing = msgspec.structs.replace(
            self._listening.hearing,
            language=options.language.partition("_")[0],
            partial_interval_s=options.partial_interval_ms / 1000,
            final_wait_s=self.settings.asr.final_wait_ms / 1000,
        )
        voice = pick_voice(self.engines.tts.voices, options.language, options.voice)
        self.voice = voice.id if voice else None

    @property
    def warning(self) -> str | None:
        """What of the options cannot be had."""
        language, spoken = self.options.language, self.engines.asr.languages
        if "*" not in spoken and language.partition("_")[0] not in spoken:
            return f"no recogniser for {language} here: speech is not understood, typed turns work"
        if self.voice is None:
            return f"no voice speaks {language} here: answers are text only"
        return self.options.warning

    def _too_slow(self) -> bool:
        """Whether this frame of an asr-only stream is skipped because the client does not read."""
        limits = self.outbox.limits
        if len(self.outbox) <= limits.threshold or self._frames % limits.skip:
            return False
        self._skipped += 1
        return True

    def _schedule(self) -> None:
        """Be woken at the next deadline of the rules. Called for each frame, so it mostly finds it done."""
        endpoint, hold = self._listening.endpointer.deadline, self._taker.deadline
        if endpoint is None and hold is None:
            return
        due = min(at for at in (endpoint, hold) if at is not None)
        if self._wake_up is not None and self._wake_up.when() <= due:
            return
        if self._wake_up is not None:
            self._wake_up.cancel()
        self._wake_up = asyncio.get_running_loop().call_at(due, self._wake)

    def _wake(self) -> None:
        self._wake_up = None
        now = self._clock()
        for action in self._taker.tick(now):
            self._perform(action)
        if (ended := self._listening.endpointer.tick(now)) is not None:
            self._end_utterance(ended)
        self._schedule()


async def _recite(text: str) -> AsyncGenerator[Delta, None]:
    """A model that says *text*."""
    yield Delta(text, finish="stop")


def _error_message(error: VivavoceError | None, turn: int) -> Error:
    """What ends a failed turn; without an *error* it was a defect of ours."""
    if error is None:
        return Error(code="INTERNAL", message="the turn broke", turn_id=turn)
    return Error(code=error.code, message=error.message, hint=error.hint or msgspec.UNSET, turn_id=turn)


def _uncancel() -> None:
    """The cancellation has done its work: the turn goes on to be stored and closed."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def reply_limits(settings: Settings) -> ReplyLimits:
    """The limits of a reply, from the settings."""
    return ReplyLimits(
        first_token_s=settings.llm.first_token_timeout_s,
        token_s=settings.llm.token_timeout_s,
        llm_s=settings.llm.timeout_s,
        phrase_s=settings.tts.timeout_s,
        pending=settings.stream.max_pending_phrases,
        parallel=settings.tts.thread_workers,
    )
