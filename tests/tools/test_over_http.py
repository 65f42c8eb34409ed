"""The loop with real engines: a model server that speaks OpenAI's and Ollama's protocols and wants tools called."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fake_llm import ANSWER, FakeLLM, fake_llm
from tools.scripted import Asking
from vivavoce.engines.base import ChatModel
from vivavoce.engines.llm.ollama import OllamaChat
from vivavoce.engines.llm.openai import OpenAIChat


def a_model(kind: str, server: FakeLLM, model: str) -> ChatModel:
    if kind == "openai":
        return OpenAIChat(base_url=server.openai_url, model=model)
    return OllamaChat(base_url=server.url, model=model)


@pytest.mark.parametrize("kind", ["openai", "ollama"])
@pytest.mark.parametrize("model", ["calls", "calls-whole", "calls-no-end"])
async def test_what_a_server_wants_called_is_called_and_told(kind: str, model: str) -> None:
    async with fake_llm() as server:

        async def weather(place: str) -> dict[str, Any]:
            """The weather in a place."""
            server.instead = "plain"  # its next answer is words
            return {"place": place, "sky": "clear"}

        async def clock() -> str:
            """The time."""
            return "ten past three"

        engine = a_model(kind, server, model)
        try:
            turn = Asking(engine, [weather, clock])  # type: ignore[arg-type]
            said = await turn.run()
        finally:
            await engine.close()
        assert said.split() == [*(["One", "moment."] if model == "calls" else []), *ANSWER.split()]
        assert turn.results == ['{"place":"Oslo","sky":"clear"}', "ten past three"]
        first, second = [r["body"] for r in server.requests if "messages" in (r["body"] or {})]
    assert [tool["function"]["name"] for tool in first["tools"]] == ["weather", "clock"]
    place = first["tools"][0]["function"]["parameters"]["properties"]["place"]
    assert place == {"type": "string"}
    user, wanted, *results = second["messages"]
    assert user["role"] == "user"
    assert [call["function"]["name"] for call in wanted["tool_calls"]] == ["weather", "clock"]
    arguments = wanted["tool_calls"][0]["function"]["arguments"]
    assert (json.loads(arguments) if isinstance(arguments, str) else arguments) == {"place": "Oslo"}
    assert [(m["role"], m["content"]) for m in results] == [
        ("tool", '{"place":"Oslo","sky":"clear"}'),
        ("tool", "ten past three"),
    ]
    if kind == "openai":
        assert [m["tool_call_id"] for m in results] == [call["id"] for call in wanted["tool_calls"]]


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_a_model_that_wants_tools_for_ever_is_asked_without_them(kind: str) -> None:
    async with fake_llm() as server:
        engine = a_model(kind, server, "calls-whole")
        try:

            async def weather(place: str) -> str:
                """The weather."""
                return place

            turn = Asking(engine, [weather])  # type: ignore[arg-type]
            await turn.run()
        finally:
            await engine.close()
        bodies = [r["body"] for r in server.requests if "messages" in (r["body"] or {})]
    assert ["tools" in body for body in bodies] == [True] * 5 + [False]
    assert turn.deltas[-1][1].finish == "stop"
    told = [result for result in turn.results if "no tool" in result]
    assert told, "the clock it asks for is not there"
