"""A model's JSON object, read while it is written: the same for every cut."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.text.partial_json import MOST_DEEP, PartialJSON

WHOLE = '{"intent": "HassTurnOn", "entities": {"name": "lamp", "n": [1, -2.5, 1e2, true, null]}, "response": "On."}'


def read(*pieces: str) -> tuple[str, PartialJSON]:
    decoder = PartialJSON()
    text = "".join(decoder.feed(piece) for piece in pieces)
    return text + decoder.flush(), decoder


def outcome(*pieces: str) -> tuple[str, dict[str, Any], bool, bool]:
    text, decoder = read(*pieces)
    return text, decoder.fields, decoder.closed, decoder.malformed


@pytest.mark.parametrize(
    ("answer", "text", "fields", "closed"),
    [
        (WHOLE, "On.", json.loads(WHOLE), True),
        (f"```json\n{WHOLE}\n```\nThat is all.", "On.", json.loads(WHOLE), True),
        (f"Sure, here it is:\n{WHOLE} Anything else?", "On.", json.loads(WHOLE), True),
        (f"[{WHOLE}]", "On.", json.loads(WHOLE), True),
        ('\n\n { "response" : "Hi" , "a" : [ 1 , ] , }', "Hi", {"response": "Hi", "a": [1]}, True),
        ('{"response": "Hi", "response": "twice"}', "Hi", {"response": "Hi"}, True),
        ('{"x": {"response": "deep"}, "y": ["response"]}', "", {"x": {"response": "deep"}, "y": ["response"]}, True),
        ('{"response": null}', "", {"response": None}, True),
        ("{}", "", {}, True),
        (r'{"response": "a\"b\\c\/d\n\t\r\b\f\'\u0041"}', "a\"b\\c/d\n\t\r\b\f'A", None, True),
        (r'{"response": "\ud83e\udd8a fox, \ud83d! \udd8a, \ud83d\ud83e\udd8a \ud83d"}',
         "🦊 fox, \ufffd! \ufffd, \ufffd🦊 \ufffd", None, True),
        ('{"response": "\ud83e\udd8a \udd8a"}', "🦊 \ufffd", None, True),
        ('{"response": "two\nlines"}', "two\nlines", None, True),
        # cut off: what is whole stands, what is not does not
        ('{"intent": "HassTurnOn", "response": "Turning it o', "Turning it o", {"intent": "HassTurnOn"}, False),
        ('{"intent": "HassTurn', "", {}, False),
        ('{"n": 5', "", {}, False),
        ('{"n": 5, "entities": {"area": "kitchen"', "", {"n": 5}, False),
        ("{", "", {}, False),
        # no JSON at all
        ("It is noon.", "It is noon.", {}, False),
        ("Write {name} or {} here.", "Write {name} or {} here.", {}, False),
        ("A" * 200 + " {", "A" * 200 + " {", {}, False),
        ("A" * 200 + ' { "response": "no", "n": 1}', "A" * 200 + " ", {"response": "no", "n": 1}, True),
        ("A" * 119 + ' {   "n": 1}', "", {"n": 1}, True),
        ("A" * 120 + ' {   "n": 1}', "A" * 120 + " ", {"n": 1}, True),
        ("", "", {}, False),
        ("   ", "", {}, False),
    ],
)  # fmt: skip
def test_the_same_for_every_cut(answer: str, text: str, fields: dict[str, Any] | None, closed: bool) -> None:
    expected = (text, {"response": text} if fields is None else fields, closed, False)
    assert outcome(answer) == expected
    assert outcome(*answer) == expected
    for cut in range(len(answer)):
        assert outcome(answer[:cut], answer[cut:]) == expected
        assert outcome(answer[:cut], "", answer[cut : cut + 3], answer[cut + 3 :]) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "{intent: 1}",
        "{'intent': 1}",
        '{"a" 1}',
        '{"a": 1 "b": 2}',
        '{"a":: 1}',
        '{"a": 1,, }',
        '{"a": ]',
        '{"a": [}',
        '{"a": 1]',
        '{"a": 01}',
        '{"a": 1e999}',
        '{"a": NaN}',
        '{"a": True}',
        '{"a": ' + "9" * 70 + "}",
        r'{"a": "\u00g0"}',
        '{"a": ' + "[" * MOST_DEEP + "1" + "]" * MOST_DEEP + "}",
    ],
)
def test_what_is_no_json_is_not_believed(answer: str) -> None:
    for pieces in ([answer], list(answer)):
        text, fields, closed, malformed = outcome(*pieces, '"response": "no", "b": 1}')
        assert (text, fields, closed, malformed) == ("", {"a": 1} if "1" in answer[:8] and fields else {}, False, True)


def test_the_text_comes_while_it_is_written() -> None:
    decoder = PartialJSON()
    grown = [decoder.feed(piece) for piece in ('{"resp', 'onse": "Tur', "ning ", "it\\u00", 'e9 on", "x": "', "y")]
    assert grown == ["", "Tur", "ning ", "it", "é on", ""]


def test_prose_waits_until_no_object_can_be_meant() -> None:
    decoder = PartialJSON()
    assert decoder.feed("x" * 100) == ""
    assert not decoder.prose
    assert decoder.feed("y" * 30) == "x" * 100 + "y" * 30
    assert decoder.feed(" and {") == " and "
    assert decoder.feed("so on") == "{so on"
    assert decoder.prose


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4), st.text(max_size=30), st.booleans(), st.data())
def test_any_object_any_cuts(members: dict[str, Any], response: str, ascii_only: bool, data: st.DataObject) -> None:
    whole = {**members, "response": response}
    written = json.dumps(whole, ensure_ascii=ascii_only)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=5)))
    pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    text, fields, closed, malformed = outcome(*pieces)
    assert malformed == (_depth(whole) > MOST_DEEP)
    if not malformed:
        assert (text, fields, closed) == (response, json.loads(written), True)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(
    st.lists(st.sampled_from([*'{}[]":,\\u{" \n`tdf8x1', '{"response": "', "```json", "\\ud83d"]), max_size=60),
    st.data(),
)
def test_any_text_is_taken_the_same_way_for_any_cut(parts: list[str], data: st.DataObject) -> None:
    answer = "".join(parts)
    cut = data.draw(st.integers(0, len(answer)))
    assert outcome(answer[:cut], answer[cut:]) == outcome(*answer)


def test_the_work_is_linear() -> None:
    """A megabyte of what is worst for it, a character at a time and at once."""
    hard = [
        " " * 200_000,
        "{ " * 100_000,
        '{"response": "' + "\\u00e9x" * 25_000,
        '{"a": ' + "[" * 200_000,
        "{" + " " * 200_000,
    ]
    began = time.process_time()
    for answer in hard:
        assert read(answer)[1].fields == {}
        decoder = PartialJSON()
        for char in answer:
            decoder.feed(char)
    assert time.process_time() - began < 10.0
    long = '{"response": "' + "x" * random.Random(1).randint(100_000, 200_000) + '"}'
    assert len(read(*long)[0]) == len(long) - len('{"response": ""}')
