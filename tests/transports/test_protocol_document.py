"""`docs/protocol.md` tells the truth, and all of it."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from transports.wire import a_server, virtual
from vivavoce import events
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.session import options
from vivavoce.session.audio_in import MAX_FRAME_S
from vivavoce.transports import voice_ws

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SENT = {kind.__struct_config__.tag: kind for kind in typing.get_args(events.AnyClientMessage)}
RECEIVED = {kind.__struct_config__.tag: kind for kind in events.ServerMessage.__subclasses__()}
COMMON = {"n", "turn_id", "initiator", "type"}


def lines() -> list[tuple[str, str]]:
    """Each message in a code block, with its direction where the page shows it."""
    found = []
    for language, block in BLOCK.findall(TEXT):
        for line in block.splitlines():
            if language == "json":
                found.append(("", line))
            elif line.startswith(("> {", "< {")):
                found.append((line[0], line[2:]))
    return found


@pytest.mark.parametrize(("direction", "line"), lines(), ids=lambda part: part[:60])
def test_each_message_is_one_of_ours(direction: str, line: str) -> None:
    message = json.loads(line)
    kinds: dict[Any, type[msgspec.Struct]] = {">": SENT, "<": RECEIVED}.get(direction, SENT | RECEIVED)  # type: ignore[assignment]
    kind = kinds[message["type"]]
    msgspec.json.decode(line, type=kind)
    fields = {field.name for field in msgspec.structs.fields(kind)} | {"type"}
    assert set(message) <= fields, set(message) - fields
    if kind in RECEIVED.values():
        assert message["n"] >= 1
        required = {field.name for field in msgspec.structs.fields(kind) if field.required}
        assert required <= set(message)
    if message["type"] == "metrics":
        assert fields - {"initiator"} == set(message), "all keys, every time"


@pytest.mark.parametrize("tag", sorted(SENT | RECEIVED))
def test_every_message_and_field_is_described(tag: str) -> None:
    kind = (SENT | RECEIVED)[tag]
    assert f"`{tag}`" in TEXT
    for field in msgspec.structs.fields(kind):
        if field.name not in COMMON:
            assert f"`{field.name}`" in TEXT or f'"{field.name}"' in TEXT, field.name
    names = [field.name for field in msgspec.structs.fields(kind) if field.name not in COMMON]
    if tag in RECEIVED and tag != "metrics":
        row = next(line for line in TEXT.splitlines() if line.startswith("| ") and f"`{tag}`" in line.split("|")[1])
        assert all(f"`{name}`" in row for name in names), (tag, names)


def test_every_error_code_is_explained() -> None:
    page_codes = set(re.findall(r"`([A-Z_]{5,})`", TEXT.split("## Errors")[1]))
    assert page_codes == {
        *("BAD_MESSAGE", "UNKNOWN_TYPE", "NOT_STARTED", "ALREADY_STARTED", "BAD_SAMPLE_RATE", "BAD_AUDIO"),
        *("FRAME_TOO_LARGE", "ASR_TIMEOUT", "ASR_FAILED", "MODEL_LOAD_FAILED", "LLM_TIMEOUT", "LLM_FAILED"),
        *("TTS_TIMEOUT", "TTS_FAILED", "OVERLOADED", "RATE_LIMITED", "SESSION_LIMIT", "UNAUTHORIZED"),
        *("SHUTTING_DOWN", "INTERNAL"),
        *("FLOW_FAILED", "FLOW_LIMIT", "EXPRESSION_FAILED", "HTTP_FORBIDDEN", "HTTP_FAILED", "HTTP_TIMEOUT"),
        *("HTTP_STATUS", "TOOL_FAILED", "COMMAND_FAILED"),
    }


def test_every_reason_and_decision_outcome_and_mode_is_named() -> None:
    for values in (events.InterruptReason, events.Outcome, events.Mode, events.AudioOut):
        for value in typing.get_args(values):
            assert f"`{value}`" in TEXT, value


def test_its_figures_are_ours() -> None:
    low, high = options.RANGES_MS["vad_silence_ms"]
    assert f"silence that ends an utterance, {low} to {high}" in TEXT
    low, high = options.RANGES_MS["partial_interval_ms"]
    assert f"in this time, {low} to {high}" in TEXT
    assert f"up to {options.MAX_INSTRUCTIONS:,} characters" in TEXT
    assert f"up to {voice_ws.MAX_TEXT:,} characters" in TEXT
    assert f"{voice_ws.MAX_JSON // 1024} KiB of JSON" in TEXT
    assert f"more than {MAX_FRAME_S:g} s of audio" in TEXT


@virtual
async def test_the_conversation_by_hand_happens_like_that() -> None:
    block = next(block for language, block in BLOCK.findall(TEXT) if language == "text")
    shown = [json.loads(line[2:]) for line in block.splitlines() if line.startswith("< ")]
    async with a_server(llm=OfflineChat()) as server:
        peer = await server.connect()
        for line in block.splitlines():
            if line.startswith("> "):
                await peer.send_raw(line[2:])
                count = len([m for m in shown if m["type"] == "metrics"]) if "text" in line[:20] else 0
                if count:
                    await peer.wait("metrics")
        await peer.wait("pong")
    assert peer.kinds() == [message["type"] for message in shown]
    assert [m["n"] for m in peer.messages] == [m["n"] for m in shown]
    for real, told in zip(peer.messages, shown, strict=True):
        for key in ("text", "turn_id", "seq", "done", "outcome", "llm_tokens", "phrases", "id"):
            assert real.get(key) == told.get(key), (real, told)
