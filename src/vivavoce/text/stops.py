"""Does a stop end the sentence? What the text before it says, and what only the text behind it can settle."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from functools import cache

from vivavoce.text.languages import load

STOPS = frozenset(".!?؟۔।॥።။")
"""End a sentence; in running text white space follows."""
WIDE_STOPS = frozenset("。！？｡．")
"""End a sentence in scripts that put no white space behind it."""
CLOSING = frozenset("\"'”’»›)]}」』）】〉》*_`")
"""May stand between a stop and the white space behind it."""


class Doubt(enum.Enum):
    """Why a stop may not be the end, which is to say: what would show that the sentence goes on."""

    NEVER = enum.auto()
    """It does go on: a title before a name, an initial, a numbered item."""
    GLUED = enum.auto()
    """Anything but white space right behind the stop: a decimal, a domain."""
    NUMBER = enum.auto()
    """A digit after the white space: `No. 5`, `Jan. 5`."""
    LOWER = enum.auto()
    """A small letter or a digit after the white space: `5 p.m. today`."""
    WIDE = enum.auto()
    """Nothing but the quotation marks that close here."""

    def goes_on(self, following: str) -> bool:
        """Whether *following*, the first visible character behind the white space, continues the sentence."""
        match self:
            case Doubt.NUMBER:
                return following.isdigit()
            case Doubt.LOWER:
                return following.islower() or following.isdigit()
            case _:
                return self is Doubt.NEVER


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER = _words(
    "dr mr mrs ms mx prof st mt rev hon gen col lt sgt capt cmdr gov sen rep pres mme mlle sra fr "
    "fig figs eq vs approx est dept univ ph e.g i.e eg ie cf al ca viz bzw usw evtl ggf"
)
_NUMBER = _words("no nos nr ok n sec art vol ch pp op ed pt jan feb mar apr jun jul aug sep sept oct nov dec ext tel")
_LOWER = _words(
    "etc a.m p.m am pm inc ltd co corp llc jr sr bros ave blvd rd hwy ph.d m.d b.c a.d b.a m.a d.c "
    "ft oz lb lbs hr hrs mph"
)
# First halves of names that are written with a point inside and come without a point of their own before it.
_HALVES = _words("www node example google github wikipedia youtube gmail asp index main readme package config")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_ADDRESS = re.compile(r"[/@\\_`=&#%]|\w[.:]\w")


_ORDINALS = frozenset({"de", "pl"})
"""Languages that write 21st as `21.`: mostly days, which the month follows."""


@cache
def doubts_of(code: str) -> Mapping[str, Doubt]:
    """The doubts about the words that language *code* abbreviates with a point, lower-case and without it."""
    doubts: dict[str, Doubt] = {}
    language = load(code)
    for short in language.abbreviations:
        *words, last = short.split()
        doubts |= {word[:-1].lower(): Doubt.NEVER for word in words if word.endswith(".")}
        if last.endswith("."):
            doubts.setdefault(last[:-1].lower(), Doubt.LOWER if short in language.closing else Doubt.NEVER)
    if code in _ORDINALS:
        doubts |= {str(day): Doubt.NEVER for day in range(1, 32)}
    return doubts


def doubt_about(
    stop: str, word: str, *, opens_item: bool = False, known: Mapping[str, Doubt] | None = None
) -> Doubt | None:
    """What speaks against *stop* behind *word* as the end of a sentence; None when nothing does.

    word: the visible characters right before the stop, without opening marks; empty after white space.
    opens_item: only *word* stands in its line so far, as the number of a list item would.
    known: what `doubts_of` the language of the text says, if that is known.
    """
    if stop != ".":
        return Doubt.GLUED if _ADDRESS.search(word) else None
    key = word.lower()
    if not word or word.endswith("."):
        return Doubt.LOWER  # an ellipsis, or the point of `.5`
    if word.isdigit() and opens_item:
        return Doubt.NEVER
    if known is not None and key in known:
        return known[key]
    if key in _LOWER:
        return Doubt.LOWER
    if key in _NUMBER:
        return Doubt.NUMBER
    if key in _NEVER or _ACRONYM.fullmatch(word) or (len(word) == 1 and word.isupper() and word != "I"):
        return Doubt.NEVER
    if word[-1].isdigit() or len(word) == 1 or key in _HALVES or _ADDRESS.search(word):
        return Doubt.GLUED
    return None
