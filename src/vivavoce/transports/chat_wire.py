"""The words of `/ws/chat/stream`, and how a session's messages are said in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from vivavoce.core.playback import Playback, Reading
from vivavoce.errors import ServerBusy, VivavoceError
from vivavoce.events import (
    CommandUnderstood,
    Error,
    Interrupted,
    InterruptReason,
    LLMToken,
    Metrics,
    Outcome,
    ServerMessage,
    State,
    ToolDone,
    ToolStarted,
    TTSChunk,
)

TURN = 1
"""Number of the only turn of a chat's session."""

_STATUS = {
    "BAD_MESSAGE": 400,
    "UNAUTHORIZED": 401,
    "NOT_FOUND": 404,
    "RATE_LIMITED": 429,
    "MODEL_LOAD_FAILED": 503,
    "OVERLOADED": 503,
    "SESSION_LIMIT": 503,
    "SHUTTING_DOWN": 503,
    "LLM_TIMEOUT": 504,
    "TIMEOUT": 504,
}
"""HTTP's number for a code of ours; 500 for any other."""
_CUT: dict[InterruptReason, tuple[str, str]] = {
    "timeout": ("TIMEOUT", "the answer took too long"),
    "shutdown": ("SHUTTING_DOWN", "the server is restarting"),
    "error": ("INTERNAL", "the session broke"),
}
"""Ends of an answer that are errors; after any other (`cancel`) it is complete, as far as it came."""


class Message(msgspec.Struct, frozen=True, tag_field="type", gc=False):
    """What a chat's client is sent."""


class ChatMetrics(msgspec.Struct, frozen=True, gc=False):
    """Milliseconds since the connection was accepted; `null` for what did not happen."""

    ttft_ms: float | None
    tokens_per_s: float | None
    first_audio_ms: float | None
    total_ms: float
    tokens: int
    phrases: int


class Streaming(Message, frozen=True, tag="status", kw_only=True):
    """The message was understood; the answer follows."""

    message: str
    status: Literal["streaming"] = "streaming"
    conversation_id: str
    language: str
    voice: str | None
    """None: text only."""
    sample_rate: int
    warning: str | UnsetType = UNSET


class Token(Message, frozen=True, tag="token", kw_only=True):
    token: str
    text: str
    """The answer so far, this token included."""


class AudioChunk(Message, frozen=True, tag="audio_chunk", kw_only=True):
    audio: str
    """A complete WAV in base64."""
    sample_rate: int
    seq: int
    """Number of the phrase, from 1."""
    part: int | UnsetType = UNSET
    """Of a phrase that comes in several chunks."""


class Complete(Message, frozen=True, tag="status", kw_only=True):
    """Nothing follows."""

    message: str
    status: Literal["complete"] = "complete"
    text: str
    """The whole answer."""
    metrics: ChatMetrics
    outcome: Outcome
    interrupted: bool
    conversation_id: str
    warning: str | UnsetType = UNSET
    """What could not be spoken, and why."""


class Failure(Message, frozen=True, tag="error", kw_only=True):
    """Nothing follows."""

    error: str
    code: int
    reason: str
    """Upper snake case, as in `/ws`."""
    hint: str | UnsetType = UNSET
    retry_after_s: float | UnsetType = UNSET

    @classmethod
    def of(cls, code: str, message: str, *, hint: str = "", retry_after_s: float | UnsetType = UNSET) -> Failure:
        number = _STATUS.get(code, 500)
        return cls(error=message, code=number, reason=code, hint=hint or UNSET, retry_after_s=retry_after_s)

    @classmethod
    def from_error(cls, error: VivavoceError) -> Failure:
        after_s = round(error.retry_after_s, 1) if isinstance(error, ServerBusy) else UNSET
        return cls.of(error.code, error.message, hint=error.hint, retry_after_s=after_s)

    @property
    def close_code(self) -> int:
        return 1008 if self.code < 500 else 1011


_encoder = msgspec.json.Encoder()
PASSED_ON = (ToolStarted, ToolDone, CommandUnderstood, State)
"""Messages of ours that are sent as they are: a client that does not know them ignores them."""
SHOWN = (LLMToken, Error, Interrupted, Metrics, *PASSED_ON)


