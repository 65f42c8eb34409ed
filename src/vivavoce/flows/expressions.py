"""The expressions of flows: `guests > 8 and not (day == "sunday")`, `wish | first_number | default: 2`.

Names, numbers, strings, lists, and/or/not, comparisons, `in`, filters. Parsed by binding power into closures; nothing
is ever given to Python's own evaluation. A name that nothing has set is null; so is a step into what is not there.
Comparing by order what has no order (null, a text with a number that it does not write) is false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import msgspec

from vivavoce.flows.filters import FILTERS, FilterError, text_of

Scope = Mapping[str, Any]
"""Variables: whatever JSON can say."""
Evaluate = Callable[[Scope], Any]

MAX_LENGTH = 2_000
MAX_DEPTH = 32
TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?(?![\w.]))
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>[^\W\d]\w*(?:\.\w+)*)
      | (?P<sign>==|!=|<=|>=|[<>()\[\],|:-])
    )""",
    re.VERBOSE,
)
CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
WORDS = frozenset({"and", "or", "not", "in"})
OR, AND, NOT, COMPARE, FILTER = 1, 2, 3, 4, 5
"""Binding powers."""
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "not in"})


class ExpressionError(ValueError):
    """An expression that cannot be read; `at` is the index of the character where that shows."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(f"{message} (character {at + 1})")
        self.at = at


class Expression:
    """A parsed expression. Raises ExpressionError where it cannot be read."""

    def __init__(self, text: str) -> None:
        parser = _Parser(text)
        self.text = text
        self._evaluate = parser.whole()
        self.names = frozenset(parser.names)
        """The variables that it reads, without the way into them."""

    def value(self, scope: Scope) -> Any:
        """What it comes to. Raises FilterError where a filter cannot take what it is given."""
        return self._evaluate(scope)

    def holds(self, scope: Scope) -> bool:
        """Whether that counts as true."""
        return truth(self._evaluate(scope))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def truth(value: Any) -> bool:
    """null, false, 0, "" and what is empty are false."""
    return bool(value)


class _Token(msgspec.Struct, frozen=True):
    kind: str
    """`number`, `string`, `name`, `end`, or the sign or word itself."""
    text: str
    at: int


class _Parser:
    """One expression, read from left to right."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ExpressionError(f"an expression may have {MAX_LENGTH} characters", MAX_LENGTH)
        self.names: set[str] = set()
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Evaluate:
        found = self._operand(0)
        if self._peek.kind != "end":
            self._fail(f"{self._peek.text!r} is not expected here")
        return found

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _expect(self, kind: str, what: str) -> _Token:
        if self._peek.kind != kind:
            self._fail(f"{what} is missing" + ("" if self._peek.kind == "end" else f" before {self._peek.text!r}"))
        return self._take()

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        raise ExpressionError(message, self._peek.at if at is None else at)

    def _operand(self, power: int) -> Evaluate:
        """What begins here, with every operator that binds more strongly than *power*."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"more than {MAX_DEPTH} levels deep")
        left = self._first()
        while (binding := self._binding()) > power:
            left = self._operator(left, binding)
        self._depth -= 1
        return left

    def _binding(self) -> int:
        match self._peek.kind:
            case "or":
                return OR
            case "and":
                return AND
            case "not":
                return COMPARE if self._tokens[self._next + 1].kind == "in" else 0
            case "|":
                return FILTER
            case kind:
                return COMPARE if kind in COMPARISONS else 0

    def _first(self) -> Evaluate:
        token = self._take()
        match token.kind:
            case "number":
                return _constant(_number(token))
            case "string":
                return _constant(re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL))
            case "name":
                return self._name(token)
            case "not":
                operand = self._operand(NOT)
                return lambda scope: not truth(operand(scope))
            case "-":
                return _constant(-_number(self._expect("number", "a number")))
            case "(":
                inner = self._operand(0)
                self._expect(")", "the closing parenthesis")
                return inner
            case "[":
                return self._list()
        what = "something is missing at the end" if token.kind == "end" else f"{token.text!r} is not expected here"
        raise ExpressionError(what, token.at)

    def _name(self, token: _Token) -> Evaluate:
        if token.text in CONSTANTS:
            return _constant(CONSTANTS[token.text])
        name, *steps = token.text.split(".")
        self.names.add(name)
        if not steps:
            return lambda scope: scope.get(name)
        return lambda scope: _reach(scope.get(name), steps)

    def _list(self) -> Evaluate:
        items: list[Evaluate] = []
        while self._peek.kind != "]":
            items.append(self._operand(0))
            if self._peek.kind != ",":
                break
            self._take()
        self._expect("]", "the closing bracket")
        return lambda scope: [item(scope) for item in items]

    def _operator(self, left: Evaluate, binding: int) -> Evaluate:
        token = self._take()
        if binding == FILTER:
            return self._filter(left)
        if token.kind == "not":
            self._take()
        right = self._operand(binding)
        match token.kind:
            case "or":
                return lambda scope: truth(left(scope)) or truth(right(scope))
            case "and":
                return lambda scope: truth(left(scope)) and truth(right(scope))
        if self._binding() == COMPARE:
            self._fail("compare two things at a time, and join the comparisons with 'and'")
        if token.kind == "not":
            return lambda scope: not _within(left(scope), right(scope))
        compare = COMPARE_WITH[token.kind]
        return lambda scope: compare(left(scope), right(scope))

    def _filter(self, left: Evaluate) -> Evaluate:
        token = self._expect("name", "the name of a filter")
        found = FILTERS.get(token.text)
        if found is None:
            self._fail(f"there is no filter {token.text!r}; there are {', '.join(sorted(FILTERS))}", token.at)
        arguments: list[Evaluate] = []
        if self._peek.kind == ":":
            self._take()
            arguments.append(self._operand(FILTER))
            while self._peek.kind == ",":
                self._take()
                arguments.append(self._operand(FILTER))
        if not found.least <= len(arguments) <= found.most:
            count = f"{found.least}" if found.least == found.most else f"{found.least} to {found.most}"
            self._fail(f"filter {token.text!r} takes {count} argument{'' if count == '1' else 's'}", token.at)
        call = found.call
        return lambda scope: call(left(scope), *(argument(scope) for argument in arguments))


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            what = "the string is not closed" if text[at] in "\"'" else f"{text[at]!r} cannot be read"
            raise ExpressionError(what, at)
        kind = str(match.lastgroup)
        word = match[kind]
        own = kind == "sign" or word in WORDS
        found.append(_Token(word if own else kind, word, match.start(kind)))
        at = match.end()
    last = _Token("end", "", end)
    return [*found, last, last]


def _number(token: _Token) -> int | float:
    if len(token.text) > 15:
        raise ExpressionError("a number may have 15 characters", token.at)
    return float(token.text) if "." in token.text else int(token.text)


def _constant(value: Any) -> Evaluate:
    return lambda _: value


def _reach(value: Any, steps: list[str]) -> Any:
    """The part of a JSON value that *steps* lead to; None where there is none."""
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return None
    return value


# --- comparisons ----------------------------------------------------------------------------------------------------


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """A number and a text that writes one, both as numbers: what a user said is a text until somebody compares it."""
    if _is_number(left) and isinstance(right, str):
        return left, _read(right)
    if _is_number(right) and isinstance(left, str):
        return _read(left), right
    return left, right


def _read(text: str) -> Any:
    if re.fullmatch(r"\s*-?\d{1,15}(\.\d{1,15})?\s*", text):
        return float(text)
    return text


def _equal(left: Any, right: Any) -> bool:
    left, right = _alike(left, right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _ordered(check: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        left, right = _alike(left, right)
        if (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
            return check(left, right)
        return False

    return compare


def _within(left: Any, right: Any) -> bool:
    """Whether *left* is a part of a text, an item of a list, or a key of an object."""
    if isinstance(right, str):
        return left is not None and text_of(left) in right
    if isinstance(right, list):
        return any(_equal(left, item) for item in right)
    return isinstance(right, Mapping) and isinstance(left, str) and left in right


COMPARE_WITH: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
    "in": _within,
}

__all__ = ["Expression", "ExpressionError", "FilterError", "Scope", "truth"]
