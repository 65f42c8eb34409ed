"""Fixtures of the browser tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, sync_playwright

import speech
from browser.stage import Screen, Server

NAMES = ("chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them in one process, one after the other: a browser wants a core for itself."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of most tests."""
    running = Server(tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server of the test's own, with further environment variables."""
    started: list[Server] = []

    def start(**environment: str) -> Server:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        started.append(Server(folder, **environment))
        started[-1].start()
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright keeps an event loop running in this thread: no longer than a module, as other tests want their own."""
    with sync_playwright() as running:
        yield running


@pytest.fixture
def screen(playwright: Playwright, chromium: str, tmp_path: Path) -> Iterator[Screen]:
    running = Screen(playwright, chromium, tmp_path)
    yield running
    running.close()


@pytest.fixture(scope="session")
def command() -> tuple[speech.Clip, str]:
    """A spoken command, and a word in it that the recogniser gets right."""
    return speech.clip("ps_goforward"), "forward"
