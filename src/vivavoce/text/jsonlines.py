"""JSON lines (one document to a line), cut out of their bytes as they come in."""

from __future__ import annotations

from collections.abc import Iterator


class LineTooLong(ValueError):
    """A line is longer than allowed; the decoder cannot be used any more."""


class JSONLines:
    """Bytes in, lines out. However the bytes are cut, the lines are the same."""

    def __init__(self, max_line_bytes: int = 262_144) -> None:
        self._max = max_line_bytes
        self._line = bytearray()

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that *chunk* completes, without blank ones; to be read to the end.

        Bytes that are not UTF-8 become U+FFFD. Raises LineTooLong, behind the lines that came before.
        """
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._grow(end)
            yield from self.flush()
        self._grow(rest)

    def flush(self) -> Iterator[str]:
        """Yield the last line, if it came without its newline."""
        line = self._line.decode("utf-8", "replace").strip()
        self._line.clear()
        if line:
            yield line

    def _grow(self, part: bytes) -> None:
        self._line += part
        if len(self._line) > self._max:
            raise LineTooLong(f"a line of more than {self._max} bytes")
