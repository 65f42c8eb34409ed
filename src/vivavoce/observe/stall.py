"""How late the event loop is: the one number that says whether something blocks it.

A timer comes at a known time; what it comes late by is how long whatever ran before it kept everybody waiting. A stall
is seen short by at most the interval, so the timer is fine while somebody is in conversation, and rare while nobody is.

Lateness alone cannot tell our own work from a machine that gave the processor to others. The processor time that this
thread used since the last tick can: a stall of our own arithmetic has both, a busy machine only lateness, and a call
that blocks (a disk, a lock) shows as lateness on a machine that is otherwise idle.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable

ACTIVE_S = 0.01
IDLE_S = 0.5
BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Upper bounds of the histogram's buckets; one more holds what is above."""
RECENT_S = 10


class LoopMonitor:
    """Watches the running loop from `start` to `stop`. Everything is read on the loop."""

    def __init__(self, active: Callable[[], bool]) -> None:
        """active: whether lateness matters to anybody now."""
        self.ticks = 0
        self.counts = [0] * (len(BOUNDS_S) + 1)
        """Ticks by lateness: at most 5 ms, 10 ms, … and the rest."""
        self.worst_s = 0.0
        """The worst lateness since `start`."""
        self._active = active
        self._seconds: deque[tuple[int, float, float]] = deque(maxlen=RECENT_S)  # (second, lateness, of our own work)
        self._due = self._busy = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch. Call it on the loop."""
        self._busy = time.thread_time()
        self._wait(asyncio.get_running_loop())

    def stop(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def recent_s(self) -> tuple[float, float]:
        """The worst of the last `RECENT_S` seconds: lateness, and the processor time of our own within one lateness."""
        since = time.monotonic() - RECENT_S
        rows = [row for row in self._seconds if row[0] >= since]
        return max((late for _, late, _ in rows), default=0.0), max((own for _, _, own in rows), default=0.0)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        wait_s = ACTIVE_S if self._active() else IDLE_S
        self._due = (
            time.monotonic() + wait_s
        )  # not the loop's time: uvloop's is rounded, and stands still in a callback
        self._timer = loop.call_later(wait_s, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now, busy = time.monotonic(), time.thread_time()
        late = max(0.0, now - self._due)
        own = min(late, busy - self._busy)
        self._busy = busy
        self.ticks += 1
        self.counts[bisect_left(BOUNDS_S, late)] += 1
        self.worst_s = max(self.worst_s, late)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            _, late_before, own_before = self._seconds.pop()
            late, own = max(late, late_before), max(own, own_before)
        self._seconds.append((second, late, own))
        self._wait(loop)
