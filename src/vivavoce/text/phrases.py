"""From a stream of deltas to phrases, as early as they can be spoken. Pure: times are arguments.

A phrase ends, in this order of preference,

- at a sentence's stop, at the stop itself: nothing waits for the next token, unless `stops` has a doubt about it or a
  quote is open, and then the next characters decide;
- at the end of a line, and at `;` or `:` before white space;
- before a connector: `I looked,| but it was gone`;
- for the first phrase of a reply, at the first comma or dash that leaves something to say;
- where it would become too long: after the last clause, else after the last word, best not beside a number;
- when nothing of this came for `max_buffer_time`.

All but the last and the limit of tokens are functions of the characters seen so far, in order: however the text is
divided into deltas, the cuts are the same. A cut never looks at more than the phrase that is being collected, so the
work is linear in the text, and what is kept is bounded.
"""

from __future__ import annotations

import re
import unicodedata

from vivavoce.text.languages import code_of
from vivavoce.text.stops import STOPS, WIDE_STOPS, Doubt, doubt_about, doubts_of

CONNECTORS = frozenset({"and", "then", "so", "but", "however", "because"})
"""A phrase ends before one of these, after its comma."""

_LONGEST_WORD = 256
"""A run without white space beyond this is no word; it is cut anywhere."""
_FIRST_CLAUSE = 12
"""The least length of a first phrase that ends at a comma; half of it in scripts that have a sign for each word."""
_MOST_OPEN = 16
_COMMAS = frozenset(",،、，")
_WIDE_COMMAS = frozenset("、，")
_DASHES = frozenset("-–—")
_COLONS = frozenset(";:；")
_CLAUSE_ENDS = _COMMAS | _DASHES | _COLONS | STOPS | WIDE_STOPS | frozenset("：…)）")
_CLOSER_OF = dict(zip("([{“‘„«‹（［｛「『【〈《", ")]}”’“»›）］｝」』】〉》", strict=True))
_TOGGLES = frozenset("\"'*_`")  # the same mark opens and closes
_INSIDE_WORDS = frozenset("'’-_/@")
_NO_LINE_START = frozenset("ー々ゝゞヽヾぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ")
_IDEOGRAPHS = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_BELOW_IDEOGRAPHS = "\u3004"
_IS_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]").match
_WORDS = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")
_PIECES = re.compile(rf"([^\W_{_IDEOGRAPHS}]{{1,64}})|(.)", re.DOTALL)  # letters and digits in a row, or one character


