"""Word error rates of the embedded recogniser, through the engine as a session uses it.

    python benchmarks/asr_accuracy.py [FOLDER] [--pace 1] [--change gain-20,gain+6,noise10,narrow] [--clips]

FOLDER holds `clips.tsv` (file, lang, kind, transcript) and WAV files; `../shared/audio` by default. Every recording
passes the voice activity detector, as in a session; frames are sent as fast as they are taken, or at `--pace` times
real time. `--change` repeats everything with altered audio.

Normalisation before scoring: lower case, punctuation dropped, hyphens split, numerals up to twelve spelled out.
Contractions stay as they are ("what's" against "what is" counts as two errors).
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import re
import statistics
import time
import wave
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs

from vivavoce.engines.asr.pocketsphinx import PocketSphinxRecognizer
from vivavoce.engines.base import AudioFrame, Hearing, Recognizer
from vivavoce.engines.vad.silero import SileroDetector

RATE = 16000
LEAD_S, SILENCE_S = 0.4, 0.7
FINAL_WAIT_S = 0.08  # as after a silence in a session
THRESHOLD, RELEASE = 0.5, 0.35
NUMERALS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


@dataclass
class Clip:
    name: str
    group: str
    text: str
    pcm: bytes


@dataclass
class Outcome:
    """What became of one clip."""

    words: int = 0
    errors: int = 0
    first_errors: int = 0
    """Of the finals that came first, before any revision."""
    heard: list[str] = field(default_factory=list)
    first_heard: list[str] = field(default_factory=list)
    audio_s: float = 0.0
    busy_s: float = 0.0
    final_ms: list[float] = field(default_factory=list)
    """From the end of the frames to the final."""
    first_ms: list[float] = field(default_factory=list)
    """Audio after the detected start of speech, up to the first partial; only with a pace."""
    revisions: int = 0


def group_of(row: dict[str, str]) -> str | None:
    """Which group a recording counts in: the joined ones are scored as one text, French ones not at all."""
    kind = row["kind"]
    if row["lang"] != "en" or kind == "wake word":
        return None
    if kind.startswith(("digits", "noise", "sequence")):
        return kind.split()[0].rstrip(",")
    if kind in {"read", "speech with pauses"} or (kind.startswith("noisy") and len(row["transcript"].split()) > 8):
        return "sentences"
    return "commands"


def normalised(text: str) -> list[str]:
    text = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", " "))
    return [NUMERALS[int(word)] if word.isdigit() and int(word) <= 12 else word for word in text.split()]


def errors(said: list[str], heard: list[str]) -> int:
    """Substitutions, insertions and deletions of the best alignment."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        corner, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (a != b))
    return row[-1]


