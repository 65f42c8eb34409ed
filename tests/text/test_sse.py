"""Server-sent events: by the standard's own rules, the same for every cut of the bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.text.sse import EventTooLong, ServerSentEvent, ServerSentEvents


def decoded(*chunks: bytes, limit: int = 1000) -> list[ServerSentEvent]:
    decoder = ServerSentEvents(limit)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def data(*chunks: bytes) -> list[str]:
    return [event.data for event in decoded(*chunks)]


TABLE = {
    "one": (b"data: hi\n\n", ["hi"]),
    "no blank after the colon": (b"data:hi\n\n", ["hi"]),
    "only one blank is taken": (b"data:  hi \n\n", [" hi "]),
    "several lines": (b"data: a\ndata:\ndata: b\n\n", ["a\n\nb"]),
    "a field without a colon": (b"data\n\n", [""]),
    "cr": (b"data: a\r\rdata: b\r\r", ["a", "b"]),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "mixed": (b"data: a\r\n\rdata: b\n\r\ndata: c\r\n\n", ["a", "b", "c"]),
    "comments": (b": ping\n\n:\n\ndata: a\n: in between\ndata: b\n\n", ["a\nb"]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
    "a second mark is text": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", ["b"]),
    "other fields": (b"id: 7\nretry: 10\nnonsense: x\nDATA: y\ndata: a\n\n", ["a"]),
    "no data, no event": (b"event: x\n\nid: 3\n\ndata: a\n\n", ["a"]),
    "an unfinished event is dropped": (b"data: a\n\ndata: b\n", ["a"]),
    "letters of several bytes": ("data: é 語 🦊\n\n".encode(), ["é 語 🦊"]),
    "invalid": (b"data: caf\xff\xc3 \xe2\x82 noir\n\n", ["caf\ufffd\ufffd \ufffd noir"]),
    "cut by the end of its line": (b"data: \xf0\x9f\xa6\ndata: b\n\n", ["\ufffd\nb"]),
    "other line separators are text": ("data: a\u2028b\x0bc\x85d\n\n".encode(), ["a\u2028b\x0bc\x85d"]),
    "null": (b"data: a\x00b\n\n", ["a\x00b"]),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_same_for_every_cut(case: str) -> None:
    source, expected = TABLE[case]
    assert data(source) == expected
    assert data(*(source[at : at + 1] for at in range(len(source)))) == expected
    for first in range(len(source) + 1):
        for second in range(first, len(source) + 1):
            assert data(source[:first], source[first:second], b"", source[second:]) == expected


def test_a_line_that_ends_with_cr_counts_at_once() -> None:
    decoder = ServerSentEvents()
    assert [event.data for event in decoder.feed(b"data: a\r\r")] == ["a"]
    assert list(decoder.feed(b"\n")) == []


def test_events_have_names() -> None:
    events = decoded(b"event: error\ndata: a\n\ndata: b\n\n")
    assert events == [ServerSentEvent("a", "error"), ServerSentEvent("b", "message")]


def test_an_id_holds_until_the_next() -> None:
    events = decoded(b"data: a\n\nid: 7.1\ndata: b\n\ndata: c\n\nid: x\0y\nid:\ndata: d\n\nid: 9\n\ndata: e\n\n")
    assert [event.id for event in events] == ["", "7.1", "7.1", "", "9"]
    assert decoded(b"id: 1\nid: a\0\ndata: f\n\n")[0].id == "1"


@pytest.mark.parametrize("source", [b"data: " + b"x" * 200, b"data: x\n" * 60, b": " + b"x" * 200 + b"\n"])
def test_too_long_an_event_is_refused_behind_those_before(source: bytes) -> None:
    for step in (1, 7, 1000):
        decoder = ServerSentEvents(100)
        whole = b"data: a\n\n" + source
        chunks = (whole[at : at + step] for at in range(0, len(whole), step))
        events = (event.data for chunk in chunks for event in decoder.feed(chunk))
        assert next(events) == "a"
        with pytest.raises(EventTooLong, match="more than 100 bytes"):
            next(events)


def test_many_events_are_not_one_long_event() -> None:
    assert len(decoded(b"data: 12345678\n\n" * 1000, limit=30)) == 1000


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_any_bytes_any_cuts(source: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(source)) for cut in cuts), len(source)]
    chunks = [source[first:last] for first, last in itertools.pairwise(places)]
    assert decoded(*chunks) == decoded(source)


LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20), min_size=1, max_size=4)


@given(st.lists(LINES, max_size=5), st.sampled_from(["\n", "\r", "\r\n"]))
def test_what_was_encoded_is_decoded(events: list[list[str]], end: str) -> None:
    source = "".join("".join(f"data: {line}{end}" for line in lines) + end for lines in events)
    assert data(source.encode()) == ["\n".join(lines) for lines in events]
