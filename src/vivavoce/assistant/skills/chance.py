"""Coins, dice, numbers, choices; and words spelled."""

from __future__ import annotations

from vivavoce.assistant import numbers
from vivavoce.assistant.skill import Skill, Turn

skill = Skill("chance")


@skill.on(
    "(flip|toss) a coin; heads or tails; (can|could) you flip a coin",
    also="[flip|toss|throw] [a|the] coin [flip|toss]; flip [it] again; coin flip; throw a coin",
)
def coin(turn: Turn) -> str:
    return turn.chance.choice(("Heads.", "Tails."))


@skill.on(
    "(roll|throw) (a|the) (die|dice); (roll|throw) {count} dice; roll a {count:sides} sided (die|dice)",
    also="roll [the] (dice|die); dice [roll]; roll {count} {number:sides} sided dice; roll a d {number:sides}",
)
def dice(turn: Turn, count: int = 1, sides: int = 6) -> str:
    if not 1 <= count <= 10 or not 2 <= sides <= 1000:
        return "I can roll up to ten dice, with two to a thousand sides."
    rolled = [turn.chance.randint(1, int(sides)) for _ in range(count)]
    said = [numbers.in_words(each) for each in rolled]
    if count == 1:
        return f"{said[0].capitalize()}."
    return f"{', '.join(said[:-1]).capitalize()} and {said[-1]}, which makes {numbers.in_words(sum(rolled))}."


@skill.on(
    """
    (pick|give me|tell me|think of|choose|say) a [random] number between {count:low} and {count:high};
    (pick|choose|give me) a number from {count:low} to {count:high};
    random number between {count:low} and {count:high}
    """,
    also="[a] [random] number (between|from) {count:low} (and|to) {count:high}",
)
def between(turn: Turn, low: int, high: int) -> str:
    low, high = sorted((low, high))
    return f"{numbers.in_words(turn.chance.randint(low, high)).capitalize()}."


@skill.on(
    "(pick|give me|tell me|think of|choose|say) a [random] number",
    also="[a] random number; pick [any] number",
)
def any_number(turn: Turn) -> str:
    return f"{numbers.in_words(turn.chance.randint(1, 100)).capitalize()}."


@skill.on(
    "(choose|pick|decide) between {label:one} and {label:two}",
    also="(choose|pick|should i have|should i take|decide on) {label:one} or {label:two}",
)
def choose(turn: Turn, one: str, two: str) -> str:
    return f"I'd take {turn.chance.choice((one, two))}."


@skill.on(
    """
    spell {word}; how do you spell {word}; how is {word} spelled; (can|could) you spell {word};
    spell the word {word}
    """,
    also="(spelling of|how to spell|spell out|how you spell) [the word] {word}; how do i (spell|write) {word}",
)
def spell(word: str) -> str:
    return f"{word.capitalize()}: {', '.join(letter for letter in word.upper() if letter.isalpha())}."


@skill.on(
    "how many letters (are in|has) {word}; how many letters are there in {word}",
    also="how many letters (are|does) [there|in|the word] {word} [have]",
)
def letters(word: str) -> str:
    count = sum(letter.isalpha() for letter in word)
    return f"{word.capitalize()} has {numbers.in_words(count)} letters."
