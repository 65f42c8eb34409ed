from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import platformdirs
import pytest

import speech
from engines.recognizer_contract import RecognizerContract, frames_of, hear, silence, stream, transcribed
from vivavoce.engines.asr import pocketsphinx, pocketsphinx_model, pocketsphinx_worker
from vivavoce.engines.asr.pocketsphinx import PocketSphinxRecognizer
from vivavoce.engines.base import AudioFrame, Hearing, Transcript
from vivavoce.errors import EngineBusy, EngineFailed, EngineUnavailable

CACHE = Path(platformdirs.user_cache_dir("vivavoce"))


def recognizer(workers: int = 1, cache_dir: Path = CACHE) -> PocketSphinxRecognizer:
    return PocketSphinxRecognizer(workers=workers, cache_dir=cache_dir)


@asynccontextmanager
async def started(workers: int = 1) -> AsyncIterator[PocketSphinxRecognizer]:
    engine = recognizer(workers)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def errors(said: str, heard: str) -> int:
    """Word errors of the best alignment."""
    a, b = said.split(), heard.split()
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (word != other))
    return row[-1]


class TestContract(RecognizerContract):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[PocketSphinxRecognizer]:
        yield recognizer(workers=2)


class Dialogue:
    """Frames that wait for what was heard of the earlier ones."""

    def __init__(self, *parts: list[AudioFrame] | str) -> None:
        self.parts = parts
        self.heard: list[Transcript] = []
        self._news = asyncio.Condition()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        for part in self.parts:
            if isinstance(part, str):
                await self.until(part)
            else:
                for frame in part:
                    yield frame

    async def until(self, kind: str) -> None:
        async with self._news:
            await self._news.wait_for(lambda: any(transcript.kind == kind for transcript in self.heard))

    async def run(self, engine: PocketSphinxRecognizer, hearing: Hearing) -> list[Transcript]:
        async with aclosing(engine.transcribe(self.frames(), hearing)) as transcripts:
            async for transcript in transcripts:
                async with self._news:
                    self.heard.append(transcript)
                    self._news.notify_all()
        return self.heard


def lively(final_wait_s: float = 20.0) -> Hearing:
    return Hearing(partial_interval_s=0.0, final_wait_s=final_wait_s)


async def test_it_understands_people() -> None:
    async with started() as engine:
        for name, allowed in (("ps_goforward", 0), ("librivox_ss_0880", 3), ("librivox_ss_0920", 5)):
            clip = speech.clip(name)
            heard = await hear(engine, frames_of(clip.pcm))
            assert errors(clip.text, heard[-1].text) <= allowed, heard[-1].text


@pytest.mark.parametrize("gain", [0.1, 1.9])
async def test_the_level_does_not_matter(gain: float) -> None:
    clip = speech.clip("ps_goforward")
    samples = np.frombuffer(clip.pcm, "<i2") * gain
    async with started() as engine:
        heard = await hear(engine, frames_of(np.round(samples).clip(-32768, 32767).astype("<i2").tobytes()))
    assert errors(clip.text, heard[-1].text) <= 1


async def test_words_come_while_the_speaker_speaks() -> None:
    frames = frames_of(speech.clip("ps_goforward").pcm)
    # The first word ends 1.1 s into this recording; the rest comes only once something of it was heard.
    dialogue = Dialogue(frames[:45], "partial", frames[45:])
    async with started() as engine:
        heard = await dialogue.run(engine, lively())
    assert heard[0].kind == "partial"
    assert heard[0].text.startswith("go")
    assert heard[-1].text == "go forward ten meters"


async def test_a_pause_yields_a_stable_transcript() -> None:
    frames = frames_of(speech.clip("ps_goforward").pcm)
    dialogue = Dialogue(frames, silence(0.35), "stable", silence(0.35))
    async with started() as engine:
        heard = await dialogue.run(engine, lively())
    stable = [transcript for transcript in heard if transcript.kind == "stable"]
    assert [transcript.text for transcript in stable] == ["go forward ten meters"]
    assert heard[-1].text == stable[0].text
    assert heard[-1].busy_s == pytest.approx(stable[0].busy_s, abs=0.05)  # the final costs nothing more


async def test_a_speaker_may_go_on_after_a_stable_transcript() -> None:
    one, other = speech.clip("ps_goforward"), speech.clip("librivox_ss_0880")
    dialogue = Dialogue(frames_of(one.pcm), silence(0.35), "stable", frames_of(other.pcm), silence(0.7))
    async with started() as engine:
        final = (await dialogue.run(engine, lively()))[-1]
    assert errors(f"{one.text} {other.text}", final.text) <= 4, final.text


