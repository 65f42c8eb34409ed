"""When speech begins, pauses and ends. Pure: it counts audio, window by window, and never reads a clock.

    silence --onset_s of speech--> SPEECH --pause_s of silence--> PAUSE --silence_s of silence--> ended (silence)
       ^                             ^                              |
       |                             +------- resume_s of speech ---+
       +-- ended: stop, max_length, inactivity (frames stopped arriving; the only rule that is told `now`)

In push-to-talk the button opens the utterance, so only `stop`, `max_length` and `inactivity` end it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

EndReason = Literal["silence", "stop", "max_length", "inactivity"]


class SpeechStarted(msgspec.Struct, frozen=True):
    """Speech began at *at_s* of the session's audio; `first` when it opens an utterance."""

    at_s: float
    first: bool


class SpeechPaused(msgspec.Struct, frozen=True):
    """Speech stopped at *at_s*, perhaps only for a breath."""

    at_s: float


class UtteranceEnded(msgspec.Struct, frozen=True):
    """The speaker has finished; speech ended at *at_s*."""

    at_s: float
    reason: EndReason
    speech_s: float
    silence_s: float
    length_s: float


Endpoint = SpeechStarted | SpeechPaused | UtteranceEnded


class EndpointRules(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds; all times are seconds of audio, but `inactivity_s`."""

    threshold: float = 0.5
    """A window at or above this probability is speech."""
    release: float = 0.35
    """Once in speech, a window below this is silence."""
    onset_s: float = 0.096
    """Speech in a row that opens an utterance; less is a click."""
    resume_s: float = 0.064
    """Speech in a row that ends a pause."""
    pause_s: float = 0.25
    silence_s: float = 0.7
    max_s: float = 30.0
    inactivity_s: float = 2.0
    push_to_talk: bool = False


class Endpointer:
    """Follows one session's audio. Feed every window in order; act on what is returned."""

    def __init__(self, rules: EndpointRules, *, window_s: float = 0.032) -> None:
        self.rules = rules
        """May be replaced at any time; it applies from the next window."""
        self.window_s = window_s
        self.heard_s = 0.0
        """Audio seen so far: the clock of all `at_s`."""
        self.speech_s = 0.0
        """Speech within the open utterance."""
        self.in_utterance = False
        self._run_s = 0.0  # speech in a row that is not yet believed
        self._silence_s = 0.0  # silence since the last believed speech
        self._speaking = False
        self._began_s = 0.0
        self._last_now = 0.0

    @property
    def is_speech(self) -> bool:
        """Whether the last window counted as speech, or may turn out to."""
        return self.certainly_speech or self._run_s > 0.0

    @property
    def certainly_speech(self) -> bool:
        """Whether the last window was speech: a click in a pause is not."""
        return self._speaking and self._silence_s == 0.0

    @property
    def deadline(self) -> float | None:
        """When `tick` should be called, unless more audio arrives: only while an utterance is open."""
        return self._last_now + self.rules.inactivity_s if self.in_utterance else None

    def hear(self, probability: float, now: float) -> list[Endpoint]:
        """Take the next window's speech probability."""
        self._last_now = now
        self.heard_s += self.window_s
        found: list[Endpoint] = []
        if not self.in_utterance:
            if self.rules.push_to_talk:
                self._open(self.heard_s - self.window_s)
            elif self._believe(probability, self.rules.onset_s):
                self._open(self.heard_s - self._run_s)
                found.append(self._speak(first=True))
            return found
        if self._speaking:
            self._follow(probability, found)
        elif self._believe(probability, self.rules.resume_s):
            found.append(self._speak(first=self.speech_s == 0.0))
        else:
            self._silence_s += self.window_s
        if not self.rules.push_to_talk and not self._speaking and self._silence_s >= self.rules.silence_s:
            found.append(self._end("silence"))
        elif self.heard_s - self._began_s >= self.rules.max_s:
            found.append(self._end("max_length"))
        return found

    def stop(self) -> UtteranceEnded | None:
        """The speaker said so. None when no utterance is open."""
        return self._end("stop") if self.in_utterance else None

    def tick(self, now: float) -> UtteranceEnded | None:
        """Frames have stopped arriving, if the deadline has passed."""
        if self.deadline is None or now < self.deadline:
            return None
        return self._end("inactivity")

    def drop(self) -> None:
        """Forget the open utterance."""
        self.in_utterance = self._speaking = False
        self._run_s = self._silence_s = self.speech_s = 0.0

    def _believe(self, probability: float, needed_s: float) -> bool:
        """Count speech in a row; True once there is enough of it. A dip above `release` does not break the row."""
        if probability >= self.rules.threshold or (self._run_s > 0.0 and probability >= self.rules.release):
            self._run_s += self.window_s
        else:
            self._run_s = 0.0
        return self._run_s >= needed_s - 1e-9

    def _open(self, began_s: float) -> None:
        self.in_utterance = True
        self.speech_s = self._silence_s = 0.0
        self._began_s = began_s

    def _speak(self, *, first: bool) -> SpeechStarted:
        started = SpeechStarted(self.heard_s - self._run_s, first)
        self._speaking = True
        self.speech_s += self._run_s
        self._silence_s = self._run_s = 0.0
        return started

    def _follow(self, probability: float, found: list[Endpoint]) -> None:
        if probability >= self.rules.release:
            self.speech_s += self.window_s
            self._silence_s = 0.0
            return
        self._silence_s += self.window_s
        if self._silence_s >= min(self.rules.pause_s, self.rules.silence_s) - 1e-9:
            self._speaking = False
            found.append(SpeechPaused(self.heard_s - self._silence_s))

    def _end(self, reason: EndReason) -> UtteranceEnded:
        ended = UtteranceEnded(
            at_s=self.heard_s - self._silence_s,
            reason=reason,
            speech_s=self.speech_s,
            silence_s=self._silence_s,
            length_s=self.heard_s - self._began_s,
        )
        self.drop()
        return ended
