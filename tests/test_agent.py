"""The agent as an object: how it is made, and the names that programs import."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest

import vivavoce
from vivavoce import Agent, AgentSession
from vivavoce.server.state import configured_agent
from vivavoce.settings import load


async def changes(session: AgentSession, text: str) -> str:
    return text


def imported_by(statement: str) -> set[str]:
    """The modules outside the standard library that a fresh interpreter has after *statement*."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    return {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}


def test_every_public_name_is_there_and_nothing_else() -> None:
    for name in vivavoce.__all__:
        assert getattr(vivavoce, name) is not None
    assert set(vivavoce.__all__) <= set(dir(vivavoce))
    assert sorted(name for names in vivavoce._HOMES.values() for name in names) == sorted(vivavoce.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Agnt'"):
        _ = vivavoce.Agnt


def test_to_import_it_imports_next_to_nothing() -> None:
    program = (
        "import sys, vivavoce; print([m for m in sys.modules if m.startswith('vivavoce')], 'asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "['vivavoce'] False"


def test_an_agent_is_imported_without_a_server_or_an_engine() -> None:
    heavy = {"numpy", "starlette", "uvicorn", "httpx", "mcp"}
    assert not imported_by("from vivavoce import Agent") & heavy


def test_hooks_are_overridden_or_given() -> None:
    class Own(Agent):
        async def before_speech(self, session: AgentSession, text: str) -> str:
            return text

    assert not any(Agent().hooks(name) for name in ("on_user_turn", "before_llm", "before_speech", "on_interrupted"))
    assert Own().hooks("before_speech")
    assert not Own().hooks("on_user_turn")
    assert Own(on_user_turn=changes).hooks("on_user_turn")
    assert Agent(on_user_turn=partial(changes)).hooks("on_user_turn")


class Callable_:
    async def __call__(self, session: AgentSession, text: str) -> str:
        return text


def test_an_object_may_be_a_hook() -> None:
    assert Agent(on_user_turn=Callable_()).hooks("on_user_turn")


def not_async(session: AgentSession, text: str) -> str:
    return text


class NotAsync(Agent):
    def before_speech(self, session: AgentSession, text: str) -> str:  # type: ignore[override]
        return text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Agent(on_user_turn=not_async), "on_user_turn must be an async function"),  # type: ignore[arg-type]
        (lambda: Agent(before_llm=lambda session, request: None), "before_llm must be an async"),  # type: ignore[arg-type, return-value]
        (NotAsync, "before_speech must be an async function"),
        (lambda: Agent(still_there_s=0.0), "still_there_s must be seconds above 0"),
        (lambda: Agent(still_there_s=float("nan")), "still_there_s must be seconds above 0"),
        (lambda: Agent(still_there_s=5.0, still_there=" "), "still_there must say something"),
        (lambda: Agent(language="English, please"), "language must be a tag"),
        (lambda: Agent(greeting=lambda: "Hello"), "greeting must be text, not function"),  # type: ignore[arg-type]
        (lambda: Agent({"role": "system"}), "instructions must be text, not dict"),  # type: ignore[arg-type]
        (lambda: Agent(model=object()), "model must be a model's name or a ChatModel"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_made(make: Any, says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        make()


def test_the_default_agent_is_configured(tmp_path: Any) -> None:
    given = {
        "VIVAVOCE_AGENT__GREETING": "Hello!",
        "VIVAVOCE_AGENT__STILL_THERE_S": "20s",
        "VIVAVOCE_AGENT__STILL_THERE": "Hallo?",
        "VIVAVOCE_AGENT__STILL_THERE_TIMES": "2",
    }
    agent = configured_agent(load(flags={}, environ=given, config_file=None, dotenv_dir=tmp_path).settings)
    assert (agent.greeting, agent.still_there_s, agent.still_there, agent.still_there_times) == (
        "Hello!",
        20.0,
        "Hallo?",
        2,
    )
    assert agent.client_instructions
    plain = configured_agent(load(flags={}, environ={}, config_file=None, dotenv_dir=tmp_path).settings)
    assert not plain.opens
    assert plain.still_there_s is None
