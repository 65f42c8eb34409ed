"""Sentence templates: one notation for what is understood and for what a recogniser should expect to hear.

    set (a|the) timer [of|for] {duration}

`[x]` may be absent, `(x|y)` is one of several, `{slot}` or `{slot:key}` is filled by a Slot, `<name>` stands for a
piece of NAMED. Templates match whole sentences, as `plain.clean` leaves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vivavoce.assistant.plain import CONTRACTIONS

NAMED = {
    "whats": "(what is|what's|tell me)",
    "what is": "(what is|what's)",
    "where is": "(where is|where's)",
    "when is": "(when is|when's)",
    "who is": "(who is|who's)",
    "how is": "(how is|how's)",
    "i am": "(i am|i'm)",
    "the": "(a|the|my)",
    "tell": "(tell me|give me|i want to hear|let me hear|do you know|i'd like to hear|say)",
}


class Slot(NamedTuple):
    """What may stand in a template's hole."""

    samples: Sequence[str]
    """Examples for the expansion, in plain spoken words."""
    parse: Callable[[str], Any]
    """The value of a text, or None when it is none."""
    pattern: str = r"\S.*?"
    """A regular expression without groups for the words; it must not be able to backtrack badly."""


def words_pattern(words: Sequence[str]) -> str:
    """A pattern for any sequence of *words*, and numbers in digits."""
    one = "|".join([r"-?\d[\d.,:]*", *(re.escape(word) for word in sorted(set(words), key=len, reverse=True))])
    # The words stand in it once, not first and again for those that follow: most of a template's compilation is theirs.
    return rf"(?: ?(?:{one})(?![^ ]))+"


class Node(NamedTuple):
    """`kind` is a word, hole, sequence or choice; only the last two have `parts`."""

    kind: str
    text: str = ""
    parts: tuple[Node, ...] = ()


EMPTY = Node("sequence")
TOKEN = re.compile(r"[\[\]()|]|\{[^}]*\}|<[^>]*>|[^\s\[\]()|{}<>]+")


class Template:
    """One template, compiled."""

    def __init__(self, source: str, slots: Mapping[str, Slot]) -> None:
        self.source = source
        self.slots = slots
        self.holes: dict[str, Slot] = {}
        tokens = TOKEN.findall(re.sub(r"<([^>]*)>", lambda found: NAMED[found[1]], source))
        self.root, end = parse_choice(tokens, 0)
        if end != len(tokens):
            raise ValueError(f"unbalanced template: {source}")
        self.regex = re.compile(self.pattern(self.root), re.IGNORECASE)

    def pattern(self, node: Node) -> str:
        """The regular expression of *node*; each word brings the space before it."""
        if node.kind == "word":
            return "".join(f" {re.escape(word)}" for word in CONTRACTIONS.get(node.text, node.text).split())
        if node.kind == "hole":
            slot, _, key = node.text.partition(":")
            self.holes[key or slot] = self.slots[slot]
            return f" (?P<{key or slot}>{self.slots[slot].pattern})"
        # What may be absent is taken when it is there: else "capital of spain" would ask for "of spain".
        parts = node.parts[::-1] if node.kind == "choice" and node.parts[0] == EMPTY else node.parts
        inner = [self.pattern(part) for part in parts]
        return "".join(inner) if node.kind == "sequence" else f"(?:{'|'.join(inner)})"

    def match(self, text: str) -> dict[str, Any] | None:
        """The values of the holes that *text* fills when it is a sentence of this template, else None."""
        found = self.regex.fullmatch(f" {text}")
        if found is None:
            return None
        values = {key: slot.parse(found[key]) for key, slot in self.holes.items() if found[key] is not None}
        return None if None in values.values() else values

    def samples(self, limit: int) -> Iterator[str]:
        """At most *limit* distinct sentences, spread evenly over all of them; the same ones every time."""
        total = self.count(self.root)
        step = max(total / limit, 1.0)
        seen: set[str] = set()
        for turn in range(min(total, limit)):
            # An even stride would show only some values of the inner holes: a hash picks within each stretch.
            inside = (turn * 2654435761 % 65536) / 65536 if step > 1 else 0.0
            sentence = self.at(self.root, min(int((turn + inside) * step), total - 1)).strip()
            if sentence not in seen:
                seen.add(sentence)
                yield sentence

    def count(self, node: Node) -> int:
        """How many expansions *node* has."""
        if node.kind == "word":
            return 1
        if node.kind == "hole":
            return len(self.slots[node.text.partition(":")[0]].samples)
        counts = [self.count(part) for part in node.parts]
        if node.kind == "choice":
            return sum(counts)
        total = 1
        for each in counts:
            total *= each
        return total

    def at(self, node: Node, index: int) -> str:
        """Expansion number *index* of *node*, each word with the space before it."""
        if node.kind == "word":
            return f" {node.text}"
        if node.kind == "hole":
            return f" {self.slots[node.text.partition(':')[0]].samples[index]}"
        pieces = []
        for part in node.parts:
            size = self.count(part)
            if node.kind == "choice":
                if index < size:
                    return self.at(part, index)
                index -= size
            else:
                index, here = divmod(index, size)
                pieces.append(self.at(part, here))
        return "".join(pieces)


def parse_choice(tokens: list[str], at: int) -> tuple[Node, int]:
    """The alternatives from piece *at* up to a closing bracket or the end, and where that is."""
    options: list[Node] = []
    parts: list[Node] = []
    while at < len(tokens) and tokens[at] not in ")]":
        piece = tokens[at]
        if piece in "([":
            inner, at = parse_choice(tokens, at + 1)
            if at == len(tokens):
                raise ValueError("a bracket of a template is not closed")
            parts.append(inner if piece == "(" else Node("choice", parts=(EMPTY, inner)))
        elif piece == "|":
            options.append(Node("sequence", parts=tuple(parts)))
            parts = []
        elif piece[0] == "{":
            parts.append(Node("hole", piece[1:-1]))
        else:
            parts.append(Node("word", piece))
        at += 1
    options.append(Node("sequence", parts=tuple(parts)))
    return Node("choice", parts=tuple(options)), at
