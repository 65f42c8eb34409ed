"""The slots of the templates: what may stand in them, with examples for the recogniser."""

from __future__ import annotations

import re

from vivavoce.assistant import dates, durations, geography, numbers, topics
from vivavoce.assistant.plain import listed
from vivavoce.assistant.template import Slot, words_pattern
from vivavoce.assistant.units import UNITS, Unit, unit

NAMES = listed(
    "adam alan albert alex alice amanda amy andrea andrew angela ann anna anne anthony arthur barbara ben"
    " benjamin betty bill bob brian bruce carl carol caroline charles charlie charlotte chris christina christine"
    " christopher claire clara cynthia dan daniel dave david deborah dennis diana diane donald donna dorothy doug"
    " edward elena eleanor elizabeth ella ellen emily emma eric eva evelyn frank fred george gloria grace greg"
    " hannah harold harry heather helen henry howard ian jack jacob james jane janet jason jean jeff jennifer"
    " jessica jim joan joe john jonathan joseph josh joyce juan judith julia julie karen kate katherine kathleen"
    " keith kelly ken kevin kim laura lauren lawrence leo leon lily linda lisa louis louise lucas lucy luke maria"
    " marie mark martha martin mary matt matthew max megan melissa mia michael michelle mike nancy natalie nathan"
    " nicholas nick nicole nina noah nora oliver olivia oscar pamela patricia patrick paul peter philip rachel"
    " ralph raymond rebecca richard robert roger ron rose roy russell ruth ryan sam samantha samuel sandra sara"
    " sarah scott sean sharon simon sofia sophia sophie stella stephanie stephen steve steven sue susan teresa"
    " theodore thomas tim tina todd tom tony tracy vanessa victor victoria vincent virginia walter wendy william"
    " zoe"
)
NOT_A_NAME = frozenset(
    listed(
        "a an the i you he she it we they my your his her is am are was were be been what who where when why how"
        " which not and or but so very really just also from in on at to of for with by going trying looking here"
        " there good fine okay well sorry sure happy sad tired hungry thirsty bored afraid ready back home sick"
        " cold hot late old young done finished busy lost angry do does did have has had can could will would"
        " should that this these those no yes"
    )
)


def plain_text(text: str) -> str | None:
    """Free words, short enough to be said back, without politeness."""
    text = re.sub(r" (?:please|thanks|thank you)$", "", text.strip(), flags=re.IGNORECASE)
    return text if 0 < len(text) <= 160 else None


def name(text: str) -> str | None:
    """A person's name of one to three words, capitalised."""
    words = text.split()
    if not 0 < len(words) <= 3 or NOT_A_NAME.intersection(word.lower() for word in words) or len(text) > 40:
        return None
    if not all(re.fullmatch(r"[^\W\d_]+(?:['.][^\W\d_]+)*", word) for word in words):
        return None
    return " ".join(word[0].upper() + word[1:] if word.islower() or word.isupper() else word for word in words)


def common_name(text: str) -> str | None:
    """A name that is sure to be one: common, or typed with a capital."""
    first = text.split()[0]
    return name(text) if first.lower() in NAMES or (first[0].isupper() and not text.isupper()) else None


def a_word(text: str) -> str | None:
    return text if re.fullmatch(r"[^\W\d_]+(?:'[^\W\d_]+)?", text) and len(text) <= 30 else None


def length_of_time(text: str) -> float | None:
    """A duration; the "four" of "set a timer four five minutes" was a "for"."""
    return durations.duration(text) or durations.duration(text.removeprefix("four "))


def small_number(text: str) -> int | None:
    value = numbers.number(text)
    return int(value) if value is not None and value.denominator == 1 and abs(value) <= 10**9 else None


def split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


