"""Facts, stories and jokes: told in turn, chosen by what was told before."""

from __future__ import annotations

from collections.abc import Sequence

from vivavoce.assistant.skill import Said, Skill, Turn
from vivavoce.assistant.topics import FACTS, JOKES, STORIES, SUBJECTS

skill = Skill("tales")

EVERY_FACT = tuple(
    fact for facts in zip(*(told[:5] for told in FACTS.values()), strict=True) for fact in facts
) + tuple(fact for told in FACTS.values() for fact in told[5:])
"""One of each subject first, then the next of each."""


def told_at(history: Sequence[Said], text: str) -> int:
    """The index of the last message that told *text*, or began to; -1 for none."""
    for at in range(len(history) - 1, -1, -1):
        said = history[at]
        start = squeezed(said.text)
        if (
            said.by == "assistant"
            and start
            and (squeezed(text) in start or (said.interrupted and squeezed(text).startswith(start)))
        ):
            return at
    return -1


def squeezed(text: str) -> str:
    return " ".join(text.split()).rstrip("….")


def next_of(turn: Turn, texts: Sequence[str]) -> str:
    """The first of *texts* that was not told yet, else the one told longest ago."""
    return min(texts, key=lambda text: told_at(turn.history, text))


@skill.on(
    "tell me a [fun|interesting|random|cool] fact",
    "(give me|do you know|say) a [fun] fact",
    "(tell me something interesting|tell me something|surprise me|teach me something)",
    "tell me another [fun] fact",
    also=("[a|another|one more] [fun|random|interesting] fact", "(fun|random) facts", "facts", "something interesting",
          "tell me [some] (facts|fun facts|trivia)", "did you know", "i am bored tell me something"),
)  # fmt: skip
def any_fact(turn: Turn) -> str:
    return next_of(turn, EVERY_FACT)


@skill.on(
    "tell me a [fun|interesting] fact about [the] {subject}",
    "(do you know|give me) a [fun] fact about {subject}",
    "tell me (something|something interesting|another fact|one more fact) about {subject}",
    "what do you know about {subject}",
    also=("[a|another|one more] [fun|random|interesting] (fact|facts) about {subject}", "tell me [more|some facts|facts] about {subject}",
          "do you know (anything|something|any facts) about {subject}", "(fun|some) facts about {subject}", "about {subject}",
          "something about {subject}", "(talk|speak) [to me] about {subject}", "teach me [something] about {subject}"),
)  # fmt: skip
def fact_about(turn: Turn, subject: str) -> str | None:
    wanted = subject.lower()
    found = SUBJECTS.get(wanted) or SUBJECTS.get(wanted.removeprefix("the ")) or SUBJECTS.get(f"{wanted}s")
    if found:
        return next_of(turn, FACTS[found])
    if len(subject) > 60 or wanted.split()[0] in ("me", "my", "you", "your", "yourself", "myself"):
        return None
    return f"I have no facts about {subject}. I know some about space, animals, history, food, or the sea."


@skill.on(
    "tell me a [short|little|bedtime|nice|good] story",
    "tell me another [short] story",
    "(i want to hear|i'd like to hear|let me hear|do you know|read me) a story",
    "(can|could|would) you tell me a story",
    "tell us a story",
    also=("[a|another|one more] [short|bedtime] story", "stories", "tell [me] [a] (long|longer|funny|scary|different|new) story",
          "tell story", "tell me stories", "hear a story", "tell a story", "tell me [a] story about {rest}", "a story about {rest}"),
)  # fmt: skip
def story(turn: Turn, rest: str = "") -> str:
    return next_of(turn, STORIES)


@skill.on(
    "tell me a [good|funny|short] joke",
    "tell me another joke",
    "(do you know|give me|say) [a|another|any] (joke|jokes)",
    "make me laugh",
    "say something funny",
    "(can|could) you tell me a joke",
    also=("[a|another|one more] [good|funny] joke", "jokes", "tell [me] [some] jokes", "tell joke", "tell a joke",
          "be funny", "cheer me up", "hear a joke", "tell me something funny", "tell me a joke about {rest}"),
)  # fmt: skip
def joke(turn: Turn, rest: str = "") -> str:
    return next_of(turn, JOKES)


@skill.on(
    "another one", "tell me another [one]", "one more", "one more please", "more",
    also=("another", "and another [one]", "give me (another|one more) [one]", "do you (know|have) another [one]", "next"),
)  # fmt: skip
def another(turn: Turn) -> str | None:
    """One more of the kind told last."""
    kinds: list[Sequence[str]] = [STORIES, JOKES, *FACTS.values()]
    latest = max(kinds, key=lambda texts: max(told_at(turn.history, text) for text in texts))
    if max(told_at(turn.history, text) for text in latest) < 0:
        return None
    return next_of(turn, latest)
