"""Lengths of time in words, both ways."""

from __future__ import annotations

from fractions import Fraction

from vivavoce.assistant import numbers

SECONDS = {
    "second": 1, "seconds": 1, "sec": 1, "secs": 1, "s": 1, "minute": 60, "minutes": 60, "min": 60, "mins": 60,
    "m": 60, "minuet": 60, "hour": 3600, "hours": 3600, "hr": 3600, "hrs": 3600, "h": 3600, "our": 3600,
    "day": 86400, "days": 86400, "week": 604800, "weeks": 604800,
}  # fmt: skip
VOCABULARY = numbers.VOCABULARY | SECONDS.keys()


def duration(text: str) -> float | None:
    """Seconds of "an hour and a half", "half an hour", "five minutes and thirty seconds", "90 s"; else None."""
    words = text.lower().split()
    total, at, last = 0.0, 0, 0
    while at < len(words):
        if at and words[at] == "and":
            at += 1
        taken = numbers.take(words, at)
        if taken is None and words[at : at + 1] in (["a"], ["an"]):
            taken = Fraction(1), at + 1
        if taken is None or taken[0] < 0:
            return None
        value, at = taken
        if at == len(words) and last and value < 1:
            return total + float(value) * last  # an hour and a | half
        while at < len(words) and words[at] in ("of", "a", "an"):
            at += 1
        if at == len(words) or words[at] not in SECONDS:
            return None
        last = SECONDS[words[at]]
        total += float(min(value, Fraction(10**9))) * last
        at += 1
    return total if last else None


def spoken(seconds: float) -> str:
    """The two greatest units of *seconds* in words: "one hour and thirty minutes"."""
    left = max(0, round(seconds))
    if left >= 3600:
        left = 60 * round(left / 60) if left % 60 and left > 7200 else left
    pieces = []
    if left < 100 and left % 60:
        return f"{numbers.in_words(left)} second{'' if left == 1 else 's'}"
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            pieces.append(f"{numbers.in_words(count)} {name}{'' if count == 1 else 's'}")
    if not pieces:
        return "no time"
    return " and ".join(pieces[:2]) if len(pieces) < 3 else f"{', '.join(pieces[:-1])} and {pieces[-1]}"


def adjective(seconds: float) -> str:
    """The same before a noun: "five minute", "one hour thirty minute"."""
    words = spoken(seconds).replace(" and ", " ").replace(",", "").split()
    return " ".join(word if word not in SECONDS else word.removesuffix("s") for word in words)
