"""The messages of a session: our wire, each type once.

A session emits `ServerMessage`s and takes `ClientMessage`s. `/ws` merely encodes and decodes them; every other dialect
translates them in one file. `docs/protocol.md` describes them for people who write clients.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

# --- client to server -----------------------------------------------------------------------------------------------

Mode = Literal["hands_free", "push_to_talk", "asr_only"]
AudioOut = Literal["wav_b64", "pcm", "opus"]
Encoding = Literal["pcm_s16le", "mulaw"]


class ClientMessage(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    """What a client may send; unknown fields are ignored, wrong types refused."""


class Start(ClientMessage, frozen=True, tag="start"):
    """Open an utterance stream; a further one, between utterances, changes the fields it names."""

    sample_rate: int | None = None
    encoding: Encoding | None = None
    conversation_id: str | None = None
    session_id: str | None = None
    last_n: int | None = None
    language: str | None = None
    voice: str | None = None
    audio_out: AudioOut | None = None
    mode: Mode | None = None
    vad_silence_ms: int | None = None
    partial_interval_ms: int | None = None
    flow: str | None = None
    instructions: str | None = None


class Stop(ClientMessage, frozen=True, tag="stop"):
    """The speaker is done: finalise now and answer."""


class Cancel(ClientMessage, frozen=True, tag="cancel"):
    """Drop the utterance, or silence the answer being spoken."""


class Text(ClientMessage, frozen=True, tag="text"):
    """A typed turn."""

    text: str


class Update(ClientMessage, frozen=True, tag="update"):
    """Change the live session."""

    instructions: str | None = None
    voice: str | None = None
    language: str | None = None
    vad_silence_ms: int | None = None
    partial_interval_ms: int | None = None
    mode: Mode | None = None
    interruptible: bool | None = None


class Say(ClientMessage, frozen=True, tag="say"):
    """The agent says this; no language model."""

    text: str
    interruptible: bool = True


class Played(ClientMessage, frozen=True, tag="played"):
    """The listener has heard *ms* of phrase *seq* of turn *turn_id*, and all phrases before it."""

    turn_id: int
    seq: int
    ms: float


class Ping(ClientMessage, frozen=True, tag="ping"):
    """Answered by Pong with the same id."""

    id: str | int | float | None = None


AnyClientMessage = Start | Stop | Cancel | Text | Update | Say | Played | Ping

# --- server to client -----------------------------------------------------------------------------------------------

Outcome = Literal["done", "interrupted", "failed", "incomplete"]
InterruptReason = Literal[
    "user_speech", "wake_word", "command_collision", "timeout", "error", "client_cancel", "disconnect", "shutdown"
]
DecisionKind = Literal["endpoint", "hold", "resume", "interrupt", "ignore", "preempt", "discard"]


class ServerMessage(msgspec.Struct, frozen=True, tag_field="type", kw_only=True, omit_defaults=True):
    """What a session emits. `n` numbers the JSON messages of a session from 1; the outbox sets it as it sends."""

    n: int | UnsetType = UNSET
    turn_id: int | UnsetType = UNSET
    initiator: Literal["agent"] | UnsetType = UNSET
    """Set on every message of a turn that the agent began."""


class Info(ServerMessage, frozen=True, tag="info"):
    message: str
    session_id: str | None = None
    conversation_id: str | None = None
    output_sample_rate: int | None = None
    audio_out: AudioOut | None = None
    warning: str | None = None
    resumed: bool | None = None
    session: dict[str, Any] | None = None
    """What is in force, in answer to `start` and `update`."""
    retry_after_s: float | None = None
    """With the notice of a shutdown: when to connect again."""


class SpeechStarted(ServerMessage, frozen=True, tag="speech_started"):
    at_ms: int


class SpeechStopped(ServerMessage, frozen=True, tag="speech_stopped"):
    at_ms: int


class PartialTranscript(ServerMessage, frozen=True, tag="partial_transcript"):
    text: str


class FinalTranscript(ServerMessage, frozen=True, tag="final_transcript"):
    text: str
    id: str
    revision: int = 0


class LLMToken(ServerMessage, frozen=True, tag="llm_token", omit_defaults=False):
    text: str
    done: bool = False


class Phrase(ServerMessage, frozen=True, tag="phrase", omit_defaults=False):
    """What phrase number `seq` says; sent before its audio."""

    seq: int
    text: str
    words: tuple[tuple[str, int, int], ...] | UnsetType = UNSET
    """[text, start ms, end ms] of each word, where the voice gives times."""


class TTSChunk(ServerMessage, frozen=True, tag="tts_chunk"):
    seq: int
    audio_b64: str
    mime: str
    part: int | None = None


class TTSPhraseDone(ServerMessage, frozen=True, tag="tts_phrase_done"):
    seq: int


class TTSComplete(ServerMessage, frozen=True, tag="tts_complete"):
    """The listener has all audio of the turn."""


class Hold(ServerMessage, frozen=True, tag="hold"):
    reason: str


class Resume(ServerMessage, frozen=True, tag="resume"):
    reason: str


class Interrupted(ServerMessage, frozen=True, tag="interrupted", omit_defaults=False):
    reason: InterruptReason
    heard_text: str


class Decision(ServerMessage, frozen=True, tag="decision", omit_defaults=False):
    """Why the turn rules did what they did."""

    what: DecisionKind
    reason: str
    values: dict[str, Any]
    setting: str | None = None


class ToolStarted(ServerMessage, frozen=True, tag="tool_call", omit_defaults=False):
    """The agent has something done."""

    id: str
    name: str
    arguments: dict[str, Any]


class ToolDone(ServerMessage, frozen=True, tag="tool_result", omit_defaults=False):
    """It was done, or could not be."""

    id: str
    name: str
    ok: bool
    result: str
    """As the model reads it, cut to a screen's length."""
    ms: float


