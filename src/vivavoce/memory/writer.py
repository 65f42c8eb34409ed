"""The store's own thread, as a plain object: the file, what waits to be written to it, and what to do when it fails."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from vivavoce.errors import ClientError, ServerBusy, SettingsError, VivavoceError
from vivavoce.memory.base import Notes, Summary, Turn, title_of
from vivavoce.memory.database import Database, is_corrupt, is_passing, move_aside

log = logging.getLogger(__name__)

T = TypeVar("T")

FAULTS = (sqlite3.Error, OSError, SettingsError)
"""What opening or using the file may raise. (SettingsError: a newer program's file has taken its place.)"""

_CHUNK = 500
"""Turns per transaction when many wait: a nearly full disk may take some of them."""
_CLAIMS = 10_000
_OVERHEAD_BYTES = 500
"""What a waiting turn, or a step of one, costs besides its text."""


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """The store's patience and its limits."""

    busy_timeout_s: float = 0.25
    """How long a write waits for another process's lock before the turn stays in memory."""
    first_retry_s: float = 0.1
    last_retry_s: float = 5.0
    """Waits between attempts to write again: doubled from the first to the last."""
    pending_bytes: int = 32 << 20
    """What may wait in memory during an outage."""


@dataclass(slots=True, eq=False)
class Record:
    """A turn on its way to the file."""

    turn: Turn
    owner: str
    notes: Notes | None = None
    refused: bool = False

    @property
    def bytes(self) -> int:
        """What it takes while it waits, roughly."""
        steps = sum(
            len(step.content) + sum(len(call.arguments) + _OVERHEAD_BYTES for call in step.calls) + _OVERHEAD_BYTES
            for step in self.turn.steps
        )
        notes = len(self.notes.summary) + sum(map(len, self.notes.pins)) if self.notes else 0
        return len(self.turn.assistant) + len(self.turn.user or "") + steps + notes + _OVERHEAD_BYTES


class Writer:
    """The file, and what waits to be written to it. Synchronous; after it is made, used on one thread only."""

    def __init__(self, path: Path, tuning: Tuning) -> None:
        self.degraded: str | None = None
        """The one attribute that other threads read."""
        self._path = path
        self._tuning = tuning
        self._database: Database | None = None
        self._pending: deque[Record] = deque()
        self._pending_bytes = 0
        self._claims: dict[str, str] = {}
        """Owners of conversations in use, of which perhaps no turn is stored yet; latest used last."""
        self._retry_s = 0.0
        self._retry_at = 0.0

    # --- the file -----------------------------------------------------------------------------------------------

    @property
    def _scrub_owed(self) -> bool:
        return self._database is not None and self._database.stale

    @property
    def due_in_s(self) -> float | None:
        """When `attend` wants to be called, though nobody asks for anything; None: never."""
        if self.degraded is None and not self._scrub_owed:
            return None
        return max(0.0, self._retry_at - time.monotonic())

    def attend(self) -> None:
        """Try again what failed, if its time has come: opening, writing what waits, scrubbing."""
        if self.due_in_s == 0.0:
            self._flush()
        if self._scrub_owed and self.degraded is None:
            self._scrub()

    def close(self) -> None:
        """Write what waits, one last time, and close the file."""
        if self._pending:
            self._flush()
        if self._pending:
            log.error("%d turns could not be stored: %s", len(self._pending), self.degraded)
        self._disconnect()

    def _connect(self) -> Database:
        if self._database is None:
            try:
                self._database = Database(self._path, self._tuning.busy_timeout_s)
            except sqlite3.DatabaseError as error:
                if not is_corrupt(error):
                    raise
                self._replace(error)
                self._database = Database(self._path, self._tuning.busy_timeout_s)
        return self._database

    def _disconnect(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _replace(self, error: Exception) -> None:
        aside = move_aside(self._path)
        log.error("the conversation store was broken (%s); moved to %s, a new one is begun", error, aside.name)

    def _flush(self) -> None:
        """Write all that waits. A failure leaves it waiting, in order, and sets the time of the next attempt."""
        try:
            database = self._connect()
            if self.degraded is not None:
                database.wait_at_most(self._tuning.busy_timeout_s)
            while self._pending:
                chunk = list(islice(self._pending, _CHUNK))
                stored = database.store([(record.turn, record.owner, record.notes) for record in chunk])
                for record, done in zip(chunk, stored, strict=True):
                    self._pending.popleft()
                    self._pending_bytes -= record.bytes
                    record.refused = not done
                    if record.refused:
                        log.error("a turn was not stored: its conversation turned out to be somebody else's")
        except FAULTS as error:
            self._failed(error)
        else:
            self._healed()

    def _failed(self, error: Exception) -> None:
        if self.degraded is None:
            log.warning("conversations are kept in memory for now: %s", error)
            self._retry_s = self._tuning.first_retry_s
        else:
            self._retry_s = min(self._retry_s * 2, self._tuning.last_retry_s)
        self.degraded = getattr(error, "strerror", None) or str(error)  # without the path: clients may see it
        self._retry_at = time.monotonic() + self._retry_s
        if not is_passing(error):
            self._disconnect()
            if is_corrupt(error):
                with contextlib.suppress(OSError):
                    self._replace(error)
                self._retry_at = time.monotonic()
        elif self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.wait_at_most(0.0)  # readers must not queue up behind a lock known to be held

    def _healed(self) -> None:
        if self.degraded is not None:
            log.warning("conversations are stored again (were not: %s)", self.degraded)
            self.degraded = None
            self._claims.clear()  # some were granted unseen; the file knows better

    # --- what the store is asked --------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the file, or start degraded. Raises SettingsError for a file that must not be touched."""
        with contextlib.suppress(sqlite3.Error, OSError):
            self._connect()
        self._flush()

    def append(self, records: Iterable[Record]) -> list[Exception | None]:
        """Store all of *records* together; None for each that is stored, or kept in memory while that fails."""
        asked = list(records)
        answers: list[Exception | None] = [self._admit(record) for record in asked]
        if self.degraded is None:
            self._flush()
        else:
            self.attend()
        for place, record in enumerate(asked):
            if record.refused:
                answers[place] = _not_found()
        return answers

    def _admit(self, record: Record) -> VivavoceError | None:
        if not self.claim(record.turn.conversation_id, record.owner):
            return _not_found()
        if self._pending_bytes + record.bytes > self._tuning.pending_bytes and self.degraded is not None:
            return ServerBusy("OVERLOADED", "The conversation store has been out of reach for too long.")
        self._pending.append(record)
        self._pending_bytes += record.bytes
        return None

    def claim(self, conversation_id: str, owner: str) -> bool:
        known = self._claims.pop(conversation_id, None) or self._read(
            lambda database: database.owner(conversation_id), None
        )
        self._claims[conversation_id] = known = known or owner
        while len(self._claims) > _CLAIMS:
            del self._claims[next(iter(self._claims))]
        return known == owner

    def load(self, conversation_id: str, owner: str, limit: int) -> list[Turn]:
        nothing: list[Turn] = []
        stored = self._read(lambda database: database.load(conversation_id, owner, limit), nothing)
        turns = {turn.key: turn for turn in stored}
        turns |= {turn.key: turn for turn in self._waiting(owner) if turn.conversation_id == conversation_id}
        return list(turns.values())[max(0, len(turns) - limit) :]

    def notes(self, conversation_id: str, owner: str) -> Notes:
        waiting = (
            each.notes
            for each in reversed(self._pending)
            if each.notes and each.owner == owner and each.turn.conversation_id == conversation_id
        )
        return next(waiting, None) or self._read(lambda database: database.notes(conversation_id, owner), Notes())

    def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
        return self._change(lambda database: database.annotate(conversation_id, owner, notes))

    def summary(self, conversation_id: str, owner: str) -> Summary | None:
        stored = self._read(lambda database: database.summary(conversation_id, owner), None)
        turns = [turn for turn in self._waiting(owner) if turn.conversation_id == conversation_id]
        return self._with_waiting(conversation_id, owner, stored, turns) if turns else stored

    def conversations(self, owner: str, limit: int, before: tuple[float, str] | None) -> list[Summary]:
        nothing: list[Summary] = []
        stored = self._read(lambda database: database.conversations(owner, limit, before), nothing)
        waiting = {turn.conversation_id for turn in self._waiting(owner)}
        if not waiting:
            return stored
        changed = [entry for id_ in waiting if (entry := self.summary(id_, owner))]
        older = [entry for entry in changed if before is None or (entry.updated, entry.id) < before]
        listed = [entry for entry in stored if entry.id not in waiting] + older
        return sorted(listed, key=lambda entry: (entry.updated, entry.id), reverse=True)[:limit]

    def rename(self, conversation_id: str, owner: str, title: str) -> bool:
        return self._change(lambda database: database.rename(conversation_id, owner, title))

    def delete(self, conversation_id: str, owner: str) -> bool:
        deleted = self._change(lambda database: database.delete(conversation_id, owner))
        if deleted:
            self._claims.pop(conversation_id, None)
        return deleted

    def purge(self, older_than: float) -> int:
        purged = self._change(lambda database: database.purge(older_than))
        self._claims.clear()
        return purged

    def _waiting(self, owner: str) -> list[Turn]:
        return [record.turn for record in self._pending if record.owner == owner]

    def _with_waiting(self, conversation_id: str, owner: str, stored: Summary | None, turns: list[Turn]) -> Summary:
        title = stored.title if stored else ""
        keys = {turn.key for turn in turns}
        if stored:
            nothing: list[Turn] = []
            keys |= {turn.key for turn in self._read(lambda it: it.load(conversation_id, owner, stored.turns), nothing)}
        return Summary(
            id=conversation_id,
            title=title or next(filter(None, (title_of(turn.user) for turn in turns)), ""),
            updated=turns[-1].at,
            turns=len(keys),
        )

    def _read(self, ask: Callable[[Database], T], otherwise: T) -> T:
        """Ask the file; *otherwise* if it does not answer, and writing will find out what to do about it."""
        if self._database is None:
            return otherwise
        try:
            return ask(self._database)
        except FAULTS as error:
            if self.degraded is None:
                self._failed(error)
            return otherwise

    def _change(self, do: Callable[[Database], T]) -> T:
        """Do what may replace or delete words, and take those off the disk before anybody is told."""
        self.attend()
        if self.degraded is None:
            try:
                done = do(self._connect())
            except FAULTS as error:
                self._failed(error)
            else:
                self._scrub()
                return done
        wait_s = max(self._retry_s, 1.0)
        raise ServerBusy("OVERLOADED", f"The conversation store: {self.degraded}.", retry_after_s=wait_s)

    def _scrub(self) -> None:
        if not self._scrub_owed:
            return
        try:
            self._connect().scrub()
        except FAULTS as error:
            log.warning("what was deleted is not yet off the disk: %s", error)
        if self._scrub_owed:
            self._retry_at = time.monotonic() + 1.0


def _not_found() -> ClientError:
    return ClientError("NOT_FOUND", "There is no such conversation.")
