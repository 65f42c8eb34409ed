"""Timers that ring in a session: when one is due, the agent speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MAX_TIMERS = 100
MAX_DELAY_S = 7 * 24 * 3600.0


class SessionTimers:
    """The `Timers` of one session; they end with it."""

    def __init__(self, ring: Callable[[str], None]) -> None:
        self._ring = ring
        self._running: dict[int, tuple[str, asyncio.TimerHandle]] = {}
        self._last = 0

    def set(self, name: str, delay_s: float, announcement: str) -> None:
        """Ring once after *delay_s* (at most a week) by announcing *announcement*."""
        if len(self._running) >= MAX_TIMERS:
            return
        self._last += 1
        loop = asyncio.get_running_loop()
        handle = loop.call_later(min(max(delay_s, 0.0), MAX_DELAY_S), self._due, self._last, announcement)
        self._running[self._last] = (name, handle)

    def cancel(self, name: str | None = None) -> int:
        """Cancel the timers called *name*, or all of them."""
        chosen = [key for key, (other, _) in self._running.items() if name is None or other == name]
        for key in chosen:
            self._running.pop(key)[1].cancel()
        return len(chosen)

    def remaining(self) -> list[tuple[str, float]]:
        """(name, seconds left), soonest first."""
        now = asyncio.get_running_loop().time()
        rows = [(name, max(0.0, handle.when() - now)) for name, handle in self._running.values()]
        return sorted(rows, key=lambda row: row[1])

    def _due(self, key: int, announcement: str) -> None:
        del self._running[key]
        self._ring(announcement)
