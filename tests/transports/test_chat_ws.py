"""`/ws/chat/stream` in virtual time: the answer as text and speech, memory, and clients that do not wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from unittest import mock

import pytest

from kit import FakeModel, FakeVoice
from transports.chat import asked, complete, failure, path, sound_of
from transports.wire import App, a_server, in_order, virtual
from vivavoce.agent import Agent, Asked
from vivavoce.engines.base import ChatRequest, Delta, Voice
from vivavoce.errors import EngineFailed
from vivavoce.events import State, ToolStarted
from vivavoce.memory.base import Turn
from vivavoce.server.state import ServerState
from vivavoce.settings import Settings, Stream

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


async def remembered(server: App, conversation_id: str) -> list[Turn]:
    return await server.state.store.load(conversation_id, "local", 10)


# --- an answer ------------------------------------------------------------------------------------------------------


@virtual
async def test_the_answer_comes_as_text_and_speech_and_then_the_socket_closes() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await asked(server, "Tell me a story", language="en_US", conversation_id="c1")
        last = complete(peer)
        assert last["text"] == STORY + " "
        assert (last["outcome"], last["interrupted"], last["conversation_id"]) == ("done", False, "c1")
        assert "warning" not in last
        assert len(peer.of("token")) == len(STORY.split()) == last["metrics"]["tokens"]
        assert last["metrics"]["phrases"] == peer.of("audio_chunk")[-1]["seq"] >= 3
        streaming = peer.messages[0]
        assert (streaming["language"], streaming["voice"], streaming["sample_rate"]) == ("en_US", "fake", 8000)
        assert [(turn.user, turn.assistant) for turn in await remembered(server, "c1")] == [("Tell me a story", STORY)]


@virtual
async def test_its_metrics_are_those_of_the_clock() -> None:
    async with a_server(llm=FakeModel("One two three four. ", gap_s=0.1), tts=FakeVoice(delay_s=0.25)) as server:
        await server.state.started()
        peer = await asked(server)
    metrics = complete(peer)["metrics"]
    assert metrics["ttft_ms"] == pytest.approx(100, abs=1)
    assert metrics["tokens_per_s"] == pytest.approx(10, abs=0.1)
    assert metrics["first_audio_ms"] == pytest.approx(650, abs=5)
    assert metrics["total_ms"] == pytest.approx(650, abs=5)


@virtual
async def test_nobody_waits_for_the_speech_to_be_played() -> None:
    """Unlike over `/ws`, where a turn lasts until the listener has heard it."""
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await asked(server)
    audio_s = sum(len(sound_of(chunk)[0]) / 2 / 8000 for chunk in peer.of("audio_chunk"))
    assert audio_s > 4
    assert peer.arrived[-1][0] - peer.arrived[0][0] < 1.0


@virtual
async def test_speech_is_made_beside_the_tokens() -> None:
    async with a_server(llm=FakeModel(STORY, gap_s=0.1)) as server:
        peer = await asked(server)
    complete(peer)
    kinds = peer.kinds()
    assert in_order(["token", "audio_chunk", "token", "audio_chunk", "token", "audio_chunk"], kinds)
    first_phrase = next(at for at, m in peer.arrived if isinstance(m, dict) and m.get("token") == "boat. ")
    first_audio = next(at for at, m in peer.arrived if isinstance(m, dict) and m["type"] == "audio_chunk")
    assert first_audio <= first_phrase + 0.02


@virtual
async def test_without_any_boundary_speech_begins_after_some_fifty_characters() -> None:
    async with a_server(llm=FakeModel("word " * 40, gap_s=0.01)) as server:
        peer = await asked(server)
    complete(peer)
    before = peer.messages[: peer.kinds().index("audio_chunk")]
    assert 40 <= len(before[-1]["text"]) <= 60


@virtual
async def test_a_conversation_is_remembered_and_one_without_an_id_has_its_own() -> None:
    llm = FakeModel("Nice to meet you.")
    async with a_server(llm=llm) as server:
        await asked(server, "My name is Alice", conversation_id="c1")
        await asked(server, "What is my name?", conversation_id="c1")
        other = await asked(server, "What is my name?")
    said = [[(m.role, m.content) for m in request.messages] for request in llm.requests]
    first = ("user", "My name is Alice")
    assert said[1] == [first, ("assistant", "Nice to meet you."), ("user", "What is my name?")]
    assert said[2] == [("user", "What is my name?")]
    assert len(complete(other)["conversation_id"]) == 32


@virtual
async def test_two_chats_on_one_conversation_take_turns() -> None:
    llm = FakeModel(STORY, gap_s=0.05)
    async with a_server(llm=llm) as server:
        one, two = await asyncio.gather(*(server.connect(path(text, conversation_id="c1")) for text in ("one", "two")))
        await one.ended()
        await two.ended()
    complete(one)
    complete(two)
    assert [m.content for m in llm.requests[1].messages] == ["one", STORY, "two"]
    first_of_two = next(at for at, m in two.arrived if isinstance(m, dict) and m["type"] == "token")
    assert first_of_two > one.arrived[-1][0] - 0.1


@virtual
async def test_a_chat_waits_for_a_voice_session_on_the_same_conversation() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        voice = await server.connect()
        await voice.start(conversation_id="c1")
        await voice.send("text", text="by voice")
        await voice.wait("llm_token")
        chat = await asked(server, "by chat", conversation_id="c1")
        assert len(complete(chat)["text"]) > 10
        assert voice.of("metrics"), "its turn was over first"
        assert [turn.user for turn in await remembered(server, "c1")] == ["by voice", "by chat"]


@virtual
async def test_text_only_where_no_speech_is_wanted() -> None:
    voice = FakeVoice()
    async with a_server(llm=FakeModel(STORY), tts=voice) as server:
        peer = await asked(server, audio="false")
    last = complete(peer)
    assert last["metrics"]["first_audio_ms"] is None
    assert "warning" not in last
    assert peer.messages[0]["voice"] is None
    assert not peer.of("audio_chunk")
    assert not voice.spoken


@virtual
async def test_what_an_agent_shows_besides_is_passed_on() -> None:
    class Shows(Agent):
        async def respond(self, asked: Asked) -> AsyncGenerator[Delta, None]:
            asked.session.show("lamp", "on")
            asked.emit(ToolStarted(id="1", name="light", arguments={"on": True}))
            asked.session.say("And a second turn, which nobody waits for.")
            yield Delta("Done.", finish="stop")

    async with a_server(agent=Shows()) as server:
        peer = await asked(server)
    last = complete(peer)
    assert last["text"] == "Done."
    assert [(m["name"], m["value"]) for m in peer.of(State.__struct_config__.tag)] == [("lamp", "on")]
    assert [m["arguments"] for m in peer.of(ToolStarted.__struct_config__.tag)] == [{"on": True}]


@virtual
async def test_a_flow_answers_where_one_is_named() -> None:
    class Booking(Agent):
        async def respond(self, asked: Asked) -> AsyncGenerator[Delta, None]:
            yield Delta(f"Booked: {asked.text}", finish="stop")

    async with a_server() as server:
        with mock.patch.object(ServerState, "agent_for", return_value=Booking()) as agent_for:
            peer = await asked(server, "a table", flow="booking")
    agent_for.assert_called_once_with("booking")
    assert complete(peer)["text"] == "Booked: a table"


@virtual
async def test_an_answer_that_breaks_off_says_so() -> None:
    llm = FakeModel("The first words")
    llm.finish = None
    async with a_server(llm=llm) as server:
        last = complete(await asked(server, conversation_id="c1"))
        assert (last["outcome"], last["text"]) == ("incomplete", "The first words ")
        assert [turn.outcome for turn in await remembered(server, "c1")] == ["incomplete"]


@virtual
async def test_an_empty_answer_is_complete() -> None:
    async with a_server(llm=FakeModel([])) as server:
        last = complete(await asked(server))
    assert last["text"] == ""
    assert last["metrics"]["ttft_ms"] is last["metrics"]["tokens_per_s"] is None


@virtual
async def test_an_endless_answer_is_bounded() -> None:
    async with a_server(llm=FakeModel(["0123456789" * 10] * 1000, gap_s=0.0)) as server:
        last = complete(await asked(server, audio="false"))
    assert len(last["text"]) == 20_000


# --- speech that fails ----------------------------------------------------------------------------------------------


@virtual
async def test_a_voice_that_is_down_leaves_the_text_and_a_note() -> None:
    voice = FakeVoice(faults={"": EngineFailed("tts", "the voice broke")})
    async with a_server(llm=FakeModel(STORY), tts=voice) as server:
        peer = await asked(server, conversation_id="c1")
        last = complete(peer)
        assert last["text"].strip() == STORY
        assert (last["outcome"], last["interrupted"]) == ("done", False)
        assert "the voice broke" in last["warning"]
        assert [turn.assistant for turn in await remembered(server, "c1")] == [STORY]


@virtual
async def test_a_phrase_that_cannot_be_spoken_is_missing_and_told() -> None:
    voice = FakeVoice(faults={"sailed": EngineFailed("tts", "the voice broke")})
    async with a_server(llm=FakeModel(STORY), tts=voice) as server:
        peer = await asked(server)
    assert complete(peer)["warning"] == "the voice broke"
    spoken = {chunk["seq"] for chunk in peer.of("audio_chunk")}
    assert 2 not in spoken
    assert {1, 3} <= spoken


@virtual
async def test_a_voice_that_hangs_is_given_up() -> None:
    voice = FakeVoice(faults={"": 1e6})
    async with a_server(llm=FakeModel("Only this."), tts=voice) as server:
        peer = await asked(server)
    assert "in time" in complete(peer)["warning"]
    assert peer.arrived[-1][0] - peer.arrived[0][0] < 11


@virtual
async def test_without_any_voice_every_language_is_answered_in_writing() -> None:
    voice = FakeVoice()
    voice.voices = ()
    async with a_server(llm=FakeModel(STORY), tts=voice) as server:
        peer = await asked(server, language="fr_FR")
    assert "no speech" in complete(peer)["warning"]
    assert "no speech" in peer.messages[0]["warning"]
    assert not peer.of("audio_chunk")


@virtual
async def test_the_language_and_the_voice_are_chosen() -> None:
    voice = FakeVoice()
    ids = {"en": "en_US", "fr": "fr_FR", "fr-be": "fr_BE"}
    voice.voices = tuple(
        Voice(id=name, language=language, name=name, engine="fake", sample_rate=8000) for name, language in ids.items()
    )
    async with a_server(tts=voice) as server:
        for language, wanted, chosen in [
            ("fr_FR", None, "fr"),
            ("fr", None, "fr"),
            ("FR-be", None, "fr-be"),
            ("fr_CA", None, "fr"),
            (None, None, "en"),
            ("", "", "en"),
            ("fr_FR", "fr-be", "fr-be"),
            ("fr_FR", "nobody", "fr"),
        ]:
            peer = await asked(server, language=language, voice=wanted)
            complete(peer)
            assert peer.messages[0]["voice"] == chosen, (language, wanted)
            assert ("warning" in peer.messages[0]) == (wanted == "nobody")
        assert failure(await asked(server, language="de_DE")) == (404, 1008)


# --- clients that do not wait ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006])
@virtual
async def test_a_client_that_goes_away_ends_the_generation_and_memory_keeps_what_was_sent(code: int) -> None:
    llm, loop = FakeModel(STORY, gap_s=0.1), asyncio.get_running_loop()
    async with a_server(llm=llm) as server:
        peer = await server.connect(path("Tell me a story", conversation_id="c1"))
        await peer.wait("token", 9)
        assert llm.streams == 1
        left_at = loop.time()
        await peer.leave(code)
        assert llm.streams == 0
        assert loop.time() - left_at < 1.0
        assert not len(server.state.sessions)
        (turn,) = await remembered(server, "c1")
        assert (turn.assistant, turn.interrupted) == ("Once upon a time there was a boat. It", True)
        following = await asked(server, "Go on", conversation_id="c1")
        complete(following)
    assert [m.interrupted for m in llm.requests[1].messages] == [False, True, False]


@virtual
async def test_one_that_waits_for_the_conversation_may_leave_as_well() -> None:
    llm = FakeModel(STORY, gap_s=0.1)
    async with a_server(llm=llm) as server:
        first = await server.connect(path("one", conversation_id="c1"))
        await first.wait("token")
        second = await server.connect(path("two", conversation_id="c1"))
        third = await server.connect(path("three", conversation_id="c1"))
        await second.wait("status")
        await third.wait("status")
        await second.vanish()
        await third.send("cancel")
        await first.ended()
        complete(first)
        assert complete(await asked(server, "four", conversation_id="c1"))["outcome"] == "done"
        await third.ended()
        assert complete(third)["interrupted"]
        turns = await remembered(server, "c1")
    assert len(llm.requests) == 2, "only who still wanted an answer had the model asked"
    assert sorted((turn.user, turn.assistant) for turn in turns if turn.assistant) == [("four", STORY), ("one", STORY)]


@virtual
async def test_cancel_stops_and_nothing_of_the_answer_is_kept() -> None:
    llm = FakeModel(STORY, gap_s=0.1)
    async with a_server(llm=llm) as server:
        peer = await server.connect(path(conversation_id="c1"))
        await peer.wait("token", 5)
        await peer.send("cancel", extra=1)
        await peer.send("cancel")
        await peer.ended()
        last = complete(peer)
        assert (last["outcome"], last["interrupted"], last["message"]) == ("interrupted", True, "stopped")
        assert len(peer.of("token")) == 5
        assert llm.streams == 0
        assert [turn.assistant for turn in await remembered(server, "c1")] == [""]


@pytest.mark.parametrize(
    "frame", ["", "hello", "[]", "null", '{"type": 7}', '{"type": "ping"}', "\0", "9" * 60_000, "[" * 900, b"\x00\xff"]
)
@virtual
async def test_other_frames_are_ignored(frame: str | bytes) -> None:
    async with a_server(llm=FakeModel(STORY, gap_s=0.1)) as server:
        peer = await server.connect(path())
        await peer.wait("token", 2)
        await peer.send_raw(frame)
        await peer.ended()
    assert complete(peer)["outcome"] == "done"


@pytest.mark.parametrize("kind", ["cancel", "ping"])
@virtual
async def test_a_flood_of_frames_is_closed(kind: str) -> None:
    llm = FakeModel(STORY, gap_s=1.0)
    async with a_server(llm=llm) as server:
        peer = await server.connect(path())
        await peer.wait("token")
        for _ in range(20):
            await peer.send_raw(json.dumps({"type": kind}))
        await peer.ended()
    if kind == "ping":
        assert failure(peer) == (429, 1008)
    assert peer.closed is not None
    assert peer.closed[0] == (1008 if kind == "ping" else 1000)
    assert llm.streams == 0


@virtual
async def test_a_client_that_reads_nothing_is_closed_and_generation_waits() -> None:
    settings = Settings(stream=Stream(outgoing_bytes=1 << 16))
    llm, loop = FakeModel([STORY + " "] * 200, gap_s=0.01), asyncio.get_running_loop()
    async with a_server(settings, llm=llm) as server:
        peer = await server.connect(path())
        await peer.wait("audio_chunk")
        stalled_at = loop.time()
        peer.stall()
        (connection,) = server.state.sessions.connections
        await connection.ended()
        assert 9 < loop.time() - stalled_at < 13
        assert llm.streams == 0


class Slow(FakeModel):
    """Says how much of it was taken."""

    taken = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        async for delta in super().stream(request):
            self.taken += 1
            yield delta


@virtual
async def test_a_slow_client_gets_all_of_it_while_the_model_waits() -> None:
    settings = Settings(stream=Stream(outgoing_bytes=1 << 14))
    llm = Slow([STORY + " "] * 40, gap_s=0.0)
    async with a_server(settings, llm=llm) as server:
        peer = await server.connect(path())
        for _ in range(6):
            await peer.wait("token")
            peer.stall()
            await asyncio.sleep(5.0)
            assert llm.taken < 40
            peer.read_on()
            await asyncio.sleep(0.02)
        await peer.ended()
    last = complete(peer)
    assert last["text"] == (STORY + " ") * 40
    assert len({chunk["seq"] for chunk in peer.of("audio_chunk")}) == last["metrics"]["phrases"]
