"""Days and times of day in words, both ways. Every function takes the present as an argument."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from vivavoce.assistant import durations, numbers
from vivavoce.assistant.plain import listed

MONTHS = listed("january february march april may june july august september october november december")
WEEKDAYS = listed("monday tuesday wednesday thursday friday saturday sunday")
SHORT_MONTHS = {name[:3]: place + 1 for place, name in enumerate(MONTHS)} | {"sept": 9}


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of Meeus, Jones and Butcher)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    r = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * r) // 433
    month = (h + r - 7 * m + 90) // 25
    return date(year, month, (h + r - 7 * m + 33 * month + 19) % 32)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


HOLIDAYS: dict[str, Callable[[int], date]] = {
    "christmas": fixed(12, 25),
    "christmas day": fixed(12, 25),
    "christmas eve": fixed(12, 24),
    "boxing day": fixed(12, 26),
    "new year": fixed(1, 1),
    "new years": fixed(1, 1),
    "new year's": fixed(1, 1),
    "new year's day": fixed(1, 1),
    "new year's eve": fixed(12, 31),
    "valentine's day": fixed(2, 14),
    "saint patrick's day": fixed(3, 17),
    "april fool's day": fixed(4, 1),
    "may day": fixed(5, 1),
    "independence day": fixed(7, 4),
    "halloween": fixed(10, 31),
    "easter": easter,
    "easter sunday": easter,
    "good friday": lambda year: easter(year) - timedelta(days=2),
    "thanksgiving": lambda year: nth_weekday(year, 11, 3, 4),
    "mother's day": lambda year: nth_weekday(year, 5, 6, 2),
    "father's day": lambda year: nth_weekday(year, 6, 6, 3),
    "labor day": lambda year: nth_weekday(year, 9, 0, 1),
}


class Day(NamedTuple):
    """A day somebody named."""

    date: date
    called: str
    """How to call it in an answer: "Christmas", "the 3rd of March"."""
    dated: bool = False
    """It was given by its date."""


def day(text: str, today: date) -> Day | None:
    """The day *text* names; without a year it is the next one, today included."""
    words = text.lower().removeprefix("the ").removeprefix("next ").removeprefix("this ").removeprefix("on ")
    near = {"today": 0, "tomorrow": 1, "yesterday": -1, "day after tomorrow": 2, "day before yesterday": -2}
    if words in near:
        called = words if words in ("today", "tomorrow", "yesterday") else f"the {words}"
        return Day(today + timedelta(days=near[words]), called)
    if words in HOLIDAYS:
        found = HOLIDAYS[words](today.year)
        called = words.title().replace("'S", "'s")
        return Day(found if found >= today else HOLIDAYS[words](today.year + 1), called)
    if words in WEEKDAYS:
        ahead = (WEEKDAYS.index(words) - today.weekday()) % 7 or 7
        return Day(today + timedelta(days=ahead), words.title())
    return relative_day(words, today) or calendar_day(words, today)


def relative_day(words: str, today: date) -> Day | None:
    """ "in ten days", "ten days ago", "two weeks from now"."""
    found = re.fullmatch(r"in (.+)|(.+) (ago|from (?:now|today))", words)
    length = durations.duration(found[1] or found[2]) if found else None
    if found is None or length is None or length % 86400 or length > 86400 * 36525:
        return None
    days = int(length // 86400) * (-1 if found[3] == "ago" else 1)
    try:
        return Day(today + timedelta(days=days), words)
    except OverflowError:
        return None


def calendar_day(words: str, today: date) -> Day | None:
    """ "march third", "the third of march twenty twenty seven", "3 march", "march 3rd 2027", "2027-03-03"."""
    if found := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", words):
        return valid_day(int(found[1]), int(found[2]), int(found[3]))
    tokens = [word for word in words.replace(",", " ").split() if word not in ("of", "the")]
    place = next((at for at, word in enumerate(tokens) if month(word)), None)
    if place is None or place > 2:
        return None
    rest, which = tokens[place + 1 :], month(tokens[place])
    if place:
        named = month_day(" ".join(tokens[:place]))
    else:
        sizes = [size for size in (2, 1) if month_day(" ".join(rest[:size])) and size <= len(rest)]
        if not sizes:
            return None
        named, rest = month_day(" ".join(rest[: sizes[0]])), rest[sizes[0] :]
    if named is None or which is None:
        return None
    if rest:
        named_year = year(" ".join(rest))
        return valid_day(named_year, which, named) if named_year else None
    found_day = valid_day(today.year, which, named)
    if found_day and found_day.date < today:
        found_day = valid_day(today.year + 1, which, named)
    return found_day or valid_day(today.year + 4 - today.year % 4, which, named)


def valid_day(in_year: int, in_month: int, in_day: int) -> Day | None:
    try:
        found = date(in_year, in_month, in_day)
    except ValueError:
        return None
    return Day(found, f"the {nth(in_day)} of {MONTHS[in_month - 1].title()}", dated=True)


def month(word: str) -> int | None:
    """1 to 12."""
    return MONTHS.index(word) + 1 if word in MONTHS else SHORT_MONTHS.get(word)


def month_day(text: str) -> int | None:
    """1 to 31 from "third", "3rd", "3" or "three"."""
    value = numbers.ordinal(text)
    if value is None and (cardinal := numbers.number(text)) is not None and cardinal.denominator == 1:
        value = int(cardinal)
    return value if value and 1 <= value <= 31 else None


def year(text: str) -> int | None:
    """1 to 9999 from "nineteen sixty nine", "two thousand and one", "twenty twenty six", "1969"."""
    value = numbers.number(text)
    if value is not None and value.denominator == 1 and 1 <= value <= 9999:
        return int(value)
    words = text.split()
    for cut in range(1, len(words)):
        high, low = numbers.number(" ".join(words[:cut])), numbers.number(" ".join(words[cut:]).removeprefix("oh "))
        if high and low is not None and 10 <= high < 100 and 0 <= low < 100 and (high * 100 + low).denominator == 1:
            return int(high * 100 + low)
    return None


def nth(value: int) -> str:
    """ "1st", "22nd"."""
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def spoken_day(value: date, *, with_year: bool = True) -> str:
    """ "Saturday, the 21st of November 2026"."""
    text = f"{WEEKDAYS[value.weekday()].title()}, the {nth(value.day)} of {MONTHS[value.month - 1].title()}"
    return f"{text} {value.year}" if with_year else text


def spoken_time(value: datetime) -> str:
    """ "ten past three in the afternoon", "noon", "twelve minutes to nine in the evening"."""
    hour, minute = value.hour, value.minute
    if minute == 0 and hour in (0, 12):
        return "midnight" if hour == 0 else "noon"
    part = "at night" if hour < 5 or hour >= 22 else "in the morning" if hour < 12 else "in the afternoon"
    part = "in the evening" if 18 <= hour < 22 else part
    clock = numbers.in_words(hour % 12 or 12)
    if minute == 0:
        return f"{clock} o'clock {part}"
    past = minute <= 30
    count = minute if past else 60 - minute
    if not past:
        clock = numbers.in_words((hour + 1) % 12 or 12)
    amount = {15: "a quarter", 30: "half"}.get(count) or numbers.in_words(count)
    if count % 5:
        amount += " minute" if count == 1 else " minutes"
    return f"{amount} {'past' if past else 'to'} {clock} {part}"


class TimeOfDay(NamedTuple):
    hour: int
    minute: int
    sure: bool
    """Morning or afternoon was said (or follows from the hour)."""


HALVES = {"am": "am", "pm": "pm", "in the morning": "am", "in the afternoon": "pm", "in the evening": "pm",
          "at night": "pm", "tonight": "pm"}  # fmt: skip


def time_of_day(text: str) -> TimeOfDay | None:
    """ "seven", "half past seven", "quarter to eight", "seven thirty pm", "19:30", "noon"."""
    words = text.lower().removeprefix("at ").strip()
    if words in ("noon", "midday"):
        return TimeOfDay(12, 0, sure=True)
    if words == "midnight":
        return TimeOfDay(0, 0, sure=True)
    half = next((half for half in HALVES if words.endswith(" " + half)), None)
    found = hour_minute(words.removesuffix(half).strip() if half else words)
    if found is None:
        return None
    hour, minute = found
    if half:
        hour = hour % 12 + (12 if HALVES[half] == "pm" else 0) if hour <= 12 else hour
    return TimeOfDay(hour, minute, sure=bool(half) or hour > 12 or hour == 0)


def hour_minute(words: str) -> tuple[int, int] | None:
    """Hour 0 to 23 and minute of a time without "am" and the like."""
    words = (
        words.replace(" minutes", "").replace(" minute", "").removesuffix(" o'clock").replace("a quarter", "quarter")
    )
    if found := re.fullmatch(r"(\d{1,2})[:. ](\d{2})", words):
        hour, minute = int(found[1]), int(found[2])
        return (hour, minute) if hour < 24 and minute < 60 else None
    if found := re.fullmatch(r"(.+) (past|after|to|till|before) (.+)", words):
        minute_value = {"half": 30, "quarter": 15}.get(found[1]) or whole(found[1], 59)
        hour_value = whole(found[3], 23)
        if minute_value is None or hour_value is None:
            return None
        if found[2] in ("past", "after"):
            return hour_value, minute_value
        return (hour_value - 1) % (24 if hour_value > 12 else 12) or 12 * (hour_value == 1), 60 - minute_value
    if (hour_alone := whole(words, 23)) is not None:
        return hour_alone, 0
    first, _, rest = words.partition(" ")
    hour_first, minute_rest = whole(first, 23), whole(rest.removeprefix("oh "), 59)
    if hour_first is None or minute_rest is None or (minute_rest < 10 and not rest.startswith("oh ")):
        return None
    return hour_first, minute_rest


def whole(text: str, most: int) -> int | None:
    value = numbers.number(text)
    return int(value) if value is not None and value.denominator == 1 and 0 <= value <= most else None


def next_time(wanted: TimeOfDay, now: datetime) -> datetime:
    """The first moment after *now* at which a clock shows *wanted*; either half of the day unless it is sure."""
    start = now.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    step = timedelta(hours=24 if wanted.sure else 12)
    while start > now + step:
        start -= step
    while start <= now:
        start += step
    return start