class PhraseBuffer:
    """Collects the deltas of one reply and gives out its phrases; joined, they are the text.

    White space leads the phrase behind it. No phrase is longer than *max_phrase_length* characters unless one word is.
    Only what `flush` returns (and white space beyond any measure) may hold nothing to say.
    """

    def __init__(
        self,
        max_phrase_length: int = 60,
        max_tokens_per_phrase: int = 50,
        max_buffer_time: float = 2.0,
        language: str = "",
    ) -> None:
        """language: of the text, as in `de_DE`; its abbreviations and dates are known then."""
        self.max_phrase_length = max_phrase_length
        self.max_tokens_per_phrase = max_tokens_per_phrase
        self.max_buffer_time = max_buffer_time
        """Seconds."""
        code = code_of(language)
        self._known = doubts_of(code) if code else None
        self._reset()

    def _reset(self) -> None:
        self._text = ""
        self._breaks: list[tuple[int, bool]] = []  # where it may be cut for length; whether a clause ends there
        self._doubt: tuple[int, Doubt] | None = None  # behind a stop, and why it may not be one
        self._pause = -1  # behind the last comma, while a connector may follow
        self._word_at = 0
        self._words = 0
        self._last = "\n"  # the character before, given out or not
        self._open = ""  # what would close the quotes and brackets now open
        self._opening = False  # the last character opened one
        self._is_first = True
        self._tokens = 0
        self._since: float | None = None  # since when there is something to say, or no phrase has ended
        self._now = 0.0
        self._phrases: list[str] = []

    @property
    def deadline(self) -> float | None:
        """When to call `tick`; None while there is nothing to say."""
        return None if self._since is None else self._since + self.max_buffer_time

    def feed(self, delta: str | None, now: float) -> list[str]:
        """Append *delta* (None and empty ones are ignored); returns the phrases that ended.

        A text that has passed its deadline goes out first, as `tick` would have done.
        """
        if (
            delta
            and delta.isascii()
            and delta.isalnum()
            and self._last.isascii()
            and self._last.isalnum()
            and self._since is not None
            and now < self._since + self.max_buffer_time
            and self._tokens + 1 < self.max_tokens_per_phrase
            and len(self._text) + len(delta) <= self.max_phrase_length
        ):  # it only makes the last word longer, as most deltas of one character do
            self._text += delta
            self._last, self._now, self._opening = delta[-1], now, False
            self._tokens += 1
            return []
        self._expire(now)
        for letters, other in _PIECES.findall(delta or ""):
            if letters:
                self._letters(letters)
            elif other.isspace():
                self._space(other)
            else:
                self._mark(other)
        if delta and self._text and not self._text.isspace():
            self._tokens += 1
            if self._since is None:
                self._since = now
            if self._tokens >= self.max_tokens_per_phrase:
                self._cut(self._whole_words())
        return self._take()

    def tick(self, now: float) -> list[str]:
        """What must be spoken now although no phrase has ended: the whole words, once the deadline is reached."""
        self._expire(now)
        return self._take()

    def flush(self) -> list[str]:
        """The text is over: returns what is left of it. The buffer is as new."""
        rest = self._text
        self._reset()
        return [rest] if rest else []

    def _take(self) -> list[str]:
        if not self._phrases:
            return []
        phrases, self._phrases = self._phrases, []
        return phrases

    def _expire(self, now: float) -> None:
        self._now = now
        if self._since is not None and now >= self._since + self.max_buffer_time:
            self._cut(self._whole_words())

    # --- one character after the other ------------------------------------------------------------------------------

    def _letters(self, run: str) -> None:
        if self._doubt is not None:
            self._settle(self._doubt, run[0])
        after_ideograph = self._last > _BELOW_IDEOGRAPHS and _IS_IDEOGRAPH(self._last) is not None
        if after_ideograph:
            self._may_break()
        if after_ideograph or not self._last.isalnum():
            self._words += 1
        self._opening = False
        self._append(run)

    def _space(self, char: str) -> None:
        if self._opening:  # as in `* item`: a mark before white space opens nothing
            self._open, self._opening = self._open[:-1], False
        if self._doubt is not None:
            self._settle(self._doubt, char)
        if char == "\n":
            self._open = ""
            if self._words:
                self._cut(len(self._text.rstrip()))
        elif self._pause >= 0 and self._is_connector():
            self._cut(self._pause)
        if not self._last.isspace():
            self._may_break()
        self._append(char)
        self._word_at = len(self._text)

    def _mark(self, char: str) -> None:
        """Ideographs, punctuation and all other signs."""
        closes = self._track(char)
        ends_here = self._doubt is not None and self._settle(self._doubt, char, closes=closes)
        if char > _BELOW_IDEOGRAPHS and _IS_IDEOGRAPH(char):
            self._words += 1
            if char not in _NO_LINE_START and (self._last.isalnum() or self._last in _CLAUSE_ENDS):
                self._may_break()
        elif self._pause >= 0 and char in _COMMAS and self._is_connector():
            self._cut(self._pause)
        self._append(char)
        if ends_here:
            self._cut(len(self._text))
        elif self._words and self._doubt is None:
            self._doubt = self._end_at(char)

    def _append(self, piece: str) -> None:
        self._text += piece
        self._last = piece[-1]
        while len(self._text) > self.max_phrase_length and (at := self._best_break()):
            self._cut(at)

    def _track(self, char: str) -> bool:
        """Follow which quotes and brackets are open; returns whether *char* closes one."""
        after_opening, self._opening = self._opening, False
        doubled = after_opening and char == self._last  # the second mark of an opening `**`
        toggles = char in _TOGGLES
        if char in self._open and not doubled and not (toggles and self._last.isspace()):
            before, _, after = self._open.rpartition(char)
            self._open = before + after
            return True
        if len(self._open) < _MOST_OPEN and (
            char in _CLOSER_OF or (toggles and (after_opening or self._last.isspace()))
        ):
            self._open += _CLOSER_OF.get(char, char)
            self._opening = True
        return False

    # --- where a phrase ends ----------------------------------------------------------------------------------------

    def _end_at(self, mark: str) -> tuple[int, Doubt] | None:
        """End the phrase behind *mark*, just appended, if it is such a mark; or return the doubt about it."""
        if mark in STOPS:
            word = self._text[self._word_at : -1].lstrip("\"'“‘«‹„([{*_`")
            item = not self._text[: self._word_at].strip()
            ends, doubt = True, doubt_about(mark, word, opens_item=item, known=self._known)
        elif mark in WIDE_STOPS:
            ends, doubt = True, Doubt.WIDE if self._open else None
        elif mark == "…":
            ends, doubt = True, Doubt.LOWER
        elif mark in _COLONS:
            ends, doubt = True, Doubt.WIDE if mark == "；" else Doubt.GLUED
        else:
            ends, doubt = self._ends_first_clause(mark), None
            if self._text[:-1].rstrip()[-1:].isdigit():
                doubt = Doubt.NUMBER  # 1,000 and `Nov 21, 2026` and `10 – 20`
            elif mark == "-":
                doubt = Doubt.GLUED
        if mark in _COMMAS:
            self._pause = len(self._text)
        if not ends or doubt is Doubt.NEVER:
            return None
        if doubt is None and self._open:
            doubt = Doubt.GLUED
        if doubt is not None:
            return len(self._text), doubt
        self._cut(len(self._text))
        return None

    def _ends_first_clause(self, mark: str) -> bool:
        if not self._is_first or self._words < 2:
            return False
        if mark in _DASHES:
            if mark != "—" and not self._text[-2:-1].isspace():
                return False  # as in 10–20 and well-known
        elif mark not in _COMMAS:
            return False
        return len(self._text.lstrip()) >= (_FIRST_CLAUSE // 2 if mark in _WIDE_COMMAS else _FIRST_CLAUSE)

    def _settle(self, doubtful: tuple[int, Doubt], char: str, *, closes: bool = False) -> bool:
        """Let *char*, which comes next, decide a doubtful end; returns whether the phrase ends right behind *char*."""
        at, doubt = doubtful
        spaced = at < len(self._text)
        at_once = doubt is Doubt.GLUED or doubt is Doubt.WIDE
        if char.isspace():
            if at_once:
                self._cut(at)
            return False
        if not spaced and (closes or char in STOPS or char in WIDE_STOPS):
            self._doubt = (at + 1, doubt)
            return closes and at_once and not self._open
        self._doubt = None
        if doubt is Doubt.WIDE or (spaced and not doubt.goes_on(char)):
            self._cut(at)
        return False

    def _is_connector(self) -> bool:
        """Whether white space and a connector are all that has come behind the last comma."""
        behind = self._text[self._pause :]
        word = behind.lstrip()
        if not word:
            return False
        found = word != behind and word.lower() in CONNECTORS
        if not found:
            self._pause = -1
        return found

    # --- where it is cut otherwise ----------------------------------------------------------------------------------

    def _may_break(self) -> None:
        if self._text:
            self._breaks.append((len(self._text), self._last in _CLAUSE_ENDS))

    def _best_break(self) -> int:
        """Where to cut a text that is too long; 0 while its first word is not over."""
        clause = word = inside = 0
        for at, ends_clause in self._breaks:
            if at > self.max_phrase_length:
                return clause or word or inside or at
            if self._in_expression(at):
                inside = at
                continue
            word = at
            if ends_clause and at * 3 >= self.max_phrase_length:
                clause = at
        if clause or word or inside:
            return clause or word or inside
        limit = max(_LONGEST_WORD, self.max_phrase_length)
        if len(self._text) <= limit:
            return 0
        at = limit
        while at > limit // 2 and _cling(self._text[at - 1], self._text[at]):
            at -= 1
        return at if at > limit // 2 else limit

    def _whole_words(self) -> int:
        """The end of the last word that is certainly over; of the only one if there is no other."""
        text = self._text.rstrip()
        over = len(text) < len(self._text) or not (text[-1].isalnum() or text[-1] in _INSIDE_WORDS)
        if (over and not text[-1].isdigit()) or not self._breaks:
            return len(text)
        places = [at for at, _ in reversed(self._breaks) if at < len(text)]
        last = len(text) if over else self._breaks[-1][0]
        return next((at for at in places if not self._in_expression(at)), last)

    def _in_expression(self, at: int) -> bool:
        """Whether a cut there may part a number from what belongs to it: its unit, its month, the rest of it.

        Looks no further than the longest phrase, so that it does not matter what else has come in one delta.
        """
        before = self._text[max(0, at - 2) : at].rstrip(".")[-1:]  # as in 21. November
        after = self._text[at : self.max_phrase_length + 1].lstrip()[:1]
        return not after or after.isdigit() or before.isdigit()

    def _cut(self, at: int) -> None:
        """Give out the first *at* characters."""
        self._phrases.append(self._text[:at])
        rest = self._text = self._text[at:]
        self._breaks = [(place - at, ends_clause) for place, ends_clause in self._breaks if place > at]
        self._doubt = (self._doubt[0] - at, self._doubt[1]) if self._doubt and self._doubt[0] > at else None
        self._pause = max(self._pause - at, 0) or -1
        self._word_at = max(self._word_at - at, 0)
        self._words = len(_WORDS.findall(rest))
        self._is_first = False
        spent = not rest or rest.isspace()
        self._tokens = 0 if spent else 1
        self._since = None if spent else self._now


def _cling(before: str, char: str) -> bool:
    """Whether the two belong to one visible sign, so that a cut between them would spoil it."""
    if before == "\u200d" or unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf", "Sk"):
        return True
    if "\ud800" <= before <= "\udbff":
        return "\udc00" <= char <= "\udfff"
    return all("\U0001f1e6" <= sign <= "\U0001f1ff" for sign in (before, char))
