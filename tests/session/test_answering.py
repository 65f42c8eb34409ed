"""Answers: limits, failures, memory, and two connections on one conversation."""

from __future__ import annotations

import asyncio
import base64

import pytest

from kit import Client, FakeModel, FakeRecognizer, FakeVoice, a_session, run_virtually
from vivavoce import events
from vivavoce.engines.base import ChatRequest, Delta
from vivavoce.errors import EngineFailed, EngineTimeout, EngineUnavailable
from vivavoce.memory.volatile import MemoryStore
from vivavoce.settings import Llm, Settings, Stream

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


def closing(client: Client, turn: int = 1) -> list[str]:
    kinds = ("tts_complete", "interrupted", "error", "metrics")
    return [m["type"] for m in client.messages if m.get("turn_id") == turn and m["type"] in kinds]


def test_the_model_is_asked_with_what_was_said_and_heard() -> None:
    async def scenario() -> None:
        llm = FakeModel("Hello Alice.")
        async with a_session(llm=llm, start=events.Start(instructions="Be kind.", language="en")) as client:
            client.session.type("my name is Alice")
            await client.wait("metrics")
            client.session.type("what is my name")
            await client.wait("metrics", 2)
        request = llm.requests[1]
        assert [(m.role, m.content) for m in request.messages] == [
            ("user", "my name is Alice"),
            ("assistant", "Hello Alice."),
            ("user", "what is my name"),
        ]
        assert request.instructions == "Be kind."
        assert request.language == "en_US"

    run_virtually(scenario())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (["Well, ", EngineFailed("llm", "cut off")], "LLM_FAILED"),
        ([EngineUnavailable("llm", "no server")], "MODEL_LOAD_FAILED"),
        ([EngineTimeout("llm", "slow")], "LLM_TIMEOUT"),
        ([11.0, "late"], "LLM_TIMEOUT"),
        (["early ", 6.0, "late"], "LLM_TIMEOUT"),
    ],
)
def test_a_model_that_fails_ends_the_turn_and_the_next_works(answer: list[object], code: str) -> None:
    async def scenario() -> None:
        llm = FakeModel(answer)  # type: ignore[arg-type]
        async with a_session(llm=llm) as client:
            client.session.type("hi")
            metrics = await client.wait("metrics")
            assert metrics["outcome"] == "failed"
            assert closing(client) == ["error", "metrics"]
            assert client.of("error")[0]["code"] == code
            llm.answer = ["Fine."]
            client.session.type("again")
            assert (await client.wait("metrics", 2))["outcome"] == "done"

    run_virtually(scenario())


def test_the_model_has_its_time_in_all_but_not_for_waiting_on_the_client() -> None:
    async def scenario() -> None:
        settings = Settings(llm=Llm(timeout_s=3.0))
        async with a_session(llm=FakeModel("word " * 50, gap_s=0.5), settings=settings) as client:
            client.session.type("hi")
            assert (await client.wait("metrics"))["outcome"] == "failed"
            assert client.of("error")[0]["code"] == "LLM_TIMEOUT"
        paced = events.Start(audio_out="pcm")
        async with a_session(llm=FakeModel(STORY * 6, gap_s=0.0), settings=settings, start=paced) as client:
            client.session.type("hi")
            assert (await client.wait("metrics"))["outcome"] == "done"

    run_virtually(scenario())


def test_a_stream_that_ends_early_is_incomplete_and_kept() -> None:
    async def scenario() -> None:
        llm = FakeModel("Half an answer")
        llm.finish = None
        async with a_session(llm=llm) as client:
            client.session.type("hi")
            assert (await client.wait("metrics"))["outcome"] == "incomplete"
            assert closing(client) == ["tts_complete", "metrics"]
            assert client.session.conversation.messages[-1].content == "Half an answer"

    run_virtually(scenario())


def test_an_endless_model_is_cut_at_the_limit_of_a_turn() -> None:
    class Endless(FakeModel):
        async def stream(self, request: ChatRequest):  # type: ignore[no-untyped-def, override]
            while True:
                await asyncio.sleep(1.0)
                yield Delta("")

    async def scenario() -> None:
        settings = Settings(stream=Stream(turn_timeout_s=20.0), llm=Llm(timeout_s=1000.0))
        async with a_session(llm=Endless(""), settings=settings) as client:
            client.session.type("hi")
            await client.wait("metrics")
            assert client.of("interrupted")[0]["reason"] == "timeout"

    run_virtually(scenario())


