"""Ids, titles, and the daily purge."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.errors import ServerBusy
from vivavoce.memory.base import TITLE_CHARS, is_conversation_id, new_conversation_id, purge_daily, title_of
from vivavoce.memory.volatile import MemoryStore


@pytest.mark.parametrize("good", ["a", "A.b_c-9", ".", "0" * 128])
def test_good_ids(good: str) -> None:
    assert is_conversation_id(good)


@pytest.mark.parametrize("bad", ["", "a b", "a/b", "a\n", "é", "٣", "a\x00", "0" * 129, "%41"])
def test_bad_ids(bad: str) -> None:
    assert not is_conversation_id(bad)


@given(st.text(max_size=140))
def test_the_grammar_and_nothing_else(text: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert is_conversation_id(text) == (1 <= len(text) <= 128 and set(text) <= allowed)


def test_new_ids_are_good_and_differ() -> None:
    ids = {new_conversation_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(map(is_conversation_id, ids))
    assert min(map(len, ids)) == 32


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (None, ""),
        (" \n ", ""),
        ("What time is it?", "What time is it?"),
        ("two\r\nlines\x1b[31m", "two lines [31m"),
        ("word " * 20, "word word word word word word word word word word word…"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_titles(words: str | None, title: str) -> None:
    assert title_of(words) == title


@given(st.text())
def test_a_title_is_one_short_line(words: str) -> None:
    title = title_of(words)
    assert len(title) <= TITLE_CHARS
    assert title.splitlines() in ([title], [])
    assert bool(title) or not any(map(str.isprintable, words.strip()))


class Purged(MemoryStore):
    """Remembers the purges asked for; the first fails."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []
        self.enough = asyncio.Event()

    async def purge(self, older_than: float) -> int:
        self.asked.append(older_than)
        if len(self.asked) == 3:
            self.enough.set()
        if len(self.asked) == 1:
            raise ServerBusy("OVERLOADED", "locked")
        return await super().purge(older_than)


async def test_the_purge_comes_again_even_after_a_failure() -> None:
    store = Purged()
    task = asyncio.create_task(purge_daily(store, 30, every_s=0.001))
    await store.enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert all(abs(time.time() - 30 * 86400 - asked) < 60 for asked in store.asked)


async def test_no_retention_is_no_purge() -> None:
    store = Purged()
    await purge_daily(store, 0)
    assert store.asked == []


async def test_a_clock_that_jumps_does_not_end_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Purged()
    true_time = time.time

    def jumped() -> float:
        return true_time() + (1e9 if len(store.asked) == 2 else 0.0)

    monkeypatch.setattr("vivavoce.memory.base.time.time", jumped)
    task = asyncio.create_task(purge_daily(store, 30, every_s=0.001))
    await asyncio.wait_for(store.enough.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    first, second, third = store.asked[:3]
    assert second - first < 60
    assert third > second + 1e8  # the day after: the new date has held for a day
