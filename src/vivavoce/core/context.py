"""How much of a conversation a language model is shown: an estimate of its tokens, and what fits.

Nobody has every model's tokenizer, and the real one is worth neither its megabytes nor its time here. What is needed is
a number that is rather too high than too low, in every language.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

PER_MESSAGE = 6
"""Tokens that a message costs besides its text: its role and its borders."""
CUT = " […] "
"""Stands where something was left out."""

_EASY = b" abcdefghijklmnopqrstuvwxyz"
_MEDIUM = bytes(range(ord("A"), ord("Z") + 1)) + bytes(range(0x80, 0x100))


def tokens(text: str) -> int:
    """At most how many tokens *text* is, by rule of thumb; linear, about a millisecond per megabyte.

    A third of a token for each small letter and space (English really takes a quarter, Finnish a third), two thirds for
    a capital and for each byte of what is not ASCII (so 2 for a Chinese character or a kana, 4/3 for a Cyrillic letter
    or an accented one, 8/3 for an emoji), and a whole one for each digit, sign and line break.
    """
    data = text.encode("utf-8", "surrogatepass")
    harder = data.translate(None, _EASY)
    hardest = harder.translate(None, _MEDIUM)
    return (len(data) + len(harder) + len(hardest) + 2) // 3


def newest(sizes: Sequence[int], room: int) -> int:
    """The first of *sizes* from which on all fit into *room* together; `len(sizes)` where not even the last does."""
    at = len(sizes)
    while at and sizes[at - 1] <= room:
        at -= 1
        room -= sizes[at]
    return at


def cut(text: str, room: int) -> str:
    """*text* if it has at most *room* tokens; else its beginning and its end, with `CUT` between them, that have.

    What somebody wants is said first or last, and what they paste lies between.
    """
    if tokens(text) <= room:
        return text
    half = (room - tokens(CUT)) // 2
    if half < 1:
        return _beginning(text, room)
    return _beginning(text, half) + CUT + _beginning(text[::-1], half)[::-1]


def _beginning(text: str, room: int) -> str:
    """The longest beginning of *text* of at most *room* tokens."""
    start = text[: 3 * max(room, 0)]  # no character takes less than a third of a token
    return start[: bisect_right(range(1, len(start) + 1), room, key=lambda length: tokens(start[:length]))]
