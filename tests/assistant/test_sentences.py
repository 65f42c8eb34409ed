"""The sentences for the recogniser, and that the assistant understands every one of them."""

from __future__ import annotations

import re
from random import Random

import pytest

from assistant.conversation import NOW
from vivavoce.assistant.plain import clean
from vivavoce.assistant.respond import SKILLS, single, understand
from vivavoce.assistant.sentences import sentences
from vivavoce.assistant.skill import Skill, Turn
from vivavoce.assistant.slots import SLOTS
from vivavoce.assistant.template import Template


def turn(text: str) -> Turn:
    return Turn(text, (), NOW, (), Random(1))


def test_sentences_are_plain_distinct_and_always_the_same() -> None:
    first = list(sentences())
    assert first == list(sentences())
    assert len(first) == len(set(first))
    assert 10_000 < len(first) < 60_000
    assert [each for each in first if not re.fullmatch(r"[a-z']+(?: [a-z']+)*", each)] == []


def test_what_is_asked_most_is_among_them() -> None:
    wanted = {"what time is it", "set a timer for five minutes", "cancel timer", "what's the weather", "tell me a joke"}
    assert wanted <= set(sentences())


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_each_skill_understands_its_own_sentences(skill: Skill) -> None:
    for sentence in list(skill.sentences(150))[::7]:
        found = single(turn(sentence), clean(sentence))
        assert found is not None, sentence
        assert found.skill is skill, sentence


def test_a_random_sample_is_understood() -> None:
    for sentence in Random(7).sample(list(sentences()), 500):
        assert understand(turn(sentence), clean(sentence)) is not None, sentence


def test_a_template_expands_to_what_it_matches() -> None:
    template = Template("(set|start) a timer [for {duration}] [please]", SLOTS)
    found = list(template.samples(10_000))
    assert len(found) == template.count(template.root)
    assert "start a timer for five minutes please" in found
    assert template.match("SET A TIMER for five minutes") == {"duration": 300.0}
    assert template.match("set a timer for five bananas") is None
    assert template.match("please set a timer") is None


def test_a_limited_sample_is_spread_over_all_alternatives() -> None:
    template = Template("(one|two|three|four) {number} {unit}", SLOTS)
    assert {sentence.split()[0] for sentence in template.samples(100)} == {"one", "two", "three", "four"}


@pytest.mark.parametrize("source", ["set (a|b", "a)", "[x", "{nothing} x"])
def test_a_broken_template_is_an_error_at_import(source: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        Template(source, SLOTS)


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_no_template_breaks_its_answer(skill: Skill) -> None:
    """Those that are not taught to the recogniser too: understood by this skill or an earlier one."""
    for intent in skill.intents:
        for template in intent.also:
            for sentence in template.samples(40):
                asked = turn(sentence)
                skill.answer(asked._replace(reading=clean(sentence)))
                assert template.holes or understand(asked, clean(sentence)) is not None, sentence