def as_text(message: msgspec.Struct) -> str:
    """The frame that carries *message*."""
    return _encoder.encode(message).decode()


class ChatDialect:
    """Says what a session emits in the words of `/ws/chat/stream`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.text = ""
        """The answer, as far as it was sent."""
        self.goodbye: tuple[int, str] | None = None
        """How the connection ends, once the last message was encoded."""
        self.failure: Failure | None = None
        """What the client will be told instead of an answer."""
        self.warning = ""
        self.conversation_id = ""
        self.sample_rate = 0
        self._clock = clock
        self._began = clock()
        self._first_token_ms: float | None = None
        self._first_audio_ms: float | None = None
        self._last_token_ms = 0.0
        self._written = False  # the model has finished: what fails now is the speech
        self._cut: InterruptReason | None = None

    def playback(self) -> Playback:
        return Reading(lambda: self.text)

    def encode(self, message: ServerMessage) -> str | None:
        if isinstance(message, State) or message.turn_id == TURN:
            frame = self._told(message)
            return None if frame is None else as_text(frame)
        if isinstance(message, Error) and message.turn_id is UNSET and not self.warning:
            self.warning = message.message  # a phrase that could not be spoken
        return None  # what the agent began besides, which nobody waits for

    def _told(self, message: ServerMessage) -> Message | ServerMessage | None:
        match message:
            case LLMToken(text="", done=done):
                self._written = done
            case LLMToken(text, done):
                self._written = done
                return self._token(text)
            case TTSChunk():
                return self._audio(message)
            case Interrupted(reason):
                self._cut = reason
            case Error(code, text) if self._written and code != "INTERNAL":
                self.warning = f"no speech: {text}"
            case Error(code, text):
                self.failure = Failure.of(code, text, hint=message.hint or "", retry_after_s=message.retry_after_s)
            case Metrics():
                return self._last(message)
            case _:
                return message
        return None

    def _token(self, text: str) -> Token:
        self._last_token_ms = self._ms()
        if self._first_token_ms is None:
            self._first_token_ms = self._last_token_ms
        self.text += text
        return Token(token=text, text=self.text)

    def _audio(self, chunk: TTSChunk) -> AudioChunk:
        if self._first_audio_ms is None:
            self._first_audio_ms = self._ms()
        return AudioChunk(audio=chunk.audio_b64, sample_rate=self.sample_rate, seq=chunk.seq, part=chunk.part or UNSET)

    def _last(self, metrics: Metrics) -> Message | None:
        """The turn is over, and what is remembered of it is stored."""
        if self._cut == "disconnect":
            return None  # nobody is there
        if self.failure is None and self._cut in _CUT:
            self.failure = Failure.of(*_CUT[self._cut])
        if self.failure is not None:
            self.goodbye = self.failure.close_code, self.failure.reason
            return self.failure
        self.goodbye = 1000, "complete"
        whole = metrics.outcome in ("done", "failed")  # failed: only the speech, or there were a failure
        return Complete(
            message="complete" if whole else "stopped" if self._cut else "the model broke off",
            text=self.text,
            metrics=self._metrics(metrics),
            outcome="done" if whole else metrics.outcome,
            interrupted=metrics.interrupted,
            conversation_id=self.conversation_id,
            warning=self.warning or UNSET,
        )

    def _metrics(self, metrics: Metrics) -> ChatMetrics:
        rate = metrics.llm_tokens_per_s
        if rate is None and metrics.llm_tokens:  # all at once: as fast as they were sent
            rate = round(metrics.llm_tokens / max(self._last_token_ms, 0.001) * 1000, 1)
        return ChatMetrics(
            ttft_ms=self._first_token_ms,
            tokens_per_s=rate,
            first_audio_ms=self._first_audio_ms,
            total_ms=self._ms(),
            tokens=metrics.llm_tokens,
            phrases=metrics.phrases,
        )

    def _ms(self) -> float:
        return round((self._clock() - self._began) * 1000, 2)
