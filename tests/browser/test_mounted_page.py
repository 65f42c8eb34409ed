"""The page of an agent that is mounted into an application of one's own: the example, as its first line says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.stage import Screen, Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "agents"


class Host(Server):
    """The application, under its own server; it is ready when what is mounted in it is."""

    def command(self) -> list[str]:
        port = str(self.port)
        return [sys.executable, "-m", "uvicorn", "in_my_app:app", "--app-dir", str(EXAMPLES), "--port", port]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    running = Host(tmp_path)
    running.url += "voice/"
    running.start()
    yield running
    running.stop()


def test_the_page_works_below_a_path(screen: Screen, host: Host) -> None:
    page = screen.open(host.url)
    page.get_by_role("button", name="Connect to Voice Agent").click()
    expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
    page.get_by_label("Message to the agent").fill("what is two plus two")
    page.get_by_label("Message to the agent").press("Enter")
    expect(page.locator(".box.agent").last).to_contain_text("That is 4.")
    page.locator("#engines summary").click()
    expect(page.locator("#engines-list")).to_contain_text("orders")
    assert not screen.complaints
