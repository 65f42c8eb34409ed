"""Opening a stream and changing it: `start`, `update`, `ping`, and what answers them."""

from __future__ import annotations

import re

import pytest

from transports.wire import Json, MemoryPeer, a_server, virtual

SESSION_ID = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize("path", ["/ws", "/ws2", "/ws_legacy"])
@virtual
async def test_start_is_answered_by_info(path: str) -> None:
    async with a_server() as server:
        peer = await server.connect(path)
        info = await peer.start()
    assert info["n"] == 1
    assert SESSION_ID.fullmatch(info["session_id"])
    assert info["conversation_id"]
    assert info["output_sample_rate"] == 8000
    assert info["audio_out"] == "wav_b64"
    assert info["message"]
    assert "turn_id" not in info


@virtual
async def test_session_ids_differ_and_numbers_count_from_one() -> None:
    async with a_server() as server:
        first, second = await server.connect(), await server.connect()
        one, two = await first.start(), await second.start()
        await first.send("ping", id=1)
        assert (await first.wait("pong"))["n"] == 2
    assert one["session_id"] != two["session_id"]
    assert one["conversation_id"] != two["conversation_id"]
    assert one["n"] == two["n"] == 1


@virtual
async def test_the_session_says_what_is_in_force() -> None:
    async with a_server() as server:
        peer = await server.connect()
        info = await peer.start(sample_rate=48000, language="en-us", vad_silence_ms=900, partial_interval_ms=250)
    session = info["session"]
    assert session["sample_rate"] == 48000
    assert session["language"] == "en_US"
    assert session["vad_silence_ms"] == 900
    assert session["partial_interval_ms"] == 250
    assert session["mode"] == "hands_free"
    assert session["interruptible"] is True


@pytest.mark.parametrize("audio_out", ["wav_b64", "pcm"])
@virtual
async def test_the_wanted_form_of_speech(audio_out: str) -> None:
    async with a_server() as server:
        peer = await server.connect()
        assert (await peer.start(audio_out=audio_out))["audio_out"] == audio_out


@virtual
async def test_opus_falls_back_to_pcm_with_a_warning() -> None:
    async with a_server() as server:
        peer = await server.connect()
        info = await peer.start(audio_out="opus")
    assert info["audio_out"] == "pcm"
    assert "opus" in info["warning"]


@pytest.mark.parametrize("language", ["en", "en-US", "en_US", "EN-us"])
@virtual
async def test_spellings_of_a_language_are_equal(language: str) -> None:
    async with a_server() as server:
        peer = await server.connect()
        info = await peer.start(language=language)
    assert info["session"]["language"] == "en_US"
    assert "warning" not in info


@virtual
async def test_a_language_nobody_recognises_is_a_warning_and_typed_turns_work() -> None:
    async with a_server() as server:
        peer = await server.connect()
        info = await peer.start(language="fr_FR")
        assert "fr_FR" in info["warning"]
        assert (await peer.ask("bonjour"))["outcome"] == "done"


@virtual
async def test_fields_nobody_knows_are_ignored() -> None:
    async with a_server() as server:
        peer = await server.connect()
        info = await peer.start(colour="green", nested={"a": [1, 2, {"b": None}]}, voice=None)
    assert info["type"] == "info"


@virtual
async def test_ping_is_answered_with_its_own_id_also_before_start() -> None:
    async with a_server() as server:
        peer = await server.connect()
        for count, own in enumerate(["a", 7, 2.5, None], start=1):
            await peer.send("ping", id=own)
            assert (await peer.wait("pong", count))["id"] == own
        await peer.start()
        await peer.send("ping", id="later")
        assert (await peer.wait("pong", 5))["id"] == "later"


# --- update ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("voice", "fake"),
        ("language", "en_GB"),
        ("vad_silence_ms", 400),
        ("partial_interval_ms", 200),
        ("mode", "push_to_talk"),
        ("mode", "asr_only"),
        ("interruptible", False),
    ],
)
@virtual
async def test_update_is_answered_by_what_is_in_force(field: str, value: object) -> None:
    async with a_server() as server:
        peer = await server.connect()
        before = (await peer.start())["session"]
        await peer.send("update", **{field: value})
        now = (await peer.wait("info", 2))["session"]
    assert now[field] == value
    assert {**now, field: None} == {**before, field: None}, "nothing else changed"


