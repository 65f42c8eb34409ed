"""The JSON object in a model's answer, read while it is still being written.

A model that was asked for one object mostly writes one. Some put it into a Markdown fence or wrap it in sentences,
leave a comma behind the last member, or stop early; some answer in plain words. All of that is understood here, and
the text of one member, the one that is spoken, comes out character by character.
"""

from __future__ import annotations

import enum
import math
import re
from typing import Any

MOST_DEEP = 8
"""Objects and arrays within each other; a model that goes deeper has lost its way."""
HELD = 120
"""So many characters of prose are kept back, as an object may follow them."""

_LEAD = re.compile(r"(?:`{3}\w{0,16}\s{0,16})?(?:\[\s{0,16})?\{")  # what an answer that is an object begins with
_WITHIN = re.compile(r'\{\s{0,64}"')  # what begins an object within prose: braces alone may be anything
_PERHAPS = re.compile(r"\{\s{0,64}\Z")
_PLAIN = re.compile(r'[^"\\\ud800-\udfff]+')
_SPACE = re.compile(r"\s+")
_SCALAR = re.compile(r"[-+.\w]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?")
_LITERALS = {"true": True, "false": False, "null": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_HEX = frozenset("0123456789abcdefABCDEF")
_LOST = "\ufffd"


class _Expect(enum.Enum):
    """What comes next within the object, white space aside."""

    KEY = enum.auto()
    COLON = enum.auto()
    VALUE = enum.auto()
    NEXT = enum.auto()


class PartialJSON:
    """Fed with an answer in pieces, cut anywhere, it gives the text of member *streamed* as it grows.

    An answer in plain words is that text itself. Of several objects the first counts, of equal keys too.
    """

    def __init__(self, streamed: str = "response") -> None:
        self.streamed = streamed
        self.fields: dict[str, Any] = {}
        """The members that are complete."""
        self.begun = False
        """Whether there is an object."""
        self.closed = False
        """Whether it is complete."""
        self.malformed = False
        """Whether it went on with what no JSON goes on with; what follows is ignored."""
        self.prose = False
        """Whether plain words were given out as the answer; an object behind them does not speak."""
        self._held = ""  # what of the prose may still belong to an object
        self._grown: list[str] = []
        self._stack: list[tuple[dict[str, Any] | list[Any], str]] = []  # open containers, each with its own key
        self._key = ""
        self._expect = _Expect.KEY
        self._string: list[str] | None = None  # the string being read
        self._streaming = False  # whether it is given out meanwhile
        self._escape = ""  # the part of an escape that has come
        self._high = ""  # the first half of a surrogate pair
        self._scalar = ""

    def feed(self, piece: str) -> str:
        """Take a *piece*; returns what the text grew by. The work is linear in all that is fed."""
        if self.begun:
            self._read(piece)
        else:
            self._search(piece)
        grown, self._grown = "".join(self._grown), []
        return grown

    def flush(self) -> str:
        """The answer is over: returns the rest of its text."""
        held, self._held = self._held, ""
        self.prose = self.prose or bool(held)
        return held

    # --- before the object ------------------------------------------------------------------------------------------

    def _search(self, piece: str) -> None:
        """Look for the object; prose that is longer than HELD before it is the answer itself."""
        held = self._held + piece
        if not self.prose:
            held = held.lstrip()
        found = (None if self.prose else _LEAD.match(held)) or _WITHIN.search(held)
        perhaps = found or _PERHAPS.search(held, max(0, len(held) - 65))
        certain = len(held) if perhaps is None else held.index("{", perhaps.start())  # so far it is prose
        self.prose = self.prose or certain > HELD
        spoken = certain if self.prose else 0
        self._grown.append(held[:spoken])
        if found is None:
            self._held = held[spoken:]
            return
        self._held, self.begun = "", True
        self._stack.append((self.fields, ""))
        self._read(held[certain + 1 :])

    # --- within it --------------------------------------------------------------------------------------------------

    def _read(self, text: str) -> None:
        at = 0
        while at < len(text) and not self.closed and not self.malformed:
            if self._string is not None:
                at = self._read_string(text, at, self._string)
            elif self._scalar and _SCALAR.match(text, at) is None:
                self._end_scalar()
            elif (run := _SCALAR.match(text, at)) is not None:
                self._scalar += run[0]
                at = run.end()
                self.malformed = self._expect is not _Expect.VALUE or len(self._scalar) > 64
            elif (run := _SPACE.match(text, at)) is not None:
                at = run.end()
            else:
                self._sign(text[at])
                at += 1

    def _sign(self, sign: str) -> None:
        """A mark outside of strings; one behind a comma may close."""
        expect, inside = self._expect, type(self._stack[-1][0])
        unfinished = _Expect.VALUE if inside is dict else _Expect.KEY
        if sign == '"' and expect in (_Expect.KEY, _Expect.VALUE):
            self._string = []
            top = len(self._stack) == 1 and self._key == self.streamed and self.streamed not in self.fields
            self._streaming = expect is _Expect.VALUE and top and not self.prose
        elif sign == ":" and expect is _Expect.COLON:
            self._expect = _Expect.VALUE
        elif sign == "," and expect is _Expect.NEXT:
            self._expect = _Expect.KEY if inside is dict else _Expect.VALUE
        elif sign in ("}", "]") and (inside is dict) == (sign == "}") and expect not in (_Expect.COLON, unfinished):
            self._close()
        elif sign in ("{", "[") and expect is _Expect.VALUE and len(self._stack) < MOST_DEEP:
            self._stack.append(({} if sign == "{" else [], self._key))
            self._expect = _Expect.KEY if sign == "{" else _Expect.VALUE
        else:
            self.malformed = True

    def _close(self) -> None:
        container, key = self._stack.pop()
        if self._stack:
            self._key = key
            self._put(container)
        else:
            self.closed = True

    def _put(self, value: Any) -> None:
        container = self._stack[-1][0]
        if isinstance(container, list):
            container.append(value)
        else:
            container.setdefault(self._key, value)
        self._expect = _Expect.NEXT

    def _end_scalar(self) -> None:
        """Numbers and literals end with what follows them; one that is cut off is none."""
        scalar, self._scalar = self._scalar, ""
        if scalar in _LITERALS:
            self._put(_LITERALS[scalar])
        elif (number := _NUMBER.fullmatch(scalar)) is not None and math.isfinite(float(scalar)):
            self._put(float(scalar) if number[1] or number[2] else int(scalar))
        else:
            self.malformed = True

    # --- strings ----------------------------------------------------------------------------------------------------

    def _read_string(self, text: str, at: int, string: list[str]) -> int:
        if self._escape:
            self._read_escape(text[at])
            return at + 1
        if (run := _PLAIN.match(text, at)) is not None:
            self._add(run[0])
            return run.end()
        if text[at] == "\\":
            self._escape = "\\"
        elif text[at] == '"':
            self._end_string(string)
        else:
            self._unit(text[at])
        return at + 1

    def _read_escape(self, char: str) -> None:
        escape, self._escape = self._escape + char, ""
        if escape == "\\u" or (len(escape) < 6 and escape[1] == "u" and char in _HEX):
            self._escape = escape
        elif len(escape) == 2:
            self._add(_ESCAPES.get(char, char))
        elif char in _HEX:
            digits = escape[2:]
            self._unit(chr(int(digits, 16)))
        else:
            self.malformed = True

    def _unit(self, unit: str) -> None:
        """A code unit: two that are a surrogate pair are one character, half a pair is lost."""
        if "\ud800" <= unit <= "\udbff":
            self._add("")
            self._high = unit
        elif "\udc00" <= unit <= "\udfff":
            high, self._high = self._high, ""
            self._add((high + unit).encode("utf-16", "surrogatepass").decode("utf-16") if high else _LOST)
        else:
            self._add(unit)

    def _add(self, text: str) -> None:
        if self._high:
            self._high, text = "", _LOST + text
        if self._string is not None and text:
            self._string.append(text)
            if self._streaming:
                self._grown.append(text)

    def _end_string(self, string: list[str]) -> None:
        self._add("")
        self._string, self._streaming = None, False
        value = "".join(string)
        if self._expect is _Expect.KEY:
            self._key, self._expect = value, _Expect.COLON
        else:
            self._put(value)
