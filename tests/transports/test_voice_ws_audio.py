"""A client's audio: any rate, any frame, every bad one."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from kit import FakeRecognizer
from transports.wire import Json, MemoryPeer, a_server, pieces, silence, tone, virtual
from vivavoce.audio.pcm import from_mulaw
from vivavoce.settings import Server, Settings

WORDS = "one two three four five six seven eight"


def asr() -> FakeRecognizer:
    return FakeRecognizer([WORDS])


async def transcript(peer: MemoryPeer) -> str:
    """What is understood after `stop`."""
    await peer.send("stop")
    text: str = (await peer.wait("final_transcript"))["text"]
    return text


def endpoint(peer: MemoryPeer) -> Json:
    """The values of the first endpoint."""
    values: Json = next(m["values"] for m in peer.of("decision") if m["what"] == "endpoint")
    return values


def mulaw(pcm: bytes) -> bytes:
    """Each sample as the code that decodes nearest to it."""
    codes = np.frombuffer(from_mulaw(bytes(range(256))), "<i2").astype(int)
    samples = np.frombuffer(pcm, "<i2").astype(int)
    return np.abs(samples[:, None] - codes).argmin(axis=1).astype(np.uint8).tobytes()


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 44100, 48000])
@virtual
async def test_every_rate_is_understood(rate_hz: int) -> None:
    """The fake hears a word for each 300 ms of speech, so their number measures the length after resampling."""
    async with a_server(asr=asr()) as server:
        peer = await server.connect()
        await peer.start(sample_rate=rate_hz, partial_interval_ms=20)
        await peer.speak(1.9, rate_hz=rate_hz)
        await peer.hush(0.2, rate_hz=rate_hz)
        await peer.until(lambda: any(m["text"] == "one two three four five six" for m in peer.of("partial_transcript")))
        assert await transcript(peer) == WORDS
        started = peer.of("speech_started")[0]
        spoken_ms = endpoint(peer)["speech_ms"]
    assert started["at_ms"] <= 64
    assert 1850 <= spoken_ms <= 2000


@pytest.mark.parametrize("frame_s", [0.01, 0.0125, 0.02, 0.1, 0.32, 0.5, 1.0])
@virtual
async def test_frames_of_every_length_are_the_same_speech(frame_s: float) -> None:
    async with a_server(asr=asr()) as server:
        peer = await server.connect()
        await peer.start(vad_silence_ms=500)
        await peer.speak(1.5, frame_s=frame_s)
        await peer.hush(1.0, frame_s=frame_s)
        await peer.wait("metrics")
        values = endpoint(peer)
    assert 1450 <= values["speech_ms"] <= 1600
    assert peer.of("final_transcript")[0]["text"] == WORDS


@virtual
async def test_mulaw_is_understood() -> None:
    async with a_server(asr=asr()) as server:
        peer = await server.connect()
        await peer.start(sample_rate=8000, encoding="mulaw")
        sound = mulaw(tone(1.2, 8000) + silence(0.2, 8000))
        for frame in pieces(sound, 160):
            await peer.send_raw(frame)
        assert await transcript(peer) == WORDS


@pytest.mark.parametrize("size", [1, 3, 639, 641, 4097])
@virtual
async def test_odd_frames_lose_no_byte(size: int) -> None:
    """An odd byte is carried into the next frame: read out of step, the silence would not stay silent."""
    quiet = struct.pack("<h", 1) * 16_000  # low byte 1, high byte 0
    loud = tone(0.9)
    heard: list[bytes] = []

    class Keeping(FakeRecognizer):
        async def transcribe(self, frames, hearing):  # type: ignore[no-untyped-def, override]
            async def kept():  # type: ignore[no-untyped-def]
                async for frame in frames:
                    heard.append(frame.pcm)
                    yield frame

            async for found in super().transcribe(kept(), hearing):
                yield found

    async with a_server(asr=Keeping([WORDS])) as server:
        peer = await server.connect()
        await peer.start(mode="asr_only")
        for frame in pieces(loud + quiet, size):
            await peer.send_raw(frame)
        await transcript(peer)
    assert b"".join(heard)[: len(loud)] == loud


@virtual
async def test_empty_frames_are_nothing() -> None:
    async with a_server(asr=asr()) as server:
        peer = await server.connect()
        await peer.start()
        for _ in range(30):
            await peer.send_raw(b"")
        await peer.speak(0.6)
        assert await transcript(peer) == WORDS
    assert peer.of("error") == []


@virtual
async def test_a_new_start_forgets_the_odd_byte() -> None:
    async with a_server(asr=asr()) as server:
        peer = await server.connect()
        await peer.start()
        await peer.send_raw(b"\x07")
        await peer.send("cancel")
        await peer.wait("info", 2)
        await peer.start()
        await peer.hush(1.0)  # out of step, this would be noise
        await peer.send("stop")
        assert (await peer.wait("final_transcript"))["text"] == ""
    assert peer.of("speech_started") == []


@virtual
async def test_audio_before_start_is_told_and_harmless() -> None:
    async with a_server(asr=asr()) as server:
        peer = await server.connect()
        for _ in range(100):  # not one complaint a frame, and no strike against the client
            await peer.send_raw(tone(0.02))
        assert (await peer.wait("error"))["code"] == "NOT_STARTED"
        await peer.start()
        await peer.speak(0.6)
        assert await transcript(peer) == WORDS
    assert [m["code"] for m in peer.of("error")] == ["NOT_STARTED"]


@pytest.mark.parametrize(("rate_hz", "limit"), [(8000, 32_000), (16000, 64_000), (48000, 192_000)])
@virtual
async def test_an_oversized_frame_is_refused_whole(rate_hz: int, limit: int) -> None:
    async with a_server(asr=asr()) as server:
        peer = await server.connect()
        await peer.start(sample_rate=rate_hz)
        await peer.send_raw(bytes(limit))
        await peer.send_raw(b"\x11" * (limit + 2))
        error = await peer.wait("error")
        assert error["code"] == "FRAME_TOO_LARGE"
        assert str(limit) in error["message"]
        await peer.send("stop")
        assert (await peer.wait("final_transcript"))["text"] == "", "none of it was heard"
        await peer.start(sample_rate=rate_hz)
        await peer.speak(0.6, rate_hz=rate_hz)
        await peer.send("stop")
        assert (await peer.wait("final_transcript", 2))["text"] == WORDS


@virtual
async def test_audio_faster_than_speech_is_read_as_fast_as_it_is_spoken() -> None:
    """15 s may come at once; the rest is taken in real time, and after 10 s of that the client is told."""
    from asyncio import get_running_loop

    async with a_server(asr=asr(), settings=Settings(server=Server(max_sessions=4))) as server:
        peer = await server.connect()
        await peer.start()
        began = get_running_loop().time()
        for frame in pieces(silence(40.0), 32_000):
            await peer.send_raw(frame)
        await peer.send("ping", id=1)
        await peer.wait("pong")
        took = get_running_loop().time() - began
        assert 24.0 <= took <= 26.0
    assert [m["code"] for m in peer.of("error")] == ["RATE_LIMITED", "RATE_LIMITED"]


@virtual
async def test_asr_only_takes_audio_as_fast_as_it_is_recognised() -> None:
    from asyncio import get_running_loop

    async with a_server(asr=FakeRecognizer(["one two", "three four", "five"])) as server:
        peer = await server.connect()
        await peer.start(mode="asr_only")
        began = get_running_loop().time()
        for frame in pieces((tone(1.0) + silence(1.0)) * 30, 10_240):
            await peer.send_raw(frame)
        await peer.send("stop")
        await peer.wait("metrics", 30)
        assert get_running_loop().time() - began < 10.0
    assert [m["text"] for m in peer.of("final_transcript")][:3] == ["one two", "three four", "five"]
    assert peer.of("llm_token", "error") == []


@virtual
async def test_a_file_sent_at_once_has_its_whole_length_to_be_decoded() -> None:
    """The quick final is for those who wait; nobody waits for audio that came sooner than it was spoken."""
    waits: list[float] = []

    class Slow(FakeRecognizer):
        async def transcribe(self, frames, hearing):  # type: ignore[no-untyped-def, override]
            async for found in super().transcribe(frames, hearing):
                if found.kind == "final":
                    waits.append(hearing.final_wait_s)
                yield found

    async with a_server(asr=Slow([WORDS], final_delay_s=12.0)) as server:
        peer = await server.connect()
        await peer.start()
        for frame in pieces(tone(8.0), 10_240):
            await peer.send_raw(frame)
        assert await transcript(peer) == WORDS
        await peer.speak(1.0)
        await peer.send("stop")
        await peer.wait("metrics", 2)
    assert waits[0] == pytest.approx(8.0 + 0.5, abs=0.3)
    assert peer.of("metrics")[1]["outcome"] == "failed", "10 s is the limit for what was spoken in real time"
    assert peer.of("error")[-1]["code"] == "ASR_TIMEOUT"
