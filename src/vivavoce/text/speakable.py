"""What is said of a text: for the voice alone, while the shown text stays as it is.

Marks, emoji, blocks of code and the paths of addresses are left out (`markup`); numbers with their units, money, dates,
times, signs and abbreviations are put into words (`expressions`) in the languages that have tables. Nothing else of a
text is touched, and no word is lost. Every word that is shown keeps what is said for it. Pure, and linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from vivavoce.text.expressions import Expressions
from vivavoce.text.languages import code_of, load
from vivavoce.text.markup import GLUE, Markup

_PUNCTUATION = ".,;:!?"
_LONE_MARK = re.compile(rf"(?<!\S)[{_PUNCTUATION}]+(?!\S)")
_BEFORE_MARK = re.compile(r" +(?=[.,;:!?](?:[ .,;:!?]|$))")


@cache
def _expressions(code: str, american: bool) -> Expressions:
    return Expressions(load(code), american=american)


class SpeakableStream:
    """What is said of a reply whose phrases come one after the other, in order."""

    def __init__(self, language: str = "en") -> None:
        """language: as in `en_US`; text in one that has no tables is only cleaned."""
        code, region = code_of(language), language[3:].upper()
        self._expressions = _expressions(code, code == "en" and region in ("", "US")) if code else None
        self._markup = Markup(f"{load(code).code}." if code else "")

    def feed(self, phrase: str) -> list[str]:
        """What is said for each word of *phrase*, as `phrase.split()` has them; empty where nothing is.

        An expression of several words may be said with the first of them, and the others be empty.
        """
        words = self._markup.words(phrase)
        text = " ".join(words)
        if self._expressions is not None:
            text = self._expressions.said(text)
        said = text.split(" ") if words else []
        return _tidied(said) if GLUE in text or _LONE_MARK.search(text) else said


def spoken_words(text: str, language: str = "en") -> list[str]:
    """What is said for each word of a whole *text*: see `SpeakableStream.feed`."""
    return SpeakableStream(language).feed(text)


def speakable(text: str, language: str = "en") -> str:
    """*text* as it is to be handed to a synthesizer; empty when there is nothing to say."""
    return joined(spoken_words(text, language))


def joined(said: Sequence[str]) -> str:
    """What is *said* for the words of a text, as one text; empty when there is nothing to say."""
    text = " ".join(filter(None, said))
    return text if any(map(str.isalnum, text)) else ""


def _tidied(said: list[str]) -> list[str]:
    """*said* with plain blanks, and each mark of punctuation right behind what it follows."""
    last = -1
    for at, word in enumerate(said):
        said[at] = word = _BEFORE_MARK.sub("", " ".join(word.replace(GLUE, " ").split()))
        if last >= 0 and word and not word.strip(_PUNCTUATION):
            said[last], said[at] = said[last] + word, ""
        elif word:
            last = at
    return said
