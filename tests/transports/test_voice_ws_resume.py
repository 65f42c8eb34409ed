"""Coming back after a lost socket."""

from __future__ import annotations

import asyncio

import pytest

from kit import FakeModel
from transports.wire import MemoryPeer, a_server, check_laws, virtual
from vivavoce.memory.volatile import MemoryStore
from vivavoce.settings import Settings, Stream

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


def whole(first: MemoryPeer, second: MemoryPeer) -> list[dict[str, object]]:
    """All messages of a session over two sockets, each number once."""
    last = first.messages[-1]["n"]
    rows = [*first.messages, *second.messages]
    assert [m["n"] for m in rows] == list(range(1, len(rows) + 1)), [m["n"] for m in rows]
    assert second.messages[0]["n"] == last + 1
    return rows


@pytest.mark.parametrize("audio_out", ["wav_b64", "pcm"])
@virtual
async def test_what_was_missed_is_sent_again_with_its_old_numbers(audio_out: str) -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        first = await server.connect()
        info = await first.start(audio_out=audio_out)
        await first.send("text", text="story")
        await first.until(lambda: bool(first.of("tts_chunk") or first.frames))
        await first.vanish()

        second = await server.connect()
        await second.send("start", session_id=info["session_id"], last_n=first.messages[-1]["n"], audio_out=audio_out)
        resumed = await second.wait("info")
        assert resumed["resumed"] is True
        assert resumed["session_id"] == info["session_id"]
        assert resumed["conversation_id"] == info["conversation_id"]
        assert second.kinds()[-1] == "info", "what was missed comes before"
        metrics = await second.ask("and then?")
        assert metrics["turn_id"] == 2, "turns go on counting"
        rows = whole(first, second)
    cut = [m for m in rows if m["type"] == "interrupted"]
    assert [(m["reason"], m["turn_id"]) for m in cut] == [("disconnect", 1)]
    ends = [(m["turn_id"], m["outcome"]) for m in rows if m["type"] == "metrics"]
    assert ends == [(1, "interrupted"), (2, "done")]


@virtual
async def test_a_client_that_stalled_before_it_was_lost_misses_nothing() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        first = await server.connect()
        info = await first.start()
        first.stall()
        await first.send("text", text="story")
        await asyncio.sleep(1.0)  # the model writes into the outbox
        await first.vanish()
        second = await server.connect()
        await second.send("start", session_id=info["session_id"], last_n=first.messages[-1]["n"])
        await second.wait("info")
        rows = whole(first, second)
        tokens = [m["text"] for m in rows if m["type"] == "llm_token"]
        assert tokens[:2] == ["Once ", "upon "]


@virtual
async def test_asking_again_for_all_of_it() -> None:
    async with a_server() as server:
        first = await server.connect()
        info = await first.start()
        await first.ask("hello")
        await first.vanish()
        second = await server.connect()
        await second.send("start", session_id=info["session_id"], last_n=0)
        await second.wait("info", 2)
        assert second.messages[: len(first.messages)] == first.messages


@virtual
async def test_options_and_memory_survive() -> None:
    model = FakeModel("Fine.")
    async with a_server(llm=model) as server:
        first = await server.connect()
        info = await first.start(instructions="Be brief.", mode="push_to_talk", audio_out="pcm")
        await first.ask("my name is Alice")
        await first.vanish()
        second = await server.connect()
        again = await second.start(session_id=info["session_id"], last_n=first.messages[-1]["n"])
        assert again["session"]["mode"] == "push_to_talk"
        assert again["audio_out"] == "pcm"
        await second.ask("what is my name")
    assert model.requests[-1].instructions == "Be brief."
    assert "my name is Alice" in [m.content for m in model.requests[-1].messages]


