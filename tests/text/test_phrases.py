"""PhraseBuffer: where phrases end, what is never lost, and what time does."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from itertools import pairwise, product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vivavoce import PhraseBuffer

UNCOUNTED = 10**9


def cut(text: str, *, first: bool = False, length: int = 400) -> list[str]:
    """The phrases of *text*, each character a delta; on a line of its own behind a first phrase, unless *first*."""
    buffer = PhraseBuffer(max_phrase_length=length, max_tokens_per_phrase=UNCOUNTED)
    if not first:
        assert buffer.feed("Hello.\n", 0) == ["Hello."]
    phrases = [phrase for char in text for phrase in buffer.feed(char, 0)] + buffer.flush()
    if not first:
        phrases[0] = phrases[0].removeprefix("\n")
    assert "".join(phrases) == text
    return phrases


def pieces(text: str) -> list[str]:
    return cut(text, first=True, length=60)


def marked(text: str, **options: bool | int) -> str:
    """The cuts as bars, with the white space that leads a phrase before its bar."""
    return "|".join(cut(text, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("end", [".", "!", "?", "。", "！", "？", "؟", "।"])
def test_a_sentence_ends_at_its_stop(end: str) -> None:
    buffer = PhraseBuffer()
    assert buffer.feed("It is late", 0) == []
    assert buffer.feed(end, 0) == ["It is late" + end]
    assert buffer.deadline is None


@pytest.mark.parametrize(
    "expected",
    [
        "One.| Two!| Three?| Four",
        "Call Dr. Smith and Mrs. J. R. Jones.| Then rest.",
        "Meet George W. Bush at St. Mary's, e.g. today, i.e. now, vs. later.",
        "It costs 3.14 or 2.50.| Then 3.| Now go.",
        "Version 2.0 is out.| See v3.| Done.",
        "The U.S. law of the U.K. is old.",
        "Take No. 5 on Jan. 3.| Is it so?| No.| I think not.",
        "Come at 5 p.m. today or at 6 p.m.| Then eat.| I like etc.| So be it.",
        "Well… maybe…| Yes.",
        "Go to .NET or wait ... then ...| Next one.",
        "1. Heat it.|\n2. Stir it.| 3. Eat it.",
        "So am I.| Good.",
        "At https://example.com/a.b?c=1.| Then mail a@example.com.| Or www.example.org!| Yes.",
        "It is x.| And then e.g. y.",
    ],
)
def test_a_stop_that_may_not_be_one_is_decided_by_what_follows(expected: str) -> None:
    assert marked(expected.replace("|", "")) == expected


@pytest.mark.parametrize(
    "expected",
    [
        'He said "Go."| Then "Stop.| Now."| End.',
        "(He left.)| (See 3.)| [Why?]| So.",
        "**Note.**| And *this.*| _It._| Yes.",
        "She said ‘No!’| and “Yes!?”| Then.",
        "„Gut.“| Dann «Bon.»| So.",
        "* one.|\n* two.|\n* three.",
        "don't.| Go 'now.'| He.",
        "「そうです。」|でも「はい。|いいえ。」|終わり。",
        '("Nested.")| It is "open.| so',
        '"It is 3."| Then.',
        'An "example.com" and "3.5" here.',
    ],
)
def test_closing_quotes_and_brackets_stay_with_their_sentence(expected: str) -> None:
    assert marked(expected.replace("|", "")) == expected


def test_what_follows_a_stop_without_a_doubt_leads_the_next_phrase() -> None:
    """The price of not waiting for the next token; nothing is lost by it."""
    assert marked("Wait... what?! Yes.") == "Wait.|.. what?|! Yes."


@pytest.mark.parametrize(
    "expected",
    [
        "I looked,| but it was gone,| and I went,| then ran,| so far.",
        "It was fine,| however,| because of you.",
        "I saw a band, some android, the sound, then.",
        "He went,so what, so-called",
        "We ran,|\tAND hid",
        "Ours,|   then theirs",
        "yes,| and so on, and",
        "1,000 and 2, but",
        "first:| second;| third",
        "at 10:30 in a;b",
        "一；|二",
        "a line|\nanother line|    \n\n third",
        "- one|\n- two|\n\n---\nthree",
    ],
)
def test_connectors_colons_and_lines_end_a_phrase(expected: str) -> None:
    assert marked(expected.replace("|", "")) == expected


@pytest.mark.parametrize(
    "expected",
    [
        "Yes, of course I can,| here, you see",
        "Of course I can —| here — you see",
        "Of course I can –| here",
        "Of course I can -| here - there",
        "Of course, a well-known 10–20 thing",
        "It costs me 1,000 euros,| or 2, or 3",
        'Then he said "well,| my dear"',
        'He "had to leave,"| they say',
        "They were 2,000,| or 3",
        "我喜欢编程，|因为它很有趣，而且",
        "Incomprehensibilities, they say",
    ],
)
def test_the_first_phrase_may_end_at_a_comma_or_dash(expected: str) -> None:
    assert marked(expected.replace("|", ""), first=True) == expected


def test_a_later_phrase_does_not_end_at_a_comma() -> None:
    assert marked("Of course I can, here — you see") == "Of course I can, here — you see"


def test_a_long_phrase_is_cut_after_its_last_clause_else_after_a_word() -> None:
    assert marked("one two three, four five six seven", length=21) == "one two three,| four five six seven"
    assert marked("a, three four five six seven", length=21) == "a, three four five| six seven"
    assert marked("one two three four five", length=15) == "one two three| four five"
    assert marked("私は日本語を話しますーとても", length=11) == "私は日本語を話しま|すーとても"
    assert marked("汉字，汉字汉字", length=6) == "汉字，|汉字汉字"
    assert marked("漢字abc漢字", length=4) == "漢字|abc漢|字"


def test_one_long_word_is_left_whole_but_not_without_end() -> None:
    word = "x" * 100
    assert cut(f"{word} and so on", length=60) == [word, " and so on"]
    assert [len(phrase) for phrase in pieces("x" * 1000)] == [256, 256, 256, 232]
    assert all(phrase.startswith("👩") for phrase in pieces("👩\u200d🚀" * 200))
    assert all(phrase.startswith("e") for phrase in pieces("e\u0301" * 200 + "e\u0301\u0301" * 100))
    assert all(phrase.startswith("\U0001f1e9") for phrase in pieces("x" + "\U0001f1e9\U0001f1ea" * 50)[1:])
    assert all(phrase[0] == "\ud83d" for phrase in pieces("\ud83d\ude00" * 200)[:1])
    assert {len(phrase) for phrase in pieces("\u0301" * 512)} == {256}
    assert pieces("x" + "\ud83d\ude00" * 200)[0].endswith("\ude00")
    assert [len(phrase) for phrase in pieces("\ud83d" * 300)] == [256, 44]


def test_tokens_are_limited_at_the_last_whole_word() -> None:
    buffer = PhraseBuffer(max_tokens_per_phrase=3)
    assert buffer.feed(" ", 0) == []
    assert [buffer.feed(token, 0) for token in ["one", " two", " thr", "ee"]] == [[], [], [" one two"], []]
    assert buffer.feed(" ", 0) == [" three"]
    assert buffer.feed("a", 0) + buffer.feed("b", 0) + buffer.feed("c", 0) == [" abc"]


def test_time_gives_out_the_whole_words() -> None:
    buffer = PhraseBuffer(max_buffer_time=2.0)
    assert buffer.deadline is None
    buffer.feed(" \n", 1.0)
    assert buffer.deadline is None, "there is nothing to say"
    buffer.feed("I think that", 5.0)
    buffer.feed(" the wea", 6.0)
    assert buffer.deadline == 7.0
    assert buffer.tick(6.9) == []
    assert buffer.tick(7.0) == [" \nI think that the"]
    assert buffer.deadline == 9.0
    assert buffer.feed("ther is", 8.0) == []
    assert buffer.feed(" fine", 9.5) == [" weather"], "a late feed does what tick would have done"
    assert buffer.tick(11.5) == [" is"]
    assert buffer.tick(13.5) == [" fine"], "a single word does not wait for ever"
    assert buffer.deadline is None
    assert buffer.tick(99.0) == []


@pytest.mark.parametrize("text", ["It costs 3.", "It is (so)", "It is so ", "So I think,"])
def test_time_gives_out_all_where_the_last_word_is_over(text: str) -> None:
    buffer = PhraseBuffer()
    buffer.feed("Hello.", 0)
    buffer.feed(text, 0)
    assert buffer.tick(2) == [text.rstrip()]
    assert buffer.flush() == [" "] * text.endswith(" ")


def test_time_does_not_end_what_is_inside_a_word() -> None:
    buffer = PhraseBuffer()
    buffer.feed("It is a well-", 0)
    assert buffer.tick(2) == ["It is a"]


def test_nothing_is_added_by_none_and_nothing() -> None:
    buffer = PhraseBuffer(max_tokens_per_phrase=1)
    assert buffer.feed(None, 0) == buffer.feed("", 0) == buffer.flush() == []


def test_after_flush_the_buffer_is_as_new() -> None:
    buffer = PhraseBuffer()
    assert buffer.feed('Hello "there. It', 0) == ['Hello "there.']
    assert buffer.flush() == [" It"]
    assert buffer.deadline is None
    assert buffer.feed("Of course I can, my dear", 0) == ["Of course I can,"]


PIECES = st.sampled_from(
    [
        *"abcXYZ 0123456789.,;:!?…-–—'\"*_`()[]/@\n\t\r",
        *"。！？、，；「」『』“”‘’„«»字漢かカーっ가ไéß😀👩\u200d\ufe0f\u0301\U0001f3fd\U0001f1e9½",
        *[" Dr. ", " e.g. ", " U.S. ", " No. ", " p.m. ", " 3.14 ", "...", "\n\n", "\r\n", ", and ", ", so ", " — "],
        *[" word", " longer words", " https://example.com/a.b?c", "\ud83d", "\ude00", "   ", "```", "1. ", "\n- "],
        "w" * 59, "w" * 61, "w" * 300, " " * 61, " " * 300, "\u0301" * 70,
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=60).map("".join)


@given(TEXTS, st.data(), st.sampled_from([1, 5, 20, 60, 400]))
@settings(max_examples=300, deadline=None)
@example("\U0001f1e9" * 600, None, 60)
def test_the_cuts_do_not_depend_on_the_deltas(text: str, data: st.DataObject | None, length: int) -> None:
    whole = PhraseBuffer(length, UNCOUNTED)
    phrases = whole.feed(text, 0) + whole.flush()
    assert "".join(phrases) == text
    assert phrases == cut(text, first=True, length=length)
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20))) if data else [300]
    parts = PhraseBuffer(length, UNCOUNTED)
    edges = [0, *places, len(text)]
    deltas = [text[start:end] for start, end in pairwise(edges)]
    assert [phrase for delta in deltas for phrase in parts.feed(delta, 0)] + parts.flush() == phrases


SHORT = [
    *["It is 3. 5 km", "Hi, and so.", 'A "b." c', "a\r\nb. c\n\n", "漢字。「か」。字", "e\u0301. 👩\u200d🚀!"],
    *["\u0627\u0644. \u061f", "x, 21, 2026", "10 – 20, so", "5 — 6, but", "Dr. A. B.", "```\nx\n```", "1.\n2. a"],
    *["\ud83d\ude00. a", "z. B. 3. Mai"],
]  # fmt: skip


@pytest.mark.parametrize("text", SHORT)
@pytest.mark.parametrize("length", [4, 60])
def test_every_chunking_of_a_short_text_gives_the_same_cuts(text: str, length: int) -> None:
    """All 2^(n-1) of them."""
    text = text[:14]
    expected = cut(text, first=True, length=length)
    for bounds in product([False, True], repeat=len(text) - 1):
        buffer = PhraseBuffer(length, UNCOUNTED)
        edges = [0, *(at for at, bound in enumerate(bounds, 1) if bound), len(text)]
        phrases = [phrase for start, end in pairwise(edges) for phrase in buffer.feed(text[start:end], 0)]
        assert phrases + buffer.flush() == expected, edges


EXPRESSIONS = st.sampled_from(
    [
        *["5 km/h", "3.5 kg", "20 °C", "$ 3.50", "$1,200.50", "20 €", "€ 20", "50 %", "2026-11-21", "21.11.2026"],
        *["14:05", "10-20", "10 – 20", "1 234,56 €", "No. 5", "Nov 21, 2026", "7:30 a.m.", "v2.0.1", "+1 555 0100"],
    ]
)  # fmt: skip
AROUND = st.lists(
    st.sampled_from(["we", "really", "thought", "about", "it", "then,", "and", "so", "likely"]), max_size=9
)


@given(st.lists(st.tuples(AROUND, EXPRESSIONS), min_size=1, max_size=5), st.integers(40, 80))
@settings(max_examples=300, deadline=None)
def test_an_expression_is_never_parted(parts: list[tuple[list[str], str]], length: int) -> None:
    """The words around it are enough to cut at; in a row of expressions there may be no other place."""
    buffer, text = PhraseBuffer(length, UNCOUNTED), ""
    for words, expression in parts:
        text += " ".join(["so we", *words, "take", expression, "of it "])
    phrases = buffer.feed(text, 0) + buffer.flush()
    at, cuts = 0, set()
    for phrase in phrases:
        at += len(phrase)
        cuts.add(at)
    at = 0
    for _, expression in parts:
        begin = text.index(expression, at)
        at = begin + len(expression)
        assert not cuts.intersection(range(begin + 1, at)), phrases


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de_DE", "Am 21. November um 5,| z. B. im Haus usw.| Er ging ca. 5 km.| Gut."),
        ("fr_FR", "Voici p. ex. cela etc.| Bien.| Mme Dupont.| Oui."),
        ("es_ES", "En los EE. UU. vive el Sr. López.| Sí."),
        ("pl_PL", "Np. 21. maja itd.| Dobrze."),
        ("ja", "Am 21.| November z.| B."),
        ("", "Am 21.| November z.| B."),
    ],
)
def test_a_language_knows_its_abbreviations_and_dates(language: str, expected: str) -> None:
    text = expected.replace("|", "")
    buffer = PhraseBuffer(400, UNCOUNTED, language=language)
    assert "|".join([phrase for char in text for phrase in buffer.feed(char, 0)] + buffer.flush()) == expected


def test_time_and_tokens_leave_a_number_with_what_may_follow_it() -> None:
    buffer = PhraseBuffer(max_buffer_time=2.0)
    buffer.feed("Hello.\nIt takes about 5 ", 0)
    assert buffer.tick(2) == ["\nIt takes"], "`about` stands beside the number as well"
    assert buffer.tick(4) == [" about 5"], "but not for ever"
    buffer = PhraseBuffer(max_tokens_per_phrase=4)
    assert [phrase for token in ["Take", " them", " all", " 5", " km"] for phrase in buffer.feed(token, 0)] == [
        "Take them"
    ]


@given(TEXTS, st.integers(1, 80))
@settings(max_examples=200, deadline=None)
def test_no_phrase_is_too_long_unless_one_word_is(text: str, length: int) -> None:
    buffer = PhraseBuffer(length, UNCOUNTED)
    phrases = buffer.feed(text, 0)
    for phrase in phrases:
        assert len(phrase) <= length or len(phrase.split()) <= 1
        assert len(phrase) <= max(256, length)
        assert not phrase.isspace() or len(phrase) >= min(length, 256)
    assert all(len(phrase) <= 2 * max(256, length) for phrase in buffer.flush())


@given(st.lists(st.tuples(PIECES, st.floats(0, 1.5)), max_size=60), st.integers(1, 8))
@settings(max_examples=200, deadline=None)
def test_with_time_and_token_limits_nothing_is_lost(steps: list[tuple[str, float]], tokens: int) -> None:
    buffer = PhraseBuffer(max_tokens_per_phrase=tokens)
    now, phrases = 0.0, []
    for delta, wait_s in steps:
        now += wait_s
        if buffer.deadline is not None and buffer.deadline <= now:
            due = buffer.deadline
            phrases += buffer.tick(due)
            assert buffer.deadline is None or buffer.deadline > due, "it would ring for ever"
        phrases += buffer.feed(delta, now)
        assert buffer.deadline is None or now < buffer.deadline <= now + 2.0
    assert "".join(phrases + buffer.flush()) == "".join(delta for delta, _ in steps)


@pytest.mark.parametrize("piece", ["a", "some words and ", "!", " ", "(", '"', "字", "\u0301", "a. ", ", and", "\n"])
def test_the_work_is_linear(piece: str) -> None:
    """Ten times the text takes about ten times as long: a quadratic step would take a hundred times."""

    def took(size: int) -> float:
        text = piece * (size // len(piece))
        buffer = PhraseBuffer()
        began = time.process_time()
        phrases = buffer.feed(text, 0) + buffer.flush()
        spent = time.process_time() - began
        assert "".join(phrases) == text
        return spent

    took(1_000)
    small, large = min(took(5_000) for _ in range(3)), took(50_000)
    assert large < 40 * small + 0.05


def test_a_megabyte_in_one_token() -> None:
    text = "Nothing is lost of it, whatever comes. " * 25_641
    buffer = PhraseBuffer()
    phrases = buffer.feed(text, 0) + buffer.flush()
    assert "".join(phrases) == text
    assert max(map(len, phrases)) <= 60
    assert all(re.search(r"\w", phrase) for phrase in phrases[:-1])


def test_the_public_names_come_without_heavy_libraries() -> None:
    heavy = "import sys, vivavoce; sys.exit(bool({'numpy', 'asyncio', 'msgspec'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", heavy], check=False, timeout=30).returncode == 0


MEGABYTE = """
import sys, time
from vivavoce import PhraseBuffer

piece, size = sys.argv[1], int(sys.argv[2])
text = piece * (1_000_000 // len(piece))
buffer = PhraseBuffer()
began = time.process_time()
for at in range(0, len(text), size):
    buffer.feed(text[at : at + size], 0.0)
print(time.process_time() - began)
"""


@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize("piece", ["The tea is ready in about 5 minutes, and so it is. ", "x", ".", "\n", '"'])
def test_a_megabyte_takes_about_a_second(piece: str, size: int) -> None:
    """In a process of its own, where nobody counts lines. Four times the goal at most, as other tests run beside this
    one; `python -m benchmarks --only text` measures."""
    command = [sys.executable, "-c", MEGABYTE, piece, str(size)]
    done = subprocess.run(command, check=True, timeout=50, capture_output=True, text=True)
    assert float(done.stdout) < 4
