"""Numbers, lengths of time, days and clock times in words."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant import dates, durations, numbers

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zero", 0), ("twelve", 12), ("twenty one", 21), ("a hundred", 100), ("a hundred and five", 105),
        ("twelve hundred", 1200), ("two thousand and one", 2001), ("nine hundred ninety nine thousand", 999_000),
        ("one million two hundred thousand and three", 1_200_003), ("three point one four", Fraction("3.14")),
        ("three point fourteen", Fraction("3.14")), ("point five", None), ("oh point five", Fraction("0.5")),
        ("two and a half", Fraction("2.5")), ("half", Fraction("0.5")), ("three quarters", Fraction("0.75")),
        ("two thirds", Fraction(2, 3)), ("minus five", -5), ("negative two point five", Fraction("-2.5")),
        ("1,000,000", 1_000_000), ("3.5", Fraction("3.5")), ("2.5 million", 2_500_000),
        ("two point five million", 2_500_000), ("a dozen", 12), ("two dozen", 24), ("a couple of", 2),
        ("one two", None), ("five and three", None), ("twenty thirty", None), ("", None), ("and", None), ("a", None),
        ("hundred", None), ("five apples", None),
    ],
)  # fmt: skip
def test_numbers_in_words(text: str, value: int | Fraction | None) -> None:
    assert numbers.number(text) == value


@given(st.integers(0, 99))
def test_what_is_said_is_understood(value: int) -> None:
    assert numbers.number(numbers.in_words(value)) == value


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("nineteen sixty nine", 1969),
        ("two thousand and one", 2001),
        ("twenty twenty six", 2026),
        ("nineteen oh five", 1905),
        ("ten sixty six", 1066),
        ("1969", 1969),
        ("zero", None),
        ("ten thousand", None),
        ("sixty nine nineteen oh", None),
    ],
)
def test_years(text: str, year: int | None) -> None:
    assert dates.year(text) == year


@pytest.mark.parametrize(
    ("value", "text", "exact"),
    [
        (Fraction(84), "84", True), (Fraction(12345), "12,345", True), (Fraction(1, 3), "0.3333", False),
        (Fraction(-5, 2), "-2.5", True), (Fraction(1, 100_000), "0.00001", True),
        (Fraction(2**100), "1.267 times 10 to the power of 30", False),
        (Fraction(10**20), "1 times 10 to the power of 20", True), (Fraction(0), "0", True),
        (Fraction(-1, 3), "-0.3333", False), (Fraction(99999, 100000), "1", False),
    ],
)  # fmt: skip
def test_results_are_rounded_for_the_ear(value: Fraction, text: str, exact: bool) -> None:
    assert numbers.numeral(value) == (text, exact)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("five minutes", 300), ("an hour and a half", 5400), ("one and a half hours", 5400), ("half an hour", 1800),
        ("a quarter of an hour", 900), ("three quarters of an hour", 2700), ("one hour thirty minutes", 5400),
        ("a minute and a half", 90), ("two minutes and thirty seconds", 150), ("90 s", 90), ("five minute", 300),
        ("a couple of minutes", 120), ("1 hr 5 min", 3900), ("five", None), ("minutes", None), ("five bananas", None),
        ("minus five minutes", None), ("", None),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float | None) -> None:
    assert durations.duration(text) == seconds


@given(st.integers(1, 7199) | st.integers(120, 1440).map(lambda minutes: minutes * 60))
def test_durations_are_understood_as_they_are_said(seconds: int) -> None:
    spoken = durations.spoken(seconds).replace(", ", " and ")
    assert durations.duration(spoken) == seconds
    assert durations.duration(durations.adjective(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-11-21"), ("tomorrow", "2026-11-22"), ("yesterday", "2026-11-20"), ("christmas", "2026-12-25"),
        ("new year's day", "2027-01-01"), ("friday", "2026-11-27"), ("saturday", "2026-11-28"),
        ("next monday", "2026-11-23"), ("march third", "2027-03-03"), ("the third of march", "2027-03-03"),
        ("november twenty first", "2026-11-21"), ("december twenty fifth nineteen ninety nine", "1999-12-25"),
        ("march 3rd 2027", "2027-03-03"), ("3 march", "2027-03-03"), ("2027-03-03", "2027-03-03"),
        ("in ten days", "2026-12-01"), ("ten days ago", "2026-11-11"), ("two weeks from now", "2026-12-05"),
        ("february twenty ninth", "2028-02-29"), ("february thirtieth", None), ("the thirteenth", None),
        ("in ten million days", None), ("march", None), ("may", None), ("someday", None), ("", None),
    ],
)  # fmt: skip
def test_days(text: str, day: str | None) -> None:
    found = dates.day(text, TODAY)
    assert (found and found.date.isoformat()) == day


@pytest.mark.parametrize(
    ("year", "day"),
    [(1961, "04-02"), (2000, "04-23"), (2008, "03-23"), (2024, "03-31"), (2026, "04-05"), (2038, "04-25")],
)
def test_easter(year: int, day: str) -> None:
    assert dates.easter(year).isoformat() == f"{year}-{day}"


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("seven", "19:00"), ("seven am", "07:00"), ("seven in the morning", "07:00"), ("half past seven", "19:30"),
        ("quarter to eight", "19:45"), ("quarter to one", "00:45"), ("twelve thirty pm", "12:30"), ("noon", "12:00"),
        ("midnight", "00:00"), ("19:30", "19:30"), ("7:05", "19:05"), ("six fifteen", "18:15"),
        ("ten past three", "03:10"),
        ("six oh five", "18:05"), ("eight o'clock tonight", "20:00"), ("four", "16:00"), ("two", "02:00"),
        ("twenty five", None), ("7:65", None), ("half past", None), ("", None),
    ],
)  # fmt: skip
def test_clock_times_are_the_next_ones(text: str, clock: str | None) -> None:
    found = dates.time_of_day(text)
    now = datetime(2026, 11, 21, 15, 10)  # noqa: DTZ001 - only the difference matters here
    assert (found and f"{dates.next_time(found, now):%H:%M}") == clock
