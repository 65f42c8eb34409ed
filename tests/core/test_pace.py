"""Audio faster than real time is read no faster than it was spoken, once a burst is over."""

from __future__ import annotations

from vivavoce.core.pace import Pace


def test_real_time_never_waits() -> None:
    pace = Pace(burst_s=1.0)
    assert all(pace.take(0.02, at * 0.02) == 0.0 for at in range(10_000))


def test_a_burst_is_free_then_it_is_real_time() -> None:
    pace = Pace(burst_s=2.0, patience_s=10.0)
    assert pace.take(2.0, 0.0) == 0.0
    assert pace.take(0.5, 0.0) == 0.5
    assert pace.take(0.5, 0.5) == 0.5
    assert pace.take(0.1, 60.0) == 0.0, "a rest fills the bucket"


def test_a_flood_is_told_after_the_patience_and_again_after_as_long() -> None:
    pace = Pace(burst_s=1.0, patience_s=10.0)
    now, told = 0.0, []
    assert not pace.flooded(now)
    for _ in range(250):
        now += pace.take(0.1, now)
        if pace.flooded(now):
            told.append(round(now))
    assert told == [10, 20]
