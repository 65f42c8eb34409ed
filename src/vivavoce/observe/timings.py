"""Metrics of a turn: a fold over the timestamped events of its session.

Times of a turn count from the first audio of its utterance (t0); a typed or agent-initiated turn has no t0 to t2, and
counts from its own beginning.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from vivavoce.events import (
    Error,
    Event,
    FinalTranscript,
    FirstAudio,
    LLMToken,
    Metrics,
    Outcome,
    PartialTranscript,
    PhraseSpoken,
    RecognizerDone,
    ReplyStarted,
    ReplyText,
    SpeechEnded,
    UtteranceOpened,
)

Key = TypeVar("Key", int, str)
KEPT = 8
"""Utterances and turns whose marks are kept while they are open; more are never open at once."""


class _Marks(msgspec.Struct):
    began: float | None = None
    first_audio: float | None = None
    first_partial: float | None = None
    end_of_speech: float | None = None
    final: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    made_s: float | None = None
    first_speech: float | None = None
    tokens: int = 0
    phrases: int = 0
    asr_busy_s: float = 0.0
    asr_audio_s: float = 0.0
    tts_busy_s: float = 0.0
    tts_audio_s: float = 0.0


class Timings:
    """Folds one session's events; `metrics` closes a turn."""

    def __init__(self) -> None:
        self._utterances: dict[str, _Marks] = {}
        self._current = _Marks()  # of the utterance that opened last
        self._turns: dict[int, _Marks] = {}

    def __call__(self, event: Event, at_s: float) -> None:
        match event:
            case LLMToken(turn_id=int(turn)):
                self._token(self._turn(turn), event, at_s)
            case ReplyText(turn_id=turn):
                self._turn(turn).made_s = event.span_s
            case FirstAudio(turn_id=turn):
                self._turn(turn).first_speech = at_s
            case PhraseSpoken(turn_id=turn):
                marks = self._turn(turn)
                marks.phrases += event.audio_s > 0
                marks.tts_busy_s += event.busy_s
                marks.tts_audio_s += event.audio_s
            case ReplyStarted(turn_id=turn, preemptive=False):
                marks = self._turn(turn)
                marks.began = at_s if marks.began is None else marks.began
            case UtteranceOpened(id=utterance):
                self._current = _keep(self._utterances, utterance, _Marks(first_audio=at_s - event.lead_s))
            case PartialTranscript() if self._current.first_partial is None:
                self._current.first_partial = at_s
            case SpeechEnded(id=utterance) if utterance in self._utterances:
                self._utterances[utterance].end_of_speech = at_s - event.ago_s
                self._utterances[utterance].asr_audio_s = event.audio_s
            case RecognizerDone(id=utterance) if utterance in self._utterances:
                self._utterances[utterance].asr_busy_s = event.busy_s
            case Error(turn_id=int(turn)) if turn not in self._turns:  # its recogniser failed: there is no transcript
                _keep(self._turns, turn, self._current)
            case FinalTranscript(turn_id=int(turn), id=utterance, revision=0):
                marks = _keep(self._turns, turn, self._utterances.pop(utterance, _Marks()))
                marks.final = at_s
            case _:
                pass

    def metrics(self, turn: int, outcome: Outcome, dropped_frames: int) -> Metrics:
        """The figures of *turn*, which is over."""
        marks = self._turns.pop(turn, _Marks())
        zero = marks.first_audio if marks.first_audio is not None else marks.began

        def since(mark: float | None) -> float | None:
            return None if mark is None or zero is None else round((mark - zero) * 1000, 1)

        span_s = marks.made_s
        if span_s is None:  # cut while the model was writing
            span_s = (marks.last_token or 0.0) - (marks.first_token or 0.0)
        voice_to_voice = None
        if marks.first_speech is not None and marks.end_of_speech is not None:
            voice_to_voice = round((marks.first_speech - marks.end_of_speech) * 1000, 1)
        return Metrics(
            turn_id=turn,
            t0_ms=None if marks.first_audio is None else 0.0,
            t1_first_partial_ms=since(marks.first_partial),
            t2_final_transcript_ms=since(marks.final),
            t3_first_llm_token_ms=since(marks.first_token),
            t4_first_tts_audio_ms=since(marks.first_speech),
            end_of_speech_ms=since(marks.end_of_speech),
            voice_to_voice_ms=voice_to_voice,
            asr_rtf=_ratio(marks.asr_busy_s, marks.asr_audio_s),
            tts_rtf=_ratio(marks.tts_busy_s, marks.tts_audio_s),
            llm_tokens=marks.tokens,
            llm_tokens_per_s=round((marks.tokens - 1) / span_s, 1) if marks.tokens > 1 and span_s > 0 else None,
            phrases=marks.phrases,
            dropped_frames=dropped_frames,
            interrupted=outcome == "interrupted",
            outcome=outcome,
        )

    def _turn(self, turn: int) -> _Marks:
        marks = self._turns.get(turn)
        return marks if marks is not None else _keep(self._turns, turn, _Marks())

    def _token(self, marks: _Marks, token: LLMToken, at_s: float) -> None:
        if token.text:
            marks.tokens += 1
            marks.last_token = at_s
            if marks.first_token is None:
                marks.first_token = at_s


def _keep(table: dict[Key, _Marks], key: Key, marks: _Marks) -> _Marks:
    """Put *marks* into the table, which forgets its oldest entry when it is full."""
    table[key] = marks
    if len(table) > KEPT:
        del table[next(iter(table))]
    return marks


def _ratio(busy_s: float, audio_s: float) -> float | None:
    return round(busy_s / audio_s, 4) if audio_s > 0 and busy_s > 0 else None
