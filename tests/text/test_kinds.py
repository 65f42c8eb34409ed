"""Which kind of answer a request asks for."""

from __future__ import annotations

import time

import pytest

from vivavoce.text.kinds import LONG_WORDS, Kind, kind_of

CASES: dict[Kind, str] = {
    "command": """
        turn on the kitchen lights
        Could you please turn off the lamp?
        um, set a timer for ten minutes
        can you play some music
        remind me to call mom in an hour
        add milk to the shopping list
        write down that the car is on level three
        stop
        Stop telling me that story.
        never mind
        please be quiet
        okay, cancel the pizza timer
        kitchen lights off
        volume up
        bedroom lamp to fifty percent
        living room blinds down please
        make it warmer
        I'd like you to lock the front door
        hey, go ahead and wake me up at seven
        next
        """,
    "long": """
        tell me a story
        Could you tell me another bedtime story, please?
        tell me a long story about a fox
        explain how rainbows form
        Please explain photosynthesis in detail
        what is a black hole, in detail
        describe the kitchen of a castle
        write a poem about rain
        write me an email to my landlord
        give me a recipe for pancakes
        tell me everything about whales
        tell me about the Roman empire
        how does a car engine work
        what's the difference between a crow and a raven
        walk me through changing a tyre step by step
        summarise the news
        compare cats and dogs
        continue the story
        sing a song
        let's write a letter to Santa
        """,
    "short": """
        what time is it
        hello
        how are you?
        is the light on
        what lights are on
        are the kitchen lights off
        who wrote Faust
        why is the sky blue
        what is the capital of Peru
        tell me a joke
        tell me the time
        thank you
        yes
        no, the other one
        my name is Alice
        will it rain tomorrow
        the settings are fine
        startling news
        Wie spät ist es?
        schalte das Licht ein
        """,
}


@pytest.mark.parametrize(
    ("text", "kind"), [(line.strip(), kind) for kind, lines in CASES.items() for line in lines.strip().splitlines()]
)
def test_kinds(text: str, kind: Kind) -> None:
    assert kind_of(text) == kind
    assert kind_of(f"  {text.upper()} ") == kind


@pytest.mark.parametrize("text", ["", " ", "?!", "\u2019", "please", "\x00\ud800"])
def test_what_is_no_sentence_is_short(text: str) -> None:
    assert kind_of(text) == "short"


def test_who_says_much_wants_much() -> None:
    assert kind_of("yes " * LONG_WORDS) == "short"
    assert kind_of("yes " * (LONG_WORDS + 1)) == "long"


@pytest.mark.parametrize("text", ["please " * 20_000, "tell " + "story " * 20_000, "a" * 200_000, "light " * 20_000])
def test_no_text_takes_long(text: str) -> None:
    began = time.perf_counter()
    kind_of(text)
    assert time.perf_counter() - began < 0.5
