"""Fixtures that run the command; see `runs`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.runs import Process, Run, environment


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `vivavoce ARGUMENTS` to its end."""

    def call(
        *arguments: str | Path, env: dict[str, str] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vivavoce", *map(str, arguments)],
            cwd=tmp_path,
            env=environment(**(env or {})),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )

    return call


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start servers that are killed in the end."""
    started: list[Process] = []

    def start(*arguments: str, **env: str) -> Process:
        started.append(Process(tmp_path, *arguments, **env))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server's `/ws`, for tests that only talk with it."""
    process = Process(tmp_path_factory.mktemp("server"))
    port = process.until(r"http://127\.0\.0\.1:(\d+)/")[1]
    process.until(r"\[READY\]")
    yield f"ws://127.0.0.1:{port}/ws"
    process.signal()
    try:
        assert process.wait() == 0
    finally:
        process.close()
