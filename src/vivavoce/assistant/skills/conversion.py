"""Units of measure."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vivavoce.assistant import numbers
from vivavoce.assistant.plain import clean
from vivavoce.assistant.skill import Skill
from vivavoce.assistant.units import Unit, convert


class Conversion(Skill):
    """Teaches the recogniser only conversions that make sense."""

    def sentences(self, limit: int) -> Iterator[str]:
        for intent in self.intents:
            for template in intent.spoken:
                for sentence in template.samples(limit * 4):
                    values = template.match(clean(sentence))
                    if values and values["unit"].measures == values["target"].measures:
                        yield sentence


skill = Conversion("conversion")


@skill.on(
    """
    (what is|what's|convert|how much is) {number} {unit} (in|to) {unit:target};
    how many {unit:target} (is|are|are in|are there in) {number} {unit}; convert {number} {unit} into {unit:target};
    {number} {unit} (in|to) {unit:target}
    """,
    also="""
    (what|how much|how many|how far|how tall|how high|how long|how heavy|how hot|how warm|how cold|turn|change)
      [is|are] {number} {unit} (in|to|into|as|equal to) {unit:target};
    how many {unit:target} (make|make up|equal|in|do i get for) {number} {unit};
    {number} {unit} (is|are|equals|equal) how many {unit:target};
    (what is|convert) {number} {unit} (converted to|expressed in|for) {unit:target}
    """,
)
def amount(number: Fraction, unit: Unit, target: Unit) -> str:
    if unit.measures != target.measures:
        kinds = f"{sentence(unit.many)} measure {unit.measures}, but {target.many} measure {target.measures}"
        return f"{kinds}, so I can't convert them."
    if abs(number) > 10**15:
        return "That number is too large for me."
    if unit.measures != "temperature" and number < 0:
        return f"There are no negative {unit.many}, as far as I know."
    value = convert(number, unit, target)
    if unit.measures == "temperature" and convert(number, unit, ABSOLUTE) < 0:
        return "That is below absolute zero, and nothing can be so cold."
    given, _ = numbers.numeral(number)
    result, exact = numbers.numeral(value, 1 if unit.measures == "temperature" else places_for(value))
    return f"{given} {called(unit, number)} {'is' if exact else 'is about'} {result} {called(target, value)}."


@skill.on(
    "how many {unit:target} (are in|are there in|in|is) (a|an|one) {one_unit:unit}",
    also="""
    (what is|convert) (a|an|one) {one_unit:unit} (in|to|into) {unit:target};
    (a|an|one) {one_unit:unit} in {unit:target};
    how many {unit:target} (to|make|make up) (a|an|one|the) {one_unit:unit};
    how many {unit:target} does (a|an|one) {one_unit:unit} have;
    how (long|much|heavy) is (a|an|one) {one_unit:unit} in {unit:target}
    """,
)
def one(unit: Unit, target: Unit) -> str:
    return amount(Fraction(1), unit, target)


ABSOLUTE = Unit("kelvin", "kelvins", "temperature", Fraction(1), Fraction(-27315, 100))


def places_for(value: Fraction) -> int:
    """Decimals that are worth hearing."""
    return 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2


def called(unit: Unit, value: Fraction) -> str:
    return unit.one if abs(value) == 1 else unit.many


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
