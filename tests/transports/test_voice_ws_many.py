"""Several clients: conversations over connections, shared conversations, limits, and a server that stops."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from kit import FakeModel, FakeRecognizer
from transports.wire import a_server, virtual
from vivavoce.engines.base import ChatRequest
from vivavoce.errors import EngineUnavailable
from vivavoce.memory.volatile import MemoryStore
from vivavoce.settings import Server, Settings, Stream

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


def with_server(**fields: object) -> Settings:
    return msgspec.structs.replace(Settings(), server=Server(**fields))  # type: ignore[arg-type]


@virtual
async def test_a_conversation_goes_on_in_another_connection() -> None:
    model = FakeModel("Hello Alice.")
    async with a_server(llm=model) as server:
        first = await server.connect()
        await first.start(conversation_id="ours")
        await first.ask("my name is Alice")
        await first.close()
        second = await server.connect()
        assert (await second.start(conversation_id="ours"))["conversation_id"] == "ours"
        await second.ask("what is my name")
    said = [(m.role, m.content) for m in model.requests[-1].messages]
    assert said == [("user", "my name is Alice"), ("assistant", "Hello Alice."), ("user", "what is my name")]


@virtual
async def test_conversations_do_not_leak_into_each_other() -> None:
    model = FakeModel("Fine.")
    async with a_server(llm=model) as server:
        one, other = await server.connect(), await server.connect()
        await one.start()
        await other.start()
        await one.ask("the code is 1234")
        await other.ask("what is the code")
    assert [m.content for m in model.requests[-1].messages] == ["what is the code"]


@virtual
async def test_the_embedded_assistant_remembers_a_name() -> None:
    from vivavoce.engines.llm.offline import OfflineChat

    async with a_server(llm=OfflineChat()) as server:
        first = await server.connect()
        await first.start(conversation_id="ours")
        await first.ask("my name is Alice")
        await first.vanish()
        second = await server.connect()
        await second.start(conversation_id="ours")
        await second.ask("what is my name")
        assert "Alice" in "".join(m["text"] for m in second.of("llm_token"))


@virtual
async def test_two_connections_on_one_conversation_take_turns() -> None:
    class Watched(FakeModel):
        most = 0

        async def stream(self, request: ChatRequest):  # type: ignore[no-untyped-def, override]
            async for delta in super().stream(request):
                self.most = max(self.most, self.streams)
                yield delta

    model = Watched(STORY)
    async with a_server(llm=model) as server:
        one, other = await server.connect(), await server.connect()
        await one.start(conversation_id="ours")
        await other.start(conversation_id="ours")
        await one.send("text", text="first")
        await one.wait("llm_token")
        await other.send("text", text="second")
        await other.wait("metrics")
        assert model.most == 1
        ended = next(at for at, m in one.arrived if isinstance(m, dict) and m["type"] == "tts_complete")
        began = next(at for at, m in other.arrived if isinstance(m, dict) and m["type"] == "llm_token")
        assert ended <= began
    said = [m.content for m in model.requests[-1].messages]
    assert said == ["first", STORY, "second"]


@virtual
async def test_a_turn_that_waits_for_another_connection_can_be_cancelled() -> None:
    store = MemoryStore()
    async with a_server(llm=FakeModel(STORY), store=store) as server:
        one, other = await server.connect(), await server.connect()
        await one.start(conversation_id="ours")
        await other.start(conversation_id="ours")
        await one.send("text", text="first")
        await one.wait("tts_chunk")
        await other.send("text", text="second")
        await other.send("ping")
        await other.wait("pong")
        await other.send("cancel")
        assert (await other.wait("metrics"))["outcome"] == "interrupted"
        assert (await one.wait("metrics"))["outcome"] == "done"
        kept = await store.load("ours", "local", 10)
    assert sorted((t.user, t.assistant) for t in kept) == [("first", STORY), ("second", "")]


@virtual
async def test_waiting_for_the_floor_is_not_a_timeout() -> None:
    """A turn's own time begins when it has the floor."""
    settings = Settings(stream=Stream(turn_timeout_s=6.0))
    async with a_server(llm=FakeModel(STORY * 2), settings=settings) as server:
        one, other = await server.connect(), await server.connect()
        await one.start(conversation_id="ours")
        await other.start(conversation_id="ours")
        await one.send("text", text="first")
        await one.wait("tts_chunk")
        assert (await other.ask("second"))["outcome"] == "done"
        assert (await one.wait("metrics"))["outcome"] == "done"


# --- limits ---------------------------------------------------------------------------------------------------------


