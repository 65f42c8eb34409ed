"""An alarm rings when its time has come, however often it was moved."""

from __future__ import annotations

import asyncio

import pytest

from kit import run_virtually
from vivavoce.session.alarm import Alarm, ending


def rung(*moves: tuple[float, float | None], wait_s: float = 100.0) -> list[float]:
    """When it rang, for (at, to) moves; all in seconds from the beginning."""
    times: list[float] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        alarm = Alarm(lambda: times.append(round(loop.time() - began, 6)))
        for at, to in moves:
            await asyncio.sleep(began + at - loop.time())
            alarm.set(None if to is None else began + to)
        await asyncio.sleep(wait_s)
        alarm.cancel()

    run_virtually(scenario())
    return times


@pytest.mark.parametrize(
    ("moves", "rings"),
    [
        ([(0, 5)], [5]),
        ([(0, None)], []),
        ([(0, 5), (4, 9), (8, 13)], [13]),
        ([(0, 5), (4, None)], []),
        ([(0, 5), (4, None), (6, 7)], [7]),
        ([(0, 5), (1, 3)], [3]),
        ([(0, 5), (1, 3), (2, 8)], [8]),
        ([(0, 5), (6, 7)], [5, 7]),
        ([(1, 0)], [1]),
    ],
)
def test_it_rings_at_the_time_set_last(moves: list[tuple[float, float | None]], rings: list[float]) -> None:
    assert rung(*moves) == rings


def test_a_limit_that_moves_on_costs_few_timers() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        made: list[float] = []
        call_at = loop.call_at
        loop.call_at = lambda when, *rest, **more: made.append(when) or call_at(when, *rest, **more)  # type: ignore[method-assign, assignment, func-returns-value, misc]
        alarm = Alarm(lambda: pytest.fail("it rang"))
        for _ in range(1000):
            alarm.set(loop.time() + 5)
            loop.now += 0.01  # type: ignore[attr-defined]
            alarm.set(None)
            if _ % 100 == 0:
                await asyncio.sleep(0)
        alarm.cancel()
        assert len(made) < 5

    run_virtually(scenario())


def test_a_cancelled_alarm_leaves_no_timer() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        alarm = Alarm(lambda: pytest.fail("it rang"))
        alarm.set(loop.time() + 5)
        alarm.cancel()
        alarm.cancel()
        assert not [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    run_virtually(scenario())


def test_a_block_is_ended_once() -> None:
    broken: list[object] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: broken.append(context))
        began, block = loop.time(), asyncio.timeout(None)
        alarm = ending(block)
        alarm.set(began + 1)

        async def ended() -> None:
            async with block:
                try:
                    await asyncio.sleep(10)
                finally:
                    alarm.set(began + 2)  # what was awaited came after all
                    await asyncio.sleep(3)

        with pytest.raises(TimeoutError):
            await ended()
        assert loop.time() == pytest.approx(began + 4)

    run_virtually(scenario())
    assert not broken
