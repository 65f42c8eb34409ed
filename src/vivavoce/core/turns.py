"""Who has the floor. Pure: takes an event and the time, returns what is to be done, and why.

                     words / stable text                    final text
    LISTENING --SpeechStarted--> USER --UtteranceEnded--> (final awaited) --> REPLYING --ReplyEnded--> LISTENING
        ^                         |    preempt: the reply starts here, unheard, and is confirmed or discarded by
        +------ no words ---------+    the final
    REPLYING --SpeechStarted--> HELD --a word--> cut to what was heard, USER
                                  +--hold_s without a word--> REPLYING again
    LISTENING --still_there_s without anything--> REPLYING ("are you still there?")

The session performs the actions in order; it tells back `ReplyEnded` exactly once for each reply that was started and
neither cut nor discarded.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, assert_never

import msgspec

from vivavoce.core.moves import (
    Action,
    CancelRequested,
    Closed,
    ConfirmReply,
    CutReply,
    DiscardReply,
    DropUtterances,
    EndEmptyTurn,
    Event,
    Explain,
    FinishUtterance,
    Heard,
    HoldReply,
    OpenUtterance,
    Recognized,
    Refuse,
    ReplyEnded,
    ResumeReply,
    SayRequested,
    Shielded,
    SpeechStarted,
    StartReply,
    StartSpeech,
    StopRequested,
    StreamOpened,
    Transcribe,
    TurnTimedOut,
    Typed,
    UtteranceEnded,
)
from vivavoce.events import Decision, DecisionKind, InterruptReason, Mode

_WORDS = re.compile(r"[\w']+")
MAX_WAITING = 8
"""Announcements that may wait for the floor."""


class TurnRules(msgspec.Struct, frozen=True, kw_only=True):
    """What decides; each is a setting."""

    mode: Mode = "hands_free"
    interruptible: bool = True
    preempt: bool = True
    min_speech_s: float = 0.2
    min_words: int = 1
    hold_s: float = 0.6
    still_there_s: float | None = None
    """Silence, nobody having the floor, after which the agent says `still_there`; None: never."""
    still_there: str = ""
    still_there_times: int = 1
    """At most so often until the user says something."""


class _Reply(msgspec.Struct):
    number: int
    text: str
    interruptible: bool
    guess_of: str | None = None
    """The utterance a pre-emptive reply answers; None once the reply is certain."""
    held_at: float | None = None
    shields: int = 0
    """How many blocks of the agent's code now forbid to talk over it."""


