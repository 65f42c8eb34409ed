"""The conversation store's file: schema, migrations, and every SQL statement. Synchronous; used by one thread.

Durability. The journal is a write-ahead log and `synchronous` is FULL: a commit returns after its fsync, so what was
acknowledged survives SIGKILL and, on a disk that keeps its promises, power loss too. NORMAL would survive SIGKILL
alone. A turn comes every few seconds and many share one commit, so that the fsync costs nobody anything that is heard.

Forgetting. `secure_delete` overwrites what is deleted with zeros and the log is truncated after it, so that the words
are in neither file; `incremental_vacuum` gives the room back. (Copies that a file system or an SSD keeps are its own.)
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vivavoce.engines.base import Message
from vivavoce.errors import SettingsError
from vivavoce.memory.base import Notes, Summary, Turn, title_of

T = TypeVar("T")

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE conversation (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, updated REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX conversation_list ON conversation (owner, updated, id)",
        """CREATE TABLE turn (
            seq INTEGER PRIMARY KEY,
            conversation_id TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
            key TEXT NOT NULL, turn_id INTEGER NOT NULL, user TEXT, assistant TEXT NOT NULL,
            interrupted INTEGER NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL, language TEXT NOT NULL,
            UNIQUE (conversation_id, key)
        )""",
        "CREATE INDEX turn_order ON turn (conversation_id, seq)",
    ),
    ("ALTER TABLE turn ADD COLUMN steps TEXT NOT NULL DEFAULT '[]'",),
    (
        "ALTER TABLE conversation ADD COLUMN pins TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE conversation ADD COLUMN summary TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE conversation ADD COLUMN covers TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE conversation ADD COLUMN since REAL NOT NULL DEFAULT 0",
    ),
)
"""Entry n leads from schema n to n + 1; `user_version` says where a file is. Append here, never change an entry."""

_COLUMNS = Turn.__struct_fields__
_STEPS_AT = _COLUMNS.index("steps")
_INSERT_TURN = (  # no text from outside is in these
    f"INSERT INTO turn ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
    "ON CONFLICT (conversation_id, key) DO NOTHING"
)
_REPLACE_TURN = f"UPDATE turn SET {', '.join(f'{name} = ?' for name in _COLUMNS)} WHERE conversation_id = ? AND key = ?"  # noqa: S608

_STEPS = msgspec.json.Decoder(tuple[Message, ...])
_PINS = msgspec.json.Decoder(tuple[str, ...])

_CHECK_BYTES = 64 << 20
"""Files up to this size are checked whole when opened; larger ones would hold up the start."""


def is_corrupt(error: BaseException) -> bool:
    """Whether the file itself is broken, rather than busy, full or out of reach."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_passing(error: BaseException) -> bool:
    """Whether the connection is sound and only has to try again: busy, locked, disk full."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)


def move_aside(path: Path) -> Path:
    """Rename a broken database with its journal files, so that it can be looked into; returns its new name."""
    aside = path.with_name(f"{path.name}.corrupt-{time.time_ns()}")
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    return aside


class Database:
    """One open connection. Every method raises sqlite3.Error or OSError, and has then changed nothing."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        """Open or make the file, readable by its owner only. Raises SettingsError for a newer program's file."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600))
        self._path = path
        self.stale = True
        """Whether words that were deleted or replaced may still be on the disk, also by the process before this one;
        `scrub` takes them off."""
        self._connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)
        try:
            self._inode = path.stat().st_ino
            self._set_up()
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self) -> None:
        run = self._connection.execute
        # Looks before it writes: a file that is not ours or is broken stays as it is.
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        (version,) = run("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            problem = (
                f"{self._path} was written by a newer vivavoce (schema {version}): update, or set another data_dir"
            )
            raise SettingsError([problem])
        if self._path.stat().st_size <= _CHECK_BYTES and run("PRAGMA quick_check(1)").fetchone() != ("ok",):
            broken = sqlite3.DatabaseError("the file fails its check")
            broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise broken
        run("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table and the first page of the log
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA secure_delete = ON")
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA temp_store = MEMORY")
        for schema in range(version, len(MIGRATIONS)):
            with self._transaction():
                if run("PRAGMA user_version").fetchone() == (schema,):  # else another process was first
                    for statement in MIGRATIONS[schema]:
                        run(statement)
                    run(f"PRAGMA user_version = {schema + 1}")

    def close(self) -> None:
        self._connection.close()

    def wait_at_most(self, busy_timeout_s: float) -> None:
        """How long a statement waits for another process's lock."""
        self._connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_s * 1000)}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def store(self, turns: Sequence[tuple[Turn, str, Notes | None]]) -> list[bool]:
        """Write (turn, owner, notes) in one transaction; False for each whose conversation is somebody else's."""
        if self._path.stat().st_ino != self._inode:
            raise FileNotFoundError("the database file was replaced while in use")  # what we write would be lost
        with self._transaction():
            return [self._store(turn, owner, notes) for turn, owner, notes in turns]

    def _store(self, turn: Turn, owner: str, notes: Notes | None) -> bool:
        run = self._connection.execute
        mine = run(
            """INSERT INTO conversation (id, owner, title, updated) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET
                title = CASE title WHEN '' THEN excluded.title ELSE title END, updated = excluded.updated
            WHERE owner = excluded.owner RETURNING 1""",
            (turn.conversation_id, owner, title_of(turn.user), turn.at),
        ).fetchall()
        if not mine:
            return False
        if not run(_INSERT_TURN, _row(turn)).rowcount:
            run(_REPLACE_TURN, (*_row(turn), turn.conversation_id, turn.key))
            self.stale = True
        if notes is not None:
            self._annotate(turn.conversation_id, owner, notes)
        return True

    def notes(self, conversation_id: str, owner: str) -> Notes:
        row = self._connection.execute(
            "SELECT pins, summary, covers, since FROM conversation WHERE id = ? AND owner = ?", (conversation_id, owner)
        ).fetchone()
        if row is None:
            return Notes()
        pins, summary, covers, since = row
        return Notes(pins=_decoded(_PINS, pins), summary=summary, covers=covers, since=since)

    def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
        with self._transaction():
            return self._annotate(conversation_id, owner, notes)

    def _annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
        before = self.notes(conversation_id, owner)
        self.stale |= not set(before.pins) <= set(notes.pins) or before.summary not in ("", notes.summary)
        pins = msgspec.json.encode(notes.pins).decode()
        done = self._connection.execute(
            "UPDATE conversation SET pins = ?, summary = ?, covers = ?, since = ? WHERE id = ? AND owner = ?",
            (pins, notes.summary, notes.covers, notes.since, conversation_id, owner),
        )
        return done.rowcount > 0

    def owner(self, conversation_id: str) -> str | None:
        row = self._connection.execute("SELECT owner FROM conversation WHERE id = ?", (conversation_id,)).fetchone()
        return row[0] if row else None

    def load(self, conversation_id: str, owner: str, limit: int) -> list[Turn]:
        rows = self._connection.execute(
            f"""SELECT {", ".join(_COLUMNS)} FROM turn
            WHERE conversation_id = ? AND EXISTS (SELECT 1 FROM conversation WHERE id = ? AND owner = ?)
            ORDER BY seq DESC LIMIT ?""",  # noqa: S608 - our own text
            (conversation_id, conversation_id, owner, limit),
        ).fetchall()
        return [_turn(row) for row in reversed(rows)]

    def summary(self, conversation_id: str, owner: str) -> Summary | None:
        found = self._summaries("id = ? AND owner = ?", (conversation_id, owner), 1)
        return found[0] if found else None

    def conversations(self, owner: str, limit: int, before: tuple[float, str] | None) -> list[Summary]:
        if before is None:
            return self._summaries("owner = ?", (owner,), limit)
        return self._summaries("owner = ? AND (updated, id) < (?, ?)", (owner, *before), limit)

    def _summaries(self, condition: str, values: tuple[Any, ...], limit: int) -> list[Summary]:
        rows = self._connection.execute(
            f"""SELECT id, title, updated, (SELECT count(*) FROM turn WHERE conversation_id = conversation.id)
            FROM conversation WHERE {condition} ORDER BY updated DESC, id DESC LIMIT ?""",  # noqa: S608 - our own text
            (*values, limit),
        )
        return [Summary(id=id_, title=title, updated=updated, turns=turns) for id_, title, updated, turns in rows]

    def rename(self, conversation_id: str, owner: str, title: str) -> bool:
        with self._transaction():
            done = self._connection.execute(
                "UPDATE conversation SET title = ? WHERE id = ? AND owner = ?", (title, conversation_id, owner)
            )
            self.stale |= done.rowcount > 0
            return done.rowcount > 0

    def delete(self, conversation_id: str, owner: str) -> bool:
        """Delete the rows; the words are off the disk only after `scrub`."""
        with self._transaction():
            done = self._connection.execute(
                "DELETE FROM conversation WHERE id = ? AND owner = ?", (conversation_id, owner)
            )
            self.stale |= done.rowcount > 0
            return done.rowcount > 0

    def purge(self, older_than: float) -> int:
        """Delete turns from before *older_than* and summaries that tell of them, conversations left empty, and broken
        files set aside before then."""
        with self._transaction():
            done = self._connection.execute("DELETE FROM turn WHERE at < ?", (older_than,))
            told = self._connection.execute(
                "UPDATE conversation SET summary = '', covers = '', since = 0 WHERE summary <> '' AND since < ?",
                (older_than,),
            )
            self.stale |= done.rowcount > 0 or told.rowcount > 0
            self._connection.execute(
                "DELETE FROM conversation WHERE NOT EXISTS (SELECT 1 FROM turn WHERE conversation_id = conversation.id)"
            )
        for aside in self._path.parent.glob(f"{self._path.name}.corrupt-*"):
            if aside.stat().st_mtime < older_than:
                aside.unlink(missing_ok=True)
        return done.rowcount

    def scrub(self) -> bool:
        """Take what was deleted off the disk; False if another process's reading prevents it now."""
        self._connection.execute("PRAGMA incremental_vacuum").fetchall()
        (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self.stale = bool(busy)
        return not busy


def _row(turn: Turn) -> tuple[Any, ...]:
    values = list(msgspec.structs.astuple(turn))
    values[_STEPS_AT] = msgspec.json.encode(turn.steps).decode()
    return tuple(values)


def _turn(row: tuple[Any, ...]) -> Turn:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["interrupted"] = bool(values["interrupted"])
    values["steps"] = _decoded(_STEPS, values["steps"]) if values["steps"] != "[]" else ()
    return Turn(**values)


def _decoded(decoder: msgspec.json.Decoder[tuple[T, ...]], stored: str) -> tuple[T, ...]:
    """Nothing for what does not decode: a damaged field must not cost the conversation."""
    try:
        return decoder.decode(stored)
    except msgspec.DecodeError:
        return ()