@virtual
async def test_updated_instructions_reach_the_model() -> None:
    from kit import FakeModel

    model = FakeModel("Aye.")
    async with a_server(llm=model) as server:
        peer = await server.connect()
        await peer.start(instructions="Talk like a judge.")
        await peer.ask("hello")
        await peer.send("update", instructions="Talk like a pirate.")
        await peer.wait("info", 2)
        await peer.ask("hello")
    assert [request.instructions for request in model.requests] == ["Talk like a judge.", "Talk like a pirate."]


@virtual
async def test_an_updated_silence_ends_utterances_sooner() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start(vad_silence_ms=5000)
        await peer.send("update", vad_silence_ms=300)
        await peer.wait("info", 2)
        await peer.speak(0.6)
        await peer.hush(0.6)
        await peer.wait("metrics")
        endpoint = next(m for m in peer.of("decision") if m["what"] == "endpoint")
    assert endpoint["reason"] == "silence"
    assert endpoint["setting"] == "vad_silence_ms"
    assert 290 <= endpoint["values"]["silence_ms"] <= 340


REFUSED: list[tuple[str, Json, str]] = [
    ("start", {"sample_rate": 7999}, "BAD_SAMPLE_RATE"),
    ("start", {"sample_rate": 48001}, "BAD_SAMPLE_RATE"),
    ("start", {"sample_rate": -16000}, "BAD_SAMPLE_RATE"),
    ("start", {"sample_rate": "fast"}, "BAD_SAMPLE_RATE"),
    ("start", {"sample_rate": 16000.5}, "BAD_SAMPLE_RATE"),
    ("start", {"sample_rate": 10**30}, "BAD_SAMPLE_RATE"),
    ("start", {"encoding": "flac"}, "BAD_MESSAGE"),
    ("start", {"mode": "psychic"}, "BAD_MESSAGE"),
    ("start", {"audio_out": "mp3"}, "BAD_MESSAGE"),
    ("start", {"language": "../../etc"}, "BAD_MESSAGE"),
    ("start", {"language": 5}, "BAD_MESSAGE"),
    ("start", {"vad_silence_ms": 0}, "BAD_MESSAGE"),
    ("start", {"partial_interval_ms": 10**9}, "BAD_MESSAGE"),
    ("start", {"conversation_id": "a/b"}, "BAD_MESSAGE"),
    ("start", {"conversation_id": ""}, "BAD_MESSAGE"),
    ("start", {"conversation_id": "x" * 129}, "BAD_MESSAGE"),
    ("start", {"instructions": "x" * 20_001}, "BAD_MESSAGE"),
    ("start", {"last_n": "first"}, "BAD_MESSAGE"),
]


@pytest.mark.parametrize(("kind", "fields", "code"), REFUSED)
@virtual
async def test_a_start_that_cannot_be_is_refused_and_the_next_one_works(kind: str, fields: Json, code: str) -> None:
    async with a_server() as server:
        peer = await server.connect()
        await refused(peer, kind, fields, code)
        assert (await peer.start())["session_id"]


@pytest.mark.parametrize(
    "fields",
    [{"mode": "loud"}, {"vad_silence_ms": -1}, {"interruptible": "yes"}, {"language": "?"}, {"instructions": 3}],
)
@virtual
async def test_an_update_that_cannot_be_changes_nothing(fields: Json) -> None:
    async with a_server() as server:
        peer = await server.connect()
        before = (await peer.start())["session"]
        await refused(peer, "update", fields, "BAD_MESSAGE")
        await peer.send("update")
        assert (await peer.wait("info", 2))["session"] == before


async def refused(peer: MemoryPeer, kind: str, fields: Json, code: str) -> None:
    await peer.send(kind, **fields)
    error = await peer.wait("error")
    assert error["code"] == code
    assert error["recoverable"] is True
    named = next(iter(fields))
    assert named in error["message"], "the message says which field"
