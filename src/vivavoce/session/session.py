"""One client's session: it tells the turn rules what happens, and performs what they decide.

Who has the floor is decided by `TurnTaker.handle`; how an answer is made is `Reply.run`. Everything here is the thin
side: one method per action. All tasks belong to the group of `running`: one per utterance, one per turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, assert_never

import msgspec

from vivavoce.agent import Agent
from vivavoce.core import endpointing, moves
from vivavoce.core.endpointing import Endpointer
from vivavoce.core.turns import TurnTaker
from vivavoce.engines.base import Engines, Transcript, pick_voice
from vivavoce.errors import EngineError
from vivavoce.events import (
    Debug,
    Error,
    Event,
    FinalTranscript,
    FramesReceived,
    Info,
    InterruptReason,
    Outcome,
    Played,
    RecognizerDone,
    ServerMessage,
    SessionClosed,
    SessionOpened,
    SpeechEnded,
    SpeechStarted,
    SpeechStopped,
    Start,
    Update,
    UtteranceOpened,
)
from vivavoce.observe.timings import Timings
from vivavoce.session.agent_view import AgentView
from vivavoce.session.agents import Agents
from vivavoce.session.answering import Answering, error_message
from vivavoce.session.audio_in import AudioIn
from vivavoce.session.conversation import Conversation
from vivavoce.session.listening import Listening, Utterance
from vivavoce.session.options import Options
from vivavoce.session.outbox import Outbox
from vivavoce.session.partials import Partials
from vivavoce.session.summarising import Summarising
from vivavoce.session.timers import SessionTimers
from vivavoce.settings import Settings

Chosen = TypeVar("Chosen", Start, Update)
Observer = Callable[[Event, float], None]


class Session:
    """The core that every transport drives: `hear`, `handle`, `update`, `played`; what it says is in its outbox."""

    def __init__(
        self,
        id: str,
        engines: Engines,
        settings: Settings,
        conversation: Conversation,
        outbox: Outbox,
        observers: Sequence[Observer] = (),
        turn_wait_s: Callable[[], float] = lambda: 0.0,
        agent: Agent | None = None,
        agents: Agents | None = None,
    ) -> None:
        """turn_wait_s: counts a turn of this client; seconds to wait where it has had too many. agents: those of the
        process."""
        self.agent = agent or Agent(client_instructions=True)
        """Who answers."""
        self.agent.configure(settings)
        self._agents = agents or Agents()
        self.ready = self._agents.ready
        self.id = id
        self.engines = engines
        self.settings = settings
        self.voice: str | None = None
        """The voice in force; None where no voice speaks the language."""
        self.conversation = conversation
        self.outbox = outbox
        self.options = Options.default(settings, self.agent)
        self.created_at = time.time()
        self.turns = 0
        """Turns that were closed."""
        self.timers = SessionTimers(self.say)
        self._clock = asyncio.get_running_loop().time
        self._opened_at = self._clock()
        self.active_at = self._opened_at
        """When the client last sent audio or text."""
        self._opened = False  # whether the agent has had its chance to speak first
        self._refused: str | None = None  # what the latest `start` or `update` was not given
        self._taker = TurnTaker(self.options.turn_rules(settings, self.agent))
        window_s = engines.vad.window / engines.vad.sample_rate
        endpointer = Endpointer(self.options.endpoint_rules(settings), window_s=window_s)
        self._listening = Listening(
            engines.vad, engines.asr, endpointer, self, clock=self._clock, timeout_s=settings.asr.timeout_s
        )
        self._partials = Partials(self.emit)
        self.fresh = False
        """Whether the stream was opened, and nothing was finished since."""
        self._audio_in: AudioIn | None = None
        self._timings = Timings()
        self._turn_wait_s = turn_wait_s
        self._observers: list[Observer] = [self._timings, *observers]
        self.view = AgentView(self)
        self._answering = Answering(self, self._clock)
        self._summarising = Summarising(self)
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
        self.handle(moves.Closed(reason))
        self._answering.close()
        self._summarising.stop()
        self._listening.close()
        self._partials.drop()
        self.timers.cancel()
        self._changed.set()
        if self._wake_up is not None:
            self._wake_up.cancel()
        self.emit(SessionClosed(reason=reason, turns=self.turns, seconds=self._clock() - self._opened_at))

    async def quiet(self) -> None:
        """Wait until no turn is under way."""
        while not self._listening.closed and (self._answering or self._taker.listening):
            self._changed.clear()
            await self._changed.wait()

    async def room(self) -> None:
        """Wait while too many utterances are being recognised (audio may come faster than it was spoken)."""
        await self._listening.room()

    @property
    def state(self) -> str:
        """`speaking`, `thinking`, `listening`, for people who watch."""
        if self._answering:
            return "speaking" if self._answering.audible else "thinking"
        return "listening"

    @property
    def last_turn(self) -> int:
        """Number of the latest turn."""
        return self._taker.turn

    @property
    def reply(self) -> int | None:
        """Number of the running answer."""
        return self._taker.reply

    def go_on(self, options: Options, last_turn: int, agent: Agent, userdata: MutableMapping[str, Any]) -> None:
        """Take over from a session whose socket was lost; before `start`."""
        self._opened = True
        self.agent = agent
        self.view.userdata = userdata
        self.options = options
        self._taker.turn = last_turn

    # --- what the client does ---------------------------------------------------------------------------------------

    def start(self, start: Start) -> None:
        """Open (or reopen) the utterance stream. Raises ClientError for a sample rate that cannot be used."""
        options = self.options.started(self._allowed(start))
        self._audio_in = AudioIn(options.sample_rate, options.encoding, self.engines.vad.sample_rate)
        self._apply(options)
        self.fresh = True
        self._listening.catch_up()
        self.handle(moves.StreamOpened())

    def open(self) -> None:
        """Let the agent speak first, if it wants to. Nothing the second time."""
        if not self._opened and self.agent.opens and self.options.mode != "asr_only":
            self.handle(moves.SayRequested(None))
        self._opened = True

    def update(self, update: Update) -> None:
        """Change the live session."""
        self._apply(self.options.updated(self._allowed(update)))

    @property
    def utterance_open(self) -> bool:
        """Whether somebody is speaking, and has not finished."""
        return self._listening.endpointer.in_utterance

    @property
    def listening_to(self) -> int:
        """Utterances that are being recognised."""
        return self._listening.open_utterances

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
            self.handle(moves.StopRequested())

    def type(self, text: str) -> None:
        """A typed turn."""
        self.fresh = False
        self.active_at = self._clock()
        if self._may_take_turn():
            self.handle(moves.Typed(text))

    def cancel(self) -> None:
        """Drop the utterance, or silence the answer."""
        self.fresh = False
        self._listening.catch_up()
        had_utterance, had_reply = self._taker.listening or self.utterance_open, self._taker.reply is not None
        self._listening.endpointer.drop()
        self.handle(moves.CancelRequested())
        if not had_reply:
            self.emit(Info(message="utterance dropped" if had_utterance else "nothing to cancel"))

    def follow(self, agent: Agent) -> None:
        """From now on *agent* answers."""
        agent.configure(self.settings)
        self._agents.begin(agent)
        before, self.agent = self.agent, agent
        self._apply(self.options.led_by(agent, before, self.settings))

    def say(self, text: str, *, interruptible: bool = True) -> None:
        """The agent says *text* of its own accord, as soon as the floor is free."""
        if self._group is not None and text.strip():
            self.handle(moves.SayRequested(text, interruptible))

    def played(self, report: Played) -> None:
        """What the listener has heard."""
        self._answering.played(report)

    # --- what the ears report ---------------------------------------------------------------------------------------

    def on_endpoint(self, endpoint: endpointing.Endpoint) -> None:
        match endpoint:
            case endpointing.SpeechStarted(at_s, first):
                self.handle(moves.SpeechStarted(first))
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
            if self.settings.stream.debug and not utterance.shown:
                self.emit(Debug(event="t_partial_first", values={"utterance": utterance.id}))
            utterance.shown = transcript.text
            self._partials.show(utterance.id, transcript.text)
        stable = transcript.kind == "stable"
        self.handle(
            moves.Heard(utterance.id, transcript.text, utterance.speech_s, stable=stable, paused=utterance.paused)
        )

    def on_recognizer_error(self, utterance: Utterance, error: EngineError) -> None:
        self._partials.drop(utterance.id)
        self._failure = error
        self.handle(moves.Recognized(utterance.id, "", failed=True))

    def _on_final(self, utterance: Utterance, transcript: Transcript) -> None:
        if transcript.revision:
            if self._turn_of is not None and self._turn_of[0] == utterance.id:
                turn = self._turn_of[1]
                self.emit(FinalTranscript(text=transcript.text, id=utterance.id, revision=1, turn_id=turn))
            return
        self._partials.drop(utterance.id)
        self.emit(RecognizerDone(id=utterance.id, busy_s=transcript.busy_s))
        text = transcript.text if transcript.text and self._may_take_turn() else ""
        self.handle(moves.Recognized(utterance.id, text))

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
        asr = self.settings.asr
        # In the silence that ended the utterance the recogniser had its time; after a `stop` it had none.
        wait_ms = asr.final_wait_silence_ms if ended.reason == "silence" else asr.final_wait_ms
        self._listening.final_wait_s = wait_ms / 1000
        if self.settings.stream.debug:
            self.emit(Debug(event="t_finalize_start", values={"reason": ended.reason, **values}))
        self.handle(moves.UtteranceEnded(ended.reason, values))

    # --- the rules' decisions, performed ----------------------------------------------------------------------------

    def handle(self, event: moves.Event) -> None:
        """Tell the turn rules, and do what they say."""
        for action in self._taker.handle(event, self._clock()):
            self._perform(action)
        self._changed.set()
        self._schedule()

    def _perform(self, action: moves.Action) -> None:  # noqa: C901 — one arm for each action
        match action:
            case moves.OpenUtterance(id=utterance):
                self._open_utterance(utterance)
            case moves.FinishUtterance(id=utterance):
                self._listening.finish(utterance)
            case moves.DropUtterances():
                self._listening.drop()
                self._partials.drop()
            case moves.StartReply(number, text, preemptive=preemptive):
                self._launch(number, text, confirmed=not preemptive)
            case moves.ConfirmReply(number):
                self._answering.confirm(number)
            case moves.DiscardReply(number):
                self._answering.discard(number)
            case moves.StartSpeech(number, text):
                self._launch(number, None, recital=text)
            case moves.EndEmptyTurn():
                self._end_empty_turn(action)
            case moves.Transcribe(number, utterance, text):
                self._turn_of = (utterance, number)
                self.emit(FinalTranscript(text=text, id=utterance, turn_id=number))
            case moves.HoldReply(number, reason):
                self._answering.hold(number, reason)
            case moves.ResumeReply(number, reason):
                self._answering.resume(number, reason)
            case moves.CutReply(number, reason, forget):
                self._answering.cut(number, reason, forget=forget)
            case moves.Explain(decision):
                self.emit(decision)
            case moves.Refuse(code, message):
                self.emit(Error(code=code, message=message))
            case _:
                assert_never(action)

    def _open_utterance(self, utterance: str) -> None:
        if self._group is not None:
            self._summarising.stop()
            self._listening.open(utterance, self._group)
            self.emit(UtteranceOpened(id=utterance, lead_s=self._listening.endpointer.rules.onset_s))

    def _launch(self, number: int, user: str | None, *, recital: str | None = None, confirmed: bool = True) -> None:
        if self._group is not None:
            self._summarising.stop()
            self._answering.launch(self._group, number, user, recital=recital, confirmed=confirmed)

    def _end_empty_turn(self, action: moves.EndEmptyTurn) -> None:
        """A turn without an answer: its transcript, or an error if the recogniser failed, and its metrics."""
        number = action.number
        if action.failed:
            self.emit(error_message(self._failure, number))
        else:
            self._turn_of = (action.utterance, number) if action.utterance else None
            self.emit(FinalTranscript(text=action.text, id=action.utterance or f"t{number}", turn_id=number))
        self.close_turn(number, "failed" if action.failed else "done", self.emit)

    def close_turn(self, number: int, outcome: Outcome, emit: Callable[[Event], None]) -> None:
        """The last message of a turn: its metrics."""
        dropped = self.outbox.dropped + self._skipped
        self.turns += 1
        emit(self._timings.metrics(number, outcome, dropped - self._reported_drops))
        self._reported_drops = dropped
        self._changed.set()
        if self._group is not None and not self._listening.closed and not self._answering and not self._taker.listening:
            self._summarising.consider(self._group)

    # --- small things -----------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Show *event* to the observers, and send it if it is a message."""
        now = self._clock()
        for observe in self._observers:
            observe(event, now)
        if isinstance(event, ServerMessage):
            self.outbox.put(event)

    def _apply(self, options: Options) -> None:
        self.options = options
        self._taker.rules = options.turn_rules(self.settings, self.agent)
        self._listening.endpointer.rules = options.endpoint_rules(self.settings)
        self._partials.interval_s = options.partial_interval_ms / 1000
        self._listening.hearing = msgspec.structs.replace(
            self._listening.hearing,
            language=options.language.partition("_")[0],
            partial_interval_s=options.partial_interval_ms / 1000,
        )
        voice = pick_voice(self.engines.tts.voices, options.language, options.voice)
        self.voice = voice.id if voice else None
        self._schedule()

    @property
    def warning(self) -> str | None:
        """What of the options cannot be had."""
        language, spoken = self.options.language, self.engines.asr.languages
        if "*" not in spoken and language.partition("_")[0] not in spoken:
            return f"no recogniser for {language} here: speech is not understood, typed turns work"
        if self.voice is None:
            return f"no voice speaks {language} here: answers are text only"
        return self.options.warning or self._refused

    def _allowed(self, message: Chosen) -> Chosen:
        """*message* without what the agent does not let clients choose."""
        self._refused = None
        if message.instructions is None or self.agent.client_instructions:
            return message
        self._refused = f"{self.agent.name} has instructions of its own: yours are not used"
        return msgspec.structs.replace(message, instructions=None)

    def _may_take_turn(self) -> bool:
        """Whether this client has turns left; it is told when it has not."""
        if (wait_s := self._turn_wait_s()) <= 0:
            return True
        self.emit(Error(code="RATE_LIMITED", message="too many turns in a minute", retry_after_s=round(wait_s, 1)))
        return False

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
        if (endpoint is None and hold is None) or self._listening.closed:
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
