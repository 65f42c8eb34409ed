"""What a command is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

CHAT = "chat"
"""The intent of what is no command: its response is conversation."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants done."""

    intent: str
    """One of the known ones, or `chat`."""
    entities: dict[str, Any] = {}
    """By slot: known names and values in range, no others."""
    confidence: float = 1.0
    """0..1: the model's own, or how much of the sentence a template accounts for."""
    response: str = ""
    """What is said about it."""
    source: Literal["stream", "fallback"] = "fallback"
    text: str = ""
    """What was said."""
    problem: str = ""
    """Why it must not be carried out (`unknown name`); then `response` says so, and `entities` are what was said."""


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """Something that commands may name: a lamp, a lock, a loudspeaker."""

    name: str
    kind: str = ""
    """`light`, `lock`, `climate`, `switch`, … : some intents are for some kinds only."""
    area: str = ""
    aliases: tuple[str, ...] = ()


class NotValid(Exception):
    """A command that cannot be meant: its intent or an entity of it is not known."""

    def __init__(self, problem: str, value: str = "", *, saying: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.value = value
        """What is not known, as it was said."""
        self.saying = saying
        """Which of the fixed sentences tells it; empty where it says nothing about what was wanted."""


class Timings(msgspec.Struct, kw_only=True):
    """What a command took, in milliseconds from when it was asked for; None for what never came."""

    first_token_ms: float | None = None
    first_visual_ms: float | None = None
    first_phrase_ms: float | None = None
    command_ms: float | None = None
    tokens: int = 0
    tokens_per_s: float | None = None
    """From the first to the last, as the model made them."""
    fallback: bool = False
    """Whether traditional parsing decided."""
    reason: str = ""
    """Why it did."""


def plain(text: str) -> str:
    """*text* as names are compared: without case, surplus white space and a leading article."""
    return " ".join(text.casefold().split()).removeprefix("the ")


def one_line(value: Any, most: int = 200) -> str:
    """A value from outside as it may be shown and logged: printable, on one line, no longer than *most*."""
    text = "".join(char if char.isprintable() else " " for char in str(value)[: 4 * most])
    return " ".join(text.split())[:most]


def filled(template: str, values: Mapping[str, Any]) -> str | None:
    """*template* with `{slot}` replaced by its value; None if one is not there."""
    parts = template.split("{")
    text = parts[0]
    for part in parts[1:]:
        slot, closed, rest = part.partition("}")
        if not closed or slot not in values:
            return None
        value = values[slot]
        text += (f"{value:g}" if isinstance(value, float) else str(value)) + rest
    return text
