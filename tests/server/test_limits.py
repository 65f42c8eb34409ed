"""The sliding window, and who counts as one client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.server.limits import WINDOW_S, PerAddress, address_of, is_loopback


@pytest.mark.parametrize(
    ("client", "address", "loopback"),
    [
        (("127.0.0.1", 1), "127.0.0.1", True),
        (("127.9.9.9", 1), "127.9.9.9", True),
        (("::1", 1), "::1", True),
        (("::ffff:127.0.0.1", 1), "127.0.0.1", True),
        (("203.0.113.7", 1), "203.0.113.7", False),
        (("2001:db8:1:2:3::4", 1), "2001:db8:1:2::/64", False),
        (("fe80::1%eth0", 1), "fe80::/64", False),
        (("testclient", 1), "testclient", False),
        (None, "", True),
    ],
)
def test_clients(client: tuple[str, int] | None, address: str, loopback: bool) -> None:
    assert address_of({"client": client}) == address
    assert is_loopback(address) == loopback


def test_one_too_many_waits_for_the_first_to_pass() -> None:
    limit = PerAddress(3, 60)
    assert [limit.hit("a", now) for now in (0.0, 10.0, 20.0)] == [0.0, 0.0, 0.0]
    assert limit.hit("a", 30.0) == 30.0
    assert limit.wait_s("a", 59.0) == 1.0
    assert limit.hit("b", 30.0) == 0.0
    assert limit.hit("a", 60.0) == 0.0
    assert limit.hit("a", 61.0) == 9.0


def test_loopback_is_spared_unless_a_limit_is_set() -> None:
    spared, counted = PerAddress(None, 1), PerAddress(1, 1)
    assert [spared.hit("127.0.0.1", 0.0) for _ in range(5)] == [0.0] * 5
    assert [spared.hit("203.0.113.7", 0.0) for _ in range(2)] == [0.0, WINDOW_S]
    assert [counted.hit("127.0.0.1", 0.0) for _ in range(2)] == [0.0, WINDOW_S]


def test_the_table_is_bounded() -> None:
    limit = PerAddress(1, 1, max_addresses=10)
    for number in range(1000):
        limit.hit(f"address {number}", 0.0)
    assert len(limit._times) == 10
    assert limit.hit("address 999", 1.0) > 0
    assert limit.hit("address 0", 1.0) == 0.0


@given(st.lists(st.integers(0, 500).map(float), max_size=60).map(sorted), st.integers(1, 5))
def test_no_window_ever_holds_more(times: list[float], most: int) -> None:
    limit = PerAddress(most, 60)
    passed: list[float] = []
    for now in times:
        wait = limit.hit("a", now)
        inside = [each for each in passed if each > now - WINDOW_S]
        assert (wait == 0.0) == (len(inside) < most)
        if wait == 0.0:
            passed.append(now)
        else:
            assert wait == pytest.approx(inside[-most] + WINDOW_S - now)