@virtual
async def test_a_full_server_says_so_and_takes_the_next_when_one_leaves() -> None:
    async with a_server(with_server(max_sessions=2)) as server:
        one, two = await server.connect(), await server.connect()
        third = await server.connect()
        code, _ = await third.ended()
        assert code == 1013
        error = third.messages[0]
        assert (error["type"], error["code"], error["recoverable"]) == ("error", "SESSION_LIMIT", False)
        assert error["retry_after_s"] > 0
        assert error["n"] == 1
        await one.start()
        await two.close()
        fourth = await server.connect()
        assert (await fourth.start())["session_id"]


@virtual
async def test_voice_can_be_switched_off() -> None:
    async with a_server(Settings(stream=Stream(enabled=False))) as server:
        peer = await server.connect()
        assert (await peer.ended())[0] == 1013
        assert peer.messages[0]["code"] == "OVERLOADED"


@virtual
async def test_too_many_turns_in_a_minute() -> None:
    async with a_server(with_server(turns_per_minute=2)) as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("one")
        await peer.ask("two")
        await peer.send("text", text="three")
        error = await peer.wait("error")
        assert error["code"] == "RATE_LIMITED"
        assert 0 < error["retry_after_s"] <= 60
        assert len(peer.of("metrics")) == 2


@virtual
async def test_too_many_announcements() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("text", text="hello")
        for _ in range(9):
            await peer.send("say", text="Notice.")
        assert (await peer.wait("error"))["code"] == "RATE_LIMITED"
        await peer.send("cancel")
        await peer.wait("metrics")


@virtual
async def test_a_model_that_cannot_be_loaded_is_said_at_once_and_typed_turns_work() -> None:
    class Absent(FakeRecognizer):
        async def start(self) -> None:
            raise EngineUnavailable("asr", "the model is missing", hint="vivavoce models download small-int8")

    async with a_server(asr=Absent([""])) as server:
        peer = await server.connect()
        await peer.start()
        error = await peer.wait("error")
        assert error["code"] == "MODEL_LOAD_FAILED"
        assert error["recoverable"] is True
        assert error["message"] == "the model is missing"
        assert error["hint"] == "vivavoce models download small-int8"
        assert not server.state.engines.ready
        assert (await peer.ask("hello"))["outcome"] == "done"
        await peer.speak(0.6)
        await peer.send("stop")
        await peer.wait("metrics", 2)
        assert peer.of("metrics")[1]["outcome"] == "failed"
        assert peer.of("error", turn=2)[0]["code"] == "MODEL_LOAD_FAILED"


# --- the server stops -----------------------------------------------------------------------------------------------


@virtual
async def test_everybody_is_told_and_nobody_new_is_taken() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        talking, idle, fresh = [await server.connect() for _ in range(3)]
        await talking.start()
        await idle.start()
        await talking.send("text", text="story")
        await talking.wait("tts_chunk")
        drain = asyncio.create_task(server.state.drain())
        for peer in (talking, idle, fresh):
            await peer.until(lambda peer=peer: bool(peer.of("info")) and "retry_after_s" in peer.of("info")[-1])  # type: ignore[misc]
        late = await server.connect()
        assert (await late.ended())[0] == 1012
        assert late.messages[0]["code"] == "SHUTTING_DOWN"
        assert late.messages[0]["retry_after_s"] > 0
        assert talking.closed is None
        for peer in (talking, idle, fresh):
            assert (await peer.ended())[0] == 1012
        await drain
        assert talking.of("metrics")[0]["outcome"] == "done", "the running turn was let finish"
        advice = [peer.of("info")[-1]["retry_after_s"] for peer in (talking, idle, fresh)]
        assert len(set(advice)) == 3, "they are not sent back all at once"


@pytest.mark.parametrize("moment", ["start", "listening", "thinking", "speaking", "held"])
@virtual
async def test_a_client_that_vanishes_leaves_nothing(moment: str) -> None:
    model, recognizer = FakeModel([0.3, STORY]), FakeRecognizer(["", "go on"])
    async with a_server(llm=model, asr=recognizer) as server:
        peer = await server.connect()
        if moment != "start":
            await peer.start(audio_out="pcm")
        if moment == "listening":
            await peer.speak(0.5)
        if moment in ("thinking", "speaking", "held"):
            await peer.send("text", text="story")
            await peer.send("ping")  # the turn is under way when this is answered
            await peer.wait("pong")
        if moment in ("speaking", "held"):
            await peer.until(lambda: bool(peer.frames))
        if moment == "held":
            await peer.speak(0.2)
            await peer.wait("hold")
        began = asyncio.get_running_loop().time()
        await peer.vanish()
        assert asyncio.get_running_loop().time() - began < 1.0
        assert model.streams == recognizer.streams == 0
        assert not len(server.state.sessions)
