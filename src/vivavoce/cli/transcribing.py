"""A recording's text: voice activity cuts it into segments, the recogniser writes each down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec

from vivavoce.audio import pcm, wav
from vivavoce.audio.resample import resample
from vivavoce.core.endpointing import Endpointer, SpeechStarted, UtteranceEnded
from vivavoce.engines.base import AudioFrame, Hearing, Recognizer, VoiceActivityDetector
from vivavoce.session.listening import LEAD_S
from vivavoce.session.options import Options
from vivavoce.settings import Settings

TAIL_S = 0.2
"""Audio after the detected end that belongs to a segment."""
FINAL_WAIT_S = 120.0
"""Nobody waits here: a recogniser may take all the time it needs for its best."""
BLOCK_S = 1.0


class Recording(msgspec.Struct, frozen=True):
    """A file's sound: mono s16le."""

    path: Path
    sound: bytes
    rate_hz: int

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Raises ClientError for what is no WAV that can be read."""
        return cls(path, *wav.read(path.read_bytes()))

    @property
    def seconds(self) -> float:
        return pcm.seconds(self.sound, self.rate_hz)


class Segment(msgspec.Struct):
    """One utterance of a recording."""

    start_s: float
    end_s: float
    frames: list[AudioFrame]


async def transcribed(
    recording: Recording, vad: VoiceActivityDetector, asr: Recognizer, settings: Settings,
    advance: Callable[[float], None],
) -> dict[str, Any]:  # fmt: skip
    """`file`, `duration_s`, `text`, `segments` (`start_s`, `end_s`, `text`).

    advance: called with the seconds of the recording that have been done. Raises EngineError.
    """
    sound = await asyncio.to_thread(resample, recording.sound, recording.rate_hz, asr.sample_rate)
    done_s = 0.0
    heard: list[dict[str, Any]] = []
    adaptation: dict[str, Any] = {}
    language = settings.tts.language.replace("-", "_").partition("_")[0]
    for segment in await segments(sound, vad, settings):
        hearing = Hearing(
            language=language, partial_interval_s=3600.0, final_wait_s=FINAL_WAIT_S, adaptation=adaptation
        )
        text = await _text(asr, segment.frames, hearing)
        if text:
            heard.append({"start_s": round(segment.start_s, 2), "end_s": round(segment.end_s, 2), "text": text})
        advance(segment.end_s - done_s)
        done_s = segment.end_s
    advance(recording.seconds - done_s)
    return {
        "file": str(recording.path),
        "duration_s": round(recording.seconds, 2),
        "text": " ".join(part["text"] for part in heard),
        "segments": heard,
    }


async def segments(sound: bytes, vad: VoiceActivityDetector, settings: Settings) -> list[Segment]:
    """The utterances of *sound* (mono s16le at the detector's rate) by the rules of a live session."""
    windows: list[tuple[bytes, float]] = []
    stream = vad.open(lambda window, probability: windows.append((window, probability)))
    try:
        block = pcm.byte_count(BLOCK_S, vad.sample_rate)
        for at in range(0, len(sound), block):
            stream.feed(sound[at : at + block])
            stream.flush()
            await asyncio.sleep(0)  # a long recording must not keep the loop
    finally:
        stream.close()
    window_s = vad.window / vad.sample_rate
    rules = Options.default(settings).endpoint_rules(settings)
    endpointer, found, start_s = Endpointer(rules, window_s=window_s), [], 0.0
    for _, probability in windows:
        for event in endpointer.hear(probability, endpointer.heard_s):
            if isinstance(event, SpeechStarted) and event.first:
                start_s = event.at_s
            elif isinstance(event, UtteranceEnded):
                found.append((start_s, event.at_s))
    if (last := endpointer.stop()) is not None:
        found.append((start_s, last.at_s))

    def frames(start_s: float, end_s: float) -> list[AudioFrame]:
        first, last = max(int((start_s - LEAD_S) / window_s), 0), int((end_s + TAIL_S) / window_s)
        return [AudioFrame(window, probability >= rules.threshold) for window, probability in windows[first:last]]

    return [Segment(start_s, end_s, frames(start_s, end_s)) for start_s, end_s in found]


async def _text(asr: Recognizer, frames: list[AudioFrame], hearing: Hearing) -> str:
    async def spoken() -> AsyncIterator[AudioFrame]:
        for frame in frames:
            yield frame

    text = ""
    async with aclosing(asr.transcribe(spoken(), hearing)) as transcripts:
        async for transcript in transcripts:
            text = transcript.text if transcript.kind == "final" else text
    return text
