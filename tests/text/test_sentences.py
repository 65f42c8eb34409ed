"""SentenceStreamBuffer and stream_with_sentences: whole sentences, nothing lost, streams closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce import SentenceStreamBuffer, stream_with_sentences
from vivavoce.text.stops import Doubt


def marked(text: str, min_sentence_length: int = 20) -> str:
    """The sentences of *text*, each character a delta, with a bar behind each that did not need the flush."""
    buffer = SentenceStreamBuffer(min_sentence_length)
    sentences = [sentence for char in text for sentence in buffer.feed(char)]
    rest = buffer.flush() or ""
    assert "".join(sentences) + rest == text
    return "".join(sentence + "|" for sentence in sentences) + rest


@pytest.mark.parametrize(
    "expected",
    [
        "This is the first sentence.| This is the second one!| Is this the third one?| Yes",
        "I went to see Dr. Smith about it.| He was out.",
        "Many things do, e.g. this one or i.e. that.| So.",
        "It is about 3.14 and not 3.15.| And then we can see that it is 3.| x",
        "According to the U.S. law of that time … it was.| Right",
        "Well, I was thinking... it may be so...| Then I left.",
        "We should arrive at 5 p.m. today or at 6 p.m.| Then we eat.",
        "The one I want to have is No. 5.| And the answer is no.| Is it?",
        "Yes. No. It is all the same to me.| Oh",
        "Here are the steps that we take:\n1. Heat it.|\n2. Stir it all well.| 3. Eat.",
        'She said "That is all there is."| And (so she has left us.)| End',
        "An example.com address and a!b or c?d of it.| End",
        "This paragraph has no stop at all|\n\nNor has this second one of them|\n \t\r\n The third",
        "A line\nis no paragraph, however long it gets\nto be",
        "Short\n\nand joined with this, which is long.| x",
        "この文は句点で終わり、次の文が続くことになります。|そして「これは次の長い引用文なのですがいかが。」|終わり",
        "この文は句点で終わり、次の文が続くことになります。| 終わり",
        "   \n\n  Leading white space is kept.| Yes",
        "What do you mean by that?!|  Yes",
        "Is it *really so, my friend?*| It is.",
        "A stop . alone and a quote ' \" ) in it",
    ],
)
def test_where_sentences_end(expected: str) -> None:
    assert marked(expected.replace("|", "")) == expected


def test_a_short_sentence_waits_only_if_asked_to() -> None:
    assert marked("Yes. No.\n\n\nWhat? ", 1) == "Yes.| No.|\n\n\nWhat?| "
    assert marked("Hi. b", 0) == "Hi.| b"


def test_a_sentence_ends_as_soon_as_white_space_follows() -> None:
    buffer = SentenceStreamBuffer()
    assert buffer.feed("The kettle is boiling now.") == []
    assert buffer.feed(None) == buffer.feed("") == []
    assert buffer.feed("\n") == ["The kettle is boiling now."]
    assert buffer.flush() == "\n"
    assert buffer.flush() is None


def test_after_flush_the_buffer_is_as_new() -> None:
    buffer = SentenceStreamBuffer()
    buffer.feed("Something that is long, by Dr. ")
    assert buffer.flush() == "Something that is long, by Dr. "
    assert buffer.feed("Who is the doctor here? ") == ["Who is the doctor here?"]


def test_doubts_say_what_continues_a_sentence() -> None:
    assert Doubt.NEVER.goes_on("X")
    assert not Doubt.GLUED.goes_on("x")


PIECES = st.sampled_from(
    [
        *"aB1 .!?…,'\")(*。！」「字\n\t\r",
        "\n\n",
        " Dr. ",
        " e.g.",
        " No. ",
        " 5",
        " p.m.",
        "... ",
        " word",
        "x" * 70,
        " " * 70,
    ]
)


@given(st.lists(PIECES, max_size=60), st.integers(0, 40), st.data())
@settings(max_examples=300, deadline=None)
def test_the_cuts_do_not_depend_on_the_deltas(pieces: list[str], length: int, data: st.DataObject) -> None:
    text = "".join(pieces)
    whole = SentenceStreamBuffer(length)
    sentences = whole.feed(text)
    assert "".join(sentences) + (whole.flush() or "") == text
    assert all(len(sentence.strip()) >= max(length, 1) for sentence in sentences)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    parts = SentenceStreamBuffer(length)
    deltas = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert [sentence for delta in deltas for sentence in parts.feed(delta)] == sentences


TINY = ["A b. C.\r\n\r\nd", 'No. 5 is "x." Y', "字。「か。」字 a!", "3.14 e.g. a… b.", "👩\u200d🚀. e\u0301! \u061f x"]


@pytest.mark.parametrize("text", TINY)
def test_every_chunking_of_a_short_text_gives_the_same_sentences(text: str) -> None:
    """All 2^(n-1) of them."""
    text = text[:14]
    expected = SentenceStreamBuffer(1).feed(text)
    for bounds in product([False, True], repeat=len(text) - 1):
        buffer = SentenceStreamBuffer(1)
        edges = [0, *(at for at, bound in enumerate(bounds, 1) if bound), len(text)]
        sentences = [sentence for start, end in pairwise(edges) for sentence in buffer.feed(text[start:end])]
        assert sentences == expected, edges
        assert "".join(sentences) + (buffer.flush() or "") == text


@pytest.mark.parametrize("piece", ["word ", "!", " ", "\n ", "。", '"', "a. "])
def test_the_work_is_linear(piece: str) -> None:
    """However small the deltas: ten times the text takes about ten times as long, not a hundred times."""

    def took(size: int) -> float:
        text = piece * (size // len(piece))
        buffer = SentenceStreamBuffer(10**9)
        began = time.process_time()
        for at in range(0, len(text), 4):
            buffer.feed(text[at : at + 4])
        assert buffer.flush() == text
        return time.process_time() - began

    took(1_000)
    small, large = min(took(5_000) for _ in range(3)), took(50_000)
    assert large < 40 * small + 0.05


TOKENS = ["Good evening", " to", None, " you all.", "", " How", " are you", " doing today?", " Bye."]
SPOKEN = ["Good evening to you all.", " How are you doing today?", " Bye."]


class Stream:
    """An async iterable that is no generator."""

    def __aiter__(self) -> AsyncIterator[str | None]:
        return generated([])


async def generated(closed: list[bool]) -> AsyncGenerator[str | None, None]:
    try:
        for token in TOKENS:
            yield token
    finally:
        closed.append(True)


@pytest.mark.parametrize("tokens", ["list", "generator", "iterable"])
@pytest.mark.parametrize("speak", ["sync", "async"])
async def test_the_stream_is_spoken_as_it_comes(tokens: str, speak: str) -> None:
    spoken: list[str] = []

    async def speak_later(sentence: str) -> None:
        spoken.append(sentence)

    text = await stream_with_sentences(
        {"list": TOKENS, "generator": generated([]), "iterable": Stream()}[tokens],
        spoken.append if speak == "sync" else speak_later,
    )
    assert spoken == SPOKEN
    assert text == "".join(SPOKEN)


async def test_white_space_is_not_spoken_but_kept() -> None:
    spoken: list[str] = []
    assert await stream_with_sentences(["It is so. ", "\n"], spoken.append, 5) == "It is so. \n"
    assert await stream_with_sentences([], spoken.append) == ""
    assert spoken == ["It is so."]


async def test_a_failing_speaker_ends_and_closes_the_stream() -> None:
    closed: list[bool] = []

    def speak(sentence: str) -> None:
        raise BrokenPipeError(sentence)

    with pytest.raises(BrokenPipeError, match="Good evening to you all"):
        await stream_with_sentences(generated(closed), speak)
    assert closed == [True]


@pytest.mark.parametrize("where", ["speak", "tokens"])
async def test_cancelling_closes_the_stream(where: str) -> None:
    """Whether it waits for the speaker or for the next token."""
    closed: list[bool] = []
    reached = asyncio.Event()

    async def tokens() -> AsyncGenerator[str, None]:
        try:
            yield "Good evening to you all. "
            yield "How are you doing today?"
            reached.set()
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def speak(_: str) -> None:
        if where == "speak":
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stream_with_sentences(tokens(), speak))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


async def test_a_stream_that_fails_has_spoken_what_it_gave() -> None:
    spoken: list[str] = []

    async def tokens() -> AsyncGenerator[str, None]:
        yield "Good evening to you all. And"
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        await stream_with_sentences(tokens(), spoken.append)
    assert spoken == ["Good evening to you all."]
