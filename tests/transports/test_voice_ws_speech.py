"""How speech comes: complete WAVs in JSON, or paced binary frames; and what a slow reader gets of it."""

from __future__ import annotations

import asyncio

import pytest

from kit import FakeModel, FakeRecognizer, FakeVoice
from transports.test_voice_ws_turns import Chatty
from transports.wire import HEADER, LAST, a_server, in_order, sound_of, virtual
from vivavoce.engines.base import ChatRequest, Delta, Speech
from vivavoce.settings import Settings, Stream

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


@virtual
async def test_each_chunk_is_a_complete_wav_of_its_phrase() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        rate_hz = (await peer.start())["output_sample_rate"]
        await peer.ask("story")
    chunks = peer.of("tts_chunk")
    assert [m["seq"] for m in chunks] == [1, 2, 3]
    for chunk, phrase in zip(chunks, peer.of("phrase"), strict=True):
        sound, rate = sound_of(chunk)
        assert chunk["mime"] == "audio/wav"
        assert rate == rate_hz == 8000
        assert len(sound) == 2 * 400 * len(phrase["text"].strip())
        assert set(sound[::2]) == {0x10}
    assert peer.frames == []


class SlowVoice(FakeVoice):
    """Makes half a second of a phrase at a time, in as long as it lasts."""

    async def synthesize(self, phrase: str, voice: str):  # type: ignore[no-untyped-def, override]
        for _ in range(5):
            await asyncio.sleep(0.45)
            yield Speech(b"\x10\x00" * 4000)


@virtual
async def test_a_phrase_may_come_in_parts_in_order() -> None:
    async with a_server(llm=FakeModel("Once upon a time there was a boat."), tts=SlowVoice()) as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("story")
    chunks = peer.of("tts_chunk")
    assert len(chunks) > 1
    assert [m["part"] for m in chunks] == list(range(1, len(chunks) + 1))
    assert {m["seq"] for m in chunks} == {1}
    assert sum(len(sound_of(m)[0]) for m in chunks) == 5 * 8000
    assert in_order(["phrase", *["tts_chunk"] * len(chunks), "tts_phrase_done", "tts_complete"], peer.kinds())


@virtual
async def test_wav_b64_is_sent_as_it_is_made() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("story")
    at = [at for at, m in peer.arrived if isinstance(m, dict) and m["type"] == "tts_chunk"]
    assert at[-1] - at[0] < 1.0, "not paced: it lasts more than four seconds"


@virtual
async def test_binary_frames_carry_their_turn_and_phrase() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        info = await peer.start(audio_out="pcm")
        await peer.ask("one")
        await peer.ask("two")
    assert (info["audio_out"], info["output_sample_rate"]) == ("pcm", 8000)
    assert HEADER.size == 8
    assert peer.of("tts_chunk") == []
    for turn in (1, 2):
        frames = peer.speech(turn)
        assert [seq for _, _, seq, _ in frames] == sorted(seq for _, _, seq, _ in frames)
        for phrase in peer.of("phrase", turn=turn):
            mine = [(flags, pcm) for _, flags, seq, pcm in frames if seq == phrase["seq"]]
            assert [flags for flags, _ in mine] == [0] * (len(mine) - 1) + [LAST]
            assert len(b"".join(pcm for _, pcm in mine)) == 2 * 400 * len(phrase["text"].strip())
            assert all(len(pcm) % 2 == 0 for _, pcm in mine)
    order = [m["type"] if isinstance(m, dict) else "audio" for _, m in peer.arrived]
    assert in_order(["phrase", "audio", "tts_phrase_done", "phrase", "audio", "tts_phrase_done"], order)


@virtual
async def test_binary_audio_is_never_more_than_200_ms_ahead() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        await peer.start(audio_out="pcm")
        await peer.ask("story")
    frames = peer.speech(1)
    sent_s, began = 0.0, frames[0][0]
    lead: list[float] = []
    for at, _, _, pcm in frames:
        sent_s += len(pcm) / 2 / 8000
        lead.append(sent_s - (at - began))
    assert max(lead) <= 0.2 + 0.002
    assert min(lead[10:-1]) >= 0.1, "and never late"