LANGUAGES = split(
    "french,german,spanish,italian,chinese,japanese,russian,arabic,portuguese,dutch,polish,turkish,greek,hindi,korean,"
    "swedish,danish,norwegian,finnish,czech,hungarian,ukrainian,hebrew,latin,mandarin,english"
)
UNIT_WORDS = {word for called in UNITS for word in called.split()}
DATE_WORDS = {
    *dates.MONTHS, *dates.SHORT_MONTHS, *dates.WEEKDAYS, *numbers.ORDINALS, *numbers.VOCABULARY, *durations.SECONDS,
    *(word for holiday in dates.HOLIDAYS for word in holiday.split()), "today", "tomorrow", "yesterday", "after",
    "before", "next", "this", "in", "ago", "from", "now", "the", "on", "st", "nd", "rd", "th",
}  # fmt: skip
TIME_WORDS = {
    *numbers.VOCABULARY, "past", "to", "after", "till", "before", "quarter", "half", "o'clock", "am", "pm", "in", "the",
    "morning", "afternoon", "evening", "at", "night", "tonight", "noon", "midday", "midnight", "minutes", "minute",
}  # fmt: skip

SPOKEN_NUMBERS = (
    *(numbers.in_words(value) for value in (*range(1, 21), 24, 25, 30, 32, 36, 40, 42, 45, 50, 56, 60, 64, 70, 72, 75,
                                            80, 81, 85, 90, 96, 98, 99)),
    "a hundred", "one hundred", "a hundred and five", "one hundred twenty", "two hundred", "two hundred and fifty",
    "five hundred", "a thousand", "two thousand", "a million", "three point five", "two point five", "a half",
    "one and a half",
)  # fmt: skip
SPOKEN_DURATIONS = (
    *(f"{numbers.in_words(value)} minutes" for value in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18, 20, 25, 30,
                                                         35, 40, 45, 50, 60, 90)),
    *(f"{numbers.in_words(value)} seconds" for value in (5, 10, 15, 20, 30, 40, 45, 60, 90)),
    "one minute", "a minute", "one hour", "an hour", "two hours", "three hours", "four hours", "half an hour",
    "an hour and a half", "one and a half hours", "two and a half minutes", "a minute and a half", "one second",
    "one hour and thirty minutes", "two minutes and thirty seconds", "an hour and fifteen minutes",
    "five minutes and thirty seconds", "a quarter of an hour",
)  # fmt: skip


def parse_now(text: str) -> str | None:
    """Days and times are resolved by the skill, which knows the present; here only their shape is checked."""
    return text


