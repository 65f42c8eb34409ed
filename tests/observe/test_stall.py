"""The loop's lateness: what blocks the loop is seen, and whose fault it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from vivavoce.observe.stall import BOUNDS_S, LoopMonitor


class Watched:
    """A monitor of a loop in conversation, whose ticks can be awaited."""

    def __init__(self) -> None:
        self._ticked = asyncio.Event()
        self.monitor = LoopMonitor(self._active)

    def _active(self) -> bool:
        self._ticked.set()
        return True

    async def tick(self) -> None:
        self._ticked.clear()
        await self._ticked.wait()


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    watched = Watched()
    watched.monitor.start()
    await watched.tick()
    yield watched
    watched.monitor.stop()


async def test_arithmetic_on_the_loop_is_our_own_stall(watched: Watched) -> None:
    until = time.thread_time() + 0.06
    while time.thread_time() < until:
        pass
    await watched.tick()
    late_s, own_s = watched.monitor.recent_s()
    assert late_s >= 0.04
    assert 0.04 <= own_s <= late_s
    assert watched.monitor.worst_s == late_s


async def test_a_blocking_call_is_late_without_being_work(watched: Watched) -> None:
    time.sleep(0.06)
    await watched.tick()
    late_s, own_s = watched.monitor.recent_s()
    assert late_s >= 0.04
    assert own_s < 0.03


async def test_every_tick_is_counted_in_one_bucket(watched: Watched) -> None:
    time.sleep(0.06)
    await watched.tick()
    await watched.tick()
    assert sum(watched.monitor.counts) == watched.monitor.ticks
    assert sum(watched.monitor.counts[BOUNDS_S.index(0.05) :]) >= 1


async def test_nothing_ticks_after_stop(watched: Watched) -> None:
    watched.monitor.stop()
    watched.monitor.stop()
    ticks = watched.monitor.ticks
    await asyncio.sleep(0.03)  # three ticks, had it gone on
    assert watched.monitor.ticks == ticks


async def test_nothing_was_late_before_the_first_tick() -> None:
    monitor = LoopMonitor(lambda: False)
    monitor.start()
    assert monitor.recent_s() == (0.0, 0.0)
    monitor.stop()
