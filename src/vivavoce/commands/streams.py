"""A stream of one result that somebody may read, or not."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Stream(Generic[T]):
    """Items in order, for one consumer.

    Read, it is bounded: who writes waits for a slow reader. Unread it keeps everything, which is little: the writer
    bounds the whole. A reader that stops for good says so with `hurry`.
    """

    def __init__(self, most: int) -> None:
        self._items: deque[T] = deque()
        self._most = most
        self._read = False
        self._closed = False
        self._hurried = False
        self._news = asyncio.Event()
        self._taken = asyncio.Event()

    def put(self, item: T) -> None:
        """Append; never waits, see `room`."""
        self._items.append(item)
        self._news.set()

    def close(self) -> None:
        """Nothing more will come. Idempotent."""
        self._closed = True
        self._news.set()
        self._taken.set()

    def hurry(self) -> None:
        """From now on nobody waits for a slow reader."""
        self._hurried = True
        self._taken.set()

    @property
    def full(self) -> bool:
        return self._read and not self._closed and not self._hurried and len(self._items) >= self._most

    async def room(self) -> None:
        """Wait while the reader is behind."""
        while self.full:
            self._taken.clear()
            await self._taken.wait()

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        """The next item. Cancelling loses none."""
        self._read = True
        while not self._items:
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        item = self._items.popleft()
        self._taken.set()
        return item
