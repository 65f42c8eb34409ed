"""The filters of flows: small functions from values to values, named in templates and expressions.

What people say is the usual input, so they take anything: what a filter can do nothing with gives null, which
`default` replaces.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any
from urllib.parse import quote

import msgspec

from vivavoce.assistant import numbers

MAX_TEXT = 20_000
"""Characters of any text that a flow makes."""
MAX_WORDS = 200
"""Words of an utterance in which a number is looked for."""
EXACT = 2**53
WORD = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*")
UNSURE = re.compile(r"\b(?:not sure|not certain|don't know|do not know|don't mind|no idea|maybe|perhaps)\b")
WELCOME = re.compile(r"\b(?:no problem|no worries|why not|can't wait|not bad)\b")
YES = re.compile(
    r"\b(?:yes|yeah|yep|yup|sure|okay|ok|of course|certainly|absolutely|definitely|correct|right|exactly|affirmative"
    r"|please do|go ahead|sounds good|that's fine|fine|true)\b"
)
NO = re.compile(
    r"\b(?:no|nope|nah|not|never|don't|do not|doesn't|isn't|wrong|incorrect|negative|cancel|false|rather not"
    r"|no thanks?)\b"
)


class FilterError(ValueError):
    """A filter cannot take what it is given."""


class Filter(msgspec.Struct, frozen=True):
    """One filter; it takes *least* to *most* arguments beside its value."""

    call: Callable[..., Any]
    least: int = 0
    most: int = 0


FILTERS: dict[str, Filter] = {}
"""All filters by name."""


def template_filter(
    name: str, least: int = 0, most: int | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function as the filter *name*. It is called with the value and then the arguments."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def bounded(value: Any, *arguments: Any) -> Any:
            made = function(value, *arguments)
            if isinstance(made, str) and len(made) > MAX_TEXT:
                raise FilterError(f"{name}: a text may have {MAX_TEXT} characters")
            return made

        FILTERS[name] = Filter(bounded, least, least if most is None else most)
        return bounded

    return register


def text_of(value: Any) -> str:
    """A value as it is shown: nothing for null, JSON for lists and objects. Raises FilterError for what is too long."""
    match value:
        case None:
            text = ""
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case float() if value.is_integer() and abs(value) < EXACT:
            text = str(int(value))
        case int() | float():
            text = repr(value)
        case _:
            text = msgspec.json.encode(value).decode()
    if len(text) > MAX_TEXT:
        raise FilterError(f"a text may have {MAX_TEXT} characters")
    return text


def number_of(value: Any) -> float | int | None:
    """A number, or the one that a text consists of; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        found = numbers.number(" ".join(_words(value)))
        negative = value.lstrip().startswith("-")
        return None if found is None else _plain(-found if negative else found)
    return None


def _words(text: str) -> list[str]:
    return WORD.findall(text[:MAX_TEXT].lower())[:MAX_WORDS]


def _plain(value: Fraction) -> int | float | None:
    """A Fraction as a number that JSON can say exactly enough; None for one that is too large for any."""
    if value.denominator == 1 and abs(value) < EXACT:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        return None


# --- what was said --------------------------------------------------------------------------------------------------


@template_filter("first_number")
def first_number(value: Any) -> int | float | None:
    """The first number in what was said, in digits or in words: 8 in "for eight people, please"."""
    if not isinstance(value, str):
        return number_of(value)
    words = _words(value)
    for at in range(len(words)):
        if (taken := numbers.take(words, at)) is not None:
            return _plain(taken[0])
    return None


@template_filter("yes_no")
def yes_no(value: Any) -> bool | None:
    """true for "yes, please", false for "no, thanks", null for what is neither."""
    if isinstance(value, bool):
        return value
    said = text_of(value).lower().replace("’", "'")
    if UNSURE.search(said):
        return None
    said = WELCOME.sub("yes", said)
    no, yes = NO.search(said), YES.search(said)
    if no and yes and yes.start() < no.start() and yes[0] in ("yes", "yeah", "yep", "yup"):
        return True  # "yes, and don't be late"
    if no:
        return False
    return True if yes else None


