"""What people say to voice assistants: sentences with weights, drawn from the templates in `spoken_domain.gram`.

Pure data for language models. The draw is deterministic: each choice deals its alternatives like a shuffled pack of
cards, so that a rare name among hundreds comes as surely as a common one.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from importlib import resources

_TOKENS = re.compile(r"\{(\w+)\}|([()\[\]|])|([^(){}\[\]|]+)")


class Choice:
    """One of several alternatives; an optional part has the empty one too."""

    def __init__(self, alternatives: list[Sequence], *, rng: random.Random) -> None:
        self.alternatives = alternatives
        self._rng = rng
        self._pack: list[Sequence] = []

    def draw(self) -> str:
        if not self._pack:
            self._pack = self.alternatives.copy()
            self._rng.shuffle(self._pack)
        return self._pack.pop().draw()


class Sequence:
    """Parts that follow one another: literal text and choices."""

    def __init__(self, parts: list[str | Choice]) -> None:
        self.parts = parts
        self._literal = all(isinstance(part, str) for part in parts)
        self._text = "".join(part for part in parts if isinstance(part, str))

    def draw(self) -> str:
        if self._literal:
            return self._text
        return "".join([part if isinstance(part, str) else part.draw() for part in self.parts])


class Grammar:
    """The parsed templates: groups of (weight, choice among the group's templates)."""

    def __init__(self, source: str, *, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self._slots: dict[str, Choice] = {}
        templates: dict[str, tuple[float, list[Sequence]]] = {}
        group = ""
        for line in source.splitlines():
            if not line or line.startswith("#"):
                continue
            if line.startswith("== "):
                _, group, weight = line.split()
                templates[group] = (float(weight), [])
            elif not group:
                name, _, text = line.partition(" = ")
                self._slots[name] = self._choice(iter(_TOKENS.findall(text)))
            else:
                templates[group][1].append(self._choice(iter(_TOKENS.findall(line))).alternatives[0])
        self.groups = {name: (weight, Choice(lines, rng=self._rng)) for name, (weight, lines) in templates.items()}

    def _choice(self, tokens: Iterator[tuple[str, str, str]], *, optional: bool = False) -> Choice:
        """Parse up to the closing bracket."""
        alternatives: list[Sequence] = [Sequence([])] if optional else []
        parts: list[str | Choice] = []
        for slot, bracket, text in tokens:
            if slot:
                parts.append(self._slots[slot])
            elif text:
                parts.append(text)
            elif bracket in "([":
                parts.append(self._choice(tokens, optional=bracket == "["))
            else:
                alternatives.append(Sequence(parts))
                parts = []
                if bracket in ")]":
                    return Choice(alternatives, rng=self._rng)
        return Choice([*alternatives, Sequence(parts)], rng=self._rng)


def drawn(draws: int = 150_000) -> Iterator[tuple[str, int]]:
    """Distinct sentences, and how often each came in *draws*: lower-case words with single spaces."""
    grammar = Grammar(resources.files(__package__).joinpath("spoken_domain.gram").read_text(encoding="utf-8"))
    total = sum(weight for weight, _ in grammar.groups.values())
    for weight, templates in grammar.groups.values():
        count = round(draws * weight / total)
        yield from Counter(" ".join(templates.draw().split()) for _ in range(count)).items()
