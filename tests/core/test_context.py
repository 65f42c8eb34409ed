"""What fits into a model's context: the estimate, what is kept, and what a cut leaves."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.context import CUT, cut, newest, tokens

ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody in the village wonders why it does so every morning."


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        (ENGLISH, 23, 45),  # what the tokenizers in use really make of it, and twice that
        ("The year is 1984.", 6, 14),
        ("今天天气很好，我们去公园吧。", 14, 32),
        ("東京タワーは高さ三百三十三メートルです。", 18, 44),
        ("오늘 날씨가 아주 좋습니다", 12, 30),
        ("Сегодня хорошая погода, пойдём гулять.", 14, 56),
        ("🙂🙂🙂", 6, 12),
        ("0123456789", 4, 10),
        ('{"a":[1,2]}', 6, 12),
        ("\n\n\n", 1, 3),
        ("\ud800", 1, 3),
    ],
)
def test_the_estimate_is_rather_too_high(text: str, least: int, most: int) -> None:
    assert least <= tokens(text) <= most


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(one: str, other: str) -> None:
    assert max(tokens(one), tokens(other)) <= tokens(one + other) <= tokens(one) + tokens(other)
    assert tokens(one[::-1]) == tokens(one)


def test_the_estimate_is_linear() -> None:
    text = ENGLISH * 10_000  # 1 MB
    began = time.process_time()
    tokens(text)
    assert time.process_time() - began < 0.2


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(-10, 400))
def test_the_newest_that_fit_are_kept(sizes: list[int], room: int) -> None:
    first = newest(sizes, room)
    assert 0 <= first <= len(sizes)
    assert sum(sizes[first:]) <= max(room, 0)
    assert first == 0 or sum(sizes[first - 1 :]) > room


def test_what_fits_is_not_cut() -> None:
    assert cut(ENGLISH, tokens(ENGLISH)) == ENGLISH


def test_a_cut_keeps_the_beginning_and_the_end() -> None:
    text = f"Please translate this: {ENGLISH * 50} Into French."
    short = cut(text, 60)
    assert short.startswith("Please translate this: ")
    assert short.endswith(" Into French.")
    assert short.count(CUT) == 1
    assert 50 <= tokens(short) <= 60


@given(st.text(min_size=1, max_size=400), st.integers(-5, 120))
def test_a_cut_never_takes_more_than_there_is(text: str, room: int) -> None:
    short = cut(text, room)
    assert tokens(short) <= max(room, 0)
    assert short == cut(text, room)
    begun, mark, end = short.partition(CUT) if CUT in short and CUT not in text else (short, "", "")
    assert text.startswith(begun)
    assert text.endswith(end)
    assert mark or text == short or room < tokens(CUT) + 2 or CUT in text


@given(st.text(alphabet="ab ÄЖ漢🙂9\n", min_size=50, max_size=400), st.integers(10, 40))
def test_a_cut_wastes_little(text: str, room: int) -> None:
    assert tokens(cut(text, room)) >= min(tokens(text), room - 7)


def test_a_cut_of_much_text_is_quick() -> None:
    began = time.process_time()
    cut("漢a9" * 300_000, 4000)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("sizes", "room", "first"),
    [([], 5, 0), ([3, 2], 5, 0), ([3, 2], 4, 1), ([1, 1, 9], 8, 3), ([9, 1, 1], 2, 1)],
)
def test_what_is_kept_of_a_few(sizes: list[int], room: int, first: int) -> None:
    assert newest(sizes, room) == first


def test_what_has_no_room_for_a_mark_keeps_its_beginning() -> None:
    assert cut("one two three four five six", 0) == ""
    assert cut("one two three four five six", 2) == _first("one two three four five six", 2)


def _first(text: str, room: int) -> str:
    """The longest beginning that has *room* tokens, by trying."""
    return max((text[:end] for end in range(len(text) + 1) if tokens(text[:end]) <= room), key=len)
