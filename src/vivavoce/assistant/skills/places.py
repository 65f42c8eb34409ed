"""Capitals."""

from __future__ import annotations

import re
from difflib import get_close_matches

from vivavoce.assistant.geography import BY_CAPITAL, PLACES, Place, key
from vivavoce.assistant.skill import Skill, Turn

skill = Skill("places")


@skill.on(
    """
    (what is|what's) the capital of {country}; the capital of {country}; tell me the capital of {country};
    (what is|what's) the capital city of {country}; do you know the capital of {country};
    which city is the capital of {country}
    """,
    also="""
    [the] (capital|capitol) [city] [of|in|off] {country};
    (what is|what) [the] (capital|capitol) [city] (of|in|off) {country};
    (what|which) city is the capital (of|in) {country}; what the (capital|capitol) of {country} is;
    what is {country} capital; {country} capital; name the capital of {country}
    """,
)
def capital(turn: Turn, country: str) -> str | None:
    place = find(country)
    if place is None:
        named = re.search(r"\bof (?!it$|that$|my |your |a |this )\S", turn.reading, re.IGNORECASE)
        return f"I don't know a country called {country}." if named and len(country) <= 60 else None
    answer = f"The capital of {place.name} is {place.capital}"
    return f"{answer.removesuffix('.')}. {place.note}".strip()


@skill.on(
    """
    {capital:city} is the capital of (which|what) country; which country has the capital {capital:city};
    what country is {capital:city} the capital of
    """,
    also="""
    (what|which) (country|state) is {city} the capital of; what is {city} the capital of;
    of (what|which) country is {city} the capital; (whose|which country's) capital is {city};
    {city} is the capital of what
    """,
)
def country_of(city: str) -> str:
    places = BY_CAPITAL.get(key(city))
    if not places:
        return f"I don't think that {city} is a capital."
    names = " and of ".join(place.name for place in places)
    return f"{places[0].capital.removesuffix('.')} is the capital of {names}."


@skill.on(
    "is {capital:city} the capital of {country}",
)
def is_it(city: str, country: str) -> str | None:
    place = find(country)
    if place is None:
        return None
    right = any(place is each for each in BY_CAPITAL.get(key(city), ()))
    return f"{'Yes' if right else 'No'}, the capital of {place.name} is {place.capital.removesuffix('.')}."


def find(name: str) -> Place | None:
    """The country or state called *name*, or nearly so."""
    wanted = key(name)
    for removed in ("", "state of ", "country of ", "country "):
        if place := PLACES.get(wanted.removeprefix(removed)):
            return place
    near = get_close_matches(wanted, PLACES, n=1, cutoff=0.84) if len(wanted) >= 4 else []
    return PLACES[near[0]] if near else None
