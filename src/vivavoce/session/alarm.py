"""A time limit that is moved for every token and every frame, and costs next to nothing to move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls *ring* once `set`'s time has come, unless it was moved before.

    The loop's timer stays where it is while the time only moves on: when it goes off too early it is set anew. So a
    limit of seconds on something that happens a hundred times a second takes a timer every few seconds, not two for
    each time.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float | None) -> None:
        """Ring at *at* of the loop's clock, and not before; None: not at all."""
        self._at = at
        if at is None or (self._timer is not None and self._timer.when() <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._wake)

    def cancel(self) -> None:
        """Never ring, and leave no timer behind."""
        self._at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self.set(self._at)
            return
        self._at = None
        self._ring()


def ending(block: asyncio.Timeout) -> Alarm:
    """An alarm that ends the *block* of an `asyncio.timeout`."""
    loop = asyncio.get_running_loop()

    def ring() -> None:
        if not block.expired():  # else it is ending: what was awaited came in that very moment, and set the alarm again
            block.reschedule(loop.time())

    return Alarm(ring)
