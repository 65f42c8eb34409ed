"""Time, date, and how far away a day is."""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vivavoce.assistant import dates, durations
from vivavoce.assistant.dates import TimeOfDay
from vivavoce.assistant.geography import ZONES
from vivavoce.assistant.skill import Answer, Skill, Turn

skill = Skill("clock")


@skill.on(
    """
    what time is it; what time is it (now|right now|here|please); <whats> the [current] time [now];
    (can|could) you tell me [what] the time [is]; do you (know|have) [what] the time [is];
    what is the time [right now|please]; tell me what time it is; time please; what time do you have
    """,
    also="time; the time; current time; what time it is; what the time is; time [it] is it; what time",
)
def tell_time(turn: Turn) -> str:
    return f"It is {dates.spoken_time(turn.now)}."


@skill.on(
    "what time is it [right] [now] in {city}; <whats> the time in {city}",
    also="[the] time in {city}; what is the [current|local] time (in|for) {city}; what time it is in {city}",
)
def time_elsewhere(turn: Turn, city: str) -> str:
    name = ZONES.get(city.lower())
    try:
        there = turn.now.astimezone(ZoneInfo(name)) if name else None
    except ZoneInfoNotFoundError:
        there = None
    if there is None:
        return f"I don't know the time in {city}. Here it is {dates.spoken_time(turn.now)}."
    offset = (there.date() - turn.now.date()).days
    which = {1: ", already tomorrow", -1: ", still yesterday"}.get(offset, "")
    return f"In {city.title()} it is {dates.spoken_time(there)}{which}."


@skill.on(
    """
    what day is it [today]; what day is today; what day of the week is it [today];
    <whats> (today's date|the date|the date today|the day today|today's day); what is today;
    what date is it [today]; what is the date [today|please]; do you know what day it is; date please
    """,
    also="[the] (date|day); today's date; what (day|date) it is; what date is today; what day is this; today",
)
def tell_date(turn: Turn) -> str:
    return f"Today is {dates.spoken_day(turn.now.date())}."


@skill.on(
    "what month is it; which month is it; what month are we in; what is the [current] month",
)
def tell_month(turn: Turn) -> str:
    return f"It is {dates.MONTHS[turn.now.month - 1].title()}."


@skill.on(
    "what year is it; which year is it; what year are we in; what is the [current] year",
)
def tell_year(turn: Turn) -> str:
    return f"It is {turn.now.year}."


@skill.on(
    "what week is it; what week of the year is it; which week is it",
)
def tell_week(turn: Turn) -> str:
    return f"It is week {turn.now.isocalendar().week} of {turn.now.isocalendar().year}."


