"""The one door of the assistant: a turn goes in, an answer comes out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from vivavoce.assistant.plain import clauses, clean, listed, parts, readings
from vivavoce.assistant.skill import Answer, Skill, Turn
from vivavoce.assistant.skills import (
    arithmetic,
    chance,
    clock,
    conversion,
    memory,
    places,
    repeat,
    tales,
    talk,
    timers,
    unable,
)

SKILLS: tuple[Skill, ...] = (
    timers.skill,
    clock.skill,
    arithmetic.skill,
    conversion.skill,
    talk.skill,
    tales.skill,
    places.skill,
    chance.skill,
    memory.skill,
    unable.skill,
    repeat.skill,
)
"""Tried in this order: those that take free text come last."""

MOST_PARTS = 3
LONGEST_ANSWER = 600
FUNCTION_WORDS = frozenset(listed("a an the it is are of in to at for on please me now and do does that this there"))
WEAK_WORDS = frozenset(
    listed("what who where when why how which you your i my we can could will would not no say tell")
)


class Understood(NamedTuple):
    skill: Skill
    answer: Answer


def respond(turn: Turn) -> Answer:
    """The answer to any text whatever; deterministic but for `turn.chance`."""
    english = turn.language.lower().startswith("en")
    text = clean(turn.text)
    if not text:
        return Answer(unable.NOTHING_HEARD if english else unable.NOT_ENGLISH)
    answer = understand(turn, text)
    if answer is None:
        return Answer(unable.UNKNOWN if english else unable.NOT_ENGLISH)
    first = all(said.by != "assistant" for said in turn.history)
    return answer._replace(
        text=limited(answer.text if english or not first else f"I only speak English. {answer.text}")
    )


def understand(turn: Turn, text: str) -> Answer | None:
    """The answer if the cleaned *text* is one sentence of ours, or several, or nearly one; else None."""
    sentences = [clean(each) for each in clauses(turn.text)]
    if len(sentences) > 1:  # typed: the words of one sentence are not to be taken for the end of another
        if answer := joined(turn, sentences):
            return answer
        if (last := single(turn, sentences[-1])) and last.skill is not talk.skill:
            return last.answer
    if whole := single(turn, text):
        return whole.answer
    if answer := joined(turn, parts(text)):
        return answer
    for near in nearly(text):
        if found := single(turn, near):
            return found.answer
    return None


def single(turn: Turn, text: str) -> Understood | None:
    """What the first skill that understands a reading of *text* says, the literal reading first."""
    whole = turn.text if clean(turn.text) == text else text
    for reading in readings(text):
        asked = turn._replace(text=whole, reading=reading)
        for skill in SKILLS:
            answer = skill.answer(asked)
            if answer is not None:
                return Understood(skill, answer)
    return None


def joined(turn: Turn, texts: list[str]) -> Answer | None:
    """One answer to several requests, if each of them is understood."""
    if not 1 < len(texts) <= MOST_PARTS:
        return None
    found = [single(turn, text) for text in texts]
    answers = [each.answer for each in found if each]
    if len(answers) < len(texts):
        return None
    spoken = " ".join(dict.fromkeys(answer.text for answer in answers))
    return Answer(spoken, tuple(effect for answer in answers for effect in answer.effects))


def nearly(text: str) -> Iterator[str]:
    """Sentences of ours that *text* may be a misspelling or mishearing of; few, and only close ones."""
    words = text.lower().split()
    if len(words) > 20:
        return
    options = [corrections(word) for word in words]
    for choice in range(2):
        corrected = [option[min(choice, len(option) - 1)] for option in options]
        if corrected != words:
            yield " ".join(corrected)
        key = content(corrected)
        if len(key) > 1 and not WEAK_WORDS.issuperset(key) and (sentence := by_content().get(key)):
            yield sentence


def corrections(word: str) -> list[str]:
    """One or two words of ours that *word* may misspell, or *word* itself."""
    if len(word) < 4 or word in vocabulary() or not word.isalpha():
        return [word]
    near = get_close_matches(word, [known for known in vocabulary() if known[0] == word[0]], n=2, cutoff=0.8)
    return near or [word]


def content(words: list[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in FUNCTION_WORDS)


@cache
def by_content() -> dict[tuple[str, ...], str]:
    """The sentences without slots, by the words that carry their meaning."""
    sentences: dict[tuple[str, ...], str] = {}
    for skill in SKILLS:
        for sentence in skill.fixed_sentences():
            plain = clean(sentence)
            sentences.setdefault(content(plain.split()), plain)
    return sentences


@cache
def vocabulary() -> list[str]:
    """The words of the templates themselves, longer than three letters."""
    words = {word for skill in SKILLS for source in skill.sources() for word in re.findall(r"[a-z]{4,}", source)}
    return sorted(words)


def limited(text: str) -> str:
    """*text*, cut at a word if it is too long to be spoken."""
    return text if len(text) <= LONGEST_ANSWER else f"{text[: LONGEST_ANSWER - 1].rsplit(' ', 1)[0]}…"
