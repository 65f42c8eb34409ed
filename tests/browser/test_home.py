"""The example home on the page: what is said changes what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.stage import Screen, Server
from browser.test_appearance import CONTRAST, DANGLING, NAMELESS, fits

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

HOME = Path(__file__).parents[2] / "examples" / "home.py"
SAYS = """async (message) => {
  const { client } = await import('/static/app.js');
  client.dispatch({ type: 'server', message });
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("home"), agent=HOME)
    running.start()
    yield running
    running.stop()


def tell(page: Page, text: str) -> None:
    """Type *text*, and wait until its answer is over."""
    answers = page.locator(".box.agent")
    before = answers.count()
    page.get_by_label("Message to the agent").fill(text)
    page.get_by_label("Message to the agent").press("Enter")
    expect(answers).to_have_count(before + 1, timeout=20_000)
    expect(answers.last).to_have_class(re.compile(r"\bdone\b"), timeout=20_000)


def enter(page: Page) -> None:
    """Connect, and hear the greeting out."""
    page.get_by_role("button", name="Connect to Voice Agent").click()
    expect(page.locator(".box.agent").first).to_have_class(re.compile(r"\bdone\b"), timeout=20_000)


def thing(page: Page, name: str) -> Any:
    return page.locator(".thing", has_text=name)


def test_commands_change_what_is_shown(home: Server, screen: Screen) -> None:
    page = screen.open(home.url)
    expect(page.locator("#states")).to_be_hidden()
    enter(page)
    expect(page.get_by_role("region", name="Shown by the agent")).to_be_visible()
    expect(thing(page, "Kitchen light")).to_contain_text("Off")
    tell(page, "turn on the kitchen light")
    expect(thing(page, "Kitchen light")).to_contain_text("On, 100 %, warm white")
    expect(page.locator(".box.agent").last).to_contain_text("Turning on the kitchen light.")
    expect(page.locator(".box.agent .deeds li").last).to_contain_text(
        "HassTurnOn name kitchen light · 100 % · by template"
    )
    tell(page, "make the bedroom lamp blue")
    expect(thing(page, "Bedroom lamp")).to_contain_text("blue")
    tell(page, "unlock the front door")
    expect(thing(page, "Front door")).to_contain_text("Unlocked")
    tell(page, "set a pizza timer for ten minutes")
    expect(thing(page, "Pizza timer")).to_contain_text(re.compile(r"(10:00|9:5\d)"))
    first = thing(page, "Pizza timer").text_content()
    expect(thing(page, "Pizza timer")).not_to_have_text(first or "", timeout=5000)  # it counts
    assert screen.complaints == []

    other = screen.open(home.url)  # the same home
    enter(other)
    expect(thing(other, "Kitchen light")).to_contain_text("On")
    expect(thing(other, "Pizza timer")).to_have_count(0)
    tell(other, "turn off all the lights")
    expect(thing(page, "Kitchen light")).to_contain_text("Off")
    page.locator(".shown > summary").click()
    expect(thing(page, "Kitchen light")).to_be_hidden()

    page.get_by_role("tab", name="Events").click()
    expect(page.locator("#log li", has_text="HassStartTimer")).to_be_visible()
    page.get_by_role("button", name="New conversation").click()
    expect(thing(page, "Pizza timer")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_it_is_legible_named_and_fits(home: Server, screen: Screen, scheme: Any, width: int) -> None:
    page = screen.open(home.url, color_scheme=scheme, viewport={"width": width, "height": 800})
    enter(page)
    tell(page, "turn on the lights in the kitchen")
    for part in (".thing b", ".thing-state", ".deeds li", ".deeds b", ".shown h2"):
        assert page.locator(part).last.evaluate(CONTRAST) >= 4.5, part
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(DANGLING) == []
    assert fits(page)
    expect(page.get_by_label("Message to the agent")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("list", name="Lights")).to_be_visible()


def test_other_states_are_names_and_values_and_only_text(home: Server, screen: Screen) -> None:
    page = screen.open(home.url)
    nasty = "<img src=x onerror=alert(1)>"
    page.evaluate(SAYS, {"type": "state", "name": "order", "value": {"table_no": 7, "paid": False, nasty: nasty}})
    box = page.locator("[data-state=order]")
    expect(box).to_contain_text("Table no")
    expect(box.locator("dd").first).to_have_text("7")
    expect(box).to_contain_text(nasty)
    page.evaluate(SAYS, {"type": "state", "name": "home", "value": {"lights": {nasty: {"on": True, "color": nasty}}}})
    expect(page.locator("[data-state=home]")).to_contain_text(nasty)
    page.evaluate(SAYS, {"type": "command", "turn_id": 1, "intent": nasty, "entities": {nasty: nasty}, "confidence": 1})
    expect(page.locator(".deeds")).to_contain_text(nasty)
    page.evaluate(SAYS, {"type": "state", "name": "odd", "value": 5})
    expect(page.locator("[data-state=odd]")).to_contain_text("5")
    assert page.locator(".states img, .deeds img").count() == 0
    page.evaluate(SAYS, {"type": "state", "name": "order", "value": None})
    expect(box).to_have_count(0)
    assert screen.complaints == []
