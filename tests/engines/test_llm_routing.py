"""Several models: which one is asked, and with what."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.chat_model_contract import ChatModelContract, PlainHost, answer, request
from engines.test_llm_choice import configured, free_port, installed
from fake_llm import PIECES, FakeLLM, fake_llm
from kit import FakeModel
from vivavoce import settings as configuration
from vivavoce.engines import registry
from vivavoce.engines.base import ChatModel, ChatRequest, Message, ToolCall
from vivavoce.engines.registry import InstalledEngines
from vivavoce.engines.routing import Borrowed, Routed, Tuned, asked_text, kind_of
from vivavoce.errors import EngineUnavailable
from vivavoce.settings import ModelOptions

DOCS = Path(__file__).parents[2] / "docs" / "engines.md"
STORY = "".join(PIECES)
LONG, DO, ASK = "Tell me a story.", "turn on the lamp", "what time is it"


def model(name: str) -> FakeModel:
    fake = FakeModel("One two three four.", gap_s=0.0001)
    fake.model = name
    return fake


class TestRoutedContract(ChatModelContract):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        yield Routed(FakeModel("never"), {"big": model("big")}, {"long": "big"})


class TestTunedContract(ChatModelContract):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        yield Tuned(model("m"), {"m": ModelOptions(max_tokens=9)})


class TestBorrowedContract(ChatModelContract):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        yield Borrowed(model("m"))


# --- which model -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "named", "asked", "as_model"),
    [
        (LONG, None, "big", None),
        (DO, None, "main", "small"),
        (ASK, None, "main", None),
        (LONG, "elsewhere", "elsewhere", None),
        (LONG, "unknown", "main", "unknown"),
        (ASK, "big", "big", None),
    ],
)
async def test_who_is_asked(text: str, named: str | None, asked: str, as_model: str | None) -> None:
    models = {name: model(name) for name in ("main", "big", "elsewhere")}
    others = {name: each for name, each in models.items() if name != "main"}
    routed = Routed(models["main"], others, {"long": "big", "command": "small"})
    await answer(routed, msgspec.structs.replace(request(text), model=named))
    assert {name: [each.model for each in fake.requests] for name, fake in models.items() if fake.requests} == {
        asked: [as_model]
    }


def test_the_kind_is_that_of_the_users_words_also_after_tools() -> None:
    steps = (
        Message(role="user", content="hello"),
        Message(role="assistant", content="Hello!"),
        Message(role="user", content=LONG),
        Message(role="assistant", content="", calls=(ToolCall(id="a", name="f"),)),
        Message(role="tool", call_id="a", content="turn on the lamp"),
    )
    assert asked_text(ChatRequest(messages=steps, host=PlainHost())) == LONG
    assert asked_text(ChatRequest(messages=(), host=PlainHost())) == ""
    assert kind_of(LONG) == "long"


async def test_all_start_side_by_side_and_the_first_failure_is_raised() -> None:
    class Starting(FakeModel):
        met = asyncio.Barrier(3)
        failure: EngineUnavailable | None = None

        async def start(self) -> None:
            await self.met.wait()
            if self.failure:
                raise self.failure

    models = [Starting("a") for _ in range(3)]
    routed = Routed(models[0], {"b": models[1], "c": models[2]}, {})
    await routed.start()
    models[1].failure = EngineUnavailable("llm", "not there")
    with pytest.raises(EngineUnavailable, match="not there"):
        await routed.start()


# --- with what -------------------------------------------------------------------------------------------------------


async def test_a_models_options_stand_where_the_request_names_none() -> None:
    fake = model("m")
    options = {"m": ModelOptions(temperature=0.1, max_tokens=9, instructions="Rhyme."), "n": ModelOptions(max_tokens=5)}
    tuned = Tuned(fake, options)
    told = msgspec.structs.replace(request(ASK), instructions="Be brief.")
    asked = [
        told,
        msgspec.structs.replace(told, temperature=0.0, max_tokens=3, instructions=""),
        msgspec.structs.replace(told, model="n"),
        msgspec.structs.replace(told, model="o"),
    ]
    for each in asked:
        await answer(tuned, each)
    assert [(each.temperature, each.max_tokens, each.instructions) for each in fake.requests] == [
        (0.1, 9, "Be brief.\n\nRhyme."),
        (0.0, 3, "Rhyme."),
        (None, 5, "Be brief."),
        (None, None, "Be brief."),
    ]


# --- by settings -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def by_file(tmp_path: Path, text: str, **variables: str) -> AsyncIterator[InstalledEngines]:
    file = tmp_path / "vivavoce.yaml"
    file.write_text(text)
    loaded = configuration.load(flags={}, environ=variables, config_file=file, dotenv_dir=tmp_path)
    assert not loaded.warnings
    async with installed(loaded.settings) as engines:
        yield engines


async def said(engines: InstalledEngines, text: str, **more: Any) -> str:
    deltas = await answer(engines.in_force.llm, msgspec.structs.replace(request(text), **more))
    return "".join(delta.text for delta in deltas)


def seen(server: FakeLLM, *keys: str) -> list[Any]:
    """What the chats were asked with, each once."""
    rows = [
        request["body"] | request["headers"] for request in server.requests if "messages" in (request["body"] or {})
    ]
    server.requests.clear()
    return [tuple(row.get(key) for key in keys) for row in rows]


async def test_the_example_of_the_documents(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    async with fake_llm() as main, fake_llm() as near, fake_llm() as vendor, fake_llm() as archive:
        near.models.append("qwen3:1.7b")
        text = text.replace("http://gpu-box:8000/v1", main.openai_url)
        text = text.replace("http://archive-box:8080/v1", archive.openai_url)
        variables = {
            "OLLAMA_BASE_URL": near.url, "OPENAI_API_KEY": "vendor-key", "OPENAI_BASE_URL": vendor.openai_url,
            "LLM_API_KEY": "main-key", "LLM_HEADERS": "X-Main=1",
        }  # fmt: skip
        async with by_file(tmp_path, text, **variables) as engines:
            assert (engines.in_force.llm.name, engines.in_force.llm.model) == ("openai", "qwen3-8b")
            assert engines.hints() == [] or "language model" not in " ".join(engines.hints())
            assert engines.unguarded.llm.model == "qwen3-8b"
            await near.seen("/api/generate")
            assert near.bodies("/api/generate") == [{"model": "qwen3:1.7b", "keep_alive": "7200s", "stream": False}]
            for words, more in ((ASK, {}), (DO, {}), (LONG, {}), (ASK, {"model": "archive"}), (ASK, {"model": "m2"})):
                assert await said(engines, words, **more) == STORY
    keys = ("model", "temperature", "max_tokens", "authorization", "x-main", "x-team")
    assert seen(main, *keys) == [
        ("qwen3-8b", 0.3, 150, "Bearer main-key", "1", None),
        ("m2", 0.7, 150, "Bearer main-key", "1", None),
    ]
    [(name, options, messages, key, header)] = seen(near, "model", "options", "messages", "authorization", "x-main")
    assert (name, options) == ("qwen3:1.7b", {"temperature": 0.0, "num_predict": 60})
    assert messages[0] == {"role": "system", "content": "Answer in one short sentence."}
    assert (key, header) == (None, None)
    assert seen(vendor, *keys) == [("gpt-4.1", 0.7, 900, "Bearer vendor-key", None, None)]
    assert seen(archive, *keys) == [("archive", 0.7, 150, "Bearer another-key", None, "voice")]


async def test_a_routed_model_that_is_away_costs_one_turn_no_answer(tmp_path: Path) -> None:
    async with fake_llm() as server:
        text = f"llm: {{base_url: '{server.openai_url}', model: plain, routes: {{long: away, short: '404'}}, "
        text += f"models: {{away: {{base_url: 'http://127.0.0.1:{free_port()}/v1'}}}}}}"
        async with by_file(tmp_path, text) as engines:
            assert engines.ready
            assert "the further language model away does not work" in " ".join(engines.hints())
            for words in (LONG, LONG, ASK, ASK):
                assert await said(engines, words) == STORY
        asked = [name for (name,) in seen(server, "model")]
    assert asked == ["plain", "plain", "404", "plain", "plain"], "a model that is not there is left alone, too"


async def test_the_main_model_is_not_made_twice(tmp_path: Path) -> None:
    async with fake_llm() as server:
        settings = configured(tmp_path, LLM_BASE_URL=server.openai_url, LLM_MODEL="plain", LLM_ROUTES="short=plain")
        async with installed(settings) as engines:
            assert await said(engines, ASK) == STORY
        assert [each["path"] for each in server.requests] == ["/v1/models", "/v1/chat/completions"]


async def test_commands_may_go_to_the_assistant(tmp_path: Path) -> None:
    async with fake_llm() as server:
        settings = configured(tmp_path, LLM_BASE_URL=server.openai_url, LLM_MODEL="plain", LLM_ROUTES="command=offline")
        async with installed(settings) as engines:
            assert await said(engines, ASK) == STORY
            assert STORY not in await said(engines, "set a timer for ten minutes")


@pytest.mark.parametrize("main", ["offline", "ollama"])
async def test_other_main_models_have_routes_too(tmp_path: Path, main: str) -> None:
    async with fake_llm() as server:
        variables = {
            "LLM_PROVIDER": main, "OLLAMA_BASE_URL": server.url, "OLLAMA_MODEL": "plain", "OPENAI_API_KEY": "k1",
            "OPENAI_BASE_URL": server.openai_url, "LLM_ROUTES": "long=openai:big,command=ollama:tagged",
            "LLM_HEADERS": "X-Main=1",
        }  # fmt: skip
        async with installed(configured(tmp_path, **variables)) as engines:
            for words in (ASK, LONG, DO):
                assert await said(engines, words)
        asked = seen(server, "model", "authorization", "x-main")
    ollama_header = "1" if main == "ollama" else None
    expected = [("plain", None, "1"), ("big", "Bearer k1", None), ("tagged", None, ollama_header)]
    assert asked == expected[1 if main == "offline" else 0 :]


async def test_the_main_model_may_have_a_server_of_its_own(tmp_path: Path) -> None:
    async with fake_llm() as server:
        models = f'{{"plain": {{"base_url": "{server.openai_url}", "api_key": "k7", "max_tokens": 7}}}}'
        variables = {"LLM_MODEL": "plain", "LLM_MODELS": models, "LLM_API_KEY": "general"}
        async with installed(configured(tmp_path, **variables)) as engines:
            assert await said(engines, ASK) == STORY
        assert seen(server, "model", "max_tokens", "authorization") == [("plain", 7, "Bearer k7")]


async def test_a_key_goes_only_to_the_server_it_was_given_for(tmp_path: Path) -> None:
    async with fake_llm() as main, fake_llm() as other:
        models = f'{{"foreign": {{"base_url": "{other.openai_url}"}}}}'
        variables = {"LLM_BASE_URL": main.openai_url, "LLM_MODEL": "plain", "LLM_API_KEY": "general"}
        variables |= {"OPENAI_API_KEY": "vendor", "LLM_HEADERS": "X-Main=1", "LLM_MODELS": models}
        async with installed(configured(tmp_path, **variables)) as engines:
            assert await said(engines, ASK, model="foreign") == STORY
            assert await said(engines, ASK) == STORY
        assert seen(other, "authorization", "x-main") == [(None, None)]
        assert seen(main, "authorization", "x-main") == [("Bearer general", "1")]


async def test_a_bare_name_beside_the_assistant_is_asked_where_auto_would(tmp_path: Path) -> None:
    async with fake_llm() as server:
        variables = {"LLM_PROVIDER": "offline", "LLM_BASE_URL": server.openai_url, "LLM_ROUTES": "long=gpt-3.5-turbo"}
        async with installed(configured(tmp_path, **variables)) as engines:
            assert await said(engines, LONG) == STORY
            assert await said(engines, ASK) != STORY
        assert seen(server, "model") == [("gpt-3.5-turbo",)]


def test_without_routes_nothing_is_between(tmp_path: Path) -> None:
    made = registry.FACTORIES["llm"]["openai"](configured(tmp_path, LLM_BASE_URL="http://127.0.0.1:1/v1"))
    assert not isinstance(made, Routed)
