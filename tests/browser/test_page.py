"""The page, in a real browser, against the real server with its embedded engines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import speech
from browser.stage import Screen, Server, padded

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LONG = (
    "This is a long announcement, which goes on for a while so that somebody can interrupt it. "
    "It has a second sentence. It has a third one, too. And here comes the fourth, which nobody should ever hear."
)
SLOW_MS = 30_000

# Notes the level of the agent's voice every few milliseconds, and when Esc is pressed.
WATCH = """async () => {
  const { client } = await import('/static/app.js');
  window.levels = [];
  window.escapedAt = null;
  setInterval(() => client.player && window.levels.push([performance.now(), client.player.level]), 5);
  addEventListener('keydown', ({ key }) => { if (key === 'Escape') window.escapedAt = performance.now(); }, true);
}"""
SEND = """async (message) => {
  const { client } = await import('/static/app.js');
  client.connection.send(message);
}"""
STATE = """async () => {
  const { client } = await import('/static/app.js');
  const { log, timings, items } = client.state;
  return { log: log.map(({ what, text, detail }) => ({ what, text, detail })), timings, items };
}"""


WATCH_BOXES = """() => {
  window.looks = [];
  const look = () => {
    for (const box of document.querySelectorAll('.box.user')) {
      const border = getComputedStyle(box).borderTopStyle;
      window.looks.push(`${box.classList.contains('solid') ? 'solid' : 'growing'}, ${border}`);
    }
  };
  const all = { subtree: true, childList: true, attributes: true, attributeFilter: ['class'] };
  new MutationObserver(look).observe(document.body, all);
}"""
"""How the user's box looked, at each change: on a busy machine it grows for less than a test takes to look."""


def connect(page: Page) -> None:
    page.get_by_role("button", name="Connect to Voice Agent").click()
    expect(page.get_by_role("button", name="Disconnect")).to_be_visible()


def send(page: Page, **message: Any) -> None:
    page.evaluate(SEND, message)


def loudest(page: Page) -> float:
    return max((level for _, level in page.evaluate("() => window.levels")), default=0.0)


def box(page: Page, who: str, index: int = -1) -> Any:
    found = page.locator(f".box.{who}")
    return found.last if index < 0 else found.nth(index)


SOLID = re.compile(r"\bsolid\b")


def test_a_spoken_turn(server: Server, screen: Screen, command: tuple[speech.Clip, str]) -> None:
    clip, word = command
    page = screen.open(server.url, microphone=padded(clip), rate=clip.rate)
    page.evaluate(WATCH)
    page.evaluate(WATCH_BOXES)
    connect(page)
    expect(box(page, "user")).to_have_class(SOLID, timeout=SLOW_MS)
    expect(box(page, "user")).to_contain_text(word)
    looks = page.evaluate("() => window.looks")
    assert looks[0] == "growing, dashed"
    assert looks[-1] == "solid, solid"
    expect(page.locator("#status-words")).to_have_text("Speaking", timeout=SLOW_MS)
    expect(box(page, "agent")).to_have_class(re.compile(r"\bdone\b"), timeout=SLOW_MS)
    expect(box(page, "agent").locator(".unheard")).to_be_empty()
    expect(page.locator("#status-words")).to_have_text("Listening")
    assert loudest(page) > 0.01, "the answer was heard"
    expect(page.locator("#announcer")).to_contain_text(word)

    bars = page.locator("#timings svg").first
    expect(bars.locator(".bar.mark-sound")).to_be_visible()
    expect(bars.locator(".bar.mark-audio")).to_have_count(2)  # the server's and the page's
    page_marks = page.evaluate(STATE)["timings"][0]["page"]
    order = [page_marks[mark] for mark in ("end", "final", "audio", "sound")]
    assert order == sorted(order)
    assert 0 < page_marks["sound"] - page_marks["end"] < 10_000
    assert screen.complaints == []


def test_a_typed_turn(server: Server, screen: Screen) -> None:
    page = screen.open(server.url)
    page.evaluate(WATCH)
    message = page.get_by_label("Message to the agent")
    message.fill("What time is it?")
    message.press("Enter")  # it connects by itself
    expect(box(page, "user")).to_contain_text("What time is it?")
    expect(box(page, "agent")).to_have_class(re.compile(r"\bdone\b"), timeout=SLOW_MS)
    assert loudest(page) > 0.01
    expect(page.locator("#status-words")).to_have_text("Idle, type a message")
    played = [entry for entry in page.evaluate(STATE)["log"] if entry["what"] == "page: heard"]
    assert played[-1]["text"].endswith("whole")

    with page.expect_download() as download:
        page.locator("#export summary").click()
        page.get_by_role("button", name="As JSON").click()
    exported = json.loads(Path(download.value.path()).read_text())
    assert [item["role"] for item in exported["items"]] == ["user", "assistant"]
    assert exported["items"][1]["heard"] == exported["items"][1]["text"]

    page.reload()  # what was said is still there
    expect(box(page, "user")).to_contain_text("What time is it?")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".box")).to_have_count(0)