@skill.on(
    "what season is it; which season is it",
)
def tell_season(turn: Turn) -> str:
    season = ("winter", "spring", "summer", "autumn")[turn.now.month % 12 // 3]
    other = {"winter": "summer", "summer": "winter", "spring": "autumn", "autumn": "spring"}[season]
    return f"It is {season} in the north, and {other} in the south."


@skill.on(
    """
    how many days [are there] [left] (until|till|to|before) {date}; how long [is it] (until|till|to) {date};
    how many days is it until {date}
    """,
    also="days until {date}; how far (away is|off is|is) {date}; how many (sleeps|weeks) until {date}",
)
def days_until(turn: Turn, date: str) -> str | None:
    found = dates.day(date, turn.now.date())
    if found is None:
        return None
    days = (found.date - turn.now.date()).days
    if days < 0:
        return f"That was {-days} {plural('day', -days)} ago."
    if days == 0:
        return f"{capital(found.called)} is today."
    if days == 1:
        return f"{capital(found.called)} is tomorrow."
    return f"It is {days} days until {found.called}."


@skill.on(
    "how many days (since|ago was) {past_date}; how long ago was {past_date}",
    also="how long since {past_date}",
)
def days_since(turn: Turn, past_date: str) -> str | None:
    found = dates.day(past_date, turn.now.date())
    if found is None:
        return None
    day = found.date
    if day > turn.now.date():
        try:
            day = day.replace(year=day.year - 1)
        except ValueError:
            return None
    days = (turn.now.date() - day).days
    return f"That was {days} {plural('day', days)} ago."


@skill.on(
    """
    what day (is|will be) {date}; what day of the week is {date}; what day was {past_date:date};
    what day of the week was {past_date:date}; (when is|when's) {date}; what (is the date|date is it) {date};
    what date is {date}
    """,
    also="""
    what day (does|did|will) {date} (fall|be) [on]; what is {date}; <whats> the (date|day) [of|on] {date};
    when was {date}
    """,
)
def which_day(turn: Turn, date: str) -> str | None:
    today = turn.now.date()
    found = dates.day(date, today)
    if found and found.date > today and " was " in f" {turn.reading} ":
        found = dates.day(date, today - timedelta(days=365))
    if found is None:
        return None
    verb = "was" if found.date < today else "is"
    weekday = dates.WEEKDAYS[found.date.weekday()].title()
    if found.called == "today":
        return tell_date(turn)
    if found.dated:
        return f"{capital(found.called)} {found.date.year} {verb} a {weekday}."
    if found.called == weekday:
        return f"Next {weekday} is the {dates.nth(found.date.day)} of {dates.MONTHS[found.date.month - 1].title()}."
    return f"{capital(found.called)} {verb} {'' if near(found.called) else 'on '}{dates.spoken_day(found.date)}."


@skill.on("is (it|today) {weekday}", also="is it {weekday} today; (isn't|is not) (it|today) {weekday}")
def is_it(turn: Turn, weekday: int) -> str:
    right = turn.now.weekday() == weekday
    return f"{'Yes' if right else 'No'}, today is {dates.WEEKDAYS[turn.now.weekday()].title()}."


@skill.on(
    "what time will it be in {duration}; what time was it {duration} ago",
    also="what is the time in {duration}; what will the time be in {duration}",
)
def time_then(turn: Turn, duration: float) -> str | None:
    if duration > 86400:
        return None
    ago = turn.reading.lower().endswith(" ago")
    then = turn.now + timedelta(seconds=-duration if ago else duration)
    return f"{'It was' if ago else 'It will be'} {dates.spoken_time(then)}."


@skill.on(
    "how (long|many hours|many minutes) until {clock}; how (long|many hours|many minutes) is it until {clock}",
    also="how long (till|to|before) {clock}; how much time until {clock}",
)
def time_until(turn: Turn, clock: TimeOfDay) -> str:
    left = (dates.next_time(clock, turn.now) - turn.now).total_seconds()
    return f"{capital(durations.spoken(left))}."


@skill.on(
    "how many days (are|are there) in {month}; how many days does {month} have",
    also="how many days has {month}",
)
def days_in_month(turn: Turn, month: int) -> str:
    name = dates.MONTHS[month - 1].title()
    days = monthrange(turn.now.year, month)[1]
    return f"{name} has {days} days{' this year' if month == 2 else ''}."


@skill.on(
    "is (it|this) a leap year; is this year a leap year; when is the next leap year",
)
def leap_year(turn: Turn) -> str:
    year = turn.now.year
    following = next(later for later in range(year + 1, year + 9) if isleap(later))
    verdict = "is" if isleap(year) else "is not"
    return f"This year {verdict} a leap year. The next one is {following}."


@skill.on(
    "how many (days|weeks) are left (in|of) (the|this) year",
)
def days_left(turn: Turn) -> Answer:
    left = (turn.now.date().replace(month=12, day=31) - turn.now.date()).days
    return Answer(f"There are {left} days left this year, which is about {round(left / 7)} weeks.")


def plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def near(called: str) -> bool:
    return called in ("tomorrow", "yesterday") or called.startswith("the day ")
