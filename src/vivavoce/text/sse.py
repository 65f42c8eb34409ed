"""Server-sent events, decoded as their bytes come in.

The rules are those of the HTML standard, section 9.2.6, for the fields `event`, `data` and `id`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

LINE_END = re.compile(rb"\r\n|\r|\n")
BOM = "\ufeff"


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event; several `data` lines of it are joined by newlines."""

    data: str
    event: str = "message"
    id: str = ""
    """The last one that was given, by this event or one before it."""


class EventTooLong(ValueError):
    """An event is longer than allowed; the decoder cannot be used any more."""


class ServerSentEvents:
    """Bytes in, events out. However the bytes are cut, the events are the same; an unfinished last one is dropped."""

    def __init__(self, max_event_bytes: int = 262_144) -> None:
        self._max = max_event_bytes
        self._line = bytearray()  # the last line, as far as it is known
        self._ended_by_cr = False
        self._first = True
        self._event = self._id = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that *chunk* completes; to be read to the end.

        Bytes that are not UTF-8 become U+FFFD. Raises EventTooLong, behind the events that came before.
        """
        if self._ended_by_cr and chunk:
            chunk = chunk.removeprefix(b"\n")  # the second half of a CRLF: its line ended with the chunk before
            self._ended_by_cr = False
        if not chunk:
            return
        self._ended_by_cr = chunk.endswith(b"\r")
        *ends, rest = LINE_END.split(chunk)
        for end in ends:
            self._grow(end)
            line = self._line.decode("utf-8", "replace")
            self._line.clear()
            if self._first:
                self._first, line = False, line.removeprefix(BOM)
            if line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                yield event
        self._grow(rest)

    def _grow(self, part: bytes) -> None:
        self._line += part
        if self._size + len(self._line) > self._max:
            raise EventTooLong(f"an event of more than {self._max} bytes")

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")  # a comment has an empty name
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _dispatch(self) -> ServerSentEvent | None:
        """The event that a blank line ends; None when it has no data."""
        data = "\n".join(self._data)
        event = ServerSentEvent(data, self._event or "message", self._id) if self._data else None
        self._data.clear()
        self._event, self._size = "", 0
        return event
