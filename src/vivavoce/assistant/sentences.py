"""Everything the assistant expects to hear, for the language model of the recogniser."""

from __future__ import annotations

from collections.abc import Iterator

from vivavoce.assistant.respond import SKILLS

PER_TEMPLATE = 700
LEADS = ("please", "could you", "can you", "hey", "can you please")
TELLING = ("tell me", "do you know", "can you tell me")


def sentences() -> Iterator[str]:
    """Distinct sentences in lower case, numbers as words, in the same order each time; fewer than 60,000."""
    seen: set[str] = set()
    for skill in SKILLS:
        for number, sentence in enumerate(skill.sentences(PER_TEMPLATE)):
            for spoken in (sentence, *polite(sentence, number)):
                if spoken not in seen:
                    seen.add(spoken)
                    yield spoken


def polite(sentence: str, number: int) -> Iterator[str]:
    """Some sentences are also said politely: every eighth, each time in another way."""
    if number % 8 or len(sentence.split()) < 3:
        return
    first = sentence.split()[0]
    if first in (
        "set",
        "tell",
        "remind",
        "cancel",
        "start",
        "add",
        "give",
        "play",
        "turn",
        "flip",
        "roll",
        "spell",
        "repeat",
    ):
        yield f"{LEADS[number // 8 % len(LEADS)]} {sentence}"
        yield f"{sentence} please"
    elif first in ("what", "where", "when", "how", "who") and number % 16 == 0:
        yield f"{TELLING[number // 16 % len(TELLING)]} {sentence}"
        yield f"{sentence} please"
