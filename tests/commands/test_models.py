"""The pipeline with the real engines over HTTP, with what guards them, and with the settings that name its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from commands.home import answer, catalog
from fake_llm import fake_llm
from kit import FakeModel
from transports.wire import virtual
from vivavoce.commands import StreamLimits, process_command
from vivavoce.engines import language_models
from vivavoce.engines.base import ChatModel, ChatRequest, Message
from vivavoce.engines.fallback import Fallback
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.engines.llm.ollama import OllamaChat
from vivavoce.engines.llm.openai import OpenAIChat
from vivavoce.errors import EngineError, EngineUnavailable
from vivavoce.settings import Ollama, Settings, Streaming, load

LIGHT = "turn on the kitchen light"
REFUSED = EngineUnavailable("llm", "refused")


class Host:
    timers = None

    async def confirmed(self) -> None: ...


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
@pytest.mark.parametrize(
    ("model", "source", "reason"),
    [
        ("plain", "stream", ""),
        ("401", "fallback", ""),
        ("404", "fallback", ""),
        ("500", "fallback", ""),
        ("stall", "fallback", "the answer stalled"),
    ],
)
async def test_servers_and_their_faults(dialect: str, model: str, source: str, reason: str) -> None:
    """Prose is conversation; whatever goes wrong, the template acts."""
    async with fake_llm() as server:
        engine: ChatModel = (
            OpenAIChat(base_url=server.openai_url, model=model)
            if dialect == "openai"
            else OllamaChat(base_url=server.url, model=model)
        )
        limits = StreamLimits(first_token_s=1.0, token_s=0.3, total_s=5.0)
        try:
            async with process_command(LIGHT, engine, catalog(), limits=limits) as result:
                command = await result.command()
        finally:
            await engine.close()
    path, place = ("/v1/chat/completions", "response_format") if dialect == "openai" else ("/api/chat", "format")
    body = server.bodies(path)[0]
    assert "HassTurnOn" in str(body[place])  # the server is asked for what it can promise
    assert [message["content"] for message in body["messages"] if message["role"] == "user"] == [LIGHT]
    assert command.source == source
    if source == "stream":
        assert (command.intent, result.timings.fallback) == ("chat", False)
        assert "fox" in command.response
    else:
        assert (command.intent, command.entities) == ("HassTurnOn", {"name": "kitchen light"})
        assert result.timings.reason
        assert result.timings.reason.startswith(reason)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "command"]


@virtual
async def test_the_offline_assistants_words_are_no_answer_to_a_request_for_json() -> None:
    first = FakeModel([REFUSED])
    guarded = Fallback(first, OfflineChat())
    await guarded.start()
    try:
        for _ in range(2):  # at first it fails, then the breaker is open
            async with process_command(LIGHT, guarded, catalog()) as result:
                command = await result.command()
            assert (command.source, command.entities) == ("fallback", {"name": "kitchen light"})
            assert result.timings.reason in ("MODEL_LOAD_FAILED: refused", "no language model")
        request = ChatRequest(messages=(Message(role="user", content="hi"),), host=Host(), answer_schema={"a": 1})
        with pytest.raises(EngineError, match="refused"):
            await anext(guarded.stream(request))
        plain = ChatRequest(messages=request.messages, host=Host())
        assert [delta.text async for delta in guarded.stream(plain)]
    finally:
        await guarded.close()


@virtual
async def test_a_model_that_works_again_is_asked_again() -> None:
    first = FakeModel([REFUSED])
    guarded = Fallback(first, OfflineChat())
    await guarded.start()
    try:
        async with process_command(LIGHT, guarded, catalog()) as result:
            assert (await result.command()).source == "fallback"
        first.answer = answer("HassTurnOn", "On.", name="kitchen light")
        await asyncio.sleep(10)  # the breaker's rest
        async with process_command(LIGHT, guarded, catalog()) as result:
            assert (await result.command()).source == "stream"
    finally:
        await guarded.close()


def loaded(tmp_path: Path, **environ: str) -> Settings:
    return load(flags={}, environ=environ, config_file=None, dotenv_dir=tmp_path).settings


@pytest.mark.parametrize(
    ("environ", "model"),
    [
        ({}, None),
        ({"OLLAMA_MODEL": "mistral"}, None),
        ({"STREAMING_MODEL": "mistral"}, None),  # Ollama's in general too, as nothing else is named
        ({"STREAMING_MODEL": "tiny", "OLLAMA_MODEL": "mistral"}, "tiny"),
        ({"STREAMING_OLLAMA_URL": "http://127.0.0.1:9", "OLLAMA_BASE_URL": "http://127.0.0.1:8"}, "llama3.2:3b"),
    ],
)
async def test_commands_may_have_a_model_of_their_own(
    tmp_path: Path, environ: dict[str, str], model: str | None
) -> None:
    own = language_models.for_commands(loaded(tmp_path, **environ))
    assert (None if own is None else own.model) == model
    if own is not None:
        await own.close()


async def test_their_own_model_is_asked_where_it_is(tmp_path: Path) -> None:
    async with fake_llm() as server:
        settings = Settings(streaming=Streaming(ollama_url=server.url, model="plain"), ollama=Ollama(model="mistral"))
        own = language_models.for_commands(settings)
        assert own is not None
        await own.start()
        try:
            async with process_command("hello", own, catalog()) as result:
                assert "fox" in (await result.command()).response
        finally:
            await own.close()
