"""What is said of a text: without Markdown, emoji, addresses and whatever else is only there to be seen.

Numbers, dates and abbreviations are left to the synthesizer, which knows its language. Pure.
"""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x9f\xad"  # control characters; soft hyphen
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # direction marks, other zero widths
    "\ud800-\udfff\ufff9-\uffff]"  # halves of surrogate pairs, which have no encoding; non-characters
)
_EMOJI = re.compile(
    "[\u203c\u2049\u20e3\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\ufe0e\ufe0f"
    "\U0001f000-\U0001faff\U000e0020-\U000e007f]\u200d*"
)
# The bounds keep a hostile word of a megabyte from being searched once for each of its characters.
_LINK = re.compile(r"!?\[([^\]]{0,100})\]\([^)]{0,500}\)")
_LINK_END = re.compile(r"\]\([^)]{0,500}\)")  # of a link whose text has several words
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_ADDRESS = re.compile(r"\b(?:(?:https?|ftp)://(?:www\.)?|www\.)(\w[^\s/?#:<>()\"]*)[^\s<>\"]*", re.IGNORECASE)
_PRODUCT = re.compile(r"(?<=\d)\*(?=\d)")
_GAP = re.compile(r"\||(?<=[^\W_])_+(?=[^\W_])")
_MARKS = re.compile(r"[*`~_\[\]{}\\]|!(?=\[)|(?<!\w)#+")
_RULE = re.compile(r"[-=: ]{2,}")
_NUMBER = re.compile(r"[\d.,]*\d[.,]?")
_CLOSING = ".,;:!?)]"
_BULLETS = frozenset("-*+•–>")


def spoken_words(text: str) -> list[str]:
    """What is said for each word of *text*, as `text.split()` has them; empty where nothing is said."""
    words = text.split()
    spoken: list[str] = []
    begun = False
    for at, word in enumerate(words):
        said = _spoken(word)
        if word == "*" and _between_numbers(words, at):
            said = "×"
        elif word in _BULLETS and not begun:
            said = ""
        begun = begun or bool(said)
        spoken.append(said)
    return spoken


def speakable(text: str) -> str:
    """*text* as it is to be handed to a synthesizer; empty when there is nothing to say."""
    said = " ".join(filter(None, spoken_words(text)))
    return said if any(map(str.isalnum, said)) else ""


def _spoken(word: str) -> str:
    word = _EMOJI.sub("", _UNSEEN.sub("", word))
    word = _LINK_END.sub("", _LINK.sub(r"\1", word))
    word = _ADDRESS.sub(_host, _TAG.sub("", word))
    word = _MARKS.sub("", _GAP.sub(" ", _PRODUCT.sub("×", word)))
    return "" if _RULE.fullmatch(word) else " ".join(word.split())


def _host(address: re.Match[str]) -> str:
    """The host alone, and the punctuation of the sentence."""
    whole = address[0]
    return address[1].rstrip(_CLOSING) + whole[len(whole.rstrip(_CLOSING)) :]


def _between_numbers(words: list[str], at: int) -> bool:
    return 0 < at < len(words) - 1 and all(_NUMBER.fullmatch(words[side]) for side in (at - 1, at + 1))