@virtual
async def test_after_the_window_a_fresh_session_is_opened() -> None:
    async with a_server(settings=Settings(stream=Stream(resume_window_s=30.0))) as server:
        first = await server.connect()
        info = await first.start()
        await first.vanish()
        await asyncio.sleep(29.0)
        second = await server.connect()
        assert (await second.start(session_id=info["session_id"], last_n=1))["resumed"] is True
        await second.vanish()
        await asyncio.sleep(31.0)
        third = await server.connect()
        late = await third.start(session_id=info["session_id"], last_n=1, conversation_id=info["conversation_id"])
        assert late["resumed"] is False
        assert late["session_id"] != info["session_id"]
        assert late["conversation_id"] == info["conversation_id"]
        assert late["n"] == 1


@pytest.mark.parametrize("session_id", ["", "0" * 32, "../../x", "x" * 10_000])
@virtual
async def test_a_session_nobody_had_is_a_fresh_one(session_id: str) -> None:
    async with a_server() as server:
        peer = await server.connect()
        info = await peer.start(session_id=session_id, last_n=3)
        assert info["resumed"] is False
        assert info["session_id"] != session_id


@pytest.mark.parametrize("last_n", [-1, 10**6])
@virtual
async def test_a_number_that_was_never_sent_resumes_without_a_replay(last_n: int) -> None:
    async with a_server() as server:
        first = await server.connect()
        info = await first.start()
        await first.ask("hello")
        await first.vanish()
        second = await server.connect()
        again = await second.start(session_id=info["session_id"], last_n=last_n)
        assert again["session_id"] == info["session_id"]
        assert again["resumed"] is False, "the client cannot know what it missed"
        assert again["n"] > first.messages[-1]["n"]


@virtual
async def test_what_no_longer_fits_is_not_silently_skipped() -> None:
    async with a_server(settings=Settings(stream=Stream(resume_bytes=2000))) as server:
        first = await server.connect()
        info = await first.start()
        await first.ask("hello")
        await first.vanish()
        second = await server.connect()
        again = await second.start(session_id=info["session_id"], last_n=1)
        assert again["resumed"] is False


@virtual
async def test_a_newer_connection_supersedes_the_older() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        first = await server.connect()
        info = await first.start()
        await first.send("text", text="story")
        await first.wait("tts_chunk")
        second = await server.connect()
        await second.send("start", session_id=info["session_id"], last_n=first.messages[-1]["n"])
        assert (await first.ended())[0] == 4001
        await second.until(lambda: any(m.get("resumed") for m in second.of("info")))
        assert (await second.ask("go on"))["outcome"] == "done"
        assert len(server.state.sessions) == 1
        seen = {m["n"] for m in first.messages}
        numbers = [m["n"] for m in second.messages]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert seen | set(numbers) == set(range(1, max(numbers) + 1)), "nothing is lost between the two"
    check_laws(second)


@virtual
async def test_who_said_goodbye_has_nothing_to_resume() -> None:
    async with a_server() as server:
        first = await server.connect()
        info = await first.start()
        await first.close()
        second = await server.connect()
        assert (await second.start(session_id=info["session_id"], last_n=1))["resumed"] is False


@virtual
async def test_a_drop_during_the_drop() -> None:
    """Twice lost, twice resumed; the store has each turn once."""
    store = MemoryStore()
    async with a_server(store=store, llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        info = await peer.start(conversation_id="c")
        rows = []
        for _ in range(3):
            await peer.send("text", text="story")
            await peer.wait("tts_chunk")
            await peer.vanish()
            rows += peer.messages
            peer = await server.connect()
            await peer.send("start", session_id=info["session_id"], last_n=rows[-1]["n"])
            await peer.until(lambda peer=peer: any(m.get("resumed") for m in peer.of("info")))  # type: ignore[misc]
        rows += peer.messages
        assert [m["n"] for m in rows] == list(range(1, len(rows) + 1))
        kept = await store.load("c", "local", 10)
    assert [t.turn_id for t in kept] == [1, 2, 3]
    assert [m["turn_id"] for m in rows if m["type"] == "metrics"] == [1, 2, 3]