# --- slow readers ---------------------------------------------------------------------------------------------------


class Talkative(FakeModel):
    """An endless answer."""

    async def stream(self, request: ChatRequest):  # type: ignore[no-untyped-def, override]
        self.streams += 1
        try:
            while True:
                await asyncio.sleep(0.005)
                yield Delta("Once upon a time there was a boat that sailed. ")
        finally:
            self.streams -= 1


@virtual
async def test_partials_are_skipped_for_a_slow_reader_and_counted_finals_never() -> None:
    settings = Settings(stream=Stream(backpressure_threshold=5, backpressure_skip_frames=3))
    async with a_server(settings=settings, asr=Chatty([""])) as server:
        peer = await server.connect()
        await peer.start(partial_interval_ms=20, mode="asr_only")
        peer.stall()
        for _ in range(3):
            await peer.speak(1.0)
            await peer.hush(1.5)
        peer.read_on()
        await peer.wait("metrics", 3)
        assert len(peer.of("final_transcript")) == 3
        dropped = sum(m["dropped_frames"] for m in peer.of("metrics"))
        assert dropped > 10
        numbers = [m["n"] for m in peer.messages]
        assert numbers == list(range(1, len(numbers) + 1))


@virtual
async def test_the_model_waits_for_a_slow_reader_and_memory_stays_bounded() -> None:
    model = Talkative("")
    settings = Settings(stream=Stream(outgoing_bytes=65_536, send_timeout_s=60.0))
    async with a_server(settings=settings, llm=model) as server:
        peer = await server.connect()
        await peer.start()
        peer.stall()
        await peer.send("text", text="talk")
        await asyncio.sleep(30.0)
        session = next(c.session for c in server.state.sessions.connections)
        assert session is not None
        before = len(session.outbox)
        await asyncio.sleep(10.0)
        assert len(session.outbox) == before, "nothing more is made"
        seen = len(peer.messages)
        peer.read_on()
        await peer.until(lambda: len(peer.messages) >= seen + before)
        waited = peer.messages[seen : seen + before]
        assert sum(len(m.get("audio_b64", "")) for m in waited) < 2 * 65_536
        await peer.wait("tts_chunk", 5)
        await peer.send("cancel")
        await peer.wait("metrics")


@pytest.mark.parametrize("audio_out", ["wav_b64", "pcm"])
@virtual
async def test_who_reads_nothing_for_ten_seconds_is_closed_and_nobody_else_notices(audio_out: str) -> None:
    async with a_server(llm=FakeModel(STORY * 3)) as server:
        slow, other = await server.connect(), await server.connect()
        await slow.start(audio_out=audio_out)
        await other.start(audio_out=audio_out)
        await slow.send("text", text="hello")
        await slow.until(lambda: bool(slow.of("tts_chunk") or slow.frames))
        slow.stall()
        began = asyncio.get_running_loop().time()
        metrics = await other.ask("hello")
        assert metrics["outcome"] == "done"
        while slow in server.peers and not slow.task.done():
            await asyncio.wait({slow.task}, timeout=60.0)
        assert asyncio.get_running_loop().time() - began < 15.0
        assert len(server.state.sessions) == 1
        assert (await other.ask("hello"))["outcome"] == "done"


@virtual
async def test_frames_of_a_slow_asr_only_client_are_skipped_and_counted() -> None:
    settings = Settings(stream=Stream(backpressure_threshold=5, backpressure_skip_frames=3, send_timeout_s=60.0))
    async with a_server(settings=settings, asr=FakeRecognizer(["one two"])) as server:
        peer = await server.connect()
        await peer.start(mode="asr_only")
        peer.stall()
        for _ in range(4):
            await peer.speak(0.6)
            await peer.hush(1.0)
        peer.read_on()
        await peer.send("ping")
        await peer.wait("pong")
        await peer.speak(0.6)
        await peer.send("stop")
        await peer.until(lambda: peer.kinds()[-1] == "metrics")
        assert sum(m["dropped_frames"] for m in peer.of("metrics")) > 10
