"""`examples/voice_client.py` does what it says."""

from __future__ import annotations

import asyncio
import io
import sys
import wave
from pathlib import Path

import pytest

from kit import FakeModel, FakeRecognizer
from transports.wire import listening, tone

CLIENT = Path(__file__).parents[2] / "examples" / "voice_client.py"


def recording(path: Path, rate_hz: int, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(tone(0.7 * channels, rate_hz))
    return path


async def run(*arguments: str | Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        CLIENT,
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
async def test_it_speaks_a_recording_and_saves_the_answer(tmp_path: Path, rate_hz: int) -> None:
    question, answer = recording(tmp_path / "question.wav", rate_hz), tmp_path / "answer.wav"
    async with listening(llm=FakeModel("Hello. It is a fine day."), asr=FakeRecognizer(["hello there"])) as server:
        code, output = await run(question, answer, "--url", server.url())
    assert (code, output) == (0, "you:   hello there\nHello. It is a fine day. \n")
    with wave.open(io.BytesIO(answer.read_bytes())) as file:
        assert file.getframerate() == 8000
        assert file.getnframes() / 8000 > 1.0


async def test_it_says_when_nothing_was_understood(tmp_path: Path) -> None:
    question, answer = recording(tmp_path / "question.wav", 16_000), tmp_path / "answer.wav"
    async with listening(asr=FakeRecognizer([""])) as server:
        code, output = await run(question, answer, "--url", server.url())
    assert code == 1
    assert "nothing was understood" in output
    assert not answer.exists()


async def test_it_refuses_what_is_not_mono(tmp_path: Path) -> None:
    code, output = await run(recording(tmp_path / "stereo.wav", 16_000, channels=2), tmp_path / "answer.wav")
    assert code == 1
    assert "not 16 bit mono" in output
