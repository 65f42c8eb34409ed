"""The expressions, filters and templates of flows."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.flows.expressions import MAX_LENGTH, Expression, ExpressionError
from vivavoce.flows.filters import FILTERS, FilterError, number_of, text_of
from vivavoce.flows.templates import Template, Tree

SCOPE: dict[str, Any] = {
    "guests": 9,
    "said": "10",
    "wish": "for eight people",
    "empty": "",
    "yes": True,
    "list": ["a", "b", 3],
    "table": {"items": [{"name": "Zoe"}, {"name": "Al"}], "free": 2.5},
}

VALUES = [
    ("1", 1),
    ("1.5", 1.5),
    ("-2", -2),
    ("'it\\'s'", "it's"),
    ('"a\\\\b"', "a\\b"),
    ("true", True),
    ("False", False),
    ("null", None),
    ("guests", 9),
    ("nothing", None),
    ("table.items.0.name", "Zoe"),
    ("table.items.7.name", None),
    ("table.items.x", None),
    ("table.items.٣", None),
    ("table.free.more", None),
    ("table.none.more", None),
    ("[1, 'a', guests]", [1, "a", 9]),
    ("[]", []),
    ("[1,]", [1]),
    ("(1)", 1),
    ("guests > 8", True),
    ("guests >= 9 and guests <= 9", True),
    ("guests < 9 or guests > 9", False),
    ("not guests", False),
    ("not nothing and yes", True),
    ("not (yes and nothing)", True),
    ("yes or nothing and nothing", True),
    ("not guests == 8", True),
    ("said > 9", True),
    ("9 < said", True),
    ("said == 10", True),
    ("10 == said", True),
    ("wish > 3", False),
    ("nothing < 3", False),
    ("nothing == null", True),
    ("'b' > 'a'", True),
    ("yes == true", True),
    ("yes == 1", False),
    ("1 == yes", False),
    ("wish != 'x'", True),
    ("'eight' in wish", True),
    ("'nine' not in wish", True),
    ("nothing in wish", False),
    ("3 in list", True),
    ("'3' in list", True),
    ("'c' not in list", True),
    ("'free' in table", True),
    ("3 in table", False),
    ("3 in nothing", False),
    ("wish | first_number", 8),
    ("wish | first_number | plus: 2 ", 10),
    ("(wish | first_number) > 7 and list | length == 3", True),
    ("nothing | default: 'x'", "x"),
    ("nothing | default: -1", -1),
    ("nothing | default: (wish | upper)", "FOR EIGHT PEOPLE"),
    ("list | join: ' and '", "a and b and 3"),
    ("'a' in ['a' | upper, 'a']", True),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text for text, _ in VALUES])
def test_values(text: str, value: Any) -> None:
    found = Expression(text).value(SCOPE)
    assert found == value
    assert type(found) is type(value)


def test_and_and_or_do_not_look_further_than_they_must() -> None:
    assert Expression("nothing and ('x' | plus: 1)").holds(SCOPE) is False
    assert Expression("yes or ('x' | plus: 1)").holds(SCOPE) is True
    with pytest.raises(FilterError, match="'x' is no number"):
        Expression("yes and ('x' | plus: 1)").value(SCOPE)


BAD = [
    ("", 0, "missing"),
    ("   ", 0, "missing"),
    ("1 <", 3, "missing"),
    ("a b", 2, "'b' is not expected"),
    ("(a", 2, "parenthesis"),
    ("(a]", 2, "parenthesis is missing before ']'"),
    ("[1 2]", 3, "bracket is missing"),
    ("a == b == c", 7, "two things at a time"),
    ("a not in b in c", 11, "two things at a time"),
    ("a not b", 2, "'not' is not expected"),
    ("a | nope", 4, "no filter 'nope'"),
    ("a |", 3, "name of a filter"),
    ("a | default", 4, "takes 1 argument"),
    ("a | upper: 1", 4, "takes 0 arguments"),
    ("a | join: 1, 2", 4, "takes 0 to 1 arguments"),
    ("'open", 0, "string is not closed"),
    ("a $ b", 2, "cannot be read"),
    ("1.2.3", 0, "cannot be read"),
    ("3x", 0, "cannot be read"),
    ("- a", 2, "a number is missing"),
    ("or", 0, "'or' is not expected"),
    ("a.", 1, "cannot be read"),
    ("1234567890123456", 0, "15 characters"),
    ("__import__('os')", 10, "not expected"),
    ("(" * 40 + "a" + ")" * 40, 32, "levels"),
    ("x" * (MAX_LENGTH + 1), MAX_LENGTH, "characters"),
]


@pytest.mark.parametrize(("text", "at", "says"), BAD, ids=[text[:20] for text, _, _ in BAD])
def test_errors_say_where(text: str, at: int, says: str) -> None:
    with pytest.raises(ExpressionError, match=says.replace("|", r"\|")) as caught:
        Expression(text)
    assert caught.value.at == at


def test_what_it_reads() -> None:
    assert Expression("a.b > c and (d | default: e) in [f]").names == {"a", "c", "d", "e", "f"}
    assert repr(Expression("a")) == "Expression('a')"


@given(st.text(alphabet="ab1.'\"()[]|:,<>=! \\-_andortin", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = Expression(text)
    except ExpressionError as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017
        return
    with suppress(FilterError):
        found.value(SCOPE)


def test_the_worst_texts_take_no_time() -> None:
    began = time.perf_counter()
    for text in (
        " or ".join("a" * 1 for _ in range(380)),
        "a" + "|json" * 390,
        "'" + "\\" * 1998,
        "(" * 2000,
        "a | join: " * 199,
        "not " * 499 + "a",
        " " * 2000,
    ):
        with suppress(ExpressionError, FilterError):
            Expression(text).value({"a": '"'})
    for word in ("hundred ", "trillion ", "one ", "a ", "point ", "and "):
        FILTERS["first_number"].call(word * 2000)
        FILTERS["yes_no"].call(word * 2000)
    assert time.perf_counter() - began < 2.0


# --- filters --------------------------------------------------------------------------------------------------------

FILTERED = [
    ("first_number", ("for eight people",), 8),
    ("first_number", ("table for 2 at 7pm",), 2),
    ("first_number", ("a hundred and five",), 105),
    ("first_number", ("twenty-five, please",), 25),
    ("first_number", ("1,200 guests",), 1200),
    ("first_number", ("three point five",), 3.5),
    ("first_number", ("minus four degrees",), -4),
    ("first_number", ("Eight.",), 8),
    ("first_number", ("nobody",), None),
    ("first_number", (None,), None),
    ("first_number", (7,), 7),
    ("first_number", (True,), None),
    ("first_number", (["x"],), None),
    ("first_number", ("one " + "trillion " * 60,), None),
    ("yes_no", ("yes, please",), True),
    ("yes_no", ("No, thanks",), False),
    ("yes_no", ("yes, and don't be late",), True),
    ("yes_no", ("no problem",), True),
    ("yes_no", ("I don't think so",), False),
    ("yes_no", ("I’m not sure",), None),
    ("yes_no", ("a table",), None),
    ("yes_no", (True,), True),
    ("default", ("", 3), 3),
    ("default", (0, 3), 0),
    ("upper", ("straße",), "STRASSE"),
    ("lower", (None,), ""),
    ("capitalize", ("new york",), "New york"),
    ("trim", ("  a ",), "a"),
    ("plain", ("Well, it's PARIS!",), "well it's paris"),
    ("url", ("a b/ü&?",), "a%20b%2F%C3%BC%26%3F"),
    ("json", ({"a": [1, None, "ü"]},), '{"a":[1,null,"ü"]}'),
    ("length", ("abc",), 3),
    ("length", (["a"],), 1),
    ("length", ({"a": 1, "b": 2},), 2),
    ("length", (None,), 0),
    ("join", (["a", 1, True],), "a, 1, true"),
    ("join", ("a",), "a"),
    ("split", ("a, b ,c",), ["a", "b", "c"]),
    ("split", ("weather in Oslo", " in "), ["weather", "Oslo"]),
    ("first", (["a", "b"],), "a"),
    ("first", ([],), None),
    ("last", ("xyz",), "z"),
    ("last", (3,), None),
    ("number", ("twenty two",), 22),
    ("number", ("-3.5",), -3.5),
    ("number", ("two of them",), None),
    ("plus", (None, 2), 2),
    ("plus", ("two", "3"), 5),
    ("minus", (1, 3), -2),
    ("times", (2.5, 2), 5.0),
    ("plus", (1, None), 1),
    ("round", (2.567, 2), 2.57),
    ("round", (2.567,), 3),
    ("round", ("x",), None),
    ("round", (2.5, "x"), None),
]


@pytest.mark.parametrize(("name", "given", "made"), FILTERED)
def test_filters(name: str, given: tuple[Any, ...], made: Any) -> None:
    found = FILTERS[name].call(*given)
    assert found == made
    assert type(found) is type(made)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("plus", ("x", 1), "'x' is no number"),
        ("plus", (1, "y"), "'y' is no number"),
        ("times", (2**52, 4), "too large"),
        ("times", (1e308, 10), "too large"),
        ("split", ("a", ""), "between what"),
        ("upper", ("x" * 20_001,), "20000 characters"),
        ("json", (["x" * 20_001],), "json: a text may have"),
    ],
)
def test_what_filters_cannot_do(name: str, given: tuple[Any, ...], says: str) -> None:
    with pytest.raises(FilterError, match=says):
        FILTERS[name].call(*given)


def test_texts_of_values() -> None:
    shown = [None, "a", True, 2.0, 2.5, 1e300, 3, [1, {"a": None}]]
    assert [text_of(value) for value in shown] == ["", "a", "true", "2", "2.5", "1e+300", "3", '[1,{"a":null}]']
    assert number_of([]) is None


# --- templates ------------------------------------------------------------------------------------------------------


def test_one_hole_keeps_its_type() -> None:
    assert Template("{{guests}}").value(SCOPE) == 9
    assert Template("{{ list }}").value(SCOPE) == ["a", "b", 3]
    assert Template(" {{guests}}").value(SCOPE) == " 9"
    assert Template("{{guests}}{{said}}").value(SCOPE) == "910"
    assert Template("").value(SCOPE) == ""
    assert Template("no } hole { {").value(SCOPE) == "no } hole { {"


def test_holes() -> None:
    template = Template("Table for {{wish | first_number | default: 2}}, {{table.items.1.name}}{{nothing}}!")
    assert template.value(SCOPE) == "Table for 8, Al!"
    assert template.names == {"wish", "table", "nothing"}
    assert Template("{{'}}' | default: \"{{\"}}{{'\\'}}'}}").value({}) == "}}'}}"


def test_what_users_say_is_not_read_as_a_template() -> None:
    assert Template("You said {{wish}}").value({"wish": "{{api_key}}"}) == "You said {{api_key}}"


def test_only_the_beginning_is_not_escaped() -> None:
    template = Template("{{api}}/t?n={{name}}")
    assert (
        template.text({"api": "http://x", "name": "a&b"}, lambda text: text.replace("&", "%26")) == "http://x/t?n=a%26b"
    )


@pytest.mark.parametrize(
    ("text", "at"), [("ab {{x", 3), ("{{x}} {{", 6), ("ab {{x | nope}}", 9), ("{{}}", 2), ("{{'a}}", 0), ("{{'a\\", 0)]
)
def test_errors_in_templates_say_where(text: str, at: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        Template(text)
    assert caught.value.at == at


def test_templates_have_limits() -> None:
    with pytest.raises(ExpressionError, match="8000 characters"):
        Template("x" * 8001)
    with pytest.raises(ExpressionError, match="200 holes"):
        Template("{{a}}" * 401)
    with pytest.raises(FilterError, match="20000 characters"):
        Template("{{a}}" * 3).text({"a": "x" * 9_000})


def test_trees() -> None:
    tree = Tree({"n": "{{guests}}", "who": ["{{table.items.0.name}} & co", 1, None, {"deep": "{{nothing}}"}]})
    assert tree.value(SCOPE) == {"n": 9, "who": ["Zoe & co", 1, None, {"deep": None}]}
    assert tree.names == {"guests", "table", "nothing"}
    deep: Any = "x"
    for _ in range(20):
        deep = [deep]
    with pytest.raises(ExpressionError, match="16 levels"):
        Tree(deep)
    assert repr(tree).startswith("Tree(")
    assert repr(Template("a")) == "Template('a')"
