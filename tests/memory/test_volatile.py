"""The store in memory only."""

from __future__ import annotations

from typing import Any

import pytest

from memory.store_contract import ME, StoreContract, StoreProperties, play, turn
from vivavoce.memory import MemoryStore, open_store
from vivavoce.settings import Memory


class TestMemoryStore(StoreContract):
    @pytest.fixture
    async def store(self) -> MemoryStore:
        return MemoryStore()

    async def test_it_is_bounded(self) -> None:
        store = MemoryStore(max_conversations=3, max_turns=2)
        for name in "abcd":
            for number in range(4):
                await store.append(turn(name, number, at=float(ord(name))), ME)
        assert [entry.id for entry in await store.conversations(ME, 10)] == ["d", "c", "b"]
        assert [each.turn_id for each in await store.load("d", ME, 10)] == [2, 3]

    async def test_persist_false_gives_this_one(self) -> None:
        assert isinstance(open_store(Memory(persist=False)), MemoryStore)


class TestRandomWalks(StoreProperties):
    async def walk(self, steps: list[tuple[Any, ...]]) -> None:
        await play(MemoryStore(), steps)
