"""Real speech to the real process: understood at every rate, answered, interrupted."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from faults.live import SAID, Live, spoken_command
from transports.wire import SocketPeer, a_socket, check_laws, in_order, pieces, silence, sound_of
from vivavoce.audio.pcm import from_mulaw
from vivavoce.audio.resample import resample

pytestmark = pytest.mark.xdist_group("faults")


def mulaw(pcm: bytes) -> bytes:
    codes = np.frombuffer(from_mulaw(bytes(range(256))), "<i2").astype(int)
    samples = np.frombuffer(pcm, "<i2").astype(int)
    return np.abs(samples[:, None] - codes).argmin(axis=1).astype(np.uint8).tobytes()


def words_right(text: str) -> int:
    """How many of the command's four words *text* has."""
    return len(set(text.lower().split()) & set(SAID.split()))


@pytest.mark.parametrize(
    ("rate_hz", "encoding", "size"),
    [
        (16_000, "pcm_s16le", 10_240),
        (16_000, "pcm_s16le", 641),
        (8_000, "pcm_s16le", 160),
        (8_000, "mulaw", 333),
        (44_100, "pcm_s16le", 4_097),
        (48_000, "pcm_s16le", 96_000),
    ],
)
async def test_speech_is_understood_at_every_rate_and_frame(live: Live, rate_hz: int, encoding: str, size: int) -> None:
    sound = resample(spoken_command(), 16_000, rate_hz)
    async with a_socket(live.url()) as peer:
        await peer.start(sample_rate=rate_hz, encoding=encoding, mode="asr_only")
        for piece in pieces(mulaw(sound) if encoding == "mulaw" else sound, size):
            await peer.send_raw(piece)
        await peer.send("stop")
        await peer.wait("metrics", within_s=20)
    text = " ".join(m["text"] for m in peer.of("final_transcript"))
    assert words_right(text) >= (3 if rate_hz > 8000 else 1), text  # half the band, half the words


def all_spoken(peer: SocketPeer) -> bool:
    """Whether the phrases that were sent are the whole answer."""
    answer = "".join(m["text"] for m in peer.of("llm_token")).split()
    done = {m["seq"] for m in peer.of("tts_phrase_done")}
    return "".join(m["text"] for m in peer.of("phrase") if m["seq"] in done).split() == answer


@pytest.mark.parametrize("audio_out", ["wav_b64", "pcm"])
async def test_a_conversation_by_voice(live: Live, audio_out: str) -> None:
    async with a_socket(live.url()) as peer:
        info = await peer.start(audio_out=audio_out, partial_interval_ms=300)
        await peer.say_sound(spoken_command(), frame_s=0.32)
        await peer.hush(1.5)
        if audio_out == "wav_b64":  # all of it is here long before it could be played
            await peer.until(lambda: any(m["done"] for m in peer.of("llm_token")))
            await peer.until(lambda: all_spoken(peer), 20)
            await peer.send("played", turn_id=1, seq=len(peer.of("tts_phrase_done")), ms=1e9)
        metrics = await peer.wait("metrics", within_s=20)
    assert metrics["outcome"] == "done"
    assert in_order(["speech_started", "partial_transcript", "final_transcript", "llm_token", "phrase"], peer.kinds())
    assert peer.of("phrase")[0]["words"], "the voice gives word times"
    check_laws(peer)
    assert metrics["voice_to_voice_ms"] < 2000
    assert 0 < metrics["asr_rtf"] < 2
    assert 0 < metrics["tts_rtf"] < 1
    if audio_out == "pcm":
        loud = np.frombuffer(b"".join(pcm for *_, pcm in peer.speech(1)), "<i2")
    else:
        sound, rate_hz = sound_of(peer.of("tts_chunk")[0])
        assert rate_hz == info["output_sample_rate"]
        loud = np.frombuffer(sound, "<i2")
    assert np.abs(loud.astype(int)).max() > 1000, "it is audible"


@pytest.mark.parametrize("stop", [True, False])
async def test_a_recording_sent_at_once_is_understood_and_answered(live: Live, stop: bool) -> None:
    """Nobody waits for it to be spoken; nothing of it is lost for that."""
    async with a_socket(live.url()) as peer:
        await peer.start(mode="push_to_talk" if stop else "hands_free")
        for piece in pieces(spoken_command() + silence(0.2 if stop else 1.5), 10_240):
            await peer.send_raw(piece)
        if stop:
            await peer.send("stop")
        text = (await peer.wait("final_transcript", within_s=15))["text"]
        assert words_right(text) >= 3, text
        await peer.wait("phrase", within_s=10)
        await peer.send("cancel")
        await peer.wait("metrics", within_s=10)
    check_laws(peer)


async def test_partials_keep_their_distance_with_the_real_recogniser(live: Live) -> None:
    async with a_socket(live.url()) as peer:
        await peer.start(mode="asr_only", partial_interval_ms=200)
        await peer.say_sound(spoken_command() + silence(1.0))
        await peer.wait("metrics", within_s=20)
    at = [at for at, m in peer.arrived if isinstance(m, dict) and m["type"] == "partial_transcript"]
    assert at
    gaps = np.diff(at)
    assert all(gaps > 0.2 - 0.03), gaps  # arrival, on a busy machine


async def test_talking_over_the_answer(live: Live) -> None:
    async with a_socket(live.url()) as peer:
        await peer.start(audio_out="pcm")
        await peer.send("text", text="tell me a story")
        await peer.until(lambda: len(peer.frames) > 25)
        speaking = asyncio.create_task(peer.say_sound(spoken_command() + silence(1.5)))
        cut = await peer.wait("interrupted", within_s=20)
        await speaking
        await peer.wait("metrics", 2, within_s=20)
    assert cut["reason"] == "user_speech"
    said = "".join(m["text"] for m in peer.of("phrase", turn=cut["turn_id"])).strip()
    assert cut["heard_text"]
    assert said.startswith(cut["heard_text"])
    check_laws(peer)


async def test_memory_over_connections(live: Live) -> None:
    async with a_socket(live.url()) as peer:
        info = await peer.start()
        await peer.ask("my name is Alice")
    async with a_socket(live.url("/ws2")) as peer:
        await peer.start(conversation_id=info["conversation_id"])
        await peer.ask("what is my name?")
    assert "Alice" in "".join(m["text"] for m in peer.of("llm_token"))
