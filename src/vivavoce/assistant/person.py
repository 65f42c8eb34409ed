"""From the speaker's point of view to the listener's: "my car" becomes "your car"."""

from __future__ import annotations

from vivavoce.assistant.dates import MONTHS, WEEKDAYS
from vivavoce.assistant.geography import BY_CAPITAL, PLACES, ZONES

SWAPS = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "am": "are", "we": "you", "us": "you",
    "our": "your", "ours": "yours", "you": "me", "your": "my", "yours": "mine", "yourself": "myself",
}  # fmt: skip


AMBIGUOUS = {
    "turkey",
    "chad",
    "jordan",
    "male",
    "victoria",
    "georgia",
    "may",
    "march",
    "china",
    "cuba",
    "jackson",
    "salem",
}
PROPER = {
    name for name in (*ZONES, *PLACES, *BY_CAPITAL, *MONTHS, *WEEKDAYS) if " " not in name and name not in AMBIGUOUS
}
"""Words that are written with a capital; a recogniser gives all of them in lower case."""


def to_listener(text: str) -> str:
    """*text*, which the user said about themselves, as it is said back to them."""
    words = text.split()
    swapped = [SWAPS.get(word.lower(), word.title() if word in PROPER else word) for word in words]
    for at in range(1, len(words)):
        if words[at].lower() == "was" and words[at - 1].lower() == "i":
            swapped[at] = "were"
        if words[at].lower() == "are" and words[at - 1].lower() == "you":
            swapped[at] = "am"
    if words and words[0].lower() == "you":
        swapped[0] = "I"
    return " ".join(swapped)