async def test_partials_keep_their_interval() -> None:
    clip = speech.clip("librivox_ss_0920")
    async with started() as engine:
        heard = await hear(engine, frames_of(clip.pcm), Hearing(partial_interval_s=60.0, final_wait_s=20.0))
    assert sum(transcript.kind == "partial" for transcript in heard) <= 1


async def test_a_final_that_would_take_too_long_is_revised_later() -> None:
    clip = speech.clip("librivox_ss_0920")
    async with started() as engine:
        heard = await hear(engine, frames_of(clip.pcm), lively(final_wait_s=0.0))
        patient = await hear(engine, frames_of(clip.pcm))
    finals = [transcript for transcript in heard if transcript.kind == "final"]
    assert [final.revision for final in finals] == [0, 1][: len(finals)]
    assert heard[-1] is finals[-1]
    assert finals[-1].text == patient[-1].text


async def test_the_final_may_take_as_long_as_is_said_when_the_frames_end() -> None:
    """What ended them decides: a silence, which was time to prepare the final, or the speaker's wish."""
    frames = frames_of(speech.clip("librivox_ss_0920").pcm)
    hearing = lively(final_wait_s=0.0)

    async def patient() -> AsyncIterator[AudioFrame]:
        for frame in frames:
            yield frame
        hearing.final_wait_s = 20.0

    async with started() as engine:
        heard = await transcribed(engine, patient(), hearing)
    assert [transcript.revision for transcript in heard if transcript.kind == "final"] == [0]
    assert len(heard[-1].text.split()) > 12


async def test_a_blip_is_no_partial() -> None:
    """A knock that passes as speech must not interrupt what is being said."""
    random = np.random.default_rng(3)
    room = np.frombuffer(speech.clip("s2p_background_noise").pcm, "<i2")[:16000].astype(np.float64)
    for length_s in (0.05, 0.1, 0.15):
        knock = room.copy()
        samples = round(length_s * 16000)
        knock[6400 : 6400 + samples] += random.normal(0, 6000, samples) * np.hanning(samples)
        frames = frames_of(np.clip(knock, -32768, 32767).astype("<i2").tobytes())
        heard_as_speech = (6400 + samples) // 512 + 1
        async with started() as engine:
            dialogue = Dialogue(frames[:heard_as_speech], [AudioFrame(f.pcm, False) for f in frames[heard_as_speech:]])
            heard = await dialogue.run(engine, lively())
        assert [transcript.text for transcript in heard if transcript.kind == "partial"] == [], length_s


def test_a_first_word_must_stand_for_a_moment() -> None:
    """For 0.1 s of speech; where it is a word that is said alone, any audio will do. Two words may be said at once."""
    line: Any = None
    ear: Any = SimpleNamespace(alone={"stop"})
    job = pocketsphinx_worker.Job(line, ear, pocketsphinx_worker.Pace(), 0.0, None)

    def credible(text: str, heard_s: float, spoken_s: float) -> bool:
        job.fed, job.spoken = round(heard_s * 32000), round(spoken_s * 32000)
        return job.credible(text)

    assert not credible("", 0.6, 0.6)
    assert not credible("if", 0.7, 0.7)
    assert not credible("if", 0.9, 0.7)  # silence follows
    assert credible("if", 0.9, 0.81)
    assert not credible("stop", 1.0, 0.81)  # another word
    assert credible("stop", 1.1, 0.81)
    assert credible("stop it", 1.1, 0.81)


@pytest.mark.parametrize(
    ("heard", "confidence", "text"),
    [
        ("if", 0.38, ""),  # what a room came to
        ("if", 0.6, "if"),
        ("what", 0.21, ""),
        ("stop", 0.3, "stop"),
        ("of for", 0.024, ""),
        ("what time is it", 0.074, "what time is it"),  # a far, noisy speaker
    ],
)
def test_what_is_too_unsure_is_no_word(heard: str, confidence: float, text: str) -> None:
    ear = an_ear(heard, confidence ** len(heard.split()))
    assert ear.finish().text == text


@pytest.mark.parametrize(("heard", "text"), [("if", ""), ("stop", "stop"), ("if you", "if you"), ("", "")])
def test_a_final_in_haste_is_no_doubtful_word(heard: str, text: str) -> None:
    assert an_ear(heard, 1.0).guess().text == text


def an_ear(heard: str, prob: float) -> pocketsphinx_worker.Ear:
    """One whose decoder has heard that, as surely as that."""
    ear = pocketsphinx_worker.Ear.__new__(pocketsphinx_worker.Ear)
    hypothesis = SimpleNamespace(hypstr=heard, prob=prob) if heard else None
    ear._decoder = SimpleNamespace(hyp=lambda: hypothesis)  # type: ignore[assignment]
    ear.alone, ear.running = frozenset({"stop", "what"}), False
    return ear


