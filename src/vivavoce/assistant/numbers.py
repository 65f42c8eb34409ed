"""Numbers: from words and digits to exact values, and back to something that is good to hear."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from vivavoce.assistant.plain import listed

SMALL = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
TENS = listed("twenty thirty forty fifty sixty seventy eighty ninety")
UNITS = {word: value for value, word in enumerate(SMALL)} | {"oh": 0, "nought": 0, "nil": 0}
TENS_VALUE = {word: 20 + 10 * place for place, word in enumerate(TENS)} | {"fourty": 40}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8,
    "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10,
}  # fmt: skip
ORDINALS: dict[str, int] = dict(
    zip(
        listed(
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
            " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth"
        ),
        (*range(1, 21), 30),
        strict=True,
    )
)
DIGITS = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d{1,30})(?:\.\d{1,30})?")

VOCABULARY = frozenset(
    {*UNITS, *TENS_VALUE, *SCALES, *PARTS, "hundred", "hundreds", "a", "an", "and", "point", "minus", "negative",
     "dozen", "couple", "of"}
)  # fmt: skip
"""The words that numbers are made of."""

Taken = tuple[Fraction, int]
"""A value, and the index of the first word after it."""


def number(text: str) -> Fraction | None:
    """The value of *text* if all of it is one number, such as "a hundred and five", "three point five" or "1,000"."""
    words = text.lower().split()
    taken = take(words, 0)
    return taken[0] if taken and taken[1] == len(words) else None


def take(words: Sequence[str], at: int) -> Taken | None:
    """The longest number that begins at word *at* (lower case), or None."""
    if at < len(words) and words[at] in ("minus", "negative"):
        taken = take_positive(words, at + 1)
        return (-taken[0], taken[1]) if taken else None
    return take_positive(words, at)


def take_positive(words: Sequence[str], at: int) -> Taken | None:
    taken = take_part(words, at)
    if taken:
        return taken
    whole = take_digits(words, at) or take_whole(words, at)
    if whole is None:
        return None
    value, at = whole
    if at < len(words) and words[at] == "point":
        decimals, after = spoken_decimals(words, at + 1)
        if decimals:
            value, at = value + Fraction(int(decimals), 10 ** len(decimals)), after
    if at < len(words) and words[at] in SCALES and value.denominator != 1:
        value, at = value * SCALES[words[at]], at + 1  # two point five million
    if at < len(words) and words[at] == "and":
        part = take_part(words, at + 1)
        if part and not (part[1] < len(words) and words[part[1]] == "of"):
            value, at = value + part[0], part[1]
    return value, at


def take_part(words: Sequence[str], at: int) -> Taken | None:
    """Half, a quarter, three quarters, two thirds."""
    if at >= len(words):
        return None
    if words[at] == "half":
        return Fraction(1, 2), at + 1
    if at + 1 < len(words) and words[at + 1] in PARTS:
        if words[at] in ("a", "an", "one"):
            return Fraction(1, PARTS[words[at + 1]]), at + 2
        if words[at] in UNITS and words[at + 1].endswith("s"):
            return Fraction(UNITS[words[at]], PARTS[words[at + 1]]), at + 2
    return None


def take_digits(words: Sequence[str], at: int) -> Taken | None:
    if at >= len(words) or not DIGITS.fullmatch(words[at]):
        return None
    value = Fraction(words[at].replace(",", ""))
    at += 1
    while at < len(words) and (words[at] in SCALES or words[at] == "hundred"):
        value, at = value * SCALES.get(words[at], 100), at + 1
    return value, at


def take_whole(words: Sequence[str], at: int) -> Taken | None:
    """A whole number in words; stops before a word that cannot go on with it ("five | six")."""
    total = 0
    ceiling: int | None = None
    """The scale just used: what follows is smaller."""
    while (group := take_below_thousand(words, at, bare=ceiling is None)) is not None:
        value, after = group
        scale = 1
        while after < len(words) and words[after] in SCALES:
            scale, after = scale * SCALES[words[after]], after + 1
        if ceiling is not None and value * scale >= ceiling:
            break
        total, at = total + value * scale, after
        if scale == 1 or scale > 10**15:
            return Fraction(total), at
        ceiling = scale
    return None if ceiling is None else (Fraction(total), at)


def take_below_thousand(words: Sequence[str], at: int, *, bare: bool) -> tuple[int, int] | None:
    """A number up to 9,900 ("ninety nine hundred") at word *at*; with `bare` false an "and" may come first."""
    if not bare and at < len(words) and words[at] == "and":
        at += 1
    if at + 1 < len(words) and words[at] in ("a", "an") and words[at + 1] in ("hundred", "dozen", *SCALES):
        count = (1, at + 1)
    elif words[at : at + 3] == ["a", "couple", "of"]:
        return 2, at + 3
    else:
        below = take_below_hundred(words, at)
        if below is None:
            return None
        count = below
    value, at = count
    if at < len(words) and words[at] == "dozen":
        return value * 12, at + 1
    if at < len(words) and words[at] in ("hundred", "hundreds"):
        value, at = value * 100, at + 1
        more = take_below_hundred(words, at + (at < len(words) and words[at] == "and"))
        if more and more[0]:
            value, at = value + more[0], more[1]
    return value, at


def take_below_hundred(words: Sequence[str], at: int) -> tuple[int, int] | None:
    if at >= len(words):
        return None
    if words[at] in TENS_VALUE:
        ones = UNITS.get(words[at + 1], 0) if at + 1 < len(words) else 0
        return (TENS_VALUE[words[at]] + ones, at + 2) if 0 < ones < 10 else (TENS_VALUE[words[at]], at + 1)
    return (UNITS[words[at]], at + 1) if words[at] in UNITS else None


def spoken_decimals(words: Sequence[str], at: int) -> tuple[str, int]:
    """The digits after "point", and the index after them: "one four" or "fourteen" are both 14."""
    digits = ""
    while at < len(words) and len(digits) < 15:
        below = take_below_hundred(words, at)
        if below is None and not words[at].isdecimal():
            break
        digits, at = (digits + str(below[0]), below[1]) if below else (digits + words[at], at + 1)
    return digits[:15], at


def ordinal(text: str) -> int | None:
    """1 to 39 from "first", "twenty first", "21st", "21"."""
    words = text.lower().split()
    if found := re.fullmatch(r"(\d{1,2}) ?(?:st|nd|rd|th)?", " ".join(words)):
        return int(found[1])
    if len(words) == 1:
        return ORDINALS.get(words[0])
    if len(words) == 2 and words[0] in TENS_VALUE and 0 < ORDINALS.get(words[1], 0) < 10:
        return TENS_VALUE[words[0]] + ORDINALS[words[1]]
    return None


def in_words(value: int) -> str:
    """*value* in words up to 99, in digits beyond."""
    if not 0 <= value < 100:
        return f"{value:,}"
    if value < 20:
        return SMALL[value]
    tens, ones = divmod(value, 10)
    return TENS[tens - 2] + (f" {SMALL[ones]}" if ones else "")


def numeral(value: Fraction, places: int = 4) -> tuple[str, bool]:
    """*value* in digits rounded for the ear, and whether that is all of it.

    places: decimals at most; small values keep three significant digits instead.
    """
    if value.denominator == 1 and abs(value) < 10**15:
        return grouped(int(value)), True
    if abs(value) >= 10**15:
        digits = str(abs(int(value)))
        mantissa = f"{digits[0]}.{digits[1:4]}".rstrip("0").rstrip(".")
        exact = value.denominator == 1 and not digits[4:].strip("0")
        return f"{'-' if value < 0 else ''}{mantissa} times 10 to the power of {len(digits) - 1}", exact
    if abs(value) < Fraction(1, 10**places):
        places = min(15, len(str(int(1 / abs(value)))) + 2)
    rounded = Fraction(round(value * 10**places), 10**places)
    whole, decimals = divmod(round(abs(value) * 10**places), 10**places)
    tail = f"{decimals:0{places}d}".rstrip("0")
    text = f"{'-' if rounded < 0 else ''}{grouped(whole)}{f'.{tail}' if tail else ''}"
    return text, rounded == value


def grouped(value: int) -> str:
    """Digits, with commas from five of them on."""
    return f"{value:,}" if abs(value) >= 10_000 else str(value)