def test_phrases_play_in_order_though_they_are_made_side_by_side() -> None:
    async def scenario() -> None:
        voice = FakeVoice(faults={"Once": 3.0})  # the first phrase is the slowest
        async with a_session(llm=FakeModel(STORY), tts=voice) as client:
            client.session.type("hi")
            await client.wait("metrics")
            assert voice.spoken[0] != client.of("phrase")[0]["text"]
            assert [m["seq"] for m in client.of("tts_chunk")] == sorted(m["seq"] for m in client.of("phrase"))
            assert "".join(m["text"] for m in client.of("phrase")) == STORY

    run_virtually(scenario())


def test_a_hanging_voice_is_given_up_and_the_rest_is_heard() -> None:
    async def scenario() -> None:
        async with a_session(llm=FakeModel(STORY), tts=FakeVoice(faults={"sailed": 100.0})) as client:
            client.session.type("hi")
            assert (await client.wait("metrics"))["outcome"] == "done"
            assert [m["code"] for m in client.of("error")] == ["TTS_TIMEOUT"]
            assert "turn_id" not in client.of("error")[0], "the turn goes on"
            assert "never came back" in client.of("phrase")[-1]["text"]

    run_virtually(scenario())


def test_a_voice_that_is_gone_fails_the_turn_but_the_text_is_kept() -> None:
    async def scenario() -> None:
        voice = FakeVoice(faults={"": EngineFailed("tts", "dead")})
        async with a_session(llm=FakeModel("All text."), tts=voice) as client:
            client.session.type("hi")
            assert (await client.wait("metrics"))["outcome"] == "failed"
            assert client.of("llm_token")[-1]["done"]
            assert client.session.conversation.messages[-1].content == "All text."

    run_virtually(scenario())


def test_a_cancelled_answer_does_not_enter_memory() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        async with a_session(llm=FakeModel(STORY), store=store) as client:
            client.session.type("tell me a story")
            await client.wait("tts_chunk")
            client.session.cancel()
            client.session.cancel()
            metrics = await client.wait("metrics")
            assert (metrics["outcome"], metrics["interrupted"]) == ("interrupted", True)
            assert closing(client) == ["interrupted", "metrics"]
            assert client.session.conversation.messages == []
            assert client.of("info")[-1]["message"] == "nothing to cancel"

    run_virtually(scenario())


def test_only_so_many_phrases_wait_and_the_model_waits_with_them() -> None:
    async def scenario() -> None:
        llm = FakeModel(["One two three four. "] * 40, gap_s=0.0)
        settings = Settings(stream=Stream(max_pending_phrases=2))
        async with a_session(llm=llm, tts=FakeVoice(delay_s=5.0), settings=settings) as client:
            client.session.type("hi")
            await client.wait("tts_chunk")
            assert len(client.of("llm_token")) < 10
            client.session.cancel()

    run_virtually(scenario())


def test_binary_audio_is_paced_and_its_headers_count_phrases() -> None:
    async def scenario() -> None:
        async with a_session(llm=FakeModel(STORY, gap_s=0.0), start=events.Start(audio_out="pcm")) as client:
            loop = asyncio.get_running_loop()
            client.session.type("hi")
            await client.wait("phrase")
            began = loop.time()
            while not client.of("tts_complete"):
                await asyncio.sleep(0.1)
                heard_s = sum(len(frame) - 8 for frame in client.audio) / 2 / 8000
                assert heard_s <= loop.time() - began + 0.2 + 0.12, "never far ahead of the listener"
            frames = client.audio
            assert {frame[0] for frame in frames} == {1}
            assert {int.from_bytes(frame[2:4], "little") for frame in frames} == {1}
            seqs = [int.from_bytes(frame[4:8], "little") for frame in frames]
            assert seqs == sorted(seqs)
            last = [seq for frame, seq in zip(frames, seqs, strict=True) if frame[1] & 1]
            assert last == sorted(set(seqs)), "the last frame of each phrase says so"

    run_virtually(scenario())


def test_each_wav_chunk_is_whole() -> None:
    async def scenario() -> None:
        async with a_session(llm=FakeModel(STORY)) as client:
            client.session.type("hi")
            await client.wait("metrics")
            for chunk in client.of("tts_chunk"):
                data = base64.b64decode(chunk["audio_b64"])
                assert (data[:4], data[8:12]) == (b"RIFF", b"WAVE")
                assert int.from_bytes(data[4:8], "little") == len(data) - 8
                assert "part" not in chunk

    run_virtually(scenario())


