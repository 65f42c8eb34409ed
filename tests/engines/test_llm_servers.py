"""The `openai` and `ollama` chat models against a server with faults, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar

import pytest

from engines.chat_model_contract import ChatModelContract, PlainHost, answer, request
from fake_llm import ANSWER, PIECES, FakeLLM, fake_llm
from vivavoce.engines.base import ChatModel, ChatRequest, Delta, Message
from vivavoce.engines.llm.ollama import OllamaChat
from vivavoce.engines.llm.openai import OpenAIChat
from vivavoce.errors import EngineBusy, EngineError, EngineFailed, EngineUnavailable

QUESTION = request("tell me a story")
KEY = "secret-key-1"
Engine = type[OpenAIChat] | type[OllamaChat]
PATHS: dict[Engine, str] = {OpenAIChat: "/v1/chat/completions", OllamaChat: "/api/chat"}
BOTH = pytest.mark.parametrize("engine", [OpenAIChat, OllamaChat])


def a_model(engine: Engine, server: FakeLLM, model: str, **more: Any) -> ChatModel:
    if engine is OpenAIChat:
        return OpenAIChat(base_url=server.openai_url, model=model, api_key=KEY, **more)
    return OllamaChat(base_url=server.url, model=model, **more)


@asynccontextmanager
async def serving(engine: Engine, model: str, **more: Any) -> AsyncIterator[tuple[ChatModel, FakeLLM]]:
    """A model by that name and its server."""
    async with fake_llm() as server:
        chat = a_model(engine, server, model, **more)
        try:
            yield chat, server
        finally:
            await chat.close()


async def told(model: ChatModel, asked: ChatRequest = QUESTION) -> tuple[str, str | None]:
    """The whole text, and why it ended."""
    deltas = await answer(model, asked)
    return "".join(delta.text for delta in deltas), deltas[-1].finish


async def told_until_it_failed(model: ChatModel) -> tuple[list[Delta], EngineError]:
    deltas: list[Delta] = []
    with pytest.raises(EngineError) as caught:  # noqa: PT012 - what came before counts
        async with aclosing(model.stream(QUESTION)) as stream:
            async for delta in stream:
                deltas.append(delta)  # noqa: PERF401
    return deltas, caught.value


class ServerContract(ChatModelContract):
    engine: ClassVar[Engine]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        async with fake_llm() as server:
            yield a_model(self.engine, server, "plain")


class TestOpenAI(ServerContract):
    engine = OpenAIChat


class TestOllama(ServerContract):
    engine = OllamaChat


# --- what comes ------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("model", ["plain", "slow-first", "crlf", "open", "nulls", "thinks", "thinks-aloud"])
async def test_the_whole_answer(engine: Engine, model: str) -> None:
    async with serving(engine, model) as (chat, _):
        assert await told(chat) == ("".join(PIECES), "stop")


@BOTH
async def test_a_byte_at_a_time(engine: Engine) -> None:
    async with serving(engine, "bytes") as (chat, _):
        assert await told(chat) == ("".join(PIECES[:4]), "stop")


@BOTH
async def test_invalid_utf8_is_replaced(engine: Engine) -> None:
    async with serving(engine, "invalid-utf8") as (chat, _):
        assert await told(chat) == ("caf\ufffd\ufffd \ufffd noir", "stop")


@BOTH
async def test_why_it_stopped(engine: Engine) -> None:
    async with serving(engine, "length") as (chat, _):
        assert (await told(chat))[1] == "length"


async def test_done_is_a_reason_too() -> None:
    async with serving(OpenAIChat, "done-only") as (chat, _):
        assert await told(chat) == ("".join(PIECES), "stop")


@BOTH
async def test_reasoning_shows_life_but_no_text(engine: Engine) -> None:
    async with serving(engine, "thinks") as (chat, _):
        deltas = await answer(chat, QUESTION)
    assert [delta.text for delta in deltas[:2]] == ["", ""]
    assert "".join(delta.text for delta in deltas) == "".join(PIECES)


@BOTH
@pytest.mark.parametrize("model", ["unfinished", "broken"])
async def test_a_stream_that_just_ends_has_no_finish(engine: Engine, model: str) -> None:
    async with serving(engine, model) as (chat, _):
        text, finish = await told(chat)
    assert finish is None
    assert text.startswith("Well, once upon")
    assert ANSWER.startswith(text.strip())


@BOTH
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("error", "out of memory"),
        ("garbage", "sent what is no"),
        ("huge", "more than 262144 bytes"),
        ("reset", "reset"),
    ],
)
async def test_what_came_before_a_failure_stands(engine: Engine, model: str, words: str) -> None:
    async with serving(engine, model) as (chat, _):
        deltas, error = await told_until_it_failed(chat)
    assert deltas[0].text in ("Well, ", "first ")
    assert isinstance(error, EngineFailed)
    assert (error.code, error.transient) == ("LLM_FAILED", False)
    assert words in error.message


@BOTH
async def test_an_error_instead_of_an_answer(engine: Engine) -> None:
    async with serving(engine, "error-first") as (chat, _):
        deltas, error = await told_until_it_failed(chat)
    assert deltas == []
    assert "out of memory" in error.message


@BOTH
async def test_an_answer_with_nothing_in_it_may_be_asked_for_again(engine: Engine) -> None:
    async with serving(engine, "empty") as (chat, _):
        deltas, error = await told_until_it_failed(chat)
    assert deltas == []
    assert error.transient


# --- refusals --------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("model", "kind", "transient", "words"),
    [
        ("401", EngineUnavailable, False, "the API key is refused"),
        ("404", EngineUnavailable, False, "HTTP 404, The model does not exist"),
        ("400", EngineFailed, False, "HTTP 400, too long"),
        ("307", EngineFailed, False, "HTTP 307, Temporary Redirect"),
        ("429", EngineBusy, True, "HTTP 429, slow down"),
        ("429-long", EngineBusy, True, "quota"),
        ("500", EngineFailed, True, "HTTP 500, Internal Server Error"),
    ],
)
async def test_refusals(engine: Engine, model: str, kind: type[EngineError], transient: bool, words: str) -> None:
    async with serving(engine, model) as (chat, server):
        deltas, error = await told_until_it_failed(chat)
        assert f"127.0.0.1:{server.port}" in error.message
    assert deltas == []
    assert type(error) is kind
    assert error.transient is transient
    assert words in error.message
    assert KEY not in error.message
    assert error.retry_after_s == {"429": 0.2, "429-long": 30.0}.get(model, 0.0)


@BOTH
async def test_nobody_there(engine: Engine) -> None:
    async with fake_llm() as server:
        chat = a_model(engine, server, "plain")
    for attempt in (chat.start(), answer(chat, QUESTION)):
        with pytest.raises(EngineUnavailable, match="connection refused") as caught:
            await attempt
        assert caught.value.code == "MODEL_LOAD_FAILED"
        assert caught.value.transient
    await chat.close()


@BOTH
async def test_a_host_that_takes_no_connection_is_given_up_in_time(engine: Engine) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # until nobody more is let in
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        chat = engine(base_url=f"http://127.0.0.1:{full.getsockname()[1]}", model="plain", connect_s=0.2)
        began = loop.time()
        with pytest.raises(EngineUnavailable, match="no connection within the time allowed") as caught:
            await told(chat)
        assert 0.2 <= loop.time() - began < 0.7
        assert caught.value.transient
        await chat.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/v1", "http://[::1/v1"])
def test_no_such_address(url: str) -> None:
    with pytest.raises(EngineUnavailable, match="is not an address"):
        OpenAIChat(base_url=url)


# --- connections -----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("model", ["stall", "endless", "deaf"])
async def test_closing_closes_the_connection_within_50_ms(engine: Engine, model: str) -> None:
    loop = asyncio.get_running_loop()
    async with serving(engine, model) as (chat, server):
        stream = chat.stream(QUESTION)
        if model == "deaf":
            first = asyncio.ensure_future(anext(stream))
            await server.seen(PATHS[engine])
            left_at = loop.time()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
        else:
            await anext(stream)
            left_at = loop.time()
        await stream.aclose()
        await server.closed.wait()
        assert (server.connections[-1].closed_at or 0.0) - left_at < 0.05


@BOTH
async def test_a_cancelled_reader_closes_the_connection_within_50_ms(engine: Engine) -> None:
    loop = asyncio.get_running_loop()
    async with serving(engine, "stall") as (chat, server):
        others = asyncio.all_tasks()
        reader = asyncio.create_task(answer(chat, QUESTION))
        await server.sent.wait()
        left_at = loop.time()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await server.closed.wait()
        assert (server.connections[-1].closed_at or 0.0) - left_at < 0.05
        gc.collect()
        assert asyncio.all_tasks() <= others


@BOTH
async def test_an_answer_is_over_at_once_though_the_socket_stays_open(engine: Engine) -> None:
    loop = asyncio.get_running_loop()
    async with serving(engine, "open") as (chat, server):
        async with aclosing(chat.stream(QUESTION)) as deltas:
            async for delta in deltas:
                if delta.finish:
                    ended_at = loop.time()
                    break
        assert loop.time() - ended_at < 0.25
        await server.closed.wait()


@BOTH
async def test_one_connection_serves_one_answer_after_the_other(engine: Engine) -> None:
    async with serving(engine, "plain") as (chat, server):
        await chat.start()
        for _ in range(5):
            async with aclosing(chat.stream(QUESTION)) as deltas:
                async for delta in deltas:
                    if delta.finish:
                        break  # as a reply does
        kept = max(connection.requests for connection in server.connections)
        assert kept >= 5
        assert len(server.connections) <= 2  # Ollama loads its model beside the first answer


@BOTH
async def test_a_kept_connection_that_the_server_has_closed_is_not_used(engine: Engine) -> None:
    async with serving(engine, "plain") as (chat, server):
        await told(chat)
        await server.close()
        await server.open()
        assert (await told(chat))[1] == "stop"


# --- what is asked ---------------------------------------------------------------------------------------------------


CONVERSATION = ChatRequest(
    messages=(
        Message(role="user", content="tell me a story"),
        Message(role="assistant", content="Once upon a", interrupted=True),
        Message(role="user", content="wait"),
        Message(role="assistant", content="", interrupted=True),
        Message(role="system", content="the lights are on"),
        Message(role="user", content="go on"),
    ),
    host=PlainHost(),
    instructions="Be brief.",
)
AS_SENT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "tell me a story"},
    {"role": "assistant", "content": "Once upon a—"},
    {"role": "user", "content": "wait"},
    {"role": "system", "content": "the lights are on"},
    {"role": "user", "content": "go on"},
]


async def test_what_openai_is_sent() -> None:
    async with serving(OpenAIChat, "plain", temperature=0.5, max_tokens=77) as (chat, server):
        await told(chat, CONVERSATION)
        asked = ChatRequest(messages=CONVERSATION.messages[-1:], host=PlainHost(), temperature=0.0, max_tokens=5)
        await told(chat, asked)
    first, second = server.bodies("/v1/chat/completions")
    limits = {"temperature": 0.5, "max_tokens": 77}
    usage = {"stream_options": {"include_usage": True}}
    assert first == {"model": "plain", "messages": AS_SENT, "stream": True} | limits | usage
    assert (second["temperature"], second["max_tokens"]) == (0.0, 5)
    assert server.requests[0]["headers"]["authorization"] == f"Bearer {KEY}"
    assert server.requests[0]["headers"]["content-type"] == "application/json"


async def test_what_ollama_is_sent() -> None:
    async with serving(OllamaChat, "plain", temperature=0.5, max_tokens=77, keep_alive="5m") as (chat, server):
        await told(chat, CONVERSATION)
        await told(chat, ChatRequest(messages=CONVERSATION.messages[-1:], host=PlainHost(), max_tokens=5))
    first, second = server.bodies("/api/chat")
    options = {"temperature": 0.5, "num_predict": 77}
    common = {"model": "plain", "stream": True, "think": False, "keep_alive": "5m"}
    assert first == {"messages": AS_SENT, "options": options, **common}
    assert second["options"] == {"temperature": 0.5, "num_predict": 5}
    assert "authorization" not in server.requests[0]["headers"]


async def test_without_values_none_are_sent() -> None:
    async with serving(OpenAIChat, "plain") as (chat, server), serving(OllamaChat, "plain") as (other, ollama):
        await told(chat)
        await told(other)
    assert server.bodies("/v1/chat/completions")[0].keys() == {"model", "messages", "stream", "stream_options"}
    assert ollama.bodies("/api/chat")[0]["options"] == {}


async def test_parameters_that_a_model_refuses_are_not_sent_again() -> None:
    async with serving(OpenAIChat, "reasoner", temperature=0.5, max_tokens=77) as (chat, server):
        assert await told(chat) == ("".join(PIECES), "stop")
        asked = len(server.requests)
        assert await told(chat) == ("".join(PIECES), "stop")
        assert len(server.requests) == asked + 1
    last = server.bodies("/v1/chat/completions")[-1]
    assert last.keys() == {"model", "messages", "stream", "stream_options", "max_completion_tokens"}
    assert last["max_completion_tokens"] == 77


# --- the start -------------------------------------------------------------------------------------------------------


async def test_openai_takes_the_first_model_when_none_is_named() -> None:
    async with fake_llm() as server:
        chat = OpenAIChat(base_url=server.openai_url)
        await chat.start()
        assert chat.model == "plain"
        await told(chat)
        await chat.close()
        nameless = OpenAIChat(base_url=server.url)  # without /v1 there is no list
        with pytest.raises(EngineUnavailable, match="does not say which models") as caught:
            await nameless.start()
        assert "LLM_MODEL" in caught.value.hint
        await nameless.close()
        named = OpenAIChat(base_url=server.url, model="plain")
        await named.start()
        with pytest.raises(EngineUnavailable, match="HTTP 404") as caught:
            await told(named)
        assert "/v1" in caught.value.hint
        await named.close()


async def test_openai_itself_needs_a_key() -> None:
    chat = OpenAIChat(model="gpt-3.5-turbo")
    with pytest.raises(EngineUnavailable, match="no API key") as caught:
        await chat.start()
    assert "OPENAI_API_KEY" in caught.value.hint
    await chat.close()


async def test_ollama_loads_the_model_at_the_start() -> None:
    async with fake_llm() as server:
        for name in ("llama3.2:3b", "tagged"):
            chat = OllamaChat(base_url=server.url, model=name, keep_alive="1h")
            await chat.start()
            await server.seen("/api/generate")
            await told(chat)
            await chat.close()
    assert {"model": "llama3.2:3b", "keep_alive": "1h", "stream": False} in server.bodies("/api/generate")


async def test_ollama_without_the_model_says_how_to_get_it() -> None:
    async with serving(OllamaChat, "absent") as (chat, server):
        with pytest.raises(EngineUnavailable, match="has no model absent") as caught:
            await chat.start()
        assert not caught.value.transient
    assert "ollama pull absent" in caught.value.hint
    assert server.bodies("/api/generate") == []


async def test_what_answers_there_is_no_ollama() -> None:
    async with fake_llm() as server:
        for url, words in ((server.openai_url, "HTTP 404"), (f"{server.openai_url}/models?x=", "no Ollama|HTTP 404")):
            chat = OllamaChat(base_url=url, model="plain")
            with pytest.raises(EngineError, match=words):
                await chat.start()
            await chat.close()