def test_speech_in_json_is_heard_as_well(server: Server, screen: Screen) -> None:
    page = screen.open(server.url)
    page.evaluate(WATCH)
    page.evaluate("""async () => {
      const { client } = await import('/static/app.js');
      const { on } = client.connection;
      const start = on.start;
      on.start = () => ({ ...start(), audio_out: 'wav_b64' });
    }""")
    connect(page)
    send(page, type="say", text="This comes in one piece. And this in another.")
    expect(box(page, "agent")).to_have_class(re.compile(r"\bdone\b"), timeout=SLOW_MS)
    assert loudest(page) > 0.01
    log = page.evaluate(STATE)["log"]
    assert any(entry["what"] == "tts_chunk" for entry in log)
    ends = [entry["text"] for entry in log if entry["what"] == "page: heard" and "whole" in entry["text"]]
    phrases = [entry for entry in log if entry["what"] == "phrase"]
    assert len(ends) == len(phrases)


def test_escape_silences_at_once(server: Server, screen: Screen) -> None:
    page = screen.open(server.url)
    connect(page)
    page.evaluate(WATCH)
    send(page, type="say", text=LONG)
    expect(box(page, "agent").locator(".heard")).to_contain_text("announcement", timeout=SLOW_MS)
    expect(box(page, "agent").locator(".unheard")).not_to_be_empty()
    page.keyboard.press("Escape")
    expect(box(page, "agent").locator(".marker")).to_have_text("Interrupted: you stopped it")
    page.get_by_role("tab", name="Events").click()
    expect(page.locator("#log li", has_text="metrics")).to_contain_text("interrupted")
    escaped, levels = page.evaluate("() => [window.escapedAt, window.levels]")
    audible = [at for at, level in levels if level > 0.0005]
    assert audible[0] < escaped
    assert audible[-1] - escaped < 100, "silent within 100 ms"
    heard, unheard = (box(page, "agent").locator(f".{part}") for part in ("heard", "unheard"))
    assert "fourth" in unheard.inner_text()
    colours = [part.evaluate("(span) => getComputedStyle(span).color") for part in (heard, unheard)]
    assert colours[0] != colours[1]
    send(page, type="say", text="Here I am again.")  # and the next turn is heard
    expect(box(page, "agent", 1).locator(".heard")).to_contain_text("again", timeout=SLOW_MS)


def test_barge_in_by_voice(server: Server, screen: Screen, command: tuple[speech.Clip, str]) -> None:
    clip, word = command
    page = screen.open(server.url, microphone=padded(clip, lead_s=5.0), rate=clip.rate)
    connect(page)
    send(page, type="say", text=LONG)
    expect(box(page, "agent", 0).locator(".marker")).to_have_text("Interrupted: you spoke", timeout=SLOW_MS)
    expect(box(page, "user")).to_contain_text(word, timeout=SLOW_MS)
    expect(box(page, "agent", 1)).to_have_class(re.compile(r"\bdone\b"), timeout=SLOW_MS)
    interrupted = next(entry for entry in page.evaluate(STATE)["log"] if entry["what"] == "interrupted")
    heard = "".join(interrupted["detail"]["heard_text"].split())
    assert heard
    assert "".join(LONG.split()).startswith(heard)
    assert "".join(box(page, "agent", 0).locator(".heard").inner_text().split()) == heard


def test_push_to_talk(server: Server, screen: Screen, command: tuple[speech.Clip, str]) -> None:
    clip, word = command
    page = screen.open(server.url, microphone=padded(clip, lead_s=3.0, tail_s=4.0), rate=clip.rate)
    page.get_by_label("Push to talk").click()
    connect(page)
    expect(page.locator("#status-words")).to_have_text("Idle, hold to talk")
    page.keyboard.down("Space")
    expect(page.locator("#status-words")).to_have_text("Hearing you")
    expect(page.get_by_role("button", name="Hold to talk")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".box.user")).to_contain_text(word, timeout=SLOW_MS)
    expect(page.locator(".box.user.solid")).to_have_count(0)  # however long the pause, the key decides
    page.keyboard.up("Space")
    expect(box(page, "user")).to_have_class(SOLID, timeout=SLOW_MS)
    expect(box(page, "agent")).to_have_class(re.compile(r"\bdone\b"), timeout=SLOW_MS)
    said = [entry for entry in page.evaluate(STATE)["log"] if entry["what"] == "decision"]
    assert any("stop" in entry["text"] for entry in said)
    message = page.get_by_label("Message to the agent")
    message.press_sequentially("a b")  # in the field a space is a space
    expect(message).to_have_value("a b")