class CommandUnderstood(ServerMessage, frozen=True, tag="command", omit_defaults=False):
    """What the user wants done (section 5 of the contracts)."""

    intent: str
    entities: dict[str, Any]
    confidence: float
    response: str
    source: Literal["stream", "fallback"] = "stream"
    """Whether the model's stream said so, or the sentence templates."""


class State(ServerMessage, frozen=True, tag="state", omit_defaults=False):
    """Something an agent shows beside the conversation, as it is now: a home's lights, say."""

    name: str
    value: Any


class Metrics(ServerMessage, frozen=True, tag="metrics", omit_defaults=False):
    """The last message of a turn; `null` where a key has no meaning."""

    t0_ms: float | None = None
    t1_first_partial_ms: float | None = None
    t2_final_transcript_ms: float | None = None
    t3_first_llm_token_ms: float | None = None
    t4_first_tts_audio_ms: float | None = None
    end_of_speech_ms: float | None = None
    voice_to_voice_ms: float | None = None
    asr_rtf: float | None = None
    tts_rtf: float | None = None
    llm_tokens: int = 0
    llm_tokens_per_s: float | None = None
    phrases: int = 0
    dropped_frames: int = 0
    interrupted: bool = False
    outcome: Outcome = "done"


class Error(ServerMessage, frozen=True, tag="error", omit_defaults=False):
    code: str
    message: str
    recoverable: bool = True
    hint: str | UnsetType = UNSET
    retry_after_s: float | UnsetType = UNSET


class Pong(ServerMessage, frozen=True, tag="pong", omit_defaults=False):
    id: str | int | float | None = None


class Debug(ServerMessage, frozen=True, tag="debug"):
    """Only with STREAM_DEBUG; safe to ignore."""

    event: str
    values: dict[str, Any] | None = None


# --- observations ---------------------------------------------------------------------------------------------------


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What an observer of a session sees besides its messages; it never goes on the wire."""


class SessionOpened(Observation, frozen=True):
    transport: str
    conversation_id: str
    sample_rate: int
    asr: str
    llm: str
    tts: str


class FramesReceived(Observation, frozen=True):
    """Sent for every 50th frame."""

    frame: int
    samples: int


class ReplyStarted(Observation, frozen=True):
    turn_id: int
    preemptive: bool


class ReplyText(Observation, frozen=True):
    """The model has finished the answer."""

    turn_id: int
    text: str
    tokens: int
    seconds: float
    span_s: float = 0.0
    """From the first token to the last, as the model made them: a held-back reply sends them all at once."""
    prompt_tokens: int | None = None
    """What the server counted, over all requests of the answer; None where it does not tell."""
    answer_tokens: int | None = None


class UtteranceOpened(Observation, frozen=True):
    """Somebody began to speak *lead_s* ago."""

    id: str
    lead_s: float


class SpeechEnded(Observation, frozen=True):
    """The utterance is over; its last speech arrived *ago_s* ago."""

    id: str
    ago_s: float
    audio_s: float


class FirstAudio(Observation, frozen=True):
    """The first speech of a turn goes out now."""

    turn_id: int


class PhraseSpoken(Observation, frozen=True):
    """All audio of a phrase was made."""

    turn_id: int
    seq: int
    audio_s: float
    busy_s: float


class RecognizerDone(Observation, frozen=True):
    """The final transcript has come, after *busy_s* of work on the utterance."""

    id: str
    busy_s: float


class SessionClosed(Observation, frozen=True):
    reason: str
    turns: int
    seconds: float


Event = ServerMessage | Observation