def load(folder: Path) -> list[Clip]:
    clips = []
    with (folder / "clips.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if group := group_of(row):
                with wave.open(str(folder / row["file"])) as wav:
                    assert (wav.getframerate(), wav.getnchannels()) == (RATE, 1)
                    clips.append(Clip(row["file"][:-4], group, row["transcript"], wav.readframes(wav.getnframes())))
    return clips


def changes(noise: bytes) -> dict[str, Callable[[bytes], bytes]]:
    background = np.frombuffer(noise, "<i2").astype(np.float64)

    def scaled(factor: float) -> Callable[[bytes], bytes]:
        return lambda pcm: s16(np.frombuffer(pcm, "<i2") * factor)

    def noisy(pcm: bytes) -> bytes:
        speech = np.frombuffer(pcm, "<i2").astype(np.float64)
        tile = np.resize(np.roll(background, -61_440), len(speech))
        loud = np.sort(np.abs(speech))[len(speech) // 2 :]
        level = np.sqrt(np.mean(loud**2) / np.mean(tile**2)) * 10 ** (-10 / 20)
        return s16(speech + tile * level)

    def narrow(pcm: bytes) -> bytes:
        spectrum = np.fft.rfft(np.frombuffer(pcm, "<i2"))
        spectrum[round(len(spectrum) * 0.45) :] = 0  # 3.6 kHz, as of a telephone
        return s16(np.fft.irfft(spectrum, len(pcm) // 2))

    return {"none": bytes, "gain-20": scaled(0.1), "gain+6": scaled(2.0), "noise10": noisy, "narrow": narrow}


def s16(samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bytes:
    return np.clip(np.round(samples), -32768, 32767).astype("<i2").tobytes()


async def windows(vad: SileroDetector, pcm: bytes) -> list[tuple[bytes, float]]:
    """The clip, followed by silence, as windows with speech probabilities."""
    judged: list[tuple[bytes, float]] = []
    stream = vad.open(lambda window, probability: judged.append((window, probability)))
    stream.feed(pcm + bytes(2 * round(RATE * (SILENCE_S + 0.1))))
    stream.flush()
    stream.close()
    return judged


def utterances(judged: list[tuple[bytes, float]]) -> Iterator[list[AudioFrame]]:
    """As a session cuts them: a little before the speech, and on until 0.7 s of silence."""
    lead, patience = round(LEAD_S * RATE / 512), round(SILENCE_S * RATE / 512)
    open_since: int | None = None
    speech, silence = False, 0
    for i, (_, probability) in enumerate(judged):
        speech = probability >= (RELEASE if speech else THRESHOLD)
        silence = 0 if speech else silence + 1
        if speech and open_since is None:
            open_since, flags = max(0, i - lead), [True] * (i - max(0, i - lead))
        if open_since is not None:
            flags.append(speech)
            if silence >= patience or i == len(judged) - 1:
                yield [AudioFrame(judged[open_since + k][0], flag) for k, flag in enumerate(flags)]
                open_since = None


async def recognise(engine: Recognizer, frames: list[AudioFrame], hearing: Hearing, pace: float) -> Outcome:
    outcome = Outcome(audio_s=len(frames) * 512 / RATE)
    began = time.monotonic()
    ended = 0.0

    async def source() -> AsyncIterator[AudioFrame]:
        nonlocal ended
        for i, frame in enumerate(frames):
            if pace:
                await asyncio.sleep(began + (i + 1) * 512 / RATE / pace - time.monotonic())
            yield frame
        ended = time.monotonic()
        hearing.final_wait_s = FINAL_WAIT_S if pace else 20.0

    final = ""
    async for transcript in engine.transcribe(source(), hearing):
        outcome.busy_s = max(outcome.busy_s, transcript.busy_s)
        if transcript.kind == "partial" and not outcome.first_ms and pace:
            outcome.first_ms.append((time.monotonic() - began - LEAD_S) * 1000)
        if transcript.kind == "final":
            final = transcript.text
            outcome.revisions += transcript.revision
            if not transcript.revision:
                outcome.final_ms.append((time.monotonic() - ended) * 1000)
                outcome.first_heard = normalised(final)
    outcome.heard = normalised(final)
    return outcome


async def measure(engine: Recognizer, vad: SileroDetector, clips: list[Clip], pace: float) -> dict[str, Outcome]:
    """Each clip in a session of its own."""
    outcomes: dict[str, Outcome] = {}
    for clip in clips:
        whole, hearing = Outcome(), Hearing(partial_interval_s=0.0)
        for frames in utterances(await windows(vad, clip.pcm)):
            part = await recognise(engine, frames, hearing, pace)
            for name in ("heard", "first_heard", "audio_s", "busy_s", "final_ms", "first_ms", "revisions"):
                setattr(whole, name, getattr(whole, name) + getattr(part, name))
        said = normalised(clip.text)
        whole.words, whole.errors = len(said), errors(said, whole.heard)
        whole.first_errors = errors(said, whole.first_heard)
        outcomes[clip.name] = whole
    return outcomes


def percentiles(ordered: list[float]) -> str:
    if not ordered:
        return "-"
    late = ordered[round(0.95 * (len(ordered) - 1))]
    return f"{statistics.median(ordered):.0f} / {late:.0f}, at most {ordered[-1]:.0f}"


def report(title: str, clips: list[Clip], outcomes: dict[str, Outcome], *, each: bool) -> None:
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for clip in clips:
        groups[clip.group].append(outcomes[clip.name])
        if each:
            one = outcomes[clip.name]
            print(f"  {clip.group[:4]} {one.errors:2d}/{one.words:<2d} {clip.name:36s} {' '.join(one.heard)}")
    groups["commands+digits"] = groups["commands"] + groups["digits"]
    print(f"| {title} | clips | errors / words | WER | of first finals | exact | real-time factor | final, ms |")
    print("|---|---|---|---|---|---|---|---|")
    for name, group in sorted(groups.items()):
        wrong, words = sum(o.errors for o in group), sum(o.words for o in group)
        rate = f"{wrong / words:.3f}" if words else "-"
        first = f"{sum(o.first_errors for o in group) / words:.3f}" if words else "-"
        audio = sum(o.audio_s for o in group)
        factor = f"{sum(o.busy_s for o in group) / audio:.2f}" if audio else "-"
        late = percentiles(sorted(ms for o in group for ms in o.final_ms)).partition(",")[0]
        exact = sum(o.errors == 0 for o in group)
        print(f"| {name} | {len(group)} | {wrong} / {words} | {rate} | {first} | {exact} | {factor} | {late} |")
    starts = sorted(ms for o in outcomes.values() for ms in o.first_ms)
    if starts:
        print(
            f"first partial after the start of speech: median {statistics.median(starts):.0f}, max {starts[-1]:.0f} ms"
        )
    waits = sorted(ms for o in outcomes.values() for ms in o.final_ms)
    print(f"finals: {len(waits)}; {percentiles(waits)} ms after the frames' end")
    print(f"revised finals: {sum(o.revisions for o in outcomes.values())}\n", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[2] / "shared" / "audio")
    parser.add_argument("--pace", type=float, default=0.0, help="times real time; 0: as fast as it goes")
    parser.add_argument("--change", default="none", help="altered audio, comma-separated; all for every change")
    parser.add_argument("--clips", action="store_true", help="show what was heard in each recording")
    options = parser.parse_args()
    clips = load(options.folder)
    altered = changes(next((clip.pcm for clip in clips if clip.group == "noise"), bytes(2)))
    names = list(altered) if options.change == "all" else options.change.split(",")
    engine = PocketSphinxRecognizer(workers=1, cache_dir=Path(platformdirs.user_cache_dir("vivavoce")))
    vad = SileroDetector()
    await vad.start()
    started = time.monotonic()
    await engine.start()
    print(f"the engine was ready after {time.monotonic() - started:.2f} s\n")
    try:
        for name in names:
            changed = [Clip(c.name, c.group, c.text, altered[name](c.pcm)) for c in clips]
            report(f"change: {name}", clips, await measure(engine, vad, changed, options.pace), each=options.clips)
    finally:
        await engine.close()
        await vad.close()


if __name__ == "__main__":
    asyncio.run(main())
