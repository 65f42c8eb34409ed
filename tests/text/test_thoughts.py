"""Reasoning at the start of an answer is left out, however it is cut."""

from __future__ import annotations

import pytest

from vivavoce.text.thoughts import Thoughts


def said(*pieces: str) -> str:
    thoughts = Thoughts()
    return "".join(map(thoughts.feed, pieces)) + thoughts.flush()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hello there.", "Hello there."),
        ("  Hello.", "  Hello."),
        ("<b>bold</b>", "<b>bold</b>"),
        ("<", "<"),
        ("<thin ice", "<thin ice"),
        ("", ""),
        ("<think>hm</think>Yes.", "Yes."),
        ("\n<think>\nhm < </thin </think>\n\nYes. <think>x</think>", "Yes. <think>x</think>"),
        ("<think></think>\n<think>again</think> Yes.", "Yes."),
        ("<think>never said", ""),
        ("<think>hm</think>\n", ""),
    ],
)
def test_the_same_for_every_cut(source: str, expected: str) -> None:
    assert said(*source) == expected
    for cut in range(len(source) + 1):
        assert said(source[:cut], source[cut:]) == expected


def test_ordinary_text_is_not_held_back() -> None:
    thoughts = Thoughts()
    assert [thoughts.feed(piece) for piece in ("Hel", "lo <", "think>")] == ["Hel", "lo <", "think>"]
