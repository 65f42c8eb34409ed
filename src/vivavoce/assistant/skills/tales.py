"""Facts, stories and jokes: told in turn, chosen by what was told before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from vivavoce.assistant.skill import Skill, Turn
from vivavoce.assistant.topics import FACTS, JOKES, STORIES, SUBJECTS

skill = Skill("tales")

EVERY_FACT: tuple[str, ...] = tuple(fact for row in zip_longest(*FACTS.values()) for fact in row if fact)
"""One of each subject first, then the next of each."""


LOOK_BACK = 200
"""Messages of the conversation that are searched for what was told before."""


class Telling(NamedTuple):
    """An answer of the conversation."""

    at: int
    heard: str
    interrupted: bool


def tellings(turn: Turn) -> list[Telling]:
    """The assistant's latest answers, newest first."""
    latest = list(enumerate(turn.history))[-LOOK_BACK:]
    return [
        Telling(at, squeezed(said.text), said.interrupted) for at, said in reversed(latest) if said.by == "assistant"
    ]


def told_at(told: list[Telling], text: str) -> int:
    """The index of the last message that told *text*, or began to; -1 for none."""
    whole = squeezed(text)
    for at, heard, interrupted in told:
        if whole in heard or (interrupted and heard and whole.startswith(heard)):
            return at
    return -1


def squeezed(text: str) -> str:
    """*text* with single spaces and without a mark at its end."""
    return " ".join(text.split()).rstrip("….")


def next_of(turn: Turn, texts: Sequence[str]) -> str:
    """The first of *texts* that was not told yet, else the one told longest ago."""
    told = tellings(turn)
    return min(texts, key=lambda text: told_at(told, text))


@skill.on(
    """
    tell me a [fun|interesting|random|cool] fact; (give me|do you know|say) a [fun] fact;
    (tell me something interesting|tell me something|surprise me|teach me something); tell me another [fun] fact
    """,
    also="""
    [a|another|one more] [fun|random|interesting] fact; (fun|random) facts; facts; something interesting;
    tell me [some] (facts|fun facts|trivia); did you know; i am bored tell me something
    """,
)
def any_fact(turn: Turn) -> str:
    return next_of(turn, EVERY_FACT)


@skill.on(
    """
    tell me a [fun|interesting] fact about [the] {subject}; (do you know|give me) a [fun] fact about {subject};
    tell me (something|something interesting|another fact|one more fact) about {subject};
    what do you know about {subject}
    """,
    also="""
    [a|another|one more] [fun|random|interesting] (fact|facts) about {subject};
    tell me [more|some facts|facts] about {subject}; do you know (anything|something|any facts) about {subject};
    (fun|some) facts about {subject}; something about {subject};
    (talk|speak) [to me] about {subject}; teach me [something] about {subject}
    """,
)
def fact_about(turn: Turn, subject: str) -> str | None:
    wanted = subject.lower()
    found = SUBJECTS.get(wanted) or SUBJECTS.get(wanted.removeprefix("the ")) or SUBJECTS.get(f"{wanted}s")
    if found:
        named = [fact for fact in FACTS[found] if wanted.removesuffix("s") in fact.lower()]
        return next_of(turn, named or FACTS[found])
    if len(subject) > 60 or wanted.split()[0] in ("me", "my", "you", "your", "yourself", "myself"):
        return None
    return f"I have no facts about {subject}. I know some about space, animals, history, food, or the sea."


@skill.on(
    """
    tell me a [short|little|bedtime|nice|good] story; tell me another [short] story;
    (i want to hear|i'd like to hear|let me hear|do you know|read me) a story;
    (can|could|would) you tell me a story; tell us a story
    """,
    also="""
    [a|another|one more] [short|bedtime] story; stories;
    tell [me] [a] (long|longer|funny|scary|different|new) story; tell story; tell me stories; hear a story;
    tell a story; tell me [a] story about {rest}; a story about {rest}
    """,
)
def story(turn: Turn) -> str:
    return next_of(turn, STORIES)


@skill.on(
    """
    tell me a [good|funny|short] joke; tell me another joke; (do you know|give me|say) [a|another|any] (joke|jokes);
    make me laugh; say something funny; (can|could) you tell me a joke
    """,
    also="""
    [a|another|one more] [good|funny] joke; jokes; tell [me] [some] jokes; tell joke; tell a joke; be funny;
    cheer me up; hear a joke; tell me something funny; tell me a joke about {rest}
    """,
)
def joke(turn: Turn) -> str:
    return next_of(turn, JOKES)


@skill.on(
    "another one; tell me another [one]; one more; one more please; more",
    also="another; and another [one]; give me (another|one more) [one]; do you (know|have) another [one]; next",
)
def another(turn: Turn) -> str:
    """One more of the kind told last."""
    kinds: list[Sequence[str]] = [STORIES, JOKES, *FACTS.values()]
    told = tellings(turn)
    latest = max(kinds, key=lambda texts: max(told_at(told, text) for text in texts))
    if max(told_at(told, text) for text in latest) < 0:
        return "Another what? I know stories, jokes, and facts."
    return next_of(turn, latest)
