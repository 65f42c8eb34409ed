"""Tools, structured answers, usage and headers: what the servers are sent, and how what they send is put together."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from engines.chat_model_contract import PlainHost, answer, request
from engines.test_llm_servers import BOTH, KEY, PATHS, Engine, serving, told, told_until_it_failed
from fake_llm import PIECES, fake_llm
from vivavoce.engines.base import ChatRequest, Delta, Message, ToolCall, ToolSpec, Usage
from vivavoce.engines.llm.calls import MOST_BYTES, Calls
from vivavoce.engines.llm.ollama import OllamaChat
from vivavoce.engines.llm.openai import OpenAIChat
from vivavoce.engines.llm.prompt import conversation
from vivavoce.errors import EngineError, EngineFailed

WEATHER = ToolSpec(
    name="weather",
    description="The weather at a place.",
    parameters={"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
)
SCHEMA = {"type": "object", "properties": {"intent": {"type": "string"}}, "required": ["intent"]}
QUESTION = request("what is the weather in Oslo")
WITH_TOOLS = msgspec.structs.replace(QUESTION, tools=(WEATHER,))
WITH_SCHEMA = msgspec.structs.replace(QUESTION, answer_schema=SCHEMA, instructions="Be brief.")
STORY = "".join(PIECES)


# --- calls, put together ---------------------------------------------------------------------------------------------


def piece(index: Any = None, id: Any = None, name: Any = None, arguments: Any = None) -> dict[str, Any]:
    return {"index": index, "id": id, "name": name, "arguments": arguments}


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], []),
        ([piece(0, "a", "f", ""), piece(0, None, None, '{"x"'), piece(0, None, None, ":1}")], [("a", "f", '{"x":1}')]),
        ([piece(0, "a", "f", ""), piece(0, "", "", "{}")], [("a", "f", "{}")]),
        (
            [piece(0, "a", "f"), piece(1, "b", "g"), piece(0, None, None, '{"x":1}'), piece(1, None, None, "{}")],
            [("a", "f", '{"x":1}'), ("b", "g", "{}")],
        ),
        ([piece(0, "a", "f", "{}"), piece(0, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([piece(0, "a", "f", "{}"), piece(0, "b", "f", "{}")], [("a", "f", "{}"), ("b", "f", "{}")]),
        ([piece(0, "a", "f", '{"x'), piece(0, "a", "f", '":1}')], [("a", "f", '{"x":1}')]),
        ([piece(0, "a", "f", '{"x'), piece(0, "b", None, '":1}')], [("a", "f", '{"x":1}')]),
        (
            [piece(None, None, "f", {"x": 1}), piece(None, None, "f", {"x": 2})],
            [("", "f", '{"x":1}'), ("", "f", '{"x":2}')],
        ),
        ([piece(None, None, "f", "{}"), piece(None, None, "g", "{}")], [("", "f", "{}"), ("", "g", "{}")]),
        ([piece(None, None, "f"), piece(None, None, "g")], [("", "f", "{}"), ("", "g", "{}")]),
        ([piece(None, "a", "f", '{"x'), piece(None, None, None, '":1}')], [("a", "f", '{"x":1}')]),
        ([piece(None, "a", "f", '{"x'), piece(None, "a", None, '":1}')], [("a", "f", '{"x":1}')]),
        (
            [piece(None, "a", "f", "{"), piece(None, "b", "g", "{}"), piece(None, "a", None, "}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        ([piece(0, None, "get_"), piece(0, None, "weather"), piece(0, None, None, "{}")], [("", "get_weather", "{}")]),
        ([piece(0, None, "f", "{}"), piece(0, None, "f", "")], [("", "f", "{}")]),
        ([piece(0, None, "f", "{}"), piece(0, None, "f", "{}")], [("", "f", "{}"), ("", "f", "{}")]),
        ([piece(0, "a", None, '{"x":'), piece(0, "a", "f", "1}")], [("a", "f", '{"x":1}')]),
        ([piece(0, "a", "f", None)], [("a", "f", "{}")]),
        ([piece(0, "a", "f", " \n")], [("a", "f", "{}")]),
        ([piece(0, "a", "f", "no JSON")], [("a", "f", "no JSON")]),
        ([piece(0, "a", "f", [1])], [("a", "f", "[1]")]),
        ([piece(True, 7, "f", "{}")], [("", "f", "{}")]),
        ([piece(-3, "a", "f", "{}"), piece(10**30, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([piece(0, "a", "", "{}"), piece(1, "b", ["g"], "{}")], []),
        ([piece()], []),
    ],
)  # fmt: skip
def test_calls_are_put_together(pieces: list[dict[str, Any]], expected: list[tuple[str, str, str]]) -> None:
    calls = Calls()
    for each in pieces:
        calls.add(**each)
    taken = calls.take(whole=False)
    assert [(call.name, call.arguments) for call in taken] == [row[1:] for row in expected]
    for call, (label, _, _) in zip(taken, expected, strict=True):
        assert call.id == label if label else len(call.id) == 9
    assert len({call.id for call in taken}) == len(taken)


def test_only_whole_calls_count_where_the_answer_was_cut() -> None:
    calls = Calls()
    for arguments in ("{}", '{"x', "", "[1]"):
        calls.add(id=arguments or "empty", name="f", arguments=arguments)
    assert [call.id for call in calls.take(whole=True)] == ["{}"]


def test_calls_have_limits() -> None:
    calls = Calls()
    calls.add(index=0, name="f", arguments="é" * (MOST_BYTES // 2 - 1))
    with pytest.raises(EngineFailed, match=f"more than {MOST_BYTES} bytes"):
        calls.add(index=0, arguments="é")
    many = Calls()
    for index in range(16):
        many.add(index=index, name="f")
    with pytest.raises(EngineFailed, match="more than 16 tools"):
        many.add(index=16, name="f")


# --- calls, from servers ---------------------------------------------------------------------------------------------


async def called(engine: Engine, model: str) -> list[Delta]:
    async with serving(engine, model) as (chat, _):
        return await answer(chat, WITH_TOOLS)


def done(deltas: list[Delta]) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in deltas[-1].calls]


@BOTH
@pytest.mark.parametrize("model", ["calls", "calls-whole", "calls-no-end"])
async def test_calls_from_servers(engine: Engine, model: str) -> None:
    deltas = await called(engine, model)
    assert deltas[-1].finish == "tool_calls"
    assert done(deltas) == [("weather", {"place": "Oslo"}), ("clock", {})]
    assert all(not delta.calls and delta.finish is None for delta in deltas[:-1])
    assert "".join(delta.text for delta in deltas) == ("One moment. " if model == "calls" else "")
    if model == "calls":
        assert deltas[-1].usage == Usage(90, 12)
        assert [delta.text for delta in deltas[1:4]] == ["", "", ""], "signs of life while arguments come"
        if engine is OpenAIChat:
            assert [call.id for call in deltas[-1].calls] == ["a1", "a2"]


@BOTH
async def test_a_call_that_was_cut_off_is_not_done(engine: Engine) -> None:
    cut, broken = await called(engine, "calls-cut"), await called(engine, "calls-broken")
    assert (cut[-1].finish, cut[-1].calls) == ("length", ())
    assert (broken[-1].finish, broken[-1].calls) == (None, ())


@BOTH
async def test_a_reason_without_a_call(engine: Engine) -> None:
    deltas = await called(engine, "calls-none")
    assert ("".join(delta.text for delta in deltas), deltas[-1].finish) == ("Well.", "stop")


@BOTH
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("calls-nameless", "called a tool without saying which"),
        ("calls-many", "more than 16 tools"),
        ("calls-long", "more than 65536 bytes"),
    ],
)
async def test_calls_that_cannot_be_done(engine: Engine, model: str, words: str) -> None:
    async with serving(engine, model) as (chat, _):
        _, error = await told_until_it_failed(chat)
    assert isinstance(error, EngineFailed)
    assert words in error.message


@BOTH
async def test_calls_that_are_garbage(engine: Engine) -> None:
    deltas = await called(engine, "calls-garbage")
    assert (deltas[-1].calls, deltas[-1].finish) == ((), "stop")


# --- what is sent ----------------------------------------------------------------------------------------------------


USED = ChatRequest(
    messages=(
        Message(role="user", content="weather and time?"),
        Message(
            role="assistant",
            content="One moment.",
            calls=(
                ToolCall(id="a1", name="weather", arguments='{"place": "Oslo"}'),
                ToolCall(id="a2", name="clock", arguments="nonsense"),
                ToolCall(id="lost", name="clock"),
            ),
        ),
        Message(role="tool", call_id="a2", content="ten"),
        Message(role="tool", call_id="a1", content=""),
        Message(role="tool", call_id="stray", content="?"),
        Message(role="assistant", content="", calls=(ToolCall(id="b1", name="clock"),)),
        Message(role="user", content="go on"),
        Message(role="tool", call_id="b1", content="late"),
    ),
    host=PlainHost(),
    tools=(WEATHER,),
)
FUNCTION = {
    "type": "function",
    "function": {"name": "weather", "description": WEATHER.description, "parameters": WEATHER.parameters},
}


async def test_what_openai_is_sent_of_tools() -> None:
    async with serving(OpenAIChat, "plain") as (chat, server):
        await told(chat, USED)
    (body,) = server.bodies(PATHS[OpenAIChat])
    assert body["tools"] == [FUNCTION]
    asked, calls, first, second, last = body["messages"]
    assert asked == {"role": "user", "content": "weather and time?"}
    assert calls["content"] == "One moment."
    assert [(call["id"], call["type"], call["function"]) for call in calls["tool_calls"]] == [
        ("a1", "function", {"name": "weather", "arguments": '{"place": "Oslo"}'}),
        ("a2", "function", {"name": "clock", "arguments": "nonsense"}),
    ]
    assert first == {"role": "tool", "tool_call_id": "a1", "content": ""}
    assert second == {"role": "tool", "tool_call_id": "a2", "content": "ten"}
    assert last == {"role": "user", "content": "go on"}


async def test_what_ollama_is_sent_of_tools() -> None:
    async with serving(OllamaChat, "plain") as (chat, server):
        await told(chat, USED)
    (body,) = server.bodies(PATHS[OllamaChat])
    assert body["tools"] == [FUNCTION]
    _, calls, first, _, _ = body["messages"]
    assert [call["function"] for call in calls["tool_calls"]] == [
        {"name": "weather", "arguments": {"place": "Oslo"}},
        {"name": "clock", "arguments": {}},
    ]
    assert first == {"role": "tool", "content": "", "tool_name": "weather", "tool_call_id": "a1"}


def test_without_tools_no_step_is_told() -> None:
    assert [(said.role, said.content, said.calls) for said in conversation(USED, tools=False)] == [
        ("user", "weather and time?", ()),
        ("assistant", "One moment.", ()),
        ("user", "go on", ()),
    ]


@BOTH
async def test_another_model_of_the_server(engine: Engine) -> None:
    async with serving(engine, "plain") as (chat, server):
        assert await told(chat, msgspec.structs.replace(QUESTION, model="crlf")) == (STORY, "stop")
        with pytest.raises(EngineFailed, match="HTTP 404") as caught:
            await told(chat, msgspec.structs.replace(QUESTION, model="404"))
        assert await told(chat) == (STORY, "stop")
    assert "404" in caught.value.hint
    assert not caught.value.transient
    assert [body["model"] for body in server.bodies(PATHS[engine])] == ["crlf", "404", "plain"]


async def test_a_schema_is_sent() -> None:
    async with serving(OpenAIChat, "plain") as (chat, server), serving(OllamaChat, "plain") as (other, ollama):
        await told(chat, WITH_SCHEMA)
        await told(other, WITH_SCHEMA)
    wanted = {"name": "answer", "schema": SCHEMA, "strict": True}
    assert server.bodies(PATHS[OpenAIChat])[0]["response_format"] == {"type": "json_schema", "json_schema": wanted}
    assert ollama.bodies(PATHS[OllamaChat])[0]["format"] == SCHEMA


@pytest.mark.parametrize(
    ("engine", "model", "field"),
    [
        (OpenAIChat, "no-tools", "tools"),
        (OllamaChat, "no-tools", "tools"),
        (OpenAIChat, "no-tools-500", "tools"),
        (OpenAIChat, "no-stream_options", "stream_options"),
        (OpenAIChat, "silent-no-stream_options", "stream_options"),
        (OpenAIChat, "no-response_format", "response_format"),
        (OllamaChat, "no-format", "format"),
        (OllamaChat, "no-think", "think"),
    ],
)
async def test_a_field_that_is_refused_is_left_out_from_then_on(engine: Engine, model: str, field: str) -> None:
    asked = msgspec.structs.replace(WITH_SCHEMA, tools=(WEATHER,))
    async with serving(engine, model) as (chat, server):
        assert await told(chat, asked) == (STORY, "stop")
        assert await told(chat, asked) == (STORY, "stop")
    bodies = server.bodies(PATHS[engine])
    assert [field in body for body in bodies] == [True, False, False]
    system = [body["messages"][0]["content"] for body in bodies]
    described = json.dumps(SCHEMA, separators=(",", ":")) in system[-1]
    assert system[0] == "Be brief."
    assert described is (field in ("response_format", "format"))


@BOTH
async def test_one_bad_tool_does_not_cost_the_others(engine: Engine) -> None:
    async with serving(engine, "bad-tools") as (chat, server):
        assert await told(chat, WITH_TOOLS) == (STORY, "stop")
        assert await told(chat, WITH_TOOLS) == (STORY, "stop")
    assert ["tools" in body for body in server.bodies(PATHS[engine])] == [True, False] * 2


@BOTH
@pytest.mark.parametrize("model", ["400", "401", "404", "429", "500"])
async def test_what_is_no_fault_of_a_field_is_not_asked_again(engine: Engine, model: str) -> None:
    async with serving(engine, model) as (chat, server):
        with pytest.raises(EngineError):
            await told(chat, msgspec.structs.replace(WITH_SCHEMA, tools=(WEATHER,)))
    assert len(server.bodies(PATHS[engine])) == 1


# --- usage and headers -----------------------------------------------------------------------------------------------


async def test_usage_comes_behind_the_last_word() -> None:
    async with serving(OpenAIChat, "usage") as (chat, server):
        deltas = await answer(chat, QUESTION)
        assert server.connections[-1].closed_at is None, "the connection is kept"
    assert (deltas[-1].finish, deltas[-1].usage) == ("stop", Usage(90, 12))
    assert server.bodies(PATHS[OpenAIChat])[0]["stream_options"] == {"include_usage": True}


@BOTH
async def test_nobody_waits_for_usage_that_never_comes(engine: Engine) -> None:
    clock = asyncio.get_running_loop().time
    async with serving(engine, "finish-open") as (chat, _):
        began = clock()
        deltas = await answer(chat, QUESTION)
        assert clock() - began < 0.45
    assert (deltas[-1].finish, deltas[-1].usage) == ("stop", None)
    assert "".join(delta.text for delta in deltas) == STORY


@BOTH
async def test_headers_are_sent_and_kept_secret(engine: Engine) -> None:
    more = {"OpenAI-Project": "project-7", "X-Gate": "Token secret-key-1"}
    async with serving(engine, "403", headers=more) as (chat, server):
        _, error = await told_until_it_failed(chat)
        sent = server.requests[-1]["headers"]
    assert (sent["openai-project"], sent["x-gate"]) == ("project-7", "Token secret-key-1")
    assert "HTTP 403, the key *** may not use the model" in error.message
    assert ("authorization" in sent) is (engine is OpenAIChat)


async def test_a_header_may_stand_for_the_key() -> None:
    async with fake_llm() as server:
        chat = OpenAIChat(base_url=server.openai_url, model="plain", api_key=KEY, headers={"authorization": "Basic x"})
        assert await told(chat) == (STORY, "stop")
        await chat.close()
    assert server.requests[-1]["headers"]["authorization"] == "Basic x"
