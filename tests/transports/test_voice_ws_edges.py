"""What else a client may do, and see: keys, debugging, timers, answers without a word, floods of pings."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from kit import FakeModel, FakeRecognizer, FakeVoice
from transports.wire import CLOSING, a_server, check_laws, virtual
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.memory.volatile import MemoryStore
from vivavoce.settings import Server, Settings, Stream

KEY = "correct-horse"
STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


@virtual
async def test_a_key_opens_the_door() -> None:
    settings = msgspec.structs.replace(Settings(), server=Server(api_key=KEY))
    async with a_server(settings) as server:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            stranger = await server.connect(headers=headers)
            assert (await stranger.ended())[0] == 1008
            assert stranger.messages[0]["code"] == "UNAUTHORIZED"
            stranger.messages.clear()
        friend = await server.connect(headers={"authorization": f"Bearer {KEY}"})
        assert (await friend.start())["session_id"]


@pytest.mark.parametrize("debug", [True, False])
@virtual
async def test_debug_messages_come_only_when_wanted(debug: bool) -> None:
    async with a_server(Settings(stream=Stream(debug=debug))) as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(0.6)
        await peer.hush(1.0)
        await peer.wait("metrics")
    shown = [m["event"] for m in peer.of("debug")]
    assert shown == (["t_partial_first", "t_finalize_start"] if debug else [])


@pytest.mark.parametrize("answer", ["", "\U0001f44d", "...", " "])
@virtual
async def test_an_answer_with_nothing_to_say_is_done(answer: str) -> None:
    async with a_server(llm=FakeModel([answer] if answer else [])) as server:
        peer = await server.connect()
        await peer.start()
        assert (await peer.ask("hello"))["outcome"] == "done"
        assert [m["type"] for m in peer.of(*CLOSING, turn=1)] == ["tts_complete"]
        assert peer.of("llm_token")[-1]["done"] is True
        assert peer.of("tts_chunk") == []


@virtual
async def test_without_a_voice_for_the_language_the_answer_is_text() -> None:
    async with a_server() as server:
        peer = await server.connect()
        info = await peer.start(language="de_DE")
        assert info["warning"]
        assert (await peer.ask("hallo"))["outcome"] == "done"
        assert peer.of("llm_token")
        assert peer.of("tts_chunk", "error") == []


@virtual
async def test_a_timer_that_rings_is_a_turn_of_the_agent() -> None:
    async with a_server(llm=OfflineChat()) as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("set a timer for ten seconds")
        asked = asyncio.get_running_loop().time()
        await peer.wait("metrics", 2)
        rung = [m for m in peer.messages if m.get("turn_id") == 2]
        assert all(m["initiator"] == "agent" for m in rung if m["type"] != "decision")
        assert "timer" in "".join(m["text"] for m in rung if m["type"] == "phrase")
        assert asyncio.get_running_loop().time() - asked > 7.0


@virtual
async def test_a_guess_has_no_effect_until_it_is_confirmed() -> None:
    """The answer begins in the pause; the speaker goes on; no trace of the guess is left."""
    store, model = MemoryStore(), FakeModel("Fine.")
    async with a_server(llm=model, asr=FakeRecognizer(["well then"]), store=store) as server:
        peer = await server.connect()
        await peer.start(conversation_id="c", vad_silence_ms=900)
        await peer.speak(0.7)
        await peer.hush(0.5)
        assert len(model.requests) == 1, "the guess was asked for"
        assert peer.of("llm_token", "tts_chunk", "final_transcript") == []
        await peer.send("cancel")
        await peer.hush(1.5)
        assert model.streams == 0
        assert await store.load("c", "local", 5) == []
    assert peer.of("llm_token", "metrics", "interrupted") == []
    assert "preempt" in [m["what"] for m in peer.of("decision")]


@virtual
async def test_a_flood_of_pings_that_is_never_read_stays_bounded() -> None:
    async with a_server(Settings(stream=Stream(outgoing_bytes=65_536, send_timeout_s=60.0))) as server:
        peer = await server.connect()
        await peer.start()
        connection = server.state.sessions.connections[0]
        assert connection.session is not None
        peer.stall()
        for number in range(20_000):
            await peer.send("ping", id=number)
        await asyncio.sleep(1.0)
        assert len(connection.session.outbox) < 3000
        peer.read_on()
        await peer.wait("pong", 20_000)
        assert [m["id"] for m in peer.of("pong")] == list(range(20_000))


@virtual
async def test_a_full_outbox_does_not_keep_cancel_from_being_read() -> None:
    model = FakeModel([STORY + " "] * 50, gap_s=0.0)
    async with a_server(Settings(stream=Stream(outgoing_bytes=65_536)), llm=model) as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("text", text="story")
        await peer.wait("tts_chunk")
        peer.stall()
        await asyncio.sleep(2.0)
        await peer.send("cancel")
        await asyncio.sleep(0.1)
        assert model.streams == 0
        seen = len(peer.of("tts_chunk"))
        peer.read_on()
        await peer.wait("metrics")
        assert len(peer.of("tts_chunk")) <= seen + 1, "what waited was taken back"


@virtual
async def test_typing_while_speaking() -> None:
    async with a_server(asr=FakeRecognizer(["spoken words"])) as server:
        peer = await server.connect()
        await peer.start()
        await peer.speak(0.5)
        await peer.send("text", text="typed words")
        await peer.hush(1.0)
        await peer.wait("metrics", 2)
        outcomes = {m["turn_id"]: m["outcome"] for m in peer.of("metrics")}
    assert outcomes == {1: "interrupted", 2: "done"}
    check_laws(peer)


@virtual
async def test_a_voice_that_fails_once_loses_one_phrase() -> None:
    from vivavoce.errors import EngineFailed

    voice = FakeVoice(faults={"sailed": EngineFailed("tts", "died")})
    async with a_server(llm=FakeModel(STORY), tts=voice) as server:
        peer = await server.connect()
        await peer.start()
        assert (await peer.ask("story"))["outcome"] == "done"
        errors = peer.of("error")
        assert [(m["code"], "turn_id" in m) for m in errors] == [("TTS_FAILED", False)]
        assert [m["seq"] for m in peer.of("tts_phrase_done")] == [1, 3]
