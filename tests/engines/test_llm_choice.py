"""Which language model is in force, what the report and the hints say of it, and `vivavoce doctor`."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from cli.runs import environment
from engines.chat_model_contract import answer, request
from fake_llm import PIECES, FakeLLM, fake_llm
from kit import FakeDetector, FakeRecognizer, FakeVoice
from vivavoce import settings as configuration
from vivavoce.engines import language_models, registry
from vivavoce.engines.fallback import Fallback
from vivavoce.engines.registry import InstalledEngines, chosen_names

QUESTION = request("hello")
STORY = "".join(PIECES)


def configured(tmp_path: Path, **variables: str) -> configuration.Settings:
    return configuration.load(flags={}, environ=variables, config_file=None, dotenv_dir=tmp_path).settings


@asynccontextmanager
async def installed(settings: configuration.Settings) -> AsyncIterator[InstalledEngines]:
    """The engines by those settings; all but the language model are fakes."""
    fakes = {"vad": FakeDetector(), "asr": FakeRecognizer(["x"]), "tts": FakeVoice()}
    factories: dict[str, Any] = {role: {"fake": lambda _, fake=fake: fake} for role, fake in fakes.items()}
    with mock.patch.object(registry, "FACTORIES", {**factories, "llm": registry.FACTORIES["llm"]}):
        engines = InstalledEngines(settings)
        await engines.start()
        try:
            yield engines
        finally:
            await engines.close()
            await engines.close()
        assert not {task.get_name() for task in asyncio.all_tasks()} & {
            "look for ollama",
            "look for openai",
            "ollama load",
        }


async def said(engines: InstalledEngines) -> str:
    return "".join(delta.text for delta in await answer(engines.in_force.llm, QUESTION))


def free_port() -> int:
    """A port where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
async def server() -> AsyncIterator[FakeLLM]:
    async with fake_llm() as running:
        yield running


async def test_the_precedence_of_auto(tmp_path: Path, server: FakeLLM) -> None:
    ollama = {"OLLAMA_BASE_URL": server.url}
    vendor = {"OPENAI_API_KEY": "k1", "OPENAI_BASE_URL": server.openai_url, "OPENAI_MODEL": "by-key"}
    any_url = {"LLM_BASE_URL": server.openai_url, "LLM_MODEL": "by-url", "LLM_API_KEY": "k2"}
    for variables, name, model, key in (
        (ollama | vendor | any_url, "openai", "by-url", "Bearer k2"),
        (ollama | vendor, "openai", "by-key", "Bearer k1"),
        (ollama, "ollama", "llama3.2:3b", None),
        (ollama | {"LLM_PROVIDER": "offline"} | vendor, "offline", "built-in rules", None),
        (ollama | {"LLM_PROVIDER": "ollama", "OLLAMA_MODEL": "plain"} | vendor | any_url, "ollama", "by-url", None),
    ):
        if name == "ollama" and model == "by-url":
            server.models.append("by-url")
        async with installed(configured(tmp_path, **variables)) as engines:
            llm = engines.in_force.llm
            assert (llm.name, llm.model) == (name, model)
            assert engines.report()["llm"] == {"name": name, "ready": True, "detail": ""}
            assert engines.ready
            server.requests.clear()
            text = await said(engines)
        if name != "offline":
            assert text == STORY
            assert [request["headers"].get("authorization") for request in server.requests[-1:]] == [key]


async def test_the_vendors_key_goes_to_nobody_else(tmp_path: Path, server: FakeLLM) -> None:
    async with installed(configured(tmp_path, LLM_BASE_URL=server.openai_url, OPENAI_API_KEY="k1")) as engines:
        assert await said(engines) == STORY
    assert not [request for request in server.requests if "authorization" in request["headers"]]


