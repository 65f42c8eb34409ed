"""The Protocols of the four engine roles, and the values that pass through them.

An engine is one file in `engines/<role>/`; it imports only `engines.base`, `engines.worker`, `audio`, `text`, `errors`.
Life cycle of every engine: made once per process, `start()` (loads, warms up), used by all sessions, `close()`.
Streams are async generators: closing one (`aclose`, leaving `contextlib.aclosing`) abandons the work and frees all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, MutableMapping, Sequence
from typing import Any, Literal, Protocol

import msgspec


class Engine(Protocol):
    """What every engine has."""

    @property
    def name(self) -> str:
        """The name it is chosen by, such as `pocketsphinx`."""

    async def start(self) -> None:
        """Load and warm up. Raises EngineUnavailable, with a hint that says what to do."""

    async def close(self) -> None:
        """Free threads, processes and connections. Idempotent."""


# --- voice activity -------------------------------------------------------------------------------------------------


class VadStream(Protocol):
    """The voice activity detection of one session. Not thread-safe; use it on the event loop."""

    def feed(self, pcm: bytes) -> None:
        """Append mono s16le audio of any length; whole windows are judged at the next tick, a rest is kept."""

    def flush(self) -> None:
        """Judge every whole window now, before returning (before a `stop` is acted on)."""

    def reset(self) -> None:
        """Forget the state and the audio not yet judged: silence has come before what follows."""

    def close(self) -> None:
        """Give the row back; no callback runs afterwards. Idempotent."""


class VoiceActivityDetector(Engine, Protocol):
    """Says, window by window, how probable speech is: all sessions of a process in one batched call."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def window(self) -> int:
        """Samples per window."""

    def open(self, on_window: Callable[[bytes, float], None]) -> VadStream:
        """A stream that calls `on_window(pcm, probability)` once for each window, in order, on the event loop."""


# --- recognition ----------------------------------------------------------------------------------------------------


class AudioFrame(msgspec.Struct, frozen=True, gc=False):
    """A short piece of an utterance: mono s16le at the recogniser's rate."""

    pcm: bytes
    speech: bool = True
    """What the VAD says of it. A recogniser may use a run of non-speech to prepare its final."""


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What was said, as far as it is known. Text is plain words, without leading or trailing space."""

    text: str
    kind: Literal["partial", "stable", "final"] = "partial"
    """`partial`: may change. `stable`: the recogniser's best for all speech heard so far, as good as the final if
    nothing more is said. `final`: the utterance is over."""
    revision: int = 0
    """0 for the final that ends the utterance; 1 for a refinement that follows it."""
    confidence: float | None = None
    """0..1 where the engine knows."""
    busy_s: float = 0.0
    """Processing time spent on this utterance so far."""


class Hearing(msgspec.Struct, kw_only=True):
    """What a recogniser is told about one utterance."""

    language: str = "en"
    partial_interval_s: float = 1.0
    """At most one partial in this time; an engine may decode less often to save work."""
    final_wait_s: float = 0.5
    """How long the final may take after the end of the frames; past that give the best there is, and revise it. Read it
    when the frames have ended: it is longer for audio that came faster than it was spoken."""
    adaptation: MutableMapping[str, Any] = msgspec.field(default_factory=dict)
    """The session's own store for an engine's running adaptation (noise, cepstral mean); empty at first."""


class Recognizer(Engine, Protocol):
    """Turns one utterance into text."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def languages(self) -> Sequence[str]:
        """Two-letter codes; `*` for any."""

    def transcribe(self, frames: AsyncIterator[AudioFrame], hearing: Hearing) -> AsyncGenerator[Transcript, None]:
        """Yield partial (and stable) transcripts while *frames* arrive, then one final, then at most one refinement.

        The end of the iterator is the end of the utterance. Each transcript replaces the one before it. The final of
        an utterance without words has an empty text. The refinement (`revision=1`) comes only if it differs.
        Closing the generator abandons the utterance.

        Raises EngineUnavailable or EngineBusy (nothing was consumed), EngineFailed (the worker died, say).
        """


