"""How the page looks and how it is used without eyes, mouse or width."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.stage import Screen, Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

NAMELESS = """() => [...document.querySelectorAll('button, input, select, summary, [role=tab], [role=meter], dialog')]
  .filter((element) => {
    const labels = [...(element.labels ?? [])].map((label) => label.textContent).join('');
    const by = (element.getAttribute('aria-labelledby') ?? '').split(' ').filter(Boolean);
    const referred = by.map((id) => document.getElementById(id).textContent).join('');
    const name = element.getAttribute('aria-label') || referred || labels || element.textContent;
    return !name.trim();
  })
  .map((element) => element.outerHTML)"""

DANGLING = """() => ['aria-controls', 'aria-labelledby', 'for'].flatMap((attribute) =>
  [...document.querySelectorAll(`[${attribute}]`)]
    .filter((element) => !document.getElementById(element.getAttribute(attribute)))
    .map((element) => element.outerHTML))"""

# WCAG 2: relative luminance and contrast of a text with the nearest painted background.
CONTRAST = """(element) => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const linear = (c) => (c <= 0.04045 * 255 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map(linear);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  let behind = element;
  while (rgb(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map((c) => light(rgb(c)));
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""

EXAMPLE = """async () => {
  const { client } = await import('/static/app.js');
  const says = (message) => client.dispatch({ type: 'server', message });
  says({ type: 'final_transcript', text: 'What time is it?', id: 'u1', turn_id: 1 });
  says({ type: 'llm_token', text: 'It is a quarter past eleven. Shall I say more?', turn_id: 1, done: true });
  says({ type: 'phrase', seq: 1, text: 'It is a quarter past eleven. ', turn_id: 1 });
  says({ type: 'interrupted', reason: 'user_speech', heard_text: 'It is a quarter', turn_id: 1 });
  says({ type: 'partial_transcript', text: 'and tomorrow, a-word-that-does-not-fit-anywhere-'.repeat(6) });
  says({ type: 'error', code: 'TTS_FAILED', message: 'the voice broke', recoverable: true });
}"""


def fits(page: Page) -> bool:
    wide, window = page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    return bool(wide <= window)


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_needs_no_sideways_scrolling(server: Server, screen: Screen, width: int) -> None:
    page = screen.open(server.url, viewport={"width": width, "height": 844}, has_touch=True)
    expect(page.locator("#engines-short")).to_contain_text("espeak")
    assert fits(page)
    page.get_by_role("button", name="Connect to Voice Agent").tap()
    expect(page.locator("#status-words")).to_have_text("Listening")
    page.evaluate(EXAMPLE)
    expect(page.locator(".marker")).to_be_visible()
    assert fits(page)
    page.get_by_label("Push to talk").tap()
    expect(page.get_by_role("button", name="Hold to talk")).to_be_in_viewport(ratio=1)
    expect(page.get_by_label("Message to the agent")).to_be_in_viewport(ratio=1)
    page.locator("#engines summary").tap()
    expect(page.locator("#engines .popover")).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name="Details").tap()
    for tab in ("Events", "Settings", "Latency"):
        page.get_by_role("tab", name=tab).tap()
        assert fits(page), tab
    page.get_by_role("button", name="Close the details").tap()
    expect(page.locator("#panel")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible(server: Server, screen: Screen, scheme: Any) -> None:
    page = screen.open(server.url, color_scheme=scheme, reduced_motion="reduce")
    connect = page.get_by_role("button", name="Connect to Voice Agent")
    assert connect.evaluate(CONTRAST) >= 4.5
    page.evaluate(EXAMPLE)
    for part in (".heard", ".unheard", ".marker", ".notice div", ".box.user header b", ".box.agent header b", ".lead"):
        assert page.locator(part).last.evaluate(CONTRAST) >= 4.5, part
    background = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    luminous = max(int(part) for part in re.findall(r"\d+", background)) > 128
    assert luminous == (scheme == "light")
    assert page.locator(".orb").evaluate("(orb) => getComputedStyle(orb).animationName") == "none"


def test_names_and_roles(server: Server, screen: Screen) -> None:
    page = screen.open(server.url)
    expect(page.locator("#engines-short")).to_contain_text("espeak")
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(DANGLING) == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.evaluate("() => [...document.images].every((image) => image.hasAttribute('alt'))")
    assert page.evaluate("() => new Set([...document.querySelectorAll('[id]')].map(({ id }) => id)).size") == (
        page.locator("[id]").count()
    )
    for role in ("banner", "main", "complementary", "status", "tablist", "log"):
        assert page.get_by_role(role).count() == 1, role  # type: ignore[arg-type]
    expect(page.get_by_role("status")).to_have_text("Not connected")
    assert page.locator("#announcer").get_attribute("aria-live") == "polite"


def test_the_keyboard_reaches_everything(server: Server, screen: Screen) -> None:
    page = screen.open(server.url)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id || document.activeElement.textContent.trim()"))
    wanted = {"connect", "new-conversation", "panel-toggle", "mute", "volume", "message", "send", "tab-latency"}
    assert wanted <= reached, wanted - reached
    page.locator("#tab-latency").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Events")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Events")).to_be_visible()
    page.locator("#connect").focus()
    outline = page.locator("#connect").evaluate("(button) => getComputedStyle(button).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("/")
    expect(page.get_by_label("Message to the agent")).to_be_focused()


def test_what_a_model_says_is_only_text(server: Server, screen: Screen) -> None:
    page = screen.open(server.url)
    page.evaluate(
        """async (text) => {
          const { client } = await import('/static/app.js');
          client.dispatch({ type: 'server', message: { type: 'llm_token', turn_id: 1, text, done: true } });
          client.dispatch({ type: 'server', message: { type: 'error', code: 'X', message: text, recoverable: true } });
        }""",
        "<img src=x onerror=alert(1)><script>alert(2)</script>`<b>code</b>`",
    )
    expect(page.locator(".box.agent p")).to_contain_text("<script>alert(2)</script>")
    expect(page.locator(".notice")).to_contain_text("<img")
    assert page.locator(".box img, .box script, .box b:not(header b), .notice img, .notice script").count() == 0


def test_the_event_log(server: Server, screen: Screen) -> None:
    page = screen.open(server.url)
    page.get_by_role("tab", name="Events").click()
    page.evaluate(EXAMPLE)
    expect(page.locator("#log li")).not_to_have_count(0)
    page.get_by_label("Which events").select_option("decision")
    expect(page.locator("#log li")).to_have_count(1)
    expect(page.locator("#log li")).to_contain_text("you spoke")
    page.get_by_label("Which events").select_option("all")
    page.get_by_label("Search the events").fill("quarter past")
    expect(page.locator("#log li")).to_have_count(2)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="2 copied")).to_be_visible()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert '"llm_token"' in copied
    page.get_by_label("Search the events").fill("")
    page.get_by_role("button", name="Pause").click()
    before = page.locator("#log li").count()
    page.evaluate(EXAMPLE)
    expect(page.locator(".box.agent.interrupted")).to_have_count(1)
    assert page.locator("#log li").count() == before
    page.get_by_role("button", name="Go on").click()
    page.evaluate(EXAMPLE)
    expect(page.locator("#log li")).not_to_have_count(before)