async def test_max_tokens_and_temperature_are_the_configured_ones(tmp_path: Path, server: FakeLLM) -> None:
    variables = {
        "OPENAI_API_KEY": "k1", "OPENAI_BASE_URL": server.openai_url, "OPENAI_MAX_TOKENS": "20",
        "OPENAI_TEMPERATURE": "0.1",
    }  # fmt: skip
    async with installed(configured(tmp_path, **variables)) as engines:
        await said(engines)
    body = server.bodies("/v1/chat/completions")[0]
    assert (body["max_tokens"], body["temperature"]) == (20, 0.1)


async def test_auto_without_anything_is_offline_and_says_how_to_connect(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    settings = configured(tmp_path, OLLAMA_BASE_URL=f"http://127.0.0.1:{free_port()}")
    began = loop.time()
    async with installed(settings) as engines:
        assert loop.time() - began < 2.0
        assert engines.report()["llm"] == {"name": "offline", "ready": True, "detail": ""}
        assert engines.ready
        assert engines.unguarded.llm.name == "offline"
        assert await said(engines)
        (hint,) = [hint for hint in engines.hints() if "language model" in hint]
    known = {name for option in configuration.OPTIONS.values() for name in option.names}
    for name in ("LLM_BASE_URL", "LLM_MODEL", "LLM_API_KEY", "OPENAI_API_KEY"):
        assert name in known
        assert name in hint
    assert not caplog.records, "it is no fault"


async def test_auto_does_not_wait_for_an_ollama_that_is_silent(tmp_path: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    began = loop.time()
    with silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with installed(configured(tmp_path, OLLAMA_BASE_URL=url)) as engines:
            assert 0.3 <= loop.time() - began < 2.0
            assert engines.report()["llm"]["name"] == "offline"


async def test_auto_takes_an_ollama_that_comes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_models, "AUTO_REST_S", 0.05)
    server = FakeLLM()
    server.port = free_port()
    async with installed(configured(tmp_path, OLLAMA_BASE_URL=server.url)) as engines:
        assert engines.in_force.llm.name == "offline"
        await server.open()
        await server.seen("/api/generate")  # it was found, and told to load the model
        assert engines.report()["llm"]["name"] == "ollama"
        assert await said(engines) == STORY
    await server.close()


async def test_an_engine_with_a_defect_keeps_nobody_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeRecognizer):
        async def start(self) -> None:
            raise ZeroDivisionError("no ears")

    fakes = {"vad": FakeDetector(), "asr": Broken(["x"]), "tts": FakeVoice()}
    factories: dict[str, Any] = {role: {"fake": lambda _, fake=fake: fake} for role, fake in fakes.items()}
    with mock.patch.object(
        registry, "FACTORIES", {**factories, "llm": {"offline": registry.FACTORIES["llm"]["offline"]}}
    ):
        engines = InstalledEngines(configured(tmp_path, LLM_PROVIDER="offline"))
        await engines.start()
        async with asyncio.timeout(1):
            await engines.started()
        assert engines.failure("asr") is not None
        assert "no ears" in engines.report()["asr"]["detail"]
        assert engines.report()["llm"]["ready"]
        await engines.close()
    assert "fake broke while it started" in caplog.text


async def test_an_ollama_without_the_model_gives_a_hint(tmp_path: Path, server: FakeLLM) -> None:
    server.models.clear()
    async with installed(configured(tmp_path, OLLAMA_BASE_URL=server.url)) as engines:
        assert engines.report()["llm"]["name"] == "offline"
        hints = " ".join(engines.hints())
    assert "has no model llama3.2:3b. run `ollama pull llama3.2:3b`" in hints


