"""A conversation with the pure assistant, for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from vivavoce.assistant.respond import respond
from vivavoce.assistant.skill import Answer, Said, Turn

NOW = datetime(2026, 11, 21, 15, 10, tzinfo=UTC)
"""A Saturday."""


def ask(
    text: str,
    *earlier: Said,
    now: datetime = NOW,
    timers: tuple[tuple[str, float], ...] | None = (),
    language: str = "en",
    seed: int = 1,
) -> Answer:
    """The answer to *text* after the messages *earlier*."""
    return respond(Turn(text, earlier, now, timers, Random(seed), language))


def talk(*texts: str, now: datetime = NOW) -> list[str]:
    """The answers to *texts*, said one after the other in one conversation."""
    history: list[Said] = []
    for text in texts:
        answer = ask(text, *history, now=now)
        history += [Said("user", text), Said("assistant", answer.text)]
    return [said.text for said in history if said.by == "assistant"]
