"""Fixtures that run the server as a process; see `live`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.live import Live, gone


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Start servers; in the end nothing of them is left."""
    started: list[Live] = []

    def start(*arguments: str, keep: bool = False, **env: str) -> Live:
        started.append(Live(tmp_path, *arguments, keep=keep, **env))
        return started[-1]

    yield start
    for live in started:
        live.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server for the tests of a module; it ends well, and leaves no process behind."""
    server = Live(tmp_path_factory.mktemp("live"))
    try:
        server.ready()
        yield server
        workers = server.workers()
        assert workers
        assert server.stop() == 0
        assert gone(workers)
    finally:
        server.close()