def test_it_comes_back_when_the_server_does(own_server: Callable[..., Server], screen: Screen) -> None:
    server = own_server()
    page = screen.open(server.url)
    connect(page)
    message = page.get_by_label("Message to the agent")
    message.fill("What time is it?")
    message.press("Enter")
    expect(box(page, "agent")).to_have_class(re.compile(r"\bdone\b"), timeout=SLOW_MS)
    server.kill()
    expect(page.locator("#status-words")).to_have_text("Reconnecting")
    expect(page.locator(".notice").first).to_contain_text("The connection was lost.")
    server.start()
    expect(page.locator("#status-words")).to_have_text("Listening", timeout=SLOW_MS)
    expect(page.locator(".notice")).to_have_count(0)
    message.fill("What time is it now?")
    message.press("Enter")
    expect(page.locator(".box.agent.done")).to_have_count(2, timeout=SLOW_MS)


def test_it_asks_once_for_the_key(own_server: Callable[..., Server], screen: Screen) -> None:
    server = own_server(VIVAVOCE_API_KEY="correct-horse-battery")
    page = screen.open(server.url)
    page.get_by_role("button", name="Connect to Voice Agent").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Key").fill("wrong")
    dialog.get_by_role("button", name="Go on").click()
    expect(dialog.get_by_role("alert")).to_have_text("That is not the key.")
    dialog.get_by_label("Key").fill("correct-horse-battery")
    dialog.get_by_label("Key").press("Enter")
    expect(page.locator("#status-words")).to_have_text("Listening")
    expect(page.locator("#engines-short")).to_contain_text("espeak")
    stored = page.evaluate("() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }])")
    assert "token" in stored
    assert "correct-horse" not in stored
    page.get_by_role("button", name="Disconnect").click()
    connect(page)  # a token opens one socket; the page gets another without asking
    expect(dialog).to_be_hidden()


def test_help_without_a_secure_context(own_server: Callable[..., Server], screen: Screen) -> None:
    server = own_server(VIVAVOCE_ALLOWED_HOSTS="voice.test")
    url = f"http://voice.test:{server.port}/"
    page = screen.open(url, allowed=False, arguments=("--host-resolver-rules=MAP voice.test 127.0.0.1",))
    page.get_by_role("button", name="Connect to Voice Agent").click()
    expect(page.get_by_role("heading", name="secure pages only")).to_be_visible()
    expect(page.locator("#microphone-help")).to_contain_text("https", ignore_case=True)


def test_help_when_the_microphone_is_denied(server: Server, screen: Screen) -> None:
    page = screen.open(server.url, allowed=False)
    connect(page)
    expect(page.get_by_role("heading", name="The microphone is not allowed")).to_be_visible()
    message = page.get_by_label("Message to the agent")
    message.fill("What time is it?")  # typing works all the same
    message.press("Enter")
    expect(box(page, "agent")).to_have_class(re.compile(r"\bdone\b"), timeout=SLOW_MS)
    page.context.grant_permissions(["microphone"])
    page.get_by_role("button", name="Try the microphone again").click()
    expect(page.locator("#microphone-help")).to_be_hidden()
    expect(page.locator("#status-words")).to_have_text("Listening")


def test_choices_are_remembered(server: Server, screen: Screen) -> None:
    page = screen.open(server.url)
    page.get_by_label("Volume of the agent").fill("35")
    page.get_by_role("button", name="Mute the agent").click()
    page.get_by_label("Push to talk").click()
    page.reload()
    expect(page.get_by_label("Volume of the agent")).to_have_value("35")
    expect(page.get_by_role("button", name="Mute the agent")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Push to talk")).to_be_checked()
    page.evaluate(WATCH)
    connect(page)
    send(page, type="say", text="Nobody hears this.")
    expect(box(page, "agent")).to_have_class(re.compile(r"\bdone\b"), timeout=SLOW_MS)
    assert loudest(page) < 0.001
    page.get_by_role("button", name="Mute the agent").click()
    send(page, type="say", text="Everybody hears this.")
    expect(page.locator(".box.agent.done")).to_have_count(2, timeout=SLOW_MS)
    assert loudest(page) > 0.001
    page.get_by_role("tab", name="Settings").click()
    expect(page.get_by_label("Voice of the agent").locator("option")).not_to_have_count(1)
