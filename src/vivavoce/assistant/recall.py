"""What a conversation says about its user: a fold over the messages, newest last. Nothing is kept between turns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from vivavoce.assistant.person import to_listener
from vivavoce.assistant.plain import clauses, clean, listed, parts, readings
from vivavoce.assistant.slots import common_name, name

if TYPE_CHECKING:
    from vivavoce.assistant.skill import Said


class Fact(NamedTuple):
    """Something the user stated."""

    subject: str
    """What it is about, in lower case: "car" in "my car is on level three"; empty for a free note."""
    text: str
    """As it is told back: "your car is on level three"."""
    slot: str
    """A newer fact with the same slot replaces it: the subject and its verb, or the whole text."""


class Forget(NamedTuple):
    """The user asked to forget `everything`, their `name`, the `last` fact, or a `thing`."""

    what: str
    thing: str = ""


class Memory(NamedTuple):
    """What is known, oldest first."""

    name: str | None = None
    facts: tuple[Fact, ...] = ()


MOST_FACTS = 100
RELEVANT = re.compile(
    r"\b(?:my|our|i|im|call|name|forget|remember|note|keep|bear|not|clear|delete|erase|this)\b", re.IGNORECASE
)
"""A message without any of these words changes nothing."""
NAME = re.compile(
    r"(?:remember (?:that )?)?(?:i am not .+? (?:i am|my name is)|my name is not .+? it is|you can call me|call me"
    r"|(?:my (?:first )?name|the name)(?: actually| really)? is|i go by|i am called) (?P<name>.+)",
    re.IGNORECASE,
)
SURE_NAME = re.compile(
    r"(?:(?:remember|note) (?:that )?)?(?:i am|this is|my name) (?P<name>\S+(?: \S+){0,2})"
    r"|it is (?P<fixed>\S+) not .+",
    re.IGNORECASE,
)
ORDER = re.compile(
    r"(?:remember|note|take a note|make a note|keep in mind|bear in mind|know|do not forget)(?: that|(?P<to> to))?"
    r" (?P<note>.+)",
    re.IGNORECASE,
)
ABOUT = re.compile(
    r"(?:my|our) (?P<subject>\S+(?: \S+){0,4}?) (?P<verb>is|are|was|were|has|have|lives|works|likes|comes|starts|begins"
    r"|arrives|leaves) (?P<rest>.+)",
    re.IGNORECASE,
)
ABOUT_THE = re.compile(ABOUT.pattern.replace("(?:my|our)", "(?:the|my|our)", 1), re.IGNORECASE)
SELF = re.compile(
    r"i (?P<verb>parked|left|put|live|work|hate|love|like|prefer|am from|am allergic|was born"
    r"|am (?=.+ years old)) ?(?P<rest>.+)",
    re.IGNORECASE,
)
NO_STATEMENT = re.compile(
    r"my (?:first )?name\b|(?:my|you|it|this|that|something)$|(?:what|where|when|who|how|why|if|me)(?: |$)",
    re.IGNORECASE,
)
FORGET_ALL = re.compile(
    r"forget (?:everything|it all|what i (?:said|told you)|(?:all )?about me)\b.*|(?:clear|delete|erase) your memory",
    re.IGNORECASE,
)
FORGET_NAME = re.compile(
    r"(?:forget|do not remember) (?:my|the) name|i do not want you to (?:know|remember) my name", re.IGNORECASE
)
FORGET_LAST = re.compile(r"forget (?:that|it|about it|about that|this)|do not remember that", re.IGNORECASE)
FORGET_THING = re.compile(
    r"forget (?:about )?(?:(?:where|what|when|who) )?(?:my|the) (?P<thing>.+?)(?: (?:is|are))?", re.IGNORECASE
)

EMPTY_WORDS = frozenset(
    listed(
    "a an the my your i you me is are was were am be do does did of in on at to that what where when who which how it"
    " have has had about and or for with again tell please"
    )
)  # fmt: skip
SAME = {"park": "parked", "leave": "left", "old": "years", "live": "live", "lives": "live", "keys": "key"}


def recall(history: Iterable[Said]) -> Memory:
    """What the user's messages of *history* say, corrections and requests to forget applied in order.

    Not cached on purpose: a conversation that was deleted must not live on in a cache.
    """
    name: str | None = None
    facts: dict[str, Fact] = {}
    for said in history:
        if said.by != "user" or not RELEVANT.search(said.text[:2000]):
            continue
        for change in changes(said.text):
            match change:
                case Forget("everything"):
                    name, facts = None, {}
                case Forget("name"):
                    name = None
                case Forget("last"):
                    facts.pop(next(reversed(facts), ""), None)
                case Forget("thing", thing):
                    for fact in about(Memory(name, tuple(facts.values())), thing):
                        del facts[fact.slot]
                case Fact():
                    facts.pop(change.slot, None)
                    facts[change.slot] = change
                case str():
                    name = change
    return Memory(name, tuple(facts.values())[-MOST_FACTS:])


def changes(text: str) -> Iterator[Forget | Fact | str]:
    """What *text* changes in the memory, clause by clause; a plain string is a name."""
    for plain in map(clean, clauses(text)):
        change = first_change(plain)
        pieces = parts(plain)
        if change is not None:
            yield change
        elif len(pieces) > 1:
            yield from filter(None, map(first_change, pieces))


def first_change(clause: str) -> Forget | Fact | str | None:
    """What the first reading of *clause* that says something changes."""
    for way in readings(clause):
        if change := forgotten(way) or named(way) or stated(way):
            return change
    return None


def forgotten(clause: str) -> Forget | None:
    """What *clause* asks to forget."""
    for what, pattern in (("everything", FORGET_ALL), ("name", FORGET_NAME), ("last", FORGET_LAST)):
        if pattern.fullmatch(clause):
            return Forget(what)
    found = FORGET_THING.fullmatch(clause)
    return Forget("thing", found["thing"]) if found else None


def named(clause: str) -> str | None:
    """The name that *clause* introduces."""
    if found := NAME.fullmatch(clause):
        return name(found["name"])
    if found := SURE_NAME.fullmatch(clause):
        return common_name(found["name"] or found["fixed"])
    return None


def stated(clause: str) -> Fact | None:
    """The fact that *clause* states, if it states one."""
    ordered = ORDER.fullmatch(clause)
    text = ordered["note"] if ordered else clause
    if ordered and ordered["to"]:
        text = f"i need to {text}"
    if len(text) > 200 or NO_STATEMENT.match(text):
        return None
    if found := (ABOUT_THE if ordered else ABOUT).fullmatch(text):
        subject = found["subject"].lower()
        if subject.startswith(("timer", "alarm")):
            return None
        return Fact(subject, to_listener(text), f"{subject} {found['verb'].lower()}")
    if found := SELF.fullmatch(text):
        verb = found["verb"].lower().strip()
        several = verb in ("like", "love", "hate", "put", "left")
        return Fact("", to_listener(text), to_listener(text).lower() if several else verb)
    return Fact("", to_listener(text), to_listener(text).lower()) if ordered else None


def about(memory: Memory, thing: str) -> list[Fact]:
    """The facts whose subject is *thing*, else those that speak of it; oldest first."""
    wanted = thing.lower()
    exact = [fact for fact in memory.facts if fact.subject == wanted]
    # "my birthday" is not "my sister's birthday".
    return exact or [fact for fact in matching(memory, thing) if "'s " not in fact.subject or "'s " in wanted]


def matching(memory: Memory, text: str) -> list[Fact]:
    """The facts that hold every meaningful word of *text*."""
    wanted = meaningful(text)
    return [fact for fact in memory.facts if wanted and wanted <= meaningful(fact.text)]


def meaningful(text: str) -> set[str]:
    words = (word.strip(".,!?").lower() for word in text.split())
    return {SAME.get(word, word) for word in words if word not in EMPTY_WORDS}
