"""The embedded store: one file, one thread that owns it, and an asyncio face that never blocks the loop.

The thread takes whatever has queued up and stores all turns of it in one transaction (group commit): under load a
commit's fsync is shared. While the file cannot be written (locked, disk full, gone) turns are acknowledged from memory
and written in order as soon as it can be again; `degraded` says so meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from vivavoce.memory.base import Notes, Summary, Turn, checked, checked_notes
from vivavoce.memory.writer import Record, Tuning, Writer

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Call:
    """Something asked of the thread: to store a record, or else to answer a question."""

    future: asyncio.Future[Any]
    record: Record | None = None
    question: Callable[[Writer], Any] | None = None
    answer: Any = None
    error: Exception | None = None


class SqliteStore:
    """A ConversationStore in one SQLite file."""

    def __init__(self, path: Path, tuning: Tuning | None = None) -> None:
        self._writer = Writer(path, tuning or Tuning())
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def degraded(self) -> str | None:
        return self._writer.degraded

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        # A daemon: a process that dies without `close` must not hang on it. Nothing acknowledged is lost by that.
        self._thread = threading.Thread(target=self._run, args=(loop,), name="conversation-store", daemon=True)
        self._thread.start()
        try:
            await self._ask(Writer.open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._calls.put(None)
            await asyncio.to_thread(thread.join)

    async def claim(self, conversation_id: str, owner: str) -> bool:
        return await self._ask(lambda writer: writer.claim(conversation_id, owner))

    async def load(self, conversation_id: str, owner: str, limit: int) -> list[Turn]:
        return await self._ask(lambda writer: writer.load(conversation_id, owner, limit))

    async def append(self, turn: Turn, owner: str, notes: Notes | None = None) -> None:
        record = Record(checked(turn), owner, checked_notes(notes) if notes else None)
        await self._put(_Call(asyncio.get_running_loop().create_future(), record=record))

    async def notes(self, conversation_id: str, owner: str) -> Notes:
        return await self._ask(lambda writer: writer.notes(conversation_id, owner))

    async def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
        clean = checked_notes(notes)
        return await self._ask(lambda writer: writer.annotate(conversation_id, owner, clean))

    async def summary(self, conversation_id: str, owner: str) -> Summary | None:
        return await self._ask(lambda writer: writer.summary(conversation_id, owner))

    async def conversations(self, owner: str, limit: int, before: tuple[float, str] | None = None) -> list[Summary]:
        return await self._ask(lambda writer: writer.conversations(owner, limit, before))

    async def rename(self, conversation_id: str, owner: str, title: str) -> bool:
        return await self._ask(lambda writer: writer.rename(conversation_id, owner, title))

    async def delete(self, conversation_id: str, owner: str) -> bool:
        return await self._ask(lambda writer: writer.delete(conversation_id, owner))

    async def purge(self, older_than: float) -> int:
        return await self._ask(lambda writer: writer.purge(older_than))

    # --- between the loop and the thread ------------------------------------------------------------------------

    async def _ask(self, question: Callable[[Writer], T]) -> T:
        answer: T = await self._put(_Call(asyncio.get_running_loop().create_future(), question=question))
        return answer

    async def _put(self, call: _Call) -> Any:
        if self._thread is None:
            raise RuntimeError("the conversation store is not open")
        self._calls.put(call)
        return await call.future

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """The thread: all that has queued up, again and again, until `close`."""
        closing = False
        while not closing:
            batch = self._take()
            closing = None in batch
            calls = [call for call in batch if call is not None]
            for stores, run in groupby(calls, key=lambda call: call.record is not None):
                group = list(run)
                if stores:
                    self._store(group)
                else:
                    self._answer(group)
                # The loop is gone only when the process ends without `close`; nobody is left to be told then.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(_settle, group)
            self._writer.attend()
        self._writer.close()

    def _take(self) -> list[_Call | None]:
        """Wait for a call, or until the writer is due; then take all there are."""
        batch: list[_Call | None] = []
        with contextlib.suppress(queue.Empty):
            batch.append(self._calls.get(timeout=self._writer.due_in_s))
            while True:
                batch.append(self._calls.get_nowait())
        return batch

    def _store(self, calls: list[_Call]) -> None:
        try:
            errors = self._writer.append([call.record for call in calls if call.record is not None])
        except Exception as error:  # a fault of ours: the callers are told, and the thread lives on
            errors = [error] * len(calls)
        for call, told in zip(calls, errors, strict=True):
            call.error = told

    def _answer(self, calls: list[_Call]) -> None:
        for call in calls:
            try:
                call.answer = call.question(self._writer) if call.question else None
            except Exception as error:  # whatever it is, it is the caller's
                call.error = error


def _settle(calls: list[_Call]) -> None:
    """On the loop: hand out the answers. Whoever was cancelled meanwhile gets none."""
    for call in calls:
        if call.future.done():
            continue
        if call.error is None:
            call.future.set_result(call.answer)
        else:
            call.future.set_exception(call.error)
