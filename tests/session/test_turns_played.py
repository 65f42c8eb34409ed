"""One session on fakes, in virtual time: turns as a client sees them."""

from __future__ import annotations

from kit import FakeModel, FakeRecognizer, FakeVoice, a_session, run_virtually
from vivavoce import events
from vivavoce.errors import EngineFailed


def test_spoken_turn() -> None:
    async def scenario() -> None:
        async with a_session() as client:
            await client.hush(0.5)
            await client.speak(1.0)
            await client.hush(1.2)
            metrics = await client.wait("metrics")
            kinds = [message["type"] for message in client.messages]
            assert client.of("final_transcript")[0]["text"] == "hello there"
            assert kinds.index("final_transcript") < kinds.index("llm_token") < kinds.index("tts_chunk")
            assert kinds[-2:] == ["tts_complete", "metrics"]
            assert metrics["outcome"] == "done"
            assert metrics["turn_id"] == 1
            assert [m["n"] for m in client.messages] == list(range(1, len(client.messages) + 1))
            print(client.messages)

    run_virtually(scenario())


def test_barge_in() -> None:
    async def scenario() -> None:
        async with a_session(llm=FakeModel("One two three four five six. " * 8)) as client:
            await client.speak(1.0)
            await client.hush(1.5)
            await client.wait("tts_chunk")
            await client.speak(1.0)
            cut = await client.wait("interrupted")
            assert cut["reason"] == "user_speech"
            await client.hush(1.0)
            metrics = await client.wait("metrics")
            assert metrics["outcome"] == "interrupted"
            assert client.session.conversation.messages[1].content == cut["heard_text"]
            assert client.session.conversation.messages[1].interrupted
            await client.wait("final_transcript", 2)
            session = client.session
            session.cancel()
            await client.wait("metrics", 2)

    run_virtually(scenario())


def test_typed_and_failing() -> None:
    async def scenario() -> None:
        voice = FakeVoice(faults={"fine": EngineFailed("tts", "boom")})
        async with a_session(tts=voice) as client:
            client.session.type("hi")
            await client.wait("metrics")
            assert client.of("error")[0]["code"] == "TTS_FAILED"
            assert client.of("metrics")[0]["outcome"] == "done"

    run_virtually(scenario())


def test_stop_without_words() -> None:
    async def scenario() -> None:
        async with a_session(asr=FakeRecognizer([""])) as client:
            await client.hush(0.5)
            client.session.stop()
            metrics = await client.wait("metrics")
            assert metrics["outcome"] == "done"
            assert [m["type"] for m in client.messages if m["type"] != "decision"] == ["final_transcript", "metrics"]

    run_virtually(scenario())


def test_played_reports_end_the_turn() -> None:
    async def scenario() -> None:
        async with a_session() as client:
            client.session.type("hi")
            last = await client.wait("tts_phrase_done", 2)
            client.session.played(events.Played(turn_id=1, seq=last["seq"], ms=60_000))
            await client.wait("metrics", within_s=0.1)

    run_virtually(scenario())