# --- language model -------------------------------------------------------------------------------------------------


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model wants done: one call of a tool, whole."""

    id: str
    name: str
    arguments: str = "{}"
    """JSON as the model wrote it: it may be anything."""


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as a model sees it."""

    name: str
    """1-64 of `[A-Za-z0-9_-]`."""
    description: str
    parameters: dict[str, Any]
    """The JSON schema of an object."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    interrupted: bool = False
    """The listener cut this answer short; `content` is what was heard."""
    calls: tuple[ToolCall, ...] = ()
    """What the assistant wanted done; each call is followed by one message of role `tool`."""
    call_id: str = ""
    """Of role `tool`: the call that `content` is the result of."""


class Timers(Protocol):
    """The timers of one session; they ring by making the agent speak."""

    def set(self, name: str, delay_s: float, announcement: str) -> None:
        """Ring once after *delay_s*. *name* may be empty; several timers may share a name."""

    def cancel(self, name: str | None = None) -> int:
        """Cancel the timers called *name*, or all of them for None; returns how many."""

    def remaining(self) -> list[tuple[str, float]]:
        """(name, seconds left) of each running timer, soonest first."""


class Host(Protocol):
    """What a reply may do to the session it answers in."""

    async def confirmed(self) -> None:
        """Wait until the turn is certain. A pre-emptive reply has no effect (timer, tool, memory) before this."""

    @property
    def timers(self) -> Timers | None:
        """None where nothing can ring (a single request over HTTP)."""


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a language model is asked."""

    messages: tuple[Message, ...]
    """Oldest first; the last one is the user's turn that is to be answered, or the results of tools it needs."""
    host: Host
    instructions: str = ""
    pins: tuple[str, ...] = ()
    """What the user asked to be remembered, in their own words: data, which `text.notes` puts into a system message."""
    summary: str = ""
    """What was said before the first of the messages: data too."""
    language: str = "en"
    temperature: float | None = None
    max_tokens: int | None = None
    model: str | None = None
    """Another model of the same server than the configured one. An engine that has only one ignores it."""
    tools: tuple[ToolSpec, ...] = ()
    """What the model may have done. An engine that cannot call tools ignores them."""
    answer_schema: dict[str, Any] | None = None
    """The answer is to be JSON of this schema. An engine whose server cannot promise that only asks for it."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What a request cost, as the server counts it."""

    prompt_tokens: int = 0
    answer_tokens: int = 0


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer as the model made it; joined they are the answer.

    One without text says that the model is at work: it thinks, or writes the arguments of a call.
    """

    text: str = ""
    finish: str | None = None
    """Why the model stopped (`stop`, `length`, `tool_calls`), on the last delta. A stream that ends without one is
    incomplete."""
    calls: tuple[ToolCall, ...] = ()
    """On the last delta, with finish `tool_calls`: what the model wants done before it goes on."""
    usage: Usage | None = None
    """On the last delta, where the server tells."""


class ChatModel(Engine, Protocol):
    """Answers a conversation, token by token."""

    @property
    def model(self) -> str:
        """The model's own name, for people."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer. Closing the generator stops the generation and closes its connection.

        Raises EngineUnavailable, EngineTimeout or EngineFailed.
        """


# --- speech ---------------------------------------------------------------------------------------------------------


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """One voice of a synthesizer, as `/voices` shows it."""

    id: str
    language: str
    """As in `en_US`."""
    name: str
    engine: str
    sample_rate: int


class Word(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When a word of a phrase is spoken, in milliseconds from the start of the phrase."""

    text: str
    start_ms: int
    end_ms: int


class Speech(msgspec.Struct, frozen=True, gc=False):
    """A piece of a phrase's audio: mono s16le at the synthesizer's rate."""

    pcm: bytes
    words: tuple[Word, ...] = ()
    """On the first piece: the times of all words of the phrase, where the engine knows them."""


class Synthesizer(Engine, Protocol):
    """Turns one phrase into audio."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def voices(self) -> Sequence[Voice]:
        """Known after `start()`; the first of a language is its default."""

    def synthesize(self, phrase: str, voice: str) -> AsyncGenerator[Speech, None]:
        """Yield the audio of *phrase* as it is made. A phrase with nothing to say yields nothing.

        phrase: what is to be said, as `vivavoce.text.speakable` has made it of what is shown; the words in `Speech` are
        its own. Callers go through `vivavoce.session.speaker`, which knows both.
        voice: a `Voice.id` of this engine. Closing the generator aborts the synthesis and leaves the engine usable.
        Raises EngineFailed or EngineUnavailable.
        """


class Engines(msgspec.Struct, frozen=True, kw_only=True):
    """The engines in force, one of each role; shared by all sessions of a process."""

    vad: VoiceActivityDetector
    asr: Recognizer
    llm: ChatModel
    tts: Synthesizer


def pick_voice(voices: Sequence[Voice], language: str, wanted: str | None = None) -> Voice | None:
    """The voice to speak *language* (`en_US`) with: the *wanted* id if it is there, else the language's first.

    A voice of the same language from another region is better than none. None when nothing speaks it.
    """
    if wanted is not None and (named := next((v for v in voices if v.id == wanted), None)) is not None:
        return named
    base = language.partition("_")[0]
    exact = (voice for voice in voices if voice.language == language)
    near = (voice for voice in voices if voice.language.partition("_")[0] == base)
    return next(exact, None) or next(near, None)
