"""Some models write their reasoning into the answer, as `<think>…</think>` at its start. It is not to be spoken."""

from __future__ import annotations

OPEN = "<think>"
CLOSE = "</think>"


class Thoughts:
    """Text in, text out without the reasoning at its start. A tag may come in pieces; later ones are ordinary text."""

    def __init__(self) -> None:
        self._held: str | None = ""  # what may still be a tag, or white space before one; None once the answer began
        self._thinking = False
        self._thought = False

    def feed(self, piece: str) -> str:
        """What of *piece*, and of what was held back before, is the answer."""
        if self._held is None:
            return piece
        self._held += piece
        while True:
            if self._thinking:
                _, closed, rest = self._held.partition(CLOSE)
                if not closed:
                    self._held = self._held[1 - len(CLOSE) :]
                    return ""
                self._thinking, self._thought, self._held = False, True, rest
            start = self._held.lstrip()
            if not start.startswith(OPEN):
                return "" if OPEN.startswith(start) else self.flush()
            self._thinking, self._held = True, start.removeprefix(OPEN)

    def flush(self) -> str:
        """The answer is over, or has begun: what was held back of it."""
        held, self._held = self._held or "", None
        if self._thinking:
            return ""
        return held.lstrip() if self._thought else held