class TurnTaker:
    """The turn rules of one session. `handle` every event; call `tick` when `deadline` has come."""

    def __init__(self, rules: TurnRules) -> None:
        self.rules = rules
        """May be replaced at any time."""
        self.turn = 0
        """Number of the latest turn."""
        self._utterances = 0
        self._open: str | None = None  # the utterance being spoken
        self._awaited: dict[str, bool] = {}  # utterances whose final is awaited -> whether `stop` ended them
        self._settled = False  # an utterance ended by itself since the last `stop`
        self._reply: _Reply | None = None
        self._ignored: str | None = None  # utterance whose words were already reported as ignored
        self._waiting: deque[SayRequested] = deque()
        self._free_since: float | None = None  # since when nobody has the floor, once somebody had it
        self._asked_again = 0  # "are you still there?" since the user was last heard
        self._closed = False

    @property
    def reply(self) -> int | None:
        """Number of the running reply, pre-emptive ones included."""
        return self._reply.number if self._reply else None

    @property
    def utterance(self) -> str | None:
        """The utterance being spoken."""
        return self._open

    @property
    def listening(self) -> bool:
        """Whether an utterance is open or its final awaited."""
        return self._open is not None or bool(self._awaited)

    @property
    def deadline(self) -> float | None:
        """When to call `tick`: a held reply goes on unless a word is heard, or a silent user is asked again."""
        reply, rules = self._reply, self.rules
        if reply is not None:
            return reply.held_at + rules.hold_s if reply.held_at is not None else None
        if rules.still_there_s is None or self._free_since is None or self._asked_again >= rules.still_there_times:
            return None
        return self._free_since + rules.still_there_s

    def handle(self, event: Event, now: float) -> list[Action]:  # noqa: C901 — one arm per event is the point
        """What is to be done about *event*, in order. Nothing any more once the session is closed."""
        if self._closed:
            return []
        match event:
            case StreamOpened():
                self._settled, actions = False, []
            case SpeechStarted(first):
                actions = self._speech_started(first, now)
            case Heard():
                actions = self._heard(event)
            case UtteranceEnded(reason, values):
                actions = self._utterance_ended(reason, values)
            case StopRequested():
                actions = self._stop_requested()
            case Recognized():
                actions = self._recognized(event)
            case Typed(text):
                self._asked_again = 0
                actions = [*self._interrupt("command_collision", "typed turn"), self._start(text)]
            case SayRequested():
                actions = self._say(event)
            case Shielded(number, on):
                actions = self._shield(number, on=on)
            case CancelRequested():
                actions = self._cancel()
            case ReplyEnded(number):
                actions = self._ended(number)
            case TurnTimedOut(number):
                matches = self._reply is not None and self._reply.number == number
                actions = self._interrupt("timeout", "turn_timeout_s") if matches else []
            case Closed(reason):
                self._waiting.clear()
                actions = [*self._drop(), *self._interrupt(reason, reason)]
                self._closed = True
            case _:
                assert_never(event)
        actions += self._next_announcement()
        self._watch_silence(event, now)
        return actions

    def tick(self, now: float) -> list[Action]:
        """Resume a held reply whose time is up, or ask a silent user whether they are there."""
        reply, deadline = self._reply, self.deadline
        if deadline is None or now < deadline:
            return []
        if reply is None:
            self._asked_again += 1
            self._free_since = None
            return [*self._say(SayRequested(self.rules.still_there)), *self._next_announcement()]
        return self._resume("no word within hold_ms", {"held_ms": round((now - (deadline - self.rules.hold_s)) * 1000)})

    # one method for each event

    def _speech_started(self, first: bool, now: float) -> list[Action]:
        reply, actions = self._certain_reply(), list[Action]()
        if reply is not None and not self._may_interrupt(reply):
            return [self._explain("ignore", "reply is not interruptible", {}, "interruptible")] if first else []
        if self._open is None:
            self._utterances += 1
            self._open, self._settled = f"u{self._utterances}", False
            actions.append(OpenUtterance(self._open))
        if reply is not None and reply.held_at is None:
            reply.held_at = now
            actions.append(HoldReply(reply.number, "speech over the reply"))
            actions.append(self._explain("hold", "speech over the reply", {"hold_ms": self._hold_ms}, "turns.hold_ms"))
        return actions

    def _heard(self, event: Heard) -> list[Action]:
        if event.utterance != self._open and event.utterance not in self._awaited:
            return []
        reply, words = self._reply, len(_WORDS.findall(event.text))
        if reply is not None and reply.guess_of is not None:
            return self._reconsider(reply, event) if words and event.utterance == reply.guess_of else []
        if reply is not None:  # one that became uninterruptible since somebody began to speak waits for the final
            return self._barge_in(event, words) if self._may_interrupt(reply) else []
        return self._preempt(event) if event.stable and words else []

    def _utterance_ended(self, reason: str, values: dict[str, Any]) -> list[Action]:
        if self._open is None:
            return []
        ended, self._open = self._open, None
        self._awaited[ended] = reason == "stop"
        self._settled = reason != "stop"
        setting = {"silence": "vad_silence_ms", "max_length": "max_utterance_ms", "inactivity": "inactivity_ms"}
        return [self._explain("endpoint", reason, values, setting.get(reason)), FinishUtterance(ended)]

    def _stop_requested(self) -> list[Action]:
        for utterance in self._awaited:
            self._awaited[utterance] = True
        if self._awaited or self._settled:
            self._settled = False
            return [self._explain("ignore", "the utterance had already ended", {}, None)]
        return self._end_empty(None, "")

    def _recognized(self, event: Recognized) -> list[Action]:
        utterance, text = event.utterance, event.text
        stopped = self._awaited.pop(utterance, None)
        if utterance == self._open:
            self._open, self._settled = None, True  # the recogniser gave up before the speaker did
        elif stopped is None:
            return []
        words = len(_WORDS.findall(text))
        if not words:
            return self._no_words(utterance, stopped=bool(stopped), failed=event.failed)
        if self.rules.mode == "asr_only":
            return self._end_empty(utterance, text)
        self._asked_again = 0
        reply = self._certain_reply()
        if reply is not None and not self._may_interrupt(reply):
            return [self._explain("ignore", "reply is not interruptible", {"words": words}, "interruptible")]
        if reply is not None and words < self.rules.min_words:
            explain = self._explain("ignore", "too few words", {"words": words}, "turns.barge_in_min_words")
            return [explain, *self._resume("too few words", {"words": words})]
        guess = self._reply
        if guess is not None and guess.guess_of == utterance and _same(guess.text, text):
            guess.guess_of = None
            return [Transcribe(guess.number, utterance, text), ConfirmReply(guess.number, utterance)]
        actions = self._interrupt("user_speech", "the final transcript differs" if guess else "final transcript")
        start = self._start(text, utterance=utterance)
        return [*actions, Transcribe(start.number, utterance, text), start]

    def _say(self, event: SayRequested) -> list[Action]:
        if len(self._waiting) >= MAX_WAITING:
            return [Refuse("RATE_LIMITED", f"{MAX_WAITING} announcements are waiting already")]
        self._waiting.append(event)
        return []

    def _shield(self, number: int, *, on: bool) -> list[Action]:
        reply = self._reply
        if reply is None or reply.number != number:
            return []
        reply.shields = reply.shields + 1 if on else max(reply.shields - 1, 0)
        return [] if self._may_interrupt(reply) else self._resume("reply is not interruptible", {})

    def _watch_silence(self, event: Event, now: float) -> None:
        """Keep the time since when nobody has had the floor."""
        if self._closed or self._reply is not None or self.listening:
            self._free_since = None
        elif self._free_since is None or isinstance(event, StreamOpened):
            self._free_since = now

    def _cancel(self) -> list[Action]:
        self._waiting.clear()
        self._settled = False
        return [*self._drop(), *self._interrupt("client_cancel", "cancel", forget=True)]

    def _ended(self, number: int) -> list[Action]:
        if self._reply is not None and self._reply.number == number:
            self._reply = None
        return []

    # what they share

    def _may_interrupt(self, reply: _Reply) -> bool:
        return reply.interruptible and not reply.shields and self.rules.interruptible

    def _certain_reply(self) -> _Reply | None:
        """The running reply, unless it is only a guess."""
        return self._reply if self._reply is not None and self._reply.guess_of is None else None

    @property
    def _hold_ms(self) -> int:
        return round(self.rules.hold_s * 1000)

    def _barge_in(self, event: Heard, words: int) -> list[Action]:
        values = {
            "words": words,
            "min_words": self.rules.min_words,
            "speech_ms": round(event.speech_s * 1000),
            "min_speech_ms": round(self.rules.min_speech_s * 1000),
        }
        if words >= self.rules.min_words and event.speech_s >= self.rules.min_speech_s - 1e-9:
            return self._interrupt("user_speech", "words over the reply", values=values)
        if words and self._ignored != event.utterance:
            self._ignored = event.utterance
            few = words < self.rules.min_words
            setting = "turns.barge_in_min_words" if few else "turns.barge_in_min_speech_ms"
            return [self._explain("ignore", "too few words" if few else "too little speech", values, setting)]
        return []

    def _preempt(self, event: Heard) -> list[Action]:
        if not self.rules.preempt or self.rules.mode == "asr_only" or not event.paused:
            return []
        start = self._start(event.text, utterance=event.utterance, preemptive=True)
        return [self._explain("preempt", "stable transcript", {"text": event.text}, "turns.preempt"), start]

    def _reconsider(self, reply: _Reply, event: Heard) -> list[Action]:
        if _same(reply.text, event.text) or not (event.stable or len(event.text) > len(reply.text)):
            return []
        values = {"guess": reply.text, "heard": event.text}
        return [*self._discard(reply, "the speaker went on", values), *(self._preempt(event) if event.stable else [])]

    def _no_words(self, utterance: str, *, stopped: bool, failed: bool) -> list[Action]:
        actions = list[Action]()
        if self._reply is not None and self._reply.guess_of == utterance:
            actions = self._discard(self._reply, "no words in the final transcript", {"guess": self._reply.text})
        elif self._open is None:
            actions = self._resume("no words were heard", {})
        if stopped or failed:
            return [*actions, *self._end_empty(utterance, "", failed=failed)]
        self._settled = False
        return [*actions, self._explain("ignore", "no words in the utterance", {}, None)]

    def _start(self, text: str, *, utterance: str | None = None, preemptive: bool = False) -> StartReply:
        self.turn += 1
        self._reply = _Reply(self.turn, text, interruptible=True, guess_of=utterance if preemptive else None)
        return StartReply(self.turn, text, utterance, preemptive)

    def _end_empty(self, utterance: str | None, text: str, *, failed: bool = False) -> list[Action]:
        """A turn of its own beside whatever is being said; a guess at an answer is moot."""
        guess = self._reply if self._certain_reply() is None else None
        actions = self._discard(guess, "no answer is wanted", {}) if guess is not None else []
        self.turn += 1
        return [*actions, EndEmptyTurn(self.turn, utterance, text, failed)]

    def _discard(self, reply: _Reply, reason: str, values: dict[str, Any]) -> list[Action]:
        self._reply = None
        self.turn = reply.number - 1  # nobody has seen the number, and no turn began after it
        return [self._explain("discard", reason, values, "turns.preempt"), DiscardReply(reply.number)]

    def _resume(self, reason: str, values: dict[str, Any]) -> list[Action]:
        reply = self._reply
        if reply is None or reply.held_at is None:
            return []
        reply.held_at = None
        return [ResumeReply(reply.number, reason), self._explain("resume", reason, values, "turns.hold_ms")]

    def _interrupt(
        self, reason: InterruptReason, why: str, *, values: dict[str, Any] | None = None, forget: bool = False
    ) -> list[Action]:
        reply = self._reply
        if reply is None:
            return []
        if reply.guess_of is not None:
            return self._discard(reply, why, values or {})
        self._reply = None
        explain = self._explain("interrupt", why, values or {}, None, turn_id=reply.number)
        return [CutReply(reply.number, reason, forget), explain]

    def _drop(self) -> list[Action]:
        if not self.listening:
            return []
        self._open = None
        self._awaited.clear()
        return [DropUtterances()]

    def _next_announcement(self) -> list[Action]:
        if not self._waiting or self._reply is not None or self.listening:
            return []
        say = self._waiting.popleft()
        self.turn += 1
        self._reply = _Reply(self.turn, say.text or "", interruptible=say.interruptible)
        return [StartSpeech(self.turn, say.text)]

    def _explain(
        self,
        what: DecisionKind,
        reason: str,
        values: dict[str, Any],
        setting: str | None,
        *,
        turn_id: int | None = None,
    ) -> Explain:
        number = turn_id if turn_id is not None else self.reply
        decision = Decision(what=what, reason=reason, values=values, setting=setting)
        return Explain(decision if number is None else msgspec.structs.replace(decision, turn_id=number))


def _same(one: str, other: str) -> bool:
    """Whether two transcripts are the same words."""
    return _WORDS.findall(one.casefold()) == _WORDS.findall(other.casefold())
