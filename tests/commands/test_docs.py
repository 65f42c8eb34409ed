"""The page about commands: its programs run."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from vivavoce.commands import Catalog, CommandAgent
from vivavoce.events import CommandUnderstood, State
from vivavoce.settings import OPTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [block for kind, block in BLOCKS if kind == language]


def test_the_first_agent_understands_and_acts() -> None:
    scope: dict[str, Any] = {"__name__": "lights"}
    exec(blocks("python")[0], scope)
    agent = scope["agent"]
    assert isinstance(agent, CommandAgent)
    agent.load()
    command = asyncio.run(agent.parse("turn on the kitchen light"))
    assert scope["lights"] == {"kitchen light": False, "bedroom lamp": False}  # parsed, not done
    call = scope["Call"](command=command)
    assert asyncio.run(scope["commands"].carry_out(call, agent.load().default)) == (None, True)
    assert scope["lights"]["kitchen light"] is True


def test_the_program_by_itself_says_what_it_understood() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", blocks("python")[1]], capture_output=True, text=True, timeout=40, check=True
    )
    assert ran.stdout == ("Turning on the kitchen light.\nHassTurnOn {'name': 'kitchen light'} 1.0 fallback\n")


def test_the_intents_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(blocks("yaml")[0])
    match = Catalog(file=path).default.match("brew two cups of coffee")
    assert match is not None
    assert match.response == "Making 2 cups."


def test_what_it_names_exists() -> None:
    names = Catalog().default.names
    for intent in re.findall(r"`(Hass\w+)`", PAGE):
        assert intent in names
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
    for option in re.findall(r"`(commands\.[a-z_]+)`", PAGE):
        assert option in OPTIONS
    assert {CommandUnderstood.__struct_config__.tag, State.__struct_config__.tag} == {"command", "state"}
