"""What a user expressly asks to remember ("remember that my car is on level three"), and to forget again.

English only, as is the offline assistant; what is said in other languages can be pinned by an agent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from vivavoce.assistant import recall
from vivavoce.assistant.plain import clauses, clean, readings

ORDER = re.compile(
    r"(?:remember|note|take a note|make a note|keep in mind|bear in mind|do not forget)(?: that| to)? .+", re.IGNORECASE
)
AS_SAID = re.compile(
    r"\b(?:remember|(?:take a |make a )?note|keep in mind|bear in mind|(?:don['’]?t|do not) forget)\b"
    r"(?:[ ,:]+that\b)?(?P<to>[ ,:]+to\b)?[ ,:]+(?P<what>\S.*)",
    re.IGNORECASE,
)
"""The same in the words as they were said or typed: a password has signs that plain words have not."""
RELEVANT = re.compile(r"\b(?:remember|note|mind|forget|clear|delete|erase)\b", re.IGNORECASE)
"""Words without any of these change nothing."""


def noted(pins: Iterable[str], said: str) -> tuple[str, ...]:
    """*pins* after the user has *said* something: what that asks to remember is added, what it asks to forget goes.

    A newer pin takes the place of what it corrects ("my car is on level five"). Each is in the user's own words.
    """
    relevant = [clause for clause in clauses(said) if RELEVANT.search(clause)]
    if not relevant:
        return tuple(pins)
    kept = {slot(pin): pin for pin in pins}
    for clause in relevant:
        for way in readings(clean(clause)):
            if forget := recall.forgotten(way):
                _forget(kept, forget)
                break
            if ORDER.fullmatch(way) and (pin := _pin(way, clause)):
                kept.pop(slot(pin), None)
                kept[slot(pin)] = pin
                break
    return tuple(kept.values())


def slot(pin: str) -> str:
    """What *pin* is about: a newer one about the same takes its place."""
    plain = clean(f"remember that {pin}")
    if recall.named(plain):
        return "name"
    fact = recall.stated(plain)
    return fact.slot if fact else plain.lower()


def _pin(way: str, clause: str) -> str | None:
    """What the order *way* asks to remember, as *clause* says it."""
    if clause.rstrip().endswith("?") or not (recall.stated(way) or recall.named(way)):
        return None
    found = AS_SAID.search(clause)
    if found is None:
        return None
    what = found["what"].rstrip(" .!,;")
    return f"I need to {what}" if found["to"] and what else what or None


def _forget(kept: dict[str, str], forget: recall.Forget) -> None:
    match forget.what:
        case "everything":
            kept.clear()
        case "name":
            kept.pop("name", None)
        case "last":
            kept.pop(next(reversed(kept), ""), None)
        case _:
            facts = {key: recall.stated(clean(f"remember that {pin}")) for key, pin in kept.items()}
            memory = recall.Memory(None, tuple(fact for fact in facts.values() if fact))
            gone = recall.about(memory, forget.thing)
            for key, fact in facts.items():
                if fact in gone:
                    del kept[key]
