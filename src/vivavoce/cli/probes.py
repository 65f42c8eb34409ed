"""One request to each engine in force, timed, or its exact refusal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial

from vivavoce.audio import pcm
from vivavoce.cli.checks import Finding
from vivavoce.engines.base import (
    AudioFrame,
    ChatModel,
    ChatRequest,
    Hearing,
    Message,
    Recognizer,
    Synthesizer,
    Timers,
    pick_voice,
)
from vivavoce.engines.registry import InstalledEngines
from vivavoce.errors import EngineError
from vivavoce.session.options import normal_language
from vivavoce.settings import Settings

SENTENCE = "This is a short sentence, spoken to see how fast it is."
QUESTION = "Tell me in one sentence what you can do."
SILENCE_S = 1.0


class NoEffects:
    """A host for a reply that belongs to no session."""

    timers: Timers | None = None

    async def confirmed(self) -> None:
        """At once."""


async def probe_all(installed: InstalledEngines, settings: Settings) -> list[Finding]:
    """The probes of the engines that have started; none answers for another."""
    engines = installed.unguarded
    models = {engines.llm.name: engines.llm} | installed.further_models
    return [
        *[
            await _probe(f"llm {name}", settings.llm.timeout_s, partial(_ask, model, settings))
            for name, model in models.items()
        ],
        await _probe(f"tts {engines.tts.name}", settings.tts.timeout_s, lambda: _speak(engines.tts, settings)),
        await _probe(f"asr {engines.asr.name}", settings.asr.timeout_s, lambda: _listen(engines.asr)),
    ]


async def _probe(what: str, limit_s: float, probe: Callable[[], Awaitable[str]]) -> Finding:
    try:
        async with asyncio.timeout(limit_s):
            return Finding("ok", f"{what}: {await probe()}")
    except TimeoutError:
        return Finding("problem", f"{what}: no answer within {limit_s:g} s")
    except EngineError as error:
        return Finding("problem", f"{what}: {error.code}: {error.message}", error.hint)


async def _ask(llm: ChatModel, settings: Settings) -> str:
    request = ChatRequest(
        messages=(Message(role="user", content=QUESTION),), host=NoEffects(), instructions=settings.llm.instructions,
        max_tokens=60,
    )  # fmt: skip
    began = time.perf_counter()
    first = last = None
    tokens = 0
    async with aclosing(llm.stream(request)) as deltas:
        async for delta in deltas:
            if delta.text:
                last = time.perf_counter()
                first = first or last
                tokens += 1
    if first is None or last is None:
        return "an answer without any text"
    rate = f", then {(tokens - 1) / (last - first):.0f} tokens/s" if tokens > 1 and last > first else ""
    return f"first token after {1000 * (first - began):.0f} ms{rate} ({llm.model or llm.name})"


async def _speak(tts: Synthesizer, settings: Settings) -> str:
    voice = pick_voice(tts.voices, normal_language(settings.tts.language), settings.tts.voice)
    if voice is None:
        raise EngineError("tts", f"no voice speaks {settings.tts.language}", hint="GET /voices lists what there is")
    began = time.perf_counter()
    first, sound = 0.0, 0
    async with aclosing(tts.synthesize(SENTENCE, voice.id)) as pieces:
        async for piece in pieces:
            first = first or time.perf_counter() - began
            sound += len(piece.pcm)
    whole, spoken = time.perf_counter() - began, pcm.seconds(sound, tts.sample_rate)
    ratio = whole / spoken if spoken else 0.0
    return (
        f"first sound after {1000 * first:.0f} ms, {spoken:.1f} s of speech in {whole:.2f} s ({ratio:.3f} of real time)"
    )


async def _listen(asr: Recognizer) -> str:
    async def silence() -> AsyncIterator[AudioFrame]:
        yield AudioFrame(pcm.silence(SILENCE_S, asr.sample_rate), speech=False)

    began = time.perf_counter()
    async with aclosing(asr.transcribe(silence(), Hearing())) as transcripts:
        async for transcript in transcripts:
            if transcript.kind == "final":
                break
    return f"final of {SILENCE_S:g} s of silence after {1000 * (time.perf_counter() - began):.0f} ms"
