"""A turn from its first word to its metrics: partials, finals, `stop`, closing messages, what is never sent."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from kit import FakeModel, FakeRecognizer, FakeVoice
from transports.wire import CLOSING, METRICS, a_server, in_order, tone, virtual
from vivavoce.engines.base import Transcript
from vivavoce.errors import EngineFailed, EngineUnavailable
from vivavoce.settings import Asr, Llm, Settings, Stream, Tts

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


@virtual
async def test_a_spoken_turn_is_told_in_order() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(1.0)
        await peer.hush(1.0)
        metrics = await peer.wait("metrics")
    wanted = "speech_started partial_transcript speech_stopped final_transcript llm_token phrase tts_chunk"
    assert in_order([*wanted.split(), "tts_phrase_done", "tts_complete", "metrics"], peer.kinds())
    assert peer.kinds()[-1] == "metrics"
    final = peer.of("final_transcript")[0]
    assert final["text"] == "hello there"
    assert final["id"]
    for message in peer.messages:
        answer = message["type"] in ("llm_token", "phrase", "tts_chunk", "tts_phrase_done", "tts_complete", "metrics")
        assert message.get("turn_id") == 1 if answer else True
    for key in METRICS[:7]:
        assert metrics[key] is not None, key
    assert metrics["t0_ms"] == 0
    assert metrics["t1_first_partial_ms"] <= metrics["t2_final_transcript_ms"]
    assert 950 <= metrics["end_of_speech_ms"] <= 1100
    assert metrics["voice_to_voice_ms"] == pytest.approx(
        metrics["t4_first_tts_audio_ms"] - metrics["end_of_speech_ms"], abs=0.2
    )
    assert metrics["asr_rtf"] > 0
    assert metrics["tts_rtf"] > 0
    assert metrics["llm_tokens"] == 9
    assert metrics["llm_tokens_per_s"] > 0
    assert metrics["phrases"] == len(peer.of("phrase"))
    assert metrics["dropped_frames"] == 0
    assert metrics["outcome"] == "done"


@virtual
async def test_tokens_are_the_answer_and_the_last_is_marked() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("tell me a story")
    tokens = peer.of("llm_token")
    assert "".join(m["text"] for m in tokens).strip() == STORY
    assert [m["done"] for m in tokens] == [False] * (len(tokens) - 1) + [True]
    assert "".join(m["text"] for m in peer.of("phrase")).strip() == STORY
    assert [m["seq"] for m in peer.of("phrase")] == list(range(1, len(peer.of("phrase")) + 1))
    for phrase in peer.of("phrase"):
        of_phrase = [m["type"] for m in peer.messages if m.get("seq") == phrase["seq"]]
        assert of_phrase[0] == "phrase"
        assert of_phrase[-1] == "tts_phrase_done"


@virtual
async def test_a_typed_turn_has_no_ears() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        metrics = await peer.ask("hello")
    assert peer.of("final_transcript", "partial_transcript", "speech_started") == []
    for key in ("t0_ms", "t1_first_partial_ms", "t2_final_transcript_ms", "end_of_speech_ms", "voice_to_voice_ms"):
        assert key in metrics
        assert metrics[key] is None
    assert metrics["t3_first_llm_token_ms"] <= metrics["t4_first_tts_audio_ms"]
    assert metrics["asr_rtf"] is None


@virtual
async def test_a_turn_is_complete_when_it_was_heard() -> None:
    """`tts_complete` waits for the listener, so that a barge-in during playback has one closing message: its own."""
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("hello")
        spoken_s = sum(len(m["text"].strip()) * 0.05 for m in peer.of("phrase"))
        at = {m["type"]: at for at, m in peer.arrived if isinstance(m, dict)}
        first = next(at for at, m in peer.arrived if isinstance(m, dict) and m["type"] == "tts_chunk")
        assert at["tts_complete"] - first == pytest.approx(spoken_s, abs=0.1)


class Chatty(FakeRecognizer):
    """A recogniser with something new to say for every frame."""

    async def transcribe(self, frames, hearing):  # type: ignore[no-untyped-def, override]
        said = 0
        async for _ in frames:
            said += 1
            yield Transcript(text="word " * said + "end", kind="stable" if said % 2 else "partial")
        yield Transcript(text="word " * said + "end", kind="final", busy_s=0.1)


@pytest.mark.parametrize("interval_ms", [100, 500, 1000])
@virtual
async def test_partials_come_at_most_once_an_interval(interval_ms: int) -> None:
    async with a_server(asr=Chatty([""])) as server:
        peer = await server.connect()
        await peer.start(partial_interval_ms=interval_ms, mode="asr_only")
        await peer.speak(4.0)
        await peer.send("stop")
        await peer.wait("metrics")
    at = [at for at, m in peer.arrived if isinstance(m, dict) and m["type"] == "partial_transcript"]
    assert len(at) >= 0.7 * 4000 / interval_ms
    gaps = [after - before for before, after in itertools.pairwise(at)]
    assert min(gaps) >= interval_ms / 1000 - 1e-6
    texts = [m["text"] for m in peer.of("partial_transcript")]
    assert len(set(texts)) == len(texts), "none is repeated"


@virtual
async def test_ids_tell_utterances_apart_and_a_refinement_repeats_its_own() -> None:
    class Refining(FakeRecognizer):
        async def transcribe(self, frames, hearing):  # type: ignore[no-untyped-def, override]
            async for found in super().transcribe(frames, hearing):
                yield found
            yield Transcript(text="hello dear", kind="final", revision=1)

    async with a_server(asr=Refining(["hello there"])) as server:
        peer = await server.connect()
        await peer.start(mode="asr_only")
        for count in (2, 4):
            await peer.speak(0.6)
            await peer.hush(1.0)
            await peer.wait("final_transcript", count)
    finals = peer.of("final_transcript")
    assert [m.get("revision", 0) for m in finals] == [0, 1, 0, 1]
    assert finals[0]["id"] == finals[1]["id"] != finals[2]["id"] == finals[3]["id"]
    assert finals[1]["text"] == "hello dear"


# --- stop -----------------------------------------------------------------------------------------------------------


@virtual
async def test_stop_finalises_now() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(0.7)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await peer.send("stop")
        await peer.wait("final_transcript")
        assert loop.time() - began < 0.2
        assert (await peer.wait("metrics"))["outcome"] == "done"
        reasons = [m["reason"] for m in peer.of("decision") if m["what"] == "endpoint"]
    assert reasons == ["stop"]


@virtual
async def test_stop_without_words_is_an_empty_turn() -> None:
    model = FakeModel("never")
    async with a_server(llm=model) as server:
        peer = await server.connect()
        await peer.start()
        await peer.hush(0.5)
        await peer.send("stop")
        metrics = await peer.wait("metrics")
    assert peer.kinds(turn=1) == ["final_transcript", "metrics"]
    assert peer.of("final_transcript")[0]["text"] == ""
    assert metrics["outcome"] == "done"
    assert metrics["t3_first_llm_token_ms"] is None
    assert model.requests == []


@pytest.mark.parametrize("mode", ["hands_free", "push_to_talk"])
@virtual
async def test_stop_over_noise_is_an_empty_turn(mode: str) -> None:
    async with a_server(asr=FakeRecognizer([""])) as server:
        peer = await server.connect()
        await peer.start(mode=mode)
        await peer.speak(0.8)
        await peer.send("stop")
        assert (await peer.wait("metrics"))["outcome"] == "done"
    assert [m["text"] for m in peer.of("final_transcript")] == [""]
    assert peer.of("llm_token", "error") == []


@virtual
async def test_hands_free_silence_and_noise_send_nothing() -> None:
    async with a_server(asr=FakeRecognizer([""])) as server:
        peer = await server.connect()
        await peer.start()
        await peer.hush(5.0)
        assert peer.kinds() == ["info"]
        await peer.speak(0.5)  # noise that looks like speech
        await peer.hush(2.0)
        await peer.send("ping")
        await peer.wait("pong")
    assert set(peer.kinds()) <= {"info", "speech_started", "speech_stopped", "decision", "pong"}


@virtual
async def test_stop_twice_is_two_ends_but_one_answer() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(0.6)
        await peer.send("stop")
        await peer.send("stop")
        await peer.wait("metrics")
    assert [m["text"] for m in peer.of("final_transcript")] == ["hello there"]
    assert len(peer.of("metrics")) == 1


@virtual
async def test_stop_after_the_utterance_ended_by_itself_ends_nothing_else() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(0.6)
        await peer.hush(1.2)
        await peer.wait("final_transcript")
        await peer.send("stop")
        assert (await peer.wait("metrics"))["outcome"] == "done"
    assert len(peer.of("final_transcript")) == len(peer.of("metrics")) == 1


@virtual
async def test_after_stop_audio_simply_goes_on() -> None:
    async with a_server(asr=FakeRecognizer(["first one", "second one"])) as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(0.6)
        await peer.send("stop")
        await peer.wait("metrics")
        await peer.speak(0.6)
        await peer.hush(1.0)
        await peer.wait("metrics", 2)
    assert [m["text"] for m in peer.of("final_transcript")] == ["first one", "second one"]


@virtual
async def test_after_stop_a_further_start_opens_the_next_utterance_with_new_fields() -> None:
    async with a_server(asr=FakeRecognizer(["first one", "second one"])) as server:
        peer = await server.connect()
        first = await peer.start(sample_rate=16000, instructions="a")
        await peer.speak(0.6)
        await peer.send("stop")
        await peer.wait("metrics")
        second = await peer.start(sample_rate=8000, audio_out="pcm")
        assert second["session_id"] == first["session_id"]
        assert second["conversation_id"] == first["conversation_id"]
        assert second["session"]["sample_rate"] == 8000
        assert second["audio_out"] == "pcm"
        await peer.speak(0.9, rate_hz=8000)
        await peer.send("stop")
        await peer.wait("metrics", 2)
        assert peer.frames
    assert [m["text"] for m in peer.of("final_transcript")] == ["first one", "second one"]
    assert [m["turn_id"] for m in peer.of("metrics")] == [1, 2]


@virtual
async def test_a_further_start_keeps_what_it_does_not_name() -> None:
    async with a_server(asr=FakeRecognizer(["one two three", "four five"])) as server:
        peer = await server.connect()
        await peer.start(sample_rate=48000, mode="asr_only", vad_silence_ms=400)
        await peer.speak(0.6, rate_hz=48000)
        await peer.send("stop")
        await peer.wait("metrics")
        again = await peer.start()
        assert again["session"]["sample_rate"] == 48000
        assert (again["session"]["mode"], again["session"]["vad_silence_ms"]) == ("asr_only", 400)
        await peer.speak(0.6, rate_hz=48000)
        await peer.send("stop")
        await peer.wait("metrics", 2)
        values = [m["values"] for m in peer.of("decision") if m["what"] == "endpoint"]
    assert 500 <= values[1]["speech_ms"] <= 700


@virtual
async def test_frames_that_stop_arriving_end_the_utterance() -> None:
    async with a_server(settings=Settings(stream=Stream(inactivity_ms=800))) as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(0.6)
        began = asyncio.get_running_loop().time()
        await peer.wait("final_transcript")
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.85, abs=0.1)
        await peer.wait("metrics")
    assert [m["reason"] for m in peer.of("decision") if m["what"] == "endpoint"] == ["inactivity"]


@virtual
async def test_an_endless_utterance_is_cut() -> None:
    async with a_server(settings=Settings(stream=Stream(max_utterance_ms=2000))) as server:
        peer = await server.connect()
        await peer.start(mode="asr_only")
        await peer.speak(5.0)
        await peer.send("stop")
        await peer.wait("metrics", 3)
    reasons = [m["reason"] for m in peer.of("decision") if m["what"] == "endpoint"]
    assert reasons == ["max_length", "max_length", "stop"]


# --- modes ----------------------------------------------------------------------------------------------------------


@virtual
async def test_push_to_talk_waits_for_the_button() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start(mode="push_to_talk")
        await peer.speak(0.5)
        await peer.hush(1.5)  # a pause to think does not end it
        await peer.speak(0.5)
        assert peer.of("final_transcript") == []
        await peer.send("stop")
        assert (await peer.wait("metrics"))["outcome"] == "done"
    assert len(peer.of("final_transcript")) == 1


@virtual
async def test_asr_only_is_never_answered() -> None:
    model = FakeModel("never")
    async with a_server(llm=model) as server:
        peer = await server.connect()
        await peer.start(mode="asr_only")
        await peer.speak(0.6)
        await peer.hush(1.0)
        await peer.wait("metrics")
    assert model.requests == []
    assert not set(peer.kinds()) & {*CLOSING, "llm_token", "tts_chunk", "phrase"}


@virtual
async def test_legacy_shows_transcripts_only() -> None:
    model = FakeModel("never")
    async with a_server(llm=model) as server:
        peer = await server.connect("/ws_legacy")
        await peer.start(sample_rate=16000)
        for frame in (tone(0.32), tone(0.32), bytes(10_240), bytes(10_240), bytes(10_240)):
            await peer.send_raw(frame)
        await peer.wait("final_transcript")
        await peer.send_raw("junk")
        assert (await peer.wait("error"))["code"] == "BAD_MESSAGE"
        await peer.send("stop")
    assert set(peer.kinds()) == {"info", "partial_transcript", "final_transcript", "error"}
    assert model.requests == []


@virtual
async def test_legacy_cannot_be_talked_into_an_answer() -> None:
    model = FakeModel("never")
    async with a_server(llm=model) as server:
        peer = await server.connect("/ws_legacy")
        await peer.start(mode="hands_free")
        await peer.send("update", mode="hands_free", vad_silence_ms=300)
        session = (await peer.wait("info", 2))["session"]
        assert (session["mode"], session["vad_silence_ms"]) == ("asr_only", 300)
        await peer.send("text", text="hello")
        await peer.send("say", text="hello")
        await peer.wait("error", 2)
        await peer.speak(0.6)
        await peer.hush(0.6)
        await peer.wait("final_transcript")
    assert {m["code"] for m in peer.of("error")} == {"UNKNOWN_TYPE"}
    assert model.requests == []


# --- failures -------------------------------------------------------------------------------------------------------

FAILURES = [
    ({"asr": FakeRecognizer([EngineFailed("asr", "died")])}, Settings(), "ASR_FAILED"),
    ({"asr": FakeRecognizer(["hi"], final_delay_s=99.0)}, Settings(asr=Asr(timeout_s=1.0)), "ASR_TIMEOUT"),
    ({"asr": FakeRecognizer([EngineUnavailable("asr", "gone")])}, Settings(), "MODEL_LOAD_FAILED"),
    ({"llm": FakeModel([EngineFailed("llm", "died")])}, Settings(), "LLM_FAILED"),
    ({"llm": FakeModel([99.0])}, Settings(llm=Llm(first_token_timeout_s=1.0)), "LLM_TIMEOUT"),
    ({"tts": FakeVoice(faults={"": EngineFailed("tts", "died")})}, Settings(), "TTS_FAILED"),
    ({"tts": FakeVoice(faults={"": 99.0})}, Settings(tts=Tts(timeout_s=1.0)), "TTS_TIMEOUT"),
]


@pytest.mark.parametrize(("engines", "settings", "code"), FAILURES, ids=[code for _, _, code in FAILURES])
@virtual
async def test_a_turn_whose_engine_fails_ends_once_and_the_session_lives(
    engines: dict[str, object], settings: Settings, code: str
) -> None:
    async with a_server(settings=settings, **engines) as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(0.6)
        await peer.send("stop")
        assert (await peer.wait("metrics"))["outcome"] == "failed"
        closing = peer.of(*CLOSING, turn=1)
        assert [m["code"] for m in closing] == [code]
        assert closing[0]["recoverable"] is True
        metrics = peer.of("metrics")[0]
        assert metrics["t0_ms"] == 0
        await peer.send("ping")
        await peer.wait("pong")


@pytest.mark.parametrize("stop", [True, False])
@virtual
async def test_one_utterance_fails_once_however_long_it_is(stop: bool) -> None:
    async with a_server(asr=FakeRecognizer([EngineUnavailable("asr", "gone")])) as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(4.0)
        if stop:
            await peer.send("stop")
        else:
            await peer.hush(1.5)
        await peer.send("ping")
        await peer.wait("pong")
        assert [m["outcome"] for m in peer.of("metrics")] == ["failed"]
        assert len(peer.of("error")) == 1
        await peer.speak(1.0)
        await peer.hush(1.5)
        assert len(peer.of("error")) == 2, "the next one is tried again"
