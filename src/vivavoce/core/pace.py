"""How fast a client's audio is read. Pure: every method is told `now`."""

from __future__ import annotations


class Pace:
    """A bucket of audio seconds that fills in real time.

    Audio may come in bursts (a file, a stalled network); past `burst_s` it is read no faster than it is spoken.
    """

    def __init__(self, *, burst_s: float = 15.0, patience_s: float = 10.0) -> None:
        self._burst_s = burst_s
        self._patience_s = patience_s
        self._left_s = burst_s
        self._at: float | None = None
        self._flooding_since: float | None = None

    def take(self, seconds: float, now: float) -> float:
        """Audio of *seconds* was read; returns how long to wait before reading more."""
        if self._at is not None:
            self._left_s = min(self._burst_s, self._left_s + now - self._at)
        self._at = now
        self._left_s -= seconds
        if self._left_s >= 0:
            self._flooding_since = None
            return 0.0
        if self._flooding_since is None:
            self._flooding_since = now
        return -self._left_s

    def flooded(self, now: float) -> bool:
        """Whether it has come too fast for longer than the patience; asking starts a new count."""
        if self._flooding_since is None or now - self._flooding_since < self._patience_s:
            return False
        self._flooding_since = now
        return True
