"""Imports point inwards, and only certain modules know certain things."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "vivavoce"
MODULES = sorted(SOURCE.rglob("*.py"))
RANK = {
    "__main__": 12,
    "cli": 11,
    "app": 10,
    "transports": 9,
    "server": 8,
    "session": 7,
    "flows": 7,
    "commands": 6,
    "agent": 5,
    "tools": 4,
    "memory": 4,
    "observe": 4,
    "engines": 3,
    "assistant": 2,
    "settings": 2,
    "layered": 1,
    "core": 1,
    "text": 1,
    "audio": 1,
    "events": 0,
    "errors": 0,
}
"""A module imports only from its own room, or from rooms of a lower rank."""


def imports(path: Path) -> set[str]:
    """The modules that *path* imports anywhere, in dotted form, relative ones resolved."""
    package = ["vivavoce", *path.relative_to(SOURCE).parent.parts]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found |= {name} | {f"{name}.{alias.name}" for alias in node.names}
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_inwards(path: Path) -> None:
    here = path.relative_to(SOURCE).with_suffix("").parts[0]
    if here == "__init__":
        return
    for module in imports(path):
        if not module.startswith("vivavoce."):
            continue
        there = room(module)
        if there not in RANK or there == here:
            continue
        assert RANK[there] < RANK[here], f"{here} must not import {module}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.relative_to(SOURCE).parts[0] in ("core", "text", "audio")])
def test_pure_rooms_know_no_loop_and_no_clock(path: Path) -> None:
    assert not imports(path) & {"asyncio", "time", "threading", "socket", "os", "random", "logging"}


def test_only_settings_reads_the_environment() -> None:
    readers = [p for p in MODULES if "environ" in p.read_text(encoding="utf-8") and "os" in imports(p)]
    assert {str(p.relative_to(SOURCE)) for p in readers} <= {
        "settings/__init__.py",
        "cli/__init__.py",
        "cli/serve.py",
    }


def test_only_app_and_the_registry_know_concrete_engines() -> None:
    concrete = ("vivavoce.engines.asr.", "vivavoce.engines.llm.", "vivavoce.engines.tts.", "vivavoce.engines.vad.")
    for path in MODULES:
        name = str(path.relative_to(SOURCE))
        if name in ("app.py", "engines/registry.py") or name.startswith("engines/"):
            continue
        assert not [m for m in imports(path) if m.startswith(concrete)], name
