"""What is pinned, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant.pins import noted


@pytest.mark.parametrize(
    ("said", "pin"),
    [
        ("Remember that my car is on level three.", "my car is on level three"),
        ("please remember my wifi password is aB3$x-9!", "my wifi password is aB3$x-9"),
        ("could you remember that I'm allergic to nuts", "I'm allergic to nuts"),
        ("Hey, don't forget that the party starts at eight", "the party starts at eight"),
        ("Don’t forget to call my mum", "I need to call my mum"),
        ("remember that my name is Alice", "my name is Alice"),
        ("okay remember: my locker is 42", "my locker is 42"),
        ("How nice. Remember that my sister's birthday is in May. Thank you", "my sister's birthday is in May"),
    ],
)
def test_what_is_asked_to_be_remembered(said: str, pin: str) -> None:
    assert noted((), said) == (pin,)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "my car is on level three",
        "do you remember my name",
        "do you remember what I said",
        "what did I ask you to remember",
        "remember that",
        "remember this",
        "can you remember something",
        "do you remember that song?",
        "I do not remember that film",
        "remember me",
    ],
)
def test_what_is_not(said: str) -> None:
    assert noted(("kept",), said) == ("kept",)


def test_a_newer_one_takes_the_place_of_what_it_corrects() -> None:
    pins = noted((), "remember that my car is on level three")
    pins = noted(pins, "remember that I hate rain")
    assert noted(pins, "remember that my car is on level five") == ("I hate rain", "my car is on level five")
    assert noted(pins, "remember that I hate rain") == (*pins[:1], "I hate rain")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("forget everything", ()),
        ("forget my name", ("my car is blue", "I hate rain")),
        ("please forget that", ("my name is Bo", "my car is blue")),
        ("forget about my car", ("my name is Bo", "I hate rain")),
        ("forget about my bicycle", ("my name is Bo", "my car is blue", "I hate rain")),
        ("forget it", ("my name is Bo", "my car is blue")),
    ],
)
def test_what_is_forgotten_again(said: str, left: tuple[str, ...]) -> None:
    assert noted(("my name is Bo", "my car is blue", "I hate rain"), said) == left


@given(st.lists(st.text(max_size=40), max_size=5), st.text(max_size=3000))
def test_any_words_do(pins: list[str], said: str) -> None:
    after = noted(pins, said)
    assert all(isinstance(pin, str) and pin for pin in after if pin not in pins)
