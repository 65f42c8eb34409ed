"""Texts with holes: `Welcome to {{name}}, a table for {{wish | first_number | default: 2}}?`"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vivavoce.flows.expressions import Expression, ExpressionError, Scope
from vivavoce.flows.filters import MAX_TEXT, FilterError, text_of

MAX_LENGTH = 8_000
MAX_HOLES = 200
Escape = Callable[[str], str]


class Template:
    """A parsed text. Raises ExpressionError, with the place in the text, where it cannot be read."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ExpressionError(f"a template may have {MAX_LENGTH} characters", MAX_LENGTH)
        self.source = text
        self._parts = list(_parts(text))
        if len(self._parts) > 2 * MAX_HOLES:
            raise ExpressionError(f"a template may have {MAX_HOLES} holes", 0)
        self.expressions = tuple(part for part in self._parts if isinstance(part, Expression))
        self.names = frozenset[str]().union(*(expression.names for expression in self.expressions))
        """The variables that it reads."""

    def value(self, scope: Scope) -> Any:
        """Of a template that is one hole and nothing else, what is in it, as it is; else the text."""
        if len(self._parts) == 1 and isinstance(hole := self._parts[0], Expression):
            return hole.value(scope)
        return self.text(scope)

    def text(self, scope: Scope, escape: Escape | None = None) -> str:
        """The text with its holes filled. Raises FilterError.

        escape: what is done to every filling but one at the very beginning (`{{api}}/tables?n={{guests}}`).
        """
        made: list[str] = []
        size = 0
        for at, part in enumerate(self._parts):
            if isinstance(part, str):
                piece = part
            else:
                piece = text_of(part.value(scope))
                if escape is not None and at:
                    piece = escape(piece)
            size += len(piece)
            if size > MAX_TEXT:
                raise FilterError(f"a text may have {MAX_TEXT} characters")
            made.append(piece)
        return "".join(made)

    def __repr__(self) -> str:
        return f"Template({self.source!r})"


def _parts(text: str) -> Iterator[str | Expression]:
    """Texts and holes in their order; no empty text."""
    at = 0
    while (start := text.find("{{", at)) >= 0:
        if start > at:
            yield text[at:start]
        end = _end(text, start + 2)
        try:
            yield Expression(text[start + 2 : end])
        except ExpressionError as error:
            words = str(error).rpartition(" (")[0]
            raise ExpressionError(words, start + 2 + error.at) from None
        at = end + 2
    if at < len(text):
        yield text[at:]


def _end(text: str, at: int) -> int:
    """Where the hole that is open at *at* closes: the next `}}` that is in no string."""
    start, quote = at, ""
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif text.startswith("}}", at):
            return at
        at += 1
    raise ExpressionError("'{{' is not closed by '}}'", start - 2)


class Tree:
    """A JSON value whose texts are templates: the body of a request, the arguments of a tool."""

    def __init__(self, value: Any) -> None:
        self.source = value
        self.names: frozenset[str] = frozenset()
        self._made = self._parsed(value, 0)

    def _parsed(self, value: Any, depth: int) -> Callable[[Scope], Any]:
        if depth > 16:
            raise ExpressionError("more than 16 levels deep", 0)
        if isinstance(value, str):
            template = Template(value)
            self.names |= template.names
            return template.value
        if isinstance(value, list):
            items = [self._parsed(item, depth + 1) for item in value]
            return lambda scope: [item(scope) for item in items]
        if isinstance(value, dict):
            fields = {key: self._parsed(item, depth + 1) for key, item in value.items()}
            return lambda scope: {key: item(scope) for key, item in fields.items()}
        return lambda _: value

    def value(self, scope: Scope) -> Any:
        """The value with its holes filled. Raises FilterError."""
        return self._made(scope)

    def __repr__(self) -> str:
        return f"Tree({self.source!r})"
