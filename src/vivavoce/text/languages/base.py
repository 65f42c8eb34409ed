"""What the tables of a language hold, and how they are written down."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

Forms = tuple[str, ...]
"""The forms of a noun, as `Language.plural` counts them; a noun with fewer has the last of them for the rest."""


def table(lines: str) -> dict[str, Forms]:
    """`km: kilometer|kilometers` and so on; several signs before the colon mean the same."""
    entries: dict[str, Forms] = {}
    for line in lines.strip().splitlines():
        signs, _, forms = line.partition(": ")
        for sign in signs.split():
            entries[sign] = tuple(forms.strip().split("|"))
    return entries


def phrases(lines: str) -> dict[str, str]:
    """`z. B.: zum Beispiel` and so on; `;` between several that mean the same."""
    entries: dict[str, str] = {}
    for line in lines.strip().splitlines():
        short, _, full = line.partition(": ")
        for key in short.split(";"):
            entries[key.strip()] = full.strip()
    return entries


def one_or_more(number: str) -> int:
    """1 is singular, everything else plural, as in most of Europe."""
    return int(number != "1")


def below_two(number: str) -> int:
    """As in French: 0 to 1.99 is singular."""
    return int(number.replace(",", ".").partition(".")[0].lstrip("0") not in ("", "1"))


class Language(msgspec.Struct, frozen=True, kw_only=True):
    """One language."""

    signs: dict[str, str]
    """What `& @ # + - = < > * / ~` and others are called: the keys are those signs, `.` in an address or a version."""
    to: str
    """In a range, or a ratio."""
    per: dict[str, str]
    """What `/h` and so on are called, by what stands behind the slash; the key "" stands before any other."""
    units: dict[str, Forms]
    currencies: dict[str, Forms]
    """Singular, plural (and further ones of `plural`), then, behind an empty form, those of the hundredth part."""
    money: str
    """An amount with hundredths: of whole, unit, cents and cent."""
    of: Callable[[str], str] = str
    """Puts the name of a currency behind a million."""
    scales: dict[str, Forms] = {}
    """What `k`, `m`, `bn` behind an amount of money are called."""
    months: tuple[str, ...]
    date: Callable[[int, str, int, bool], str]
    """Of day, month's name, year, and whether the month comes first."""
    full_hour: str
    time: str
    """Of h and m, both numbers without leading zeros."""
    small_minutes: str = "{h} {m}"
    """The same for less than ten minutes; empty where `time` will do."""
    clock: str = ""
    """Words behind a time that are part of it, as a pattern."""
    hour_sign: str = ":"
    """What may stand between hour and minute, as a set of characters."""
    fractions: dict[str, str]
    abbreviations: dict[str, str]
    closing: frozenset[str] = frozenset()
    """Abbreviations that often end a sentence: their point may be its stop as well."""
    rules: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = ()
    """Patterns of its own and what is said in their place."""
    half_days: bool = False
    """Whether `3 pm` is a time."""
    plural: Callable[[str], int] = one_or_more
    code: str
    """Said where a block of code stands."""
