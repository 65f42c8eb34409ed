"""From phrases as they are shown to what the voice says, and back to the times of the shown words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kit
from vivavoce.engines.base import Speech, Voice, Word
from vivavoce.session.speaker import Speaker, shown_words
from vivavoce.text.speakable import spoken_words


class TimedVoice(kit.FakeVoice):
    """Says a word in 100 ms, and knows it."""

    voices = (
        Voice(id="fake", language="en_US", name="Fake", engine="fake", sample_rate=8000),
        Voice(id="faux", language="fr_FR", name="Faux", engine="fake", sample_rate=8000),
    )

    async def synthesize(self, phrase: str, voice: str) -> AsyncGenerator[Speech, None]:
        self.spoken.append(phrase)
        words = tuple(Word(word, 100 * at, 100 * at + 100) for at, word in enumerate(phrase.split()))
        yield Speech(b"\x10\x00" * 800 * len(words), words)
        yield Speech(b"\x00\x00" * 80)


async def heard(speaker: Speaker, phrase: str) -> list[Speech]:
    said = speaker.read(phrase)
    return [] if said is None else [speech async for speech in speaker.synthesize(phrase, said)]


async def test_the_words_are_the_shown_ones_at_the_times_of_what_is_said_for_them() -> None:
    voice = TimedVoice()
    first, rest = await heard(Speaker(voice, "fake"), " It's **$5 million** 😀 at 14:05, - 5 km.\n")
    assert voice.spoken == ["It's 5 million dollars at 14 oh 5, - 5 kilometers."]
    assert [(word.text, word.start_ms, word.end_ms) for word in first.words] == [
        ("It's", 0, 100),
        ("**$5", 100, 200),
        ("million**", 200, 400),
        ("😀", 400, 400),
        ("at", 400, 500),
        ("14:05,", 500, 800),
        ("-", 800, 900),
        ("5", 900, 1000),
        ("km.", 1000, 1100),
    ]
    assert rest.words == ()


async def test_it_speaks_as_its_voice_does() -> None:
    voice = TimedVoice()
    await heard(Speaker(voice, "faux"), "5 km & 3,50 €")
    await heard(Speaker(voice, "another"), "5 km & 3,50 €")
    assert voice.spoken == ["5 kilomètres et 3 euros 50", "5 km & 3,50 €"]


async def test_what_is_open_in_one_phrase_goes_on_in_the_next() -> None:
    voice = TimedVoice()
    speaker = Speaker(voice, "fake")
    for phrase in ["See:", "\n```python", "\nprint(1)", "\n```\nSo it is.", " 🙂"]:
        await heard(speaker, phrase)
    assert voice.spoken == ["See:", "code.", "So it is."]


@pytest.mark.parametrize(
    ("words", "spoken", "timed"),
    [
        (None, ["go 5 kilometers"], True),  # left as they are
        ("walk 5 km", ["walk 5 kilometers"], True),  # as many words: each in its place
        ("walk", ["walk"], False),
        ("🙂", [], False),
        ("", [], False),
    ],
)
async def test_other_words_can_be_put_into_its_mouth(words: str | None, spoken: list[str], timed: bool) -> None:
    voice, asked = TimedVoice(), []

    async def prepare(phrase: str) -> str | None:
        asked.append(phrase)
        return words

    pieces = await heard(Speaker(voice, "fake", prepare), "go 5 km")
    assert asked == ["go 5 km"]
    assert voice.spoken == spoken
    assert bool(pieces) == bool(spoken)
    assert [word.text for piece in pieces for word in piece.words] == (["go", "5", "km"] if timed else [])


def test_a_voice_without_times_or_with_other_words_tells_none() -> None:
    assert shown_words("one two", ["one", "two"], ()) == ()
    assert shown_words("one two", ["one", "two"], [Word("one", 0, 5)]) == ()
    assert shown_words("one two", ["one"], [Word("one", 0, 5)]) == ()
    assert shown_words("", [], ()) == ()


PARTS = ["so", "**x**", "5", "km", "$3.50", "😀", "-", "14:05", "z. B.", "\n", "```", "1 234,56 €", "|", "3 pm", ","]


@given(st.lists(st.sampled_from(PARTS), max_size=20).map(" ".join), st.sampled_from(["en_US", "de", "fr", "ja"]))
def test_the_times_of_the_shown_words_never_go_back(phrase: str, language: str) -> None:
    said = spoken_words(phrase, language)
    count = sum(len(text.split()) for text in said)
    words = shown_words(phrase, said, [Word("", 100 * at + 10, 100 * at + 100) for at in range(count)])
    if count:
        assert [word.text for word in words] == phrase.split()
    times = [ms for word in words for ms in (word.start_ms, word.end_ms)]
    assert times == sorted(times)
    silent = [word.start_ms == word.end_ms for word in words]
    assert silent == [not text for text in said][: len(words)]


CODE = "See:\n```py\nprint(1)\n```\nThat is all of it. And then one two three four five."


def test_code_that_is_shown_and_not_said_was_heard_with_what_stands_behind_it() -> None:
    async def scenario() -> None:
        async with kit.a_session(llm=kit.FakeModel([CODE]), tts=TimedVoice()) as client:
            client.session.type("go on")
            await client.wait("phrase", 4)
            await asyncio.sleep(0.9)
            client.session.cancel()
            heard_text = (await client.wait("interrupted"))["heard_text"]
            assert heard_text == CODE[: len(heard_text)]
            assert len(CODE) - 40 < len(heard_text) < len(CODE), "some of the last phrase, and all before it"
            assert [message["text"] for message in client.of("phrase")][:3] == [
                "See:",
                "\n```py",
                "\n```\nThat is all of it.",
            ]

    kit.run_virtually(scenario())