# --- texts ----------------------------------------------------------------------------------------------------------


@template_filter("default", 1)
def default(value: Any, instead: Any) -> Any:
    """*instead* of null and of an empty text."""
    return instead if value is None or value == "" else value


@template_filter("upper")
def upper(value: Any) -> str:
    """In capitals."""
    return text_of(value).upper()


@template_filter("lower")
def lower(value: Any) -> str:
    """In small letters."""
    return text_of(value).lower()


@template_filter("capitalize")
def capitalize(value: Any) -> str:
    """With a capital first letter; the others stay."""
    text = text_of(value)
    return text[:1].upper() + text[1:]


@template_filter("trim")
def trim(value: Any) -> str:
    """Without white space at both ends."""
    return text_of(value).strip()


@template_filter("plain")
def plain(value: Any) -> str:
    """Only the words, in small letters: for comparing what was said."""
    return " ".join(WORD.findall(text_of(value).lower()))


@template_filter("url")
def url(value: Any) -> str:
    """Percent-encoded, for a part of an address."""
    return quote(text_of(value), safe="")


@template_filter("json")
def json(value: Any) -> str:
    """As JSON."""
    return msgspec.json.encode(value).decode()


# --- lists ----------------------------------------------------------------------------------------------------------


@template_filter("length")
def length(value: Any) -> int:
    """How many characters, items or keys; 0 for null."""
    return len(value) if isinstance(value, str | list | Mapping) else len(text_of(value))


@template_filter("join", 0, 1)
def join(value: Any, between: Any = ", ") -> str:
    """The items of a list as one text."""
    return text_of(between).join(map(text_of, value)) if isinstance(value, list) else text_of(value)


@template_filter("split", 0, 1)
def split(value: Any, between: Any = ",") -> list[str]:
    """The parts of a text, without white space around them."""
    mark = text_of(between)
    if not mark:
        raise FilterError("split: between what?")
    return [part.strip() for part in text_of(value).split(mark)]


@template_filter("first")
def first(value: Any) -> Any:
    """The first item or character; null of nothing."""
    return value[0] if isinstance(value, str | list) and value else None


@template_filter("last")
def last(value: Any) -> Any:
    """The last item or character; null of nothing."""
    return value[-1] if isinstance(value, str | list) and value else None


# --- numbers --------------------------------------------------------------------------------------------------------


@template_filter("number")
def number(value: Any) -> int | float | None:
    """The number that a text consists of; null if it is none."""
    return number_of(value)


@template_filter("plus", 1)
def plus(value: Any, other: Any) -> int | float:
    """The sum; null counts as 0."""
    return _calculated("plus", value, other, lambda a, b: a + b)


@template_filter("minus", 1)
def minus(value: Any, other: Any) -> int | float:
    """The difference; null counts as 0."""
    return _calculated("minus", value, other, lambda a, b: a - b)


@template_filter("times", 1)
def times(value: Any, other: Any) -> int | float:
    """The product; null counts as 0."""
    return _calculated("times", value, other, lambda a, b: a * b)


@template_filter("round", 0, 1)
def rounded(value: Any, places: Any = 0) -> int | float | None:
    """Rounded to so many decimals."""
    found, digits = number_of(value), number_of(places)
    if found is None or digits is None:
        return None
    digits = min(max(int(digits), 0), 12)
    return round(found, digits) if digits else round(found)


def _calculated(name: str, value: Any, other: Any, calculate: Callable[[Any, Any], Any]) -> int | float:
    left, right = number_of(value if value is not None else 0), number_of(other if other is not None else 0)
    if left is None or right is None:
        raise FilterError(f"{name}: {text_of(value if left is None else other)[:40]!r} is no number")
    made: int | float = calculate(left, right)
    if not math.isfinite(made) or abs(made) >= EXACT:
        raise FilterError(f"{name}: the result is too large")
    return made