def test_the_agent_may_speak_first() -> None:
    async def scenario() -> None:
        async with a_session() as client:
            client.session.say("Welcome back.")
            metrics = await client.wait("metrics")
            mine = [m for m in client.messages if m.get("turn_id") == 1]
            assert all(m["initiator"] == "agent" for m in mine if m["type"] != "decision")
            assert not client.of("final_transcript")
            assert metrics["outcome"] == "done"
            assert client.session.conversation.messages[-1].content == "Welcome back."

    run_virtually(scenario())


def test_a_timer_rings_in_the_session() -> None:
    async def scenario() -> None:
        async with a_session() as client:
            client.session.timers.set("tea", 30.0, "Your tea timer is done.")
            client.session.timers.set("egg", 60.0, "never")
            assert [name for name, _ in client.session.timers.remaining()] == ["tea", "egg"]
            assert client.session.timers.cancel("egg") == 1
            phrase = await client.wait("phrase")
            assert phrase["text"] == "Your tea timer is done."
            assert not client.session.timers.remaining()

    run_virtually(scenario())


def test_two_connections_on_one_conversation_take_turns() -> None:
    async def scenario() -> None:
        from kit import FakeDetector
        from vivavoce.engines.base import Engines
        from vivavoce.session.conversation import Conversations
        from vivavoce.session.outbox import Outbox, OutboxLimits
        from vivavoce.session.session import Session

        llm = FakeModel("A fine answer, it is.")
        engines = Engines(vad=FakeDetector(), asr=FakeRecognizer([""]), llm=llm, tts=FakeVoice())
        store = MemoryStore()
        conversations = Conversations(store)
        async with conversations.enter("c", "me") as one, conversations.enter("c", "me") as two:
            assert one is two
            assert one is not None
            sessions = [Session(name, engines, Settings(), one, Outbox(OutboxLimits())) for name in ("a", "b")]
            async with sessions[0].running("t"), sessions[1].running("t"):
                for session in sessions:
                    session.start(events.Start())
                    session.type(f"hello from {session.id}")
                for session in sessions:
                    await session.quiet()
            assert [m.role for m in one.messages] == ["user", "assistant"] * 2
        assert len(llm.requests[1].messages) == 3, "the second turn knows the first"
        async with conversations.enter("c", "somebody else") as theirs:
            assert theirs is None

    run_virtually(scenario())


def test_the_recogniser_is_replaced_once_and_hears_the_whole_utterance() -> None:
    class Dying(FakeRecognizer):
        async def transcribe(self, frames, hearing):  # type: ignore[no-untyped-def, override]
            if self.heard == 0:
                self.heard = 1
                async for _ in frames:
                    raise EngineFailed("asr", "the worker died")
            async for transcript in super().transcribe(frames, hearing):
                yield transcript

    async def scenario() -> None:
        async with a_session(asr=Dying(["unused", "hello there"])) as client:
            await client.speak(1.0)
            await client.hush(1.0)
            assert (await client.wait("final_transcript"))["text"] == "hello there"

    run_virtually(scenario())


def test_a_recogniser_that_says_nothing_fails_the_turn() -> None:
    async def scenario() -> None:
        async with a_session(asr=FakeRecognizer(["hello"], final_delay_s=60.0, stable=False)) as client:
            await client.speak(1.0)
            client.session.stop()
            metrics = await client.wait("metrics")
            assert metrics["outcome"] == "failed"
            assert client.of("error")[0]["code"] == "ASR_TIMEOUT"

    run_virtually(scenario())


def test_a_late_failure_of_one_utterance_leaves_the_next_alone() -> None:
    async def scenario() -> None:
        asr = FakeRecognizer([EngineUnavailable("asr", "gone"), "hello there"], final_delay_s=1.0)
        asr.fail_late = True
        async with a_session(asr=asr) as client:
            await client.speak(0.5)
            await client.hush(0.8)
            await client.speak(0.5)
            await client.hush(2.5)  # the failure comes while the second awaits its endpoint
            assert (await client.wait("metrics"))["outcome"] == "failed"
            assert (await client.wait("final_transcript", within_s=5.0))["text"] == "hello there"

    run_virtually(scenario())
