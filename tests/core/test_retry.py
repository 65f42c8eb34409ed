"""Waiting longer each time, `Retry-After`, and the circuit breaker, by table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.retry import Backoff, Breaker, State, retry_after_s

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def test_each_wait_is_twice_as_long_up_to_the_most() -> None:
    backoff = Backoff(first_s=0.2, factor=2.0, most_s=1.0, jitter=0.5)
    assert [backoff.wait_s(failures, 1.0) for failures in (1, 2, 3, 4, 5, 10_000)] == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_chance_shortens_a_wait_by_the_jitter_at_most(failures: int, chance: float) -> None:
    backoff = Backoff(jitter=0.25)
    whole = backoff.wait_s(failures, 1.0)
    assert 0.75 * whole <= backoff.wait_s(failures, chance) <= whole <= backoff.most_s


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Saturday, 21-Nov-26 12:00:30 GMT", 30.0),
        ("Sat Nov 21 12:00:30 2026", 30.0),
        ("Sat, 21 Nov 2026 13:00:30 +0100", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1.2.3", None),
        ("٣", None),
        ("Sat, 32 Nov 2026 12:00:30 GMT", None),
        ("Sat, 21 Nov 99999999999999999999 12:00:30 GMT", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@given(st.text(max_size=40))
def test_retry_after_of_any_text_is_nothing_or_some_time(value: str) -> None:
    found = retry_after_s(value, NOW)
    assert found is None or found >= 0


class TestBreaker:
    def test_requests_pass_at_first(self) -> None:
        breaker = Breaker()
        assert (breaker.open, breaker.trial_at) == (False, None)

    def test_a_failure_opens_it_until_a_trial_is_due(self) -> None:
        breaker = Breaker(rest_s=5.0)
        breaker.failed(100.0)
        assert (breaker.open, breaker.trial_at) == (True, 105.0)

    def test_it_rests_as_long_as_the_server_asks(self) -> None:
        breaker = Breaker(rest_s=5.0)
        breaker.failed(100.0, rest_s=30.0)
        assert breaker.trial_at == 130.0

    def test_requests_that_fail_late_change_nothing(self) -> None:
        breaker = Breaker(rest_s=5.0)
        for now in (100.0, 101.0, 104.9):
            breaker.failed(now)
        assert breaker.trial_at == 105.0

    def test_each_trial_that_fails_doubles_the_rest_up_to_the_most(self) -> None:
        breaker, rests = Breaker(rest_s=5.0, most_s=30.0), []
        now = 0.0
        for _ in range(5):
            breaker.failed(now)
            assert breaker.trial_at is not None
            rests.append(breaker.trial_at - now)
            now = breaker.trial_at
        assert rests == [5.0, 10.0, 20.0, 30.0, 30.0]

    def test_a_trial_lets_requests_pass_and_the_first_decides(self) -> None:
        breaker = Breaker(rest_s=5.0)
        breaker.failed(0.0)
        breaker.tried()
        assert (breaker.state, breaker.open, breaker.trial_at) == (State.TRYING, False, None)
        breaker.failed(6.0)
        assert breaker.trial_at == 16.0, "the rest is not reset by the trial alone"
        breaker.tried()
        breaker.succeeded()
        assert breaker.state is State.CLOSED
        breaker.failed(20.0)
        assert breaker.trial_at == 25.0

    def test_an_answer_that_began_before_the_failure_does_not_close_it(self) -> None:
        breaker = Breaker()
        breaker.failed(0.0)
        breaker.succeeded()
        assert breaker.open