def noises() -> dict[str, bytes]:
    random = np.random.default_rng(7)
    seconds = np.arange(24000) / 16000
    click = np.zeros(24000)
    click[8000:8080] = random.normal(0, 9000, 80)
    samples = {
        "silence": np.zeros(24000),
        "hiss": random.normal(0, 30, 24000),
        "loud hiss": random.normal(0, 3000, 24000),
        "hum": sum(3000 / n * np.sin(2 * np.pi * 50 * n * seconds) for n in range(1, 8)),
        "tone": 3000 * np.sin(2 * np.pi * 440 * seconds),
        "click": click,
    }
    return {name: wave.clip(-32768, 32767).astype("<i2").tobytes() for name, wave in samples.items()}


async def test_noise_has_no_words() -> None:
    """Even where the voice activity detector took it for speech."""
    async with started() as engine:
        for name, pcm in noises().items():
            heard = await hear(engine, [*frames_of(pcm), *silence(0.7)])
            assert heard[-1].text == "", name


async def test_a_room_has_no_words() -> None:
    room = speech.clip("s2p_background_noise").pcm
    async with started() as engine:
        for start in range(0, len(room) - 48000, 64000):
            heard = await hear(engine, [*frames_of(room[start : start + 48000]), *silence(0.7)])
            assert heard[-1].text == ""


async def test_a_session_keeps_its_voice_profile() -> None:
    clip = speech.clip("ps_goforward")
    mine, theirs = lively(), lively()
    async with started() as engine:
        await hear(engine, frames_of(clip.pcm), mine)
        await hear(engine, frames_of(speech.clip("librivox_ss_0880").pcm), theirs)
        again = await hear(engine, frames_of(clip.pcm), mine)
    mean, frames = mine.adaptation["pocketsphinx"]
    assert len(mean) == 13
    assert frames > 2 * 250
    assert mean != theirs.adaptation["pocketsphinx"][0]
    assert again[-1].text == clip.text


async def test_silence_leaves_the_profile_alone() -> None:
    hearing = lively()
    async with started() as engine:
        await hear(engine, silence(1.0), hearing)
    assert hearing.adaptation == {}


async def test_a_killed_worker_fails_one_utterance_only() -> None:
    clip = speech.clip("ps_goforward")

    async with started() as engine:
        pid = next(iter(engine.pids))

        async def deadly() -> AsyncIterator[AudioFrame]:
            for frame in frames_of(clip.pcm):
                yield frame
            os.kill(pid, signal.SIGKILL)
            await asyncio.Event().wait()

        with pytest.raises(EngineFailed) as failure:
            await transcribed(engine, deadly(), lively())
        assert failure.value.code == "ASR_FAILED"
        assert (await hear(engine, frames_of(clip.pcm)))[-1].text == clip.text
        assert pid not in engine.pids


async def test_too_many_utterances_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocketsphinx, "LEND_S", 0.05)
    clip = speech.clip("ps_goforward")
    async with started() as engine:
        dialogue = Dialogue(frames_of(clip.pcm), silence(0.35), "stable", "never")
        first = asyncio.create_task(dialogue.run(engine, lively()))
        await dialogue.until("stable")
        with pytest.raises(EngineBusy):
            await hear(engine, frames_of(clip.pcm))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        monkeypatch.setattr(pocketsphinx, "LEND_S", 5.0)
        assert (await hear(engine, frames_of(clip.pcm)))[-1].text == clip.text


async def test_broken_frames_end_the_utterance() -> None:
    async def broken() -> AsyncIterator[AudioFrame]:
        yield AudioFrame(bytes(1024))
        raise ConnectionResetError("the client is gone")

    async with started() as engine:
        with pytest.raises(ConnectionResetError):
            await transcribed(engine, broken(), lively())
        assert (await hear(engine, silence(0.5)))[-1].text == ""


async def test_a_closed_recogniser_says_so() -> None:
    engine = recognizer()
    with pytest.raises(EngineUnavailable):
        await transcribed(engine, stream([]), lively())


async def test_a_corrupt_model_is_reported(tmp_path: Path) -> None:
    folder = pocketsphinx_model.folder_of(tmp_path)
    folder.mkdir(parents=True)
    for name in ("lm.bin", "words.dict", "one-word.dict", "alone.txt"):
        (folder / name).write_bytes(b"rubbish")
    with pytest.raises(EngineUnavailable) as failure:
        await recognizer(cache_dir=tmp_path).start()
    assert failure.value.code == "MODEL_LOAD_FAILED"
    assert str(folder) in failure.value.hint


async def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineUnavailable) as failure:
        await recognizer(cache_dir=tmp_path / "file" / "cache").start()
    assert "language model" in failure.value.message