SLOTS: dict[str, Slot] = {
    "number": Slot(SPOKEN_NUMBERS, numbers.number, words_pattern([*numbers.VOCABULARY])),
    "count": Slot(SPOKEN_NUMBERS[:20], small_number, words_pattern([*numbers.VOCABULARY])),
    "duration": Slot(SPOKEN_DURATIONS, length_of_time, words_pattern([*durations.VOCABULARY])),
    "short": Slot(
        ("one minute", "two minutes", "three minutes", "five minute", "ten minute", "fifteen minute", "twenty minute",
         "thirty minute", "one hour", "thirty second", "ninety second", "half hour"),
        lambda text: 1800.0 if text.lower() == "half hour" else durations.duration(text),
        words_pattern([*durations.VOCABULARY]),
    ),
    "unit": Slot(
        split("inches,feet,yards,miles,centimeters,meters,kilometers,millimeters,grams,kilograms,kilos,pounds,ounces,"
              "stone,tons,liters,milliliters,cups,pints,quarts,gallons,teaspoons,tablespoons,celsius,fahrenheit,"
              "degrees celsius,degrees fahrenheit,kelvin,miles per hour,kilometers per hour,meters per second,knots,"
              "seconds,minutes,hours,days,weeks,months,years,bits,bytes,kilobytes,megabytes,gigabytes,terabytes,acres"),
        unit,
        words_pattern([*UNIT_WORDS]),
    ),
    "one_unit": Slot(
        split("inch,foot,yard,mile,meter,kilometer,gram,kilogram,kilo,pound,ounce,ton,liter,cup,pint,quart,gallon,"
              "tablespoon,minute,hour,day,week,year,decade,century,byte,kilobyte,megabyte,gigabyte,acre"),
        unit,
        words_pattern([*UNIT_WORDS]),
    ),
    "date": Slot(
        ("christmas", "christmas eve", "easter", "halloween", "thanksgiving", "new year's eve", "valentine's day",
         "tomorrow", "friday", "next monday", "saturday", "sunday", "wednesday", "the first of january",
         "march third", "july fourth", "the fourth of july", "december twenty fifth", "the tenth of may",
         "june twenty first", "october thirty first", "the third of march", "april fifteenth", "august ninth"),
        parse_now,
        words_pattern([*DATE_WORDS]),
    ),
    "past_date": Slot(
        ("yesterday", "the fourth of july nineteen seventy six", "march third two thousand and one",
         "the first of january two thousand", "december twenty fifth nineteen ninety nine", "ten days ago"),
        parse_now,
        words_pattern([*DATE_WORDS]),
    ),
    "month": Slot(dates.MONTHS, lambda text: dates.month(text.lower()), r"[a-z]+"),
    "weekday": Slot(dates.WEEKDAYS, lambda text: dates.WEEKDAYS.index(text.lower()), "|".join(dates.WEEKDAYS)),
    "clock": Slot(
        ("seven", "eight o'clock", "six thirty", "half past seven", "quarter to eight", "quarter past nine", "noon",
         "six in the morning", "ten in the evening", "seven fifteen", "twenty past five", "nine o'clock"),
        dates.time_of_day,
        words_pattern([*TIME_WORDS]),
    ),
    "city": Slot(tuple(geography.ZONES), plain_text),
    "country": Slot(geography.SPOKEN_COUNTRIES, plain_text),
    "capital": Slot(geography.SPOKEN_CAPITALS, plain_text),
    "subject": Slot(tuple(topics.SUBJECTS), plain_text),
    "label": Slot(
        ("pizza", "tea", "pasta", "eggs", "rice", "laundry", "oven", "cake", "coffee", "bread", "nap", "kitchen"),
        lambda text: text if len(text) <= 40 and not {"timer", "timers"}.intersection(text.lower().split()) else None,
    ),
    "task": Slot(
        ("call mom", "call the doctor", "take out the trash", "check the oven", "turn off the stove", "feed the dog",
         "drink some water", "take a break", "leave the house", "buy some milk", "take my medicine", "stretch"),
        plain_text,
    ),
    "name": Slot(NAMES, name),
    "common_name": Slot(NAMES, common_name),
    "thing": Slot(
        ("car", "key", "keys", "phone", "wallet", "bag", "bike", "passport", "umbrella", "locker", "room", "seat",
         "birthday", "dog", "cat", "sister", "brother", "favorite color", "favorite food", "favorite song",
         "phone number", "meeting", "appointment", "flight", "password hint", "home town", "boss", "doctor"),
        plain_text,
    ),
    "place": Slot(
        ("on level three", "in the kitchen", "on the table", "in the garage", "under the bed", "in my bag", "at home",
         "at the office", "in the drawer", "upstairs", "on the second floor", "next to the door"),
        plain_text,
    ),
    "value": Slot(
        ("blue", "red", "green", "pizza", "tomorrow at nine", "on friday", "in room twelve", "very old", "called max",
         "number forty two", "the yellow one"),
        plain_text,
    ),
    "town": Slot(split("london,paris,new york,boston,chicago,berlin,rome,dublin,madrid,seattle"), plain_text),
    "note": Slot(
        ("the meeting is at three", "i parked on level two", "i like coffee", "the door code is four five six",
         "i need to buy milk", "the plumber comes on tuesday", "i am allergic to nuts"),
        plain_text,
    ),
    "word": Slot(
        ("necessary", "banana", "rhythm", "elephant", "restaurant", "beautiful", "receive", "separate", "weird",
         "chocolate", "tomorrow", "friend", "because", "library", "vegetable"),
        a_word,
    ),
    "text": Slot(("hello world", "good morning everybody", "i am a robot", "the quick brown fox"), plain_text),
    "rest": Slot((), plain_text),
    "language": Slot(LANGUAGES, plain_text, "(?:" + "|".join(LANGUAGES) + ")"),
}  # fmt: skip

__all__ = ["NAMES", "NOT_A_NAME", "SLOTS", "Unit"]