@pytest.mark.parametrize("provider", ["auto", "openai", "ollama"])
async def test_a_configured_model_that_is_down_is_reported(
    tmp_path: Path, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    place = f"127.0.0.1:{free_port()}"
    variables = {"LLM_PROVIDER": provider, "LLM_BASE_URL": f"http://{place}/v1", "OLLAMA_BASE_URL": f"http://{place}"}
    name = "ollama" if provider == "ollama" else "openai"
    async with installed(configured(tmp_path, **variables, LLM_MODEL="m")) as engines:
        row = engines.report()["llm"]
        assert row == {
            "name": "offline", "ready": True, "detail": f"fallback active: {name}: {place}: connection refused",
        }  # fmt: skip
        assert row["detail"] in caplog.text
        assert engines.unguarded.llm.name == name
        assert f"the language model {name} does not work: {place}: connection refused" in engines.hints()[0]
        assert await said(engines)


async def test_a_missing_key_is_reported(tmp_path: Path) -> None:
    async with installed(configured(tmp_path, LLM_PROVIDER="openai")) as engines:
        assert engines.report()["llm"]["detail"] == "fallback active: openai: there is no API key"
        assert "set OPENAI_API_KEY" in engines.hints()[0]


async def test_an_address_that_cannot_be_is_reported(tmp_path: Path) -> None:
    async with installed(configured(tmp_path, LLM_BASE_URL="http://127.0.0.1:99999/v1")) as engines:
        assert not engines.ready
        assert "is not an address" in engines.report()["llm"]["detail"]


def test_every_provider_that_can_be_set_is_there(tmp_path: Path) -> None:
    for provider in ("openai", "ollama", "offline"):
        assert chosen_names(configured(tmp_path, LLM_PROVIDER=provider))["llm"] == provider


async def test_the_limits_follow_the_settings(tmp_path: Path) -> None:
    settings = configured(tmp_path, LLM_BASE_URL="http://127.0.0.1:1/v1", LLM_MODEL="m")
    async with installed(settings) as engines:
        llm = engines.in_force.llm
        assert isinstance(llm, Fallback)
        assert llm._patience_s < settings.llm.first_token_timeout_s


# --- doctor, by process ----------------------------------------------------------------------------------------------


async def doctor(tmp_path: Path, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vivavoce", "doctor", "--port", "0", "--probe",
        cwd=tmp_path, env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return await process.wait(), output.decode()


async def test_doctor_probes_the_model(tmp_path: Path, server: FakeLLM) -> None:
    code, output = await doctor(tmp_path, LLM_BASE_URL=server.openai_url, LLM_MODEL="slow-first")
    assert code == 0, output
    assert "language model: openai" in output.lower()
    found = [line for line in output.splitlines() if "llm openai: first token after 3" in line]
    assert found, output
    assert found[0].endswith("tokens/s (slow-first)")


async def test_doctor_probes_further_models_too(tmp_path: Path, server: FakeLLM) -> None:
    main = {"LLM_BASE_URL": server.openai_url, "LLM_MODEL": "plain"}
    code, output = await doctor(tmp_path, **main, LLM_ROUTES="long=404,command=crlf")
    assert code == 1
    assert "llm openai: first token" in output
    assert "llm crlf: first token" in output
    assert "llm 404: MODEL_LOAD_FAILED" in output
    assert "HTTP 404, The model does not exist" in output


async def test_doctor_finds_a_model_that_is_not_there(tmp_path: Path) -> None:
    place = f"127.0.0.1:{free_port()}"
    code, output = await doctor(tmp_path, LLM_BASE_URL=f"http://{place}/v1", LLM_MODEL="m")
    assert code == 1
    assert f"fallback active: openai: {place}: connection refused" in output
    assert f"llm openai: MODEL_LOAD_FAILED: {place}: connection refused" in output


@pytest.mark.parametrize(("model", "refusal"), [("404", "HTTP 404, The model does not exist"), ("500", "HTTP 500")])
async def test_doctor_shows_the_exact_refusal(tmp_path: Path, server: FakeLLM, model: str, refusal: str) -> None:
    code, output = await doctor(tmp_path, LLM_BASE_URL=server.openai_url, LLM_MODEL=model)
    assert code == 1
    (line,) = [line for line in output.splitlines() if "llm openai:" in line]
    assert "[FAIL]" in line
    assert refusal in line
