"""JSON lines: the same for every cut of the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.text.jsonlines import JSONLines, LineTooLong


def lines(*chunks: bytes) -> list[str]:
    decoder = JSONLines()
    return [line for chunk in chunks for line in decoder.feed(chunk)] + list(decoder.flush())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b'{"a": 1}\n{"b": 2}\n', ['{"a": 1}', '{"b": 2}']),
        (b'{"a": 1}\r\n\r\n\n  \n{"b": 2}', ['{"a": 1}', '{"b": 2}']),
        ('{"a": "é\u2028🦊"}\n'.encode(), ['{"a": "é\u2028🦊"}']),
        (b'"\xff\xe2\x82"\n', ['"\ufffd\ufffd"']),
        (b"", []),
        (b"\n", []),
    ],
)
def test_the_same_for_every_cut(source: bytes, expected: list[str]) -> None:
    assert lines(*(source[at : at + 1] for at in range(len(source)))) == expected
    for first in range(len(source) + 1):
        for second in range(first, len(source) + 1):
            assert lines(source[:first], source[first:second], source[second:]) == expected


@given(st.binary(max_size=100), st.integers(0, 100))
def test_any_bytes_any_cut(source: bytes, cut: int) -> None:
    assert lines(source[:cut], source[cut:]) == lines(source)


def test_too_long_a_line_is_refused_behind_those_before() -> None:
    for step in (1, 7, 1000):
        decoder = JSONLines(10)
        whole = b"12345\n" + b"x" * 20
        chunks = (whole[at : at + step] for at in range(0, len(whole), step))
        found = (line for chunk in chunks for line in decoder.feed(chunk))
        assert next(found) == "12345"
        with pytest.raises(LineTooLong, match="more than 10 bytes"):
            next(found)


def test_nothing_is_left_behind_a_flush() -> None:
    decoder = JSONLines()
    assert list(decoder.feed(b"1\n2")) == ["1"]
    assert list(decoder.flush()) == ["2"]
    assert list(decoder.flush()) == []
