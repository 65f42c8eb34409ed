"""docs/agents.md is true: its programs run, its tables name what there is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.runs import environment
from kit import FakeModel, a_session, run_virtually
from vivavoce import Agent, AgentSession

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def block(word: str) -> str:
    return next(code for code in BLOCKS if word in code)


def run(code: str) -> dict[str, Any]:
    """The names that a program of the page leaves behind."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "docs/agents.md", "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_every_program_runs(code: str) -> None:
    assert run(code)


def test_every_program_is_typed(tmp_path: Path) -> None:
    for number, code in enumerate(BLOCKS):
        (tmp_path / f"page_{number}.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == 0, done.stdout


def test_the_arguments_the_hooks_and_the_session_are_all_there() -> None:
    arguments = set(inspect.signature(Agent).parameters)
    section = PAGE[PAGE.index("`Agent(...)` takes") : PAGE.index("Without any code")]
    named = {name for row in re.findall(r"(?m)^\| (`.*?) \|", section) for name in re.findall(r"`(\w+)`", row)}
    assert named == arguments
    offered = {name for name in vars(AgentSession) if not name.startswith("_")}
    section = PAGE[PAGE.index("## What the session offers") : PAGE.index("## Hand-off")]
    missing = {name for name in offered if f"session.{name}" not in section} - {"emit"}
    assert not missing
    assert set(re.findall(r"`session\.(\w+)", section)) <= offered


def test_the_restaurant_knows_its_customers() -> None:
    async def scenario() -> None:
        llm = FakeModel("At 7 pm then.")
        async with a_session(llm=llm, agent=run(block("class Restaurant"))["restaurant"]) as client:
            client.session.type("this is Ada")
            await client.wait("metrics")
            client.session.type("...")
            assert (await client.wait("metrics", 2))["llm_tokens"] == 0
            assert client.session.view.userdata == {"asked": 1}
        assert llm.requests[0].messages[-1].content == "this is Ada\n(ada has a reservation for seven)"
        assert len(llm.requests) == 1

    run_virtually(scenario())


def test_the_parrot_speaks() -> None:
    async def scenario() -> None:
        async with a_session(agent=run(block("class Parrot"))["Parrot"]()) as client:
            client.session.type("pretty Polly")
            await client.wait("metrics")
            assert client.session.view.messages[-1].content == "You said: pretty Polly"

    run_virtually(scenario())


def test_the_test_of_an_agent_passes(tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text(block("def test_it_answers"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=55
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
