"""Bad messages: each gets a typed error that names it, and the session lives on; too many end it."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from transports.wire import a_server, virtual
from vivavoce.transports.voice_ws import MAX_JSON, MAX_TEXT

NESTED = '{"type": "start", "x": ' + "[" * 30_000 + "]" * 30_000 + "}"
BAD: list[tuple[str, str, str]] = [
    ("", "BAD_MESSAGE", ""),
    ("not json", "BAD_MESSAGE", ""),
    ('{"type": "start"', "BAD_MESSAGE", ""),
    ("[]", "BAD_MESSAGE", ""),
    ("null", "BAD_MESSAGE", ""),
    ('"start"', "BAD_MESSAGE", ""),
    ("3", "BAD_MESSAGE", ""),
    ("{}", "BAD_MESSAGE", "type"),
    ('{"text": "hi"}', "BAD_MESSAGE", "type"),
    ('{"type": 5}', "UNKNOWN_TYPE", ""),
    ('{"type": null}', "UNKNOWN_TYPE", ""),
    ('{"type": "dance"}', "UNKNOWN_TYPE", "dance"),
    ('{"type": "Start"}', "UNKNOWN_TYPE", "Start"),
    ('{"type": "metrics"}', "UNKNOWN_TYPE", "metrics"),
    ('{"type": "text"}', "BAD_MESSAGE", "text"),
    ('{"type": "text", "text": 5}', "BAD_MESSAGE", "text"),
    ('{"type": "text", "text": ""}', "BAD_MESSAGE", "text"),
    ('{"type": "text", "text": " \\n "}', "BAD_MESSAGE", "text"),
    (json.dumps({"type": "text", "text": "x" * (MAX_TEXT + 1)}), "BAD_MESSAGE", "text"),
    ('{"type": "text", "text": NaN}', "BAD_MESSAGE", ""),
    ('{"type": "text", "text": "\\ud800"}', "BAD_MESSAGE", ""),
    ('{"type": "say", "text": "hi", "interruptible": 1}', "BAD_MESSAGE", "say"),
    ('{"type": "say"}', "BAD_MESSAGE", "say"),
    ('{"type": "played", "turn_id": 1, "seq": 1}', "BAD_MESSAGE", "played"),
    ('{"type": "played", "turn_id": 1, "seq": 1, "ms": NaN}', "BAD_MESSAGE", ""),
    ('{"type": "played", "turn_id": 1, "seq": 1, "ms": Infinity}', "BAD_MESSAGE", ""),
    ('{"type": "played", "turn_id": 1, "seq": 1, "ms": 1e999}', "BAD_MESSAGE", "played"),
    ('{"type": "played", "turn_id": "one", "seq": 1, "ms": 1}', "BAD_MESSAGE", "played"),
    ('{"type": "ping", "id": {"a": 1}}', "BAD_MESSAGE", "ping"),
    ('{"type": "update", "mode": []}', "BAD_MESSAGE", "update"),
    (NESTED, "BAD_MESSAGE", ""),
    ('{"type": "ping", "id": "' + "x" * MAX_JSON + '"}', "FRAME_TOO_LARGE", str(MAX_JSON)),
    ("\x00\x01\x02", "BAD_MESSAGE", ""),
    ('{"type": "ping"} {"type": "ping"}', "BAD_MESSAGE", ""),
]


@pytest.mark.parametrize("started", [True, False], ids=["started", "before start"])
@pytest.mark.parametrize(("text", "code", "named"), BAD, ids=[repr(text[:40]) for text, _, _ in BAD])
@virtual
async def test_a_bad_message_is_named_and_the_session_lives(text: str, code: str, named: str, started: bool) -> None:
    async with a_server() as server:
        peer = await server.connect()
        if started:
            await peer.start()
        await peer.send_raw(text)
        error = await peer.wait("error")
        if not started and error["code"] == "NOT_STARTED":
            code, named = "NOT_STARTED", json.loads(text)["type"]
        assert error["code"] == code
        assert named in error["message"]
        assert error["recoverable"] is True
        assert "\x00" not in error["message"]
        if not started:
            await peer.start()
        assert (await peer.ask("still there?"))["outcome"] == "done"
    assert peer.closed is not None
    assert peer.closed[0] == 1006, "the server did not close"


@pytest.mark.parametrize(
    "message",
    [
        {"type": "stop"},
        {"type": "cancel"},
        {"type": "text", "text": "hi"},
        {"type": "say", "text": "hi"},
        {"type": "update", "mode": "asr_only"},
        {"type": "played", "turn_id": 1, "seq": 1, "ms": 3},
    ],
    ids=lambda message: message["type"],
)
@virtual
async def test_nothing_works_before_start(message: dict[str, object]) -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.send(**message)  # type: ignore[arg-type]
        error = await peer.wait("error")
        assert error["code"] == "NOT_STARTED"
        assert str(message["type"]) in error["message"]
        await peer.start()


@virtual
async def test_what_a_client_wrote_comes_back_short_and_harmless() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.send_raw(json.dumps({"type": "<script>" + "x" * 5000}))
        error = await peer.wait("error")
    assert len(error["message"]) < 200


@virtual
async def test_twenty_bad_messages_in_ten_seconds_close_the_connection() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        for _ in range(19):
            await peer.send_raw("junk")
        await peer.send("ping", id=1)
        await peer.wait("pong")
        await peer.send_raw("junk")
        assert await peer.ended() == (1008, "too many bad messages")
    assert len(peer.of("error")) == 20, "each was answered"


@virtual
async def test_bad_messages_far_apart_are_forgiven() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        for _ in range(60):
            await peer.send_raw("junk")
            await asyncio.sleep(0.6)
        await peer.send("ping", id=1)
        await peer.wait("pong")


@virtual
async def test_oversized_frames_count_as_bad() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        for _ in range(20):
            await peer.send_raw(bytes(64_002))
        assert (await peer.ended())[0] == 1008
    assert {m["code"] for m in peer.of("error")} == {"FRAME_TOO_LARGE"}


@virtual
async def test_a_second_start_is_refused_only_while_an_utterance_is_open() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("start")
        assert (await peer.wait("error"))["code"] == "ALREADY_STARTED"
        await peer.speak(0.5)
        await peer.send("start", vad_silence_ms=300)
        assert (await peer.wait("error", 2))["code"] == "ALREADY_STARTED"
        await peer.send("stop")
        again = await peer.start(vad_silence_ms=333)
        assert again["session"]["vad_silence_ms"] == 333
        await peer.wait("metrics")


@virtual
async def test_a_stranger_s_conversation_does_not_exist() -> None:
    from vivavoce.memory.base import Turn
    from vivavoce.memory.volatile import MemoryStore

    store = MemoryStore()
    await store.append(
        Turn(conversation_id="hers", turn_id=1, user="hi", assistant="hello", at=time.time()), "somebody else"
    )
    async with a_server(store=store) as server:
        peer = await server.connect()
        await peer.send("start", conversation_id="hers")
        error = await peer.wait("error")
        assert error["code"] == "BAD_MESSAGE"
        assert error["recoverable"] is False
        assert (await peer.ended())[0] == 1008
