"""What one client chose, and the rules that follow from it."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from vivavoce.agent import Agent
from vivavoce.core.endpointing import EndpointRules
from vivavoce.core.turns import TurnRules
from vivavoce.errors import ClientError
from vivavoce.events import Encoding, Mode, Start, Update
from vivavoce.settings import Settings

_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z0-9]{2,8}))*")
_REGION = {"en": "US", "de": "DE", "fr": "FR", "es": "ES", "it": "IT", "pt": "PT", "nl": "NL", "pl": "PL", "zh": "CN"}
MAX_INSTRUCTIONS = 20_000
RANGES_MS = {"vad_silence_ms": (100, 10_000), "partial_interval_ms": (20, 60_000)}
_CHOSEN = (
    "sample_rate",
    "encoding",
    "language",
    "voice",
    "audio_out",
    "mode",
    "instructions",
    "vad_silence_ms",
    "partial_interval_ms",
    "interruptible",
)


def normal_language(language: str) -> str:
    """`en`, `en-us` and `en_US` are `en_US`. Raises ClientError for what is no language tag."""
    match = _LANGUAGE.fullmatch(language)
    if match is None or len(language) > 35:
        raise ClientError("BAD_MESSAGE", "language must be a tag such as en, en-US or fr_FR")
    base = match[1].lower()
    region = (match[2] or _REGION.get(base, "")).upper()
    return f"{base}_{region}" if region else base


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a live session, all of them in force."""

    sample_rate: int
    encoding: Encoding
    language: str
    voice: str | None
    audio_out: Literal["wav_b64", "pcm"]
    mode: Mode
    instructions: str
    vad_silence_ms: int
    partial_interval_ms: int
    interruptible: bool
    warning: str | None = None

    @classmethod
    def default(cls, settings: Settings, agent: Agent | None = None) -> Options:
        """What is in force where a client chooses nothing: the agent's word before the settings'."""
        agent = agent or Agent()
        return cls(
            sample_rate=16_000,
            encoding="pcm_s16le",
            language=normal_language(agent.language or settings.tts.language),
            voice=agent.voice or settings.tts.voice,
            audio_out="wav_b64",
            mode="hands_free",
            instructions=settings.llm.instructions if agent.instructions is None else agent.instructions,
            vad_silence_ms=settings.stream.vad_silence_ms,
            partial_interval_ms=settings.stream.partial_interval_ms,
            interruptible=settings.turns.interruptible and agent.interruptible,
        )

    def started(self, start: Start) -> Options:
        """With the fields that a `start` names. Raises ClientError."""
        return self._with(start)

    def updated(self, update: Update) -> Options:
        """With the fields that an `update` names. Raises ClientError."""
        return self._with(update)

    def _with(self, message: Start | Update) -> Options:
        chosen: dict[str, Any] = {}
        for name in _CHOSEN:
            value = getattr(message, name, None)
            if value is not None:
                chosen[name] = value
        for name, (low, high) in RANGES_MS.items():
            if name in chosen and not low <= chosen[name] <= high:
                raise ClientError("BAD_MESSAGE", f"{name} must be {low} to {high}, not {chosen[name]}")
        if len(chosen.get("instructions", "")) > MAX_INSTRUCTIONS:
            raise ClientError("BAD_MESSAGE", f"instructions may have {MAX_INSTRUCTIONS} characters")
        if "language" in chosen:
            chosen["language"] = normal_language(chosen["language"])
        chosen["warning"] = None
        if chosen.get("audio_out") == "opus":
            chosen["audio_out"], chosen["warning"] = "pcm", "opus is not available here: audio_out is pcm"
        return msgspec.structs.replace(self, **chosen)

    def shown(self) -> dict[str, Any]:
        """For the `info` that answers `start` and `update`."""
        fields = msgspec.structs.asdict(self)
        del fields["warning"], fields["instructions"]
        return fields

    def led_by(self, agent: Agent, before: Agent, settings: Settings) -> Options:
        """The same under another agent. A voice or language that the client chose stays, unless *agent* has its own."""
        its, was = Options.default(settings, agent), Options.default(settings, before)
        return msgspec.structs.replace(
            self,
            instructions=its.instructions,
            interruptible=its.interruptible,
            voice=its.voice if agent.voice or self.voice == was.voice else self.voice,
            language=its.language if agent.language or self.language == was.language else self.language,
        )

    def turn_rules(self, settings: Settings, agent: Agent) -> TurnRules:
        turns = settings.turns
        return TurnRules(
            mode=self.mode,
            interruptible=self.interruptible,
            preempt=turns.preempt,
            min_speech_s=turns.barge_in_min_speech_ms / 1000,
            min_words=turns.barge_in_min_words,
            hold_s=turns.hold_ms / 1000,
            still_there_s=agent.still_there_s if self.mode != "asr_only" else None,
            still_there=agent.still_there,
            still_there_times=agent.still_there_times,
        )

    def endpoint_rules(self, settings: Settings) -> EndpointRules:
        stream, vad = settings.stream, settings.vad
        return EndpointRules(
            threshold=vad.threshold,
            release=vad.release,
            onset_s=vad.min_speech_ms / 1000,
            pause_s=settings.turns.preempt_silence_ms / 1000,
            silence_s=self.vad_silence_ms / 1000,
            max_s=stream.max_utterance_ms / 1000,
            inactivity_s=stream.inactivity_ms / 1000,
            push_to_talk=self.mode == "push_to_talk",
        )
