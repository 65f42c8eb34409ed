"""Our `openai` engine, and whole turns of our server, with a server that is not ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.chat_model_contract import ChatRequest, answer, request
from kit import FakeVoice
from transports.wire import a_server
from vivavoce import settings as configuration
from vivavoce.engines import language_models
from vivavoce.engines.base import ChatModel, Delta, Message, ToolCall, ToolSpec
from vivavoce.engines.fallback import Retrying
from vivavoce.engines.llm.openai import OpenAIChat
from vivavoce.errors import EngineError

pytestmark = pytest.mark.real_llm

QUESTION = request("Tell me about the fox.")
WEATHER = ToolSpec(
    name="weather",
    description="The weather at a place.",
    parameters={"type": "object", "properties": {"place": {"enum": ["Oslo"]}}, "required": ["place"]},
)
WORDS = {"the", "a", "fox", "said", "that", "it", "was", "and", "then", "we", "went", "home", "to", "see", "his", "old"}
"""Nearly all that the model can say."""
SCHEMA = {"type": "object", "properties": {"intent": {"type": "string"}}, "required": ["intent"]}


@pytest.fixture
async def chat(url: str) -> AsyncIterator[OpenAIChat]:
    engine = OpenAIChat(base_url=url, model="tiny.gguf", max_tokens=10)
    yield engine
    await engine.close()


async def told(chat: ChatModel, asked: ChatRequest = QUESTION) -> list[Delta]:
    deltas = await answer(chat, asked)
    assert "".join(delta.text for delta in deltas).strip()
    return deltas


async def test_it_answers_in_pieces(url: str) -> None:
    chat = OpenAIChat(base_url=url, max_tokens=30)
    await chat.start()
    assert chat.model == "tiny.gguf"
    deltas = await told(chat)
    assert len([delta for delta in deltas if delta.text]) > 10
    assert deltas[-1].finish in ("length", "stop")
    assert all(delta.finish is None for delta in deltas[:-1])
    await chat.close()


async def test_it_takes_tools_and_their_results(chat: OpenAIChat) -> None:
    await told(chat, msgspec.structs.replace(QUESTION, tools=(WEATHER,)))
    call = ToolCall(id="a1", name="weather", arguments='{"place": "Oslo"}')
    steps = (Message(role="assistant", content="", calls=(call,)), Message(role="tool", call_id="a1", content="fine"))
    await told(chat, msgspec.structs.replace(QUESTION, messages=QUESTION.messages + steps, tools=(WEATHER,)))


class Forced(OpenAIChat):
    """Has the model call the weather, which one of random weights would not do of itself."""

    def _body(self, *args: Any) -> dict[str, Any]:
        choice = {"type": "function", "function": {"name": "weather"}}
        return super()._body(*args) | {"tool_choice": choice}


async def test_a_call_of_a_tool_is_put_together(url: str) -> None:
    chat = Forced(base_url=url, model="tiny.gguf", max_tokens=60, temperature=0.0)
    deltas = await answer(chat, msgspec.structs.replace(QUESTION, tools=(WEATHER,)))
    (call,) = deltas[-1].calls
    assert deltas[-1].finish == "tool_calls"
    assert (call.name, json.loads(call.arguments)) == ("weather", {"place": "Oslo"})
    assert call.id
    await chat.close()


async def test_a_schema_that_it_refuses_is_described(chat: OpenAIChat) -> None:
    await told(chat, msgspec.structs.replace(QUESTION, answer_schema=SCHEMA))


async def test_what_is_too_long_for_it_is_refused_and_the_next_works(chat: OpenAIChat) -> None:
    with pytest.raises(EngineError):  # it finds out too late for a status: it breaks off, or resets the connection
        await told(chat, request("fox " * 2000))
    await told(Retrying(chat))  # as the server does: this peer closes the connection on the next request


async def test_cancelling_stops_it(chat: OpenAIChat, record_property: Any) -> None:
    """The next answer begins at once, although the one that was left has 1,500 tokens to go."""
    clock = asyncio.get_running_loop().time
    took = []
    for _ in range(5):
        async with aclosing(chat.stream(msgspec.structs.replace(QUESTION, max_tokens=1500))) as deltas:
            await anext(deltas)
            left_at = clock()
        took.append(clock() - left_at)
        async with asyncio.timeout(5):
            await told(chat, msgspec.structs.replace(QUESTION, max_tokens=5))
    record_property("close_ms", [round(1000 * each, 1) for each in took])
    assert max(took) < 0.05


def by_variables(folder: Path, url: str) -> configuration.Settings:
    """`make run` with this server as its model."""
    variables = {"LLM_BASE_URL": url, "VIVAVOCE_LLM__MAX_TOKENS": "24"}
    return configuration.load(flags={}, environ=variables, config_file=None, dotenv_dir=folder).settings


async def test_whole_turns(url: str, tmp_path: Path) -> None:
    settings = by_variables(tmp_path, url)
    voice = FakeVoice()
    async with a_server(settings, llm=language_models.make("openai", settings), tts=voice) as server:
        peer = await server.connect()
        await peer.start()
        for turn, text in enumerate(("Where is the fox?", "And then?"), 1):
            metrics = await peer.ask(text)
            assert (metrics["outcome"], metrics["turn_id"]) == ("done", turn)
            said = "".join(message["text"] for message in peer.of("llm_token", turn=turn))
            spoken = "".join(message["text"] for message in peer.of("phrase", turn=turn))
            words = said.split()
            assert len(words) > 3
            assert sum(word in WORDS for word in words) > 0.8 * len(words), "the assistant answered in its place"
            assert spoken.strip() == said.strip()
            assert peer.of("tts_chunk", turn=turn)
        await peer.send("text", text="Tell me more.")
        await peer.wait("llm_token", len(peer.of("llm_token")) + 1)
        await peer.send("cancel")
        cut = await peer.wait("interrupted")
        assert cut["reason"] == "client_cancel"
        assert (await peer.wait("metrics", 3))["outcome"] == "interrupted"
        assert (await peer.ask("Go on."))["outcome"] == "done"
