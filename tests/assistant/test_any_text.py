"""Whatever is said: an answer, in time, and never an error."""

from __future__ import annotations

from contextlib import suppress
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.conversation import ask
from vivavoce.assistant import recall
from vivavoce.assistant.expression import CannotCalculate, NotArithmetic, calculate
from vivavoce.assistant.sentences import sentences
from vivavoce.assistant.skill import Said

WORDS = sorted({word for sentence in sentences() for word in sentence.split()})
SPOKEN = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
SENTENCE = st.sampled_from(list(sentences()))
TEXT = st.text(max_size=300) | SPOKEN | SENTENCE | st.tuples(SENTENCE, SPOKEN).map(" ".join)
HISTORY = st.lists(st.builds(Said, st.sampled_from(["user", "assistant"]), TEXT, st.booleans()), max_size=6)
TIMERS = st.none() | st.lists(st.tuples(st.sampled_from(["", "pizza", "five minute"]), st.floats(0, 1e5))).map(tuple)


@settings(max_examples=400, deadline=None)
@given(TEXT, HISTORY, TIMERS)
def test_every_text_has_a_short_answer(
    text: str, history: list[Said], timers: tuple[tuple[str, float], ...] | None
) -> None:
    answer = ask(text, *history, timers=timers)
    assert answer.text.strip()
    assert len(answer.text) <= 600 or any(answer.text == said.text.strip() for said in history)
    assert timers is not None or not answer.effects
    assert answer == ask(text, *history, timers=timers)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789+-*/^()%.,! ", max_size=60) | SPOKEN)
def test_calculating_ends_with_a_value_or_a_reason(text: str) -> None:
    with suppress(NotArithmetic, CannotCalculate):
        assert calculate(text).numerator.bit_length() <= 1000


@settings(max_examples=200, deadline=None)
@given(HISTORY)
def test_memory_never_fails(history: list[Said]) -> None:
    memory = recall.recall(history)
    assert len(memory.facts) <= 100
    assert memory.name is None or 0 < len(memory.name) <= 40


LONG = ["a ", "what is ", "1+", "(", "my name is ", "set a timer for ", "é", "1", "and ", "five ", "my a is b and ",
        "remember that ", "minus ", "half of ", "tell me a fact about ", "? ", "x. ", "\ud800", "how many ", "2^", "9!",
        "\n", "i am not i am ", "what is the capital of "]  # fmt: skip


@pytest.mark.parametrize("piece", LONG)
def test_ten_kilobytes_are_answered_in_a_moment(piece: str) -> None:
    text = piece * (10_000 // len(piece))
    ask(text)
    best = min(timed(text) for _ in range(5))
    assert best < 0.05


def timed(text: str) -> float:
    start = thread_time()
    ask(text)
    return thread_time() - start
