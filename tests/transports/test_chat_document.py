"""The chat's section of `docs/protocol.md` tells the truth, and all of it."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path

import msgspec
import pytest

from transports.chat import asked, complete, path
from transports.wire import a_server, virtual
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.events import Metrics, TTSChunk
from vivavoce.transports import chat_wire, chat_ws
from vivavoce.transports.chat_wire import ChatDialect, as_text

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
TEXT = PAGE.split("## Chat in one URL")[1].split("\n## ")[0]
BLOCKS = re.findall(r"^```jsonl\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
KINDS = {
    "streaming": chat_wire.Streaming,
    "complete": chat_wire.Complete,
    "token": chat_wire.Token,
    "audio_chunk": chat_wire.AudioChunk,
    "error": chat_wire.Failure,
}


@pytest.mark.parametrize("line", [line for block in BLOCKS for line in block.splitlines()], ids=lambda line: line[:50])
def test_each_message_is_one_of_ours(line: str) -> None:
    shown = json.loads(line)
    kind = KINDS[shown.get("status", shown["type"])]
    message = msgspec.json.decode(line, type=kind)
    assert json.loads(as_text(message)) == shown, "no field is missing or too many"
    assert list(json.loads(as_text(message))) == list(shown), "nor out of order"


@pytest.mark.parametrize("name", KINDS)
def test_every_field_is_described(name: str) -> None:
    kind = KINDS[name]
    tag = kind.__struct_config__.tag
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{tag}`"))
    for field in msgspec.structs.fields(kind):
        assert f"`{field.name}`" in row, field.name


def test_every_parameter_and_code_is_described() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert set(chat_ws.Question.__struct_fields__) <= rows
    codes = {int(code) for code in re.findall(r"^\| (\d{3}) \|", TEXT, re.MULTILINE)}
    assert codes == {500, *chat_wire._STATUS.values()}
    for outcome in set(typing.get_args(typing.get_type_hints(Metrics)["outcome"])) - {"failed"}:
        assert f"`{outcome}`" in TEXT
    for kind in chat_wire.PASSED_ON:
        assert f"`{kind.__struct_config__.tag}`" in TEXT
    assert f"up to {chat_ws.MAX_MESSAGE:,} characters" in TEXT
    assert f"some {chat_ws.PHRASE} characters" in TEXT


@virtual
async def test_the_answer_that_is_shown_comes_like_that() -> None:
    shown = [json.loads(line) for line in BLOCKS[0].splitlines()]
    async with a_server(llm=OfflineChat()) as server:
        peer = await asked(server, "what is twelve times seven")
    complete(peer)
    assert peer.kinds() == [message["type"] for message in shown]
    for real, told in zip(peer.messages, shown, strict=True):
        assert list(real) == list(told)
        for key in ("status", "message", "token", "text", "seq", "outcome", "interrupted"):
            assert real.get(key) == told.get(key)


def test_what_long_answers_weigh() -> None:
    def weight(tokens: int) -> int:
        text, total = "", 0
        for _ in range(tokens):
            text += "word "
            total += len(as_text(chat_wire.Token(token="word ", text=text)))
        return total

    assert weight(150) == pytest.approx(70_000, rel=0.15)
    assert weight(4000) == pytest.approx(45e6, rel=0.15)


def test_speech_in_parts_says_which() -> None:
    dialect = ChatDialect(lambda: 0.0)
    told = [
        json.loads(dialect.encode(TTSChunk(seq=1, audio_b64="", mime="audio/wav", part=part, turn_id=1)) or "")
        for part in (1, None)
    ]
    assert [chunk.get("part") for chunk in told] == [1, None]
    assert path("a b") == "/ws/chat/stream?message=a+b"
