"""What a skill is: templates with the function that answers them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from inspect import signature
from random import Random
from typing import Literal, NamedTuple, TypeVar

from vivavoce.assistant.slots import SLOTS
from vivavoce.assistant.template import Template


class Said(NamedTuple):
    """One earlier message of the conversation."""

    by: Literal["user", "assistant"]
    text: str
    interrupted: bool = False


class Turn(NamedTuple):
    """What is to be answered, and all that an answer may depend on."""

    text: str
    """As it was recognised or typed."""
    history: tuple[Said, ...]
    """Oldest first, without the message that is to be answered."""
    now: datetime
    """Local time, with its zone."""
    timers: tuple[tuple[str, float], ...] | None
    """(name, seconds left) of each running timer, soonest first; None where nothing can ring."""
    chance: Random
    language: str = "en"
    reading: str = ""
    """The reading of the text that is being tried: plain words."""


class SetTimer(NamedTuple):
    """Ring after *delay_s* by saying *announcement*."""

    name: str
    delay_s: float
    announcement: str


class CancelTimer(NamedTuple):
    """Cancel the timers called *name*, or all for None."""

    name: str | None


Effect = SetTimer | CancelTimer


class Answer(NamedTuple):
    """What is said, and what is done once the turn is certain."""

    text: str
    effects: tuple[Effect, ...] = ()


Answering = Callable[..., Answer | str | None]
"""Takes what it names of the turn (`turn`) and the template's slots; None means "not mine after all"."""

Function = TypeVar("Function", bound=Answering)


class Intent(NamedTuple):
    """Templates that one function answers."""

    spoken: tuple[Template, ...]
    """Understood, and expected from a recogniser."""
    also: tuple[Template, ...]
    """Understood too: terse, typed or misheard forms that should not teach a recogniser."""
    answer: Answering
    wants: frozenset[str]
    """The names of the arguments that `answer` takes."""


class Skill:
    """A group of intents that are tried in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.intents: list[Intent] = []

    def on(self, spoken: str = "", *, also: str = "") -> Callable[[Function], Function]:
        """Let the decorated function answer these templates, which are separated by semicolons."""

        def register(answer: Function) -> Function:
            wants = frozenset(signature(answer).parameters)
            self.intents.append(Intent(compiled(spoken), compiled(also), answer, wants))
            return answer

        return register

    def answer(self, turn: Turn) -> Answer | None:
        """The answer to the turn's reading, or None when it is no sentence of this skill."""
        for intent in self.intents:
            for template in (*intent.spoken, *intent.also):
                values = template.match(turn.reading)
                if values is None:
                    continue
                values["turn"] = turn
                answer = intent.answer(**{name: value for name, value in values.items() if name in intent.wants})
                if answer is not None:
                    return Answer(answer) if isinstance(answer, str) else answer
        return None

    def sentences(self, limit: int) -> Iterator[str]:
        """At most *limit* sentences of each spoken template."""
        for intent in self.intents:
            for template in intent.spoken:
                yield from template.samples(limit)

    def fixed_sentences(self) -> Iterator[str]:
        """The spoken sentences without slots."""
        for intent in self.intents:
            for template in intent.spoken:
                if not template.holes:
                    yield from template.samples(64)

    def sources(self) -> Iterator[str]:
        """The templates as they were written, slots left out."""
        for intent in self.intents:
            for template in intent.spoken:
                yield re.sub(r"\{[^}]*\}|<[^>]*>", " ", template.source)


def compiled(sources: str) -> tuple[Template, ...]:
    return tuple(Template(source, SLOTS) for source in sources.split(";") if source.strip())
