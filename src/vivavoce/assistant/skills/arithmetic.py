"""Sums, in words or signs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from vivavoce.assistant import numbers
from vivavoce.assistant.expression import CannotCalculate, NotArithmetic, calculate
from vivavoce.assistant.plain import LONGEST, MOST_WORDS
from vivavoce.assistant.skill import Answer, Skill, Turn

RESULT = re.compile(r"^That is (about )?(-?[\d,]+(?:\.\d+)?)\.$")


class Arithmetic(Skill):
    """A grammar, not templates, understands; the templates teach the recogniser, and must all be understood."""

    def answer(self, turn: Turn) -> Answer | None:
        if len(turn.text) > LONGEST or len(turn.text.split()) > MOST_WORDS:
            return None  # the reading is only its beginning, and half a sum is no sum
        for text in (turn.text, turn.reading):
            try:
                value = calculate(text, previous_result(turn))
            except NotArithmetic:
                continue
            except CannotCalculate as reason:
                return Answer(str(reason))
            digits, exact = numbers.numeral(value, places_for(value))
            return Answer(f"That is {'' if exact else 'about '}{digits}.")
        return None

    def sentences(self, limit: int) -> Iterator[str]:
        for intent in self.intents:
            for template in intent.spoken:
                yield from template.samples(limit * 2)


def places_for(value: Fraction) -> int:
    """Decimals worth hearing; a short decimal is said in full."""
    if (value * 10**6).denominator == 1:
        return 6
    return 2 if abs(value) >= 100 else 3 if abs(value) >= 1 else 4


def previous_result(turn: Turn) -> Fraction | None:
    """The number the assistant just gave as a result."""
    last = next((said.text for said in reversed(turn.history) if said.by == "assistant"), "")
    found = RESULT.match(last)
    return Fraction(found[2].replace(",", "")) if found else None


skill = Arithmetic("arithmetic")


@skill.on(
    """
    (what is|what's|how much is|calculate) {number:a} (plus|minus|times|divided by|multiplied by) {number:b};
    {number:a} (plus|minus|times|divided by) {number:b};
    (what is|what's|how much is) {number:a} percent of {number:b}; what is {number:a} (squared|cubed);
    what is the square root of {number:a}; what is half of {number:a}; what is {number:a} to the power of {count:b};
    (add|multiply) {number:a} (and) {number:b}; subtract {number:a} from {number:b};
    divide {number:a} by {number:b}; multiply {number:a} by {number:b};
    what is the (sum|product) of {count:a} and {count:b}
    """,
)
def by_grammar() -> None:
    """Never reached: Arithmetic answers by its grammar."""
