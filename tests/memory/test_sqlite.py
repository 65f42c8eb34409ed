"""The embedded store: the contract, and what happens when the machine is unkind."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memory.store_contract import ME, OTHER, STEPS, StoreContract, StoreProperties, play, turn
from vivavoce.engines.base import Message
from vivavoce.errors import ServerBusy, SettingsError
from vivavoce.memory import SqliteStore, open_store
from vivavoce.memory.base import Notes, Turn
from vivavoce.memory.database import MIGRATIONS
from vivavoce.memory.writer import Tuning
from vivavoce.settings import Memory

QUICK = Tuning(busy_timeout_s=0.01, first_retry_s=0.01, last_retry_s=0.02)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "conversations.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, QUICK)
    await store.open()
    yield store
    await store.close()


async def stored_in(path: Path, conversation: str = "c") -> list[int]:
    """The numbers of the turns that a new process would find."""
    store = SqliteStore(path)
    await store.open()
    found = await store.load(conversation, ME, 100_000)
    await store.close()
    return [each.turn_id for each in found]


async def healed(store: SqliteStore) -> None:
    """Return once the store is well again; the test's own time limit is the deadline."""
    while store.degraded is not None:
        await store.claim("any", ME)


def locked(path: Path) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    return other


class TestSqliteStore(StoreContract):
    pass


class TestRandomWalks(StoreProperties):
    async def walk(self, steps: list[tuple[Any, ...]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = SqliteStore(Path(folder) / "walk.sqlite3", QUICK)
            await store.open()
            await play(store, steps)
            await store.close()

    def test_a_walk_in_the_dark(self) -> None:
        """What only reads and appends cannot tell whether the turns are in the file or wait for it."""
        asyncio.run(self._in_the_dark())

    async def _in_the_dark(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "walk.sqlite3"
            store = SqliteStore(path, QUICK)
            await store.open()
            before = [turn("a", 1, key="k1", user=None), turn("b", 2, key="k2")]
            during = [turn("a", 3, key="k1", user="so"), turn("a", 4), turn("new", 5), turn("b", 6, at=1.0)]
            for each in before:
                await store.append(each, ME)
            other = locked(path)
            for each in during:
                await store.append(each, ME)
            assert store.degraded
            dark = [await store.conversations(ME, 10), await store.conversations(ME, 1), await store.load("a", ME, 9)]
            dark += [await store.conversations(ME, 10, (1005.0, "new")), [await store.summary("a", ME)]]
            other.execute("ROLLBACK")
            other.close()
            await healed(store)
            light = [await store.conversations(ME, 10), await store.conversations(ME, 1), await store.load("a", ME, 9)]
            light += [await store.conversations(ME, 10, (1005.0, "new")), [await store.summary("a", ME)]]
            await store.close()
            assert dark == light


async def test_a_restart_forgets_nothing(path: Path) -> None:
    first = SqliteStore(path)
    await first.open()
    await first.append(turn(number=1), ME)
    await first.close()
    assert await stored_in(path) == [1]
    second = SqliteStore(path)
    await second.open()
    assert not await second.claim("c", OTHER)
    assert await second.claim("c", ME)
    await second.close()


async def test_only_its_owner_can_read_the_files(store: SqliteStore, path: Path) -> None:
    await store.append(turn(), ME)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_the_settings_choose_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert isinstance(open_store(Memory()), SqliteStore)


async def test_a_folder_from_the_settings(tmp_path: Path) -> None:
    store = open_store(Memory(data_dir=str(tmp_path / "here")))
    await store.open()
    await store.close()
    assert (tmp_path / "here" / "conversations.sqlite3").exists()


def killed(path: Path, lines: int) -> list[str]:
    """What a process had acknowledged when it was killed, some time after *lines* of it."""
    script = Path(__file__).with_name("acknowledge.py")
    with subprocess.Popen([sys.executable, str(script), str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        return acknowledged + [line for line in child.stdout.readlines() if line.endswith("\n")]


@pytest.mark.parametrize("lines", [1, 40, 333])
async def test_what_was_acknowledged_survives_a_kill(path: Path, lines: int) -> None:
    acknowledged = killed(path, lines)
    assert len(acknowledged) >= lines
    last = dict(tuple(map(int, line.split())) for line in acknowledged)
    for speaker, number in last.items():
        found = await stored_in(path, f"c{speaker}")
        assert found[: number + 1] == list(range(number + 1))
        assert len(found) <= number + 2  # one more may have been written and not yet acknowledged, never by half


async def test_while_locked_turns_wait_in_memory(store: SqliteStore, path: Path, caplog: Any) -> None:
    await store.append(turn(number=1), ME)
    other = locked(path)
    await store.append(turn(number=2), ME)
    assert store.degraded == "database is locked"
    for number in range(3, 8):
        await store.append(turn(number=number), ME)
    assert [each.turn_id for each in await store.load("c", ME, 3)] == [5, 6, 7]
    with pytest.raises(ServerBusy, match="locked"):
        await store.delete("c", ME)
    with pytest.raises(ServerBusy, match="locked"):
        await store.purge(1e12)
    other.execute("ROLLBACK")
    other.close()
    await healed(store)
    assert await stored_in(path) == [1, 2, 3, 4, 5, 6, 7]
    assert await store.delete("c", ME)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


async def test_locked_from_the_start(path: Path) -> None:
    first = SqliteStore(path)
    await first.open()
    await first.append(turn(number=1), ME)
    await first.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    store = SqliteStore(path, QUICK)
    await store.open()
    assert store.degraded == "database is locked"
    assert await store.claim("c", ME)
    await store.append(turn(number=2), ME)
    assert [each.turn_id for each in await store.load("c", ME, 10)] == [2]
    other.close()
    await healed(store)
    assert [each.turn_id for each in await store.load("c", ME, 10)] == [1, 2]
    await store.close()


async def test_a_foreign_turn_taken_in_the_dark_is_not_stored(path: Path, caplog: Any) -> None:
    first = SqliteStore(path)
    await first.open()
    await first.append(turn(number=1), ME)
    await first.close()
    aside = path.with_name("hidden")
    path.rename(aside)
    path.mkdir()
    store = SqliteStore(path, QUICK)
    await store.open()
    assert store.degraded
    assert await store.claim("c", OTHER)  # nobody can know better now, and nothing of ME's is shown
    await store.append(turn(number=2), OTHER)
    assert await store.load("c", ME, 10) == []
    path.rmdir()
    aside.rename(path)
    await healed(store)
    assert not await store.claim("c", OTHER)
    assert [each.turn_id for each in await store.load("c", ME, 10)] == [1]
    await store.close()
    assert "somebody else's" in caplog.text


async def test_what_waits_is_bounded(path: Path) -> None:
    store = SqliteStore(path, Tuning(busy_timeout_s=0.01, first_retry_s=60, last_retry_s=60, pending_bytes=5000))
    await store.open()
    other = locked(path)
    for number in range(9):
        await store.append(turn(number=number), ME)
    with pytest.raises(ServerBusy, match="too long"):
        await store.append(turn(number=9), ME)
    waiting = [each.turn_id for each in await store.load("c", ME, 100)]
    assert waiting == list(range(9))
    other.close()
    await store.close()  # tries once more, without waiting for the time of the next attempt
    assert await stored_in(path) == waiting


async def test_closing_says_what_could_not_be_stored(path: Path, caplog: Any) -> None:
    store = SqliteStore(path, QUICK)
    await store.open()
    other = locked(path)
    await store.append(turn(), ME)
    await store.close()
    other.close()
    assert "1 turns could not be stored: database is locked" in caplog.text


async def test_a_full_disk_and_room_again(path: Path) -> None:
    """The same error as a full disk gives, from SQLite's own limit on pages."""
    store = SqliteStore(path, QUICK)
    await store.open()
    await store._ask(lambda writer: writer._database._connection.execute("PRAGMA max_page_count = 12"))
    for number in range(1, 9):
        await store.append(turn(number=number, assistant="x" * 4000), ME)
    assert store.degraded == "database or disk is full"
    assert [each.turn_id for each in await store.load("c", ME, 10)] == [1, 2, 3, 4, 5, 6, 7, 8]
    await store._ask(lambda writer: writer._database._connection.execute("PRAGMA max_page_count = 100000"))
    await healed(store)
    await store.close()
    assert await stored_in(path) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("broken", ["header", "pages", "text"])
async def test_a_broken_file_is_set_aside(path: Path, broken: str, caplog: Any) -> None:
    first = SqliteStore(path)
    await first.open()
    for number in range(200):
        await first.append(turn(number=number, assistant="x" * 500), ME)
    await first.close()
    data = bytearray(path.read_bytes())
    match broken:
        case "header":
            data[:100] = os.urandom(100)
        case "pages":
            data[4096:40960] = os.urandom(36864)
        case _:
            data[:] = b"not a database" * 1000
    path.write_bytes(data)
    store = SqliteStore(path, QUICK)
    await store.open()
    await store.append(turn(number=7), ME)
    assert store.degraded is None
    assert [each.turn_id for each in await store.load("c", ME, 10)] == [7]
    (aside,) = path.parent.glob("*.corrupt-*")
    assert aside.read_bytes() == bytes(data)
    assert f"moved to {aside.name}" in caplog.text
    os.utime(aside, (1.0, 1.0))
    await store.purge(100.0)
    assert not aside.exists()
    await store.close()


async def test_a_file_that_breaks_while_in_use(store: SqliteStore, path: Path) -> None:
    """Turns acknowledged since are in the new file; what was in the broken one is set aside, not lost."""
    await store.append(turn(number=1, assistant="x" * 100_000), ME)
    await store._ask(lambda writer: writer._database.scrub())  # from the log into the file itself
    with path.open("r+b") as file:
        file.seek(0)
        file.write(os.urandom(path.stat().st_size))
    await store._ask(lambda writer: writer._database._connection.execute("PRAGMA shrink_memory").fetchall())
    for number in range(2, 5):
        await store.append(turn(number=number), ME)
    await healed(store)
    assert list(path.parent.glob("*.corrupt-*"))
    assert await stored_in(path) == [2, 3, 4]


async def test_a_file_removed_while_in_use(store: SqliteStore, path: Path) -> None:
    await store.append(turn(number=1), ME)
    for file in list(path.parent.iterdir()):
        file.unlink()
    await store.append(turn(number=2), ME)
    await healed(store)
    assert await stored_in(path) == [2]


async def test_a_newer_file_is_not_touched(path: Path) -> None:
    path.parent.mkdir()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.commit()
    newer.close()
    before = path.read_bytes()
    store = SqliteStore(path)
    with pytest.raises(SettingsError, match="newer vivavoce"):
        await store.open()
    assert path.read_bytes() == before
    with pytest.raises(RuntimeError, match="not open"):
        await store.claim("c", ME)


async def test_an_older_file_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = SqliteStore(path)
    await first.open()
    await first.append(turn(number=1), ME)
    await first.close()
    extended = (*MIGRATIONS, ("ALTER TABLE turn ADD COLUMN mood TEXT", "UPDATE turn SET mood = 'fine'"))
    monkeypatch.setattr("vivavoce.memory.database.MIGRATIONS", extended)
    assert await stored_in(path) == [1]
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT mood FROM turn").fetchall() == [("fine",)]
        assert raw.execute("PRAGMA user_version").fetchone() == (len(extended),)
    raw.close()


async def test_a_file_of_the_first_release_is_read(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as old:
        for statement in MIGRATIONS[0]:
            old.execute(statement)
        old.execute("INSERT INTO conversation VALUES ('c', ?, 'hello', 1.0)", (ME,))
        old.execute("INSERT INTO turn VALUES (1, 'c', 'k', 1, 'hello', 'Hi.', 0, 'done', 1.0, 'en')")
        old.execute("PRAGMA user_version = 1")
    old.close()
    store = SqliteStore(path)
    await store.open()
    later = turn(number=2, steps=STEPS)
    await store.append(later, ME)
    first = Turn(conversation_id="c", turn_id=1, user="hello", assistant="Hi.", at=1.0, key="k")
    assert await store.load("c", ME, 10) == [first, later]
    await store.close()


@pytest.mark.parametrize("damage", ["", "{", "{}", '[{"role": "nobody", "content": ""}]', b"\xff[]"])
async def test_damaged_steps_do_not_cost_the_conversation(path: Path, damage: str | bytes) -> None:
    first = SqliteStore(path)
    await first.open()
    await first.append(turn(number=1, steps=STEPS), ME)
    await first.close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE turn SET steps = ?", (damage,))
    raw.close()
    second = SqliteStore(path)
    await second.open()
    (loaded,) = await second.load("c", ME, 10)
    assert (loaded.user, loaded.steps) == ("question 1", ())
    await second.close()


SECRET = "xyzzyplugh"


def on_disk(path: Path, words: str = SECRET) -> list[str]:
    """The files beside *path* that hold *words*."""
    return [file.name for file in path.parent.iterdir() if words.encode() in file.read_bytes()]


async def test_deleted_words_are_not_on_the_disk(store: SqliteStore, path: Path) -> None:
    secret_step = Message(role="tool", content=SECRET * 3000, call_id=SECRET)
    notes = Notes(pins=(SECRET * 50,), summary=SECRET * 900)
    await store.append(turn("c", user=SECRET * 9, assistant=SECRET * 2000, steps=(secret_step,)), ME, notes)
    await store.append(turn("d", assistant="keep me " * 100), ME)
    assert on_disk(path)
    await store.delete("c", ME)
    assert not on_disk(path)
    await store.append(turn("e", user=SECRET, at=5.0, steps=(secret_step,)), ME, notes)
    await store.purge(6.0)
    assert not on_disk(path)
    await store.close()
    assert on_disk(path, "keep me")


REPLACED: dict[str, Callable[[SqliteStore, Turn], Awaitable[Any]]] = {
    "turn": lambda store, first: store.append(msgspec.structs.replace(first, user="no", assistant="", steps=()), ME),
    "title": lambda store, first: store.rename("c", ME, "another"),
    "notes": lambda store, first: store.annotate("c", ME, Notes(pins=("x",), summary="y")),
    "a pin": lambda store, first: store.annotate("c", ME, Notes(pins=("x",))),
    "notes with a turn": lambda store, first: store.append(turn("c", 2), ME, Notes(summary="z")),
    "a summary too old": lambda store, first: store.purge(500.0),
}


@pytest.mark.parametrize("what", REPLACED)
async def test_replaced_words_are_not_on_the_disk(store: SqliteStore, path: Path, what: str) -> None:
    first = turn("c", user="hello", assistant="fine")
    step = Message(role="tool", content=SECRET * 900, call_id="1")
    notes = Notes(pins=(SECRET * 90,), summary=SECRET * 900, since=400.0)
    match what:
        case "turn":
            first = msgspec.structs.replace(first, user=SECRET * 9, assistant=SECRET * 900, steps=(step,))
            await store.append(first, ME)
            await store.rename("c", ME, "other words")
        case "title":
            await store.append(first, ME)
            await store.rename("c", ME, SECRET)
        case "a pin":
            await store.append(first, ME, Notes(pins=("x", SECRET)))
        case "a summary too old":
            await store.append(first, ME, msgspec.structs.replace(notes, pins=()))
        case _:
            await store.append(first, ME, notes)
    assert on_disk(path)
    await REPLACED[what](store, first)
    await store.claim("any", ME)  # what was acknowledged with a turn is scrubbed after it
    assert not on_disk(path)


async def test_words_go_while_another_conversation_is_written(store: SqliteStore, path: Path) -> None:
    stop = asyncio.Event()

    async def chatter() -> int:
        number = 0
        while not stop.is_set():
            number += 1
            await store.append(turn("other", number), ME)
        return number

    writing = asyncio.create_task(chatter())
    for number in range(20):
        await store.append(turn("c", number, assistant=SECRET * 2000), ME, Notes(pins=(SECRET,)))
        assert await store.delete("c", ME)
        assert not on_disk(path)
    stop.set()
    written = await writing
    assert written > 20
    assert [each.turn_id for each in await store.load("other", ME, 10**6)] == list(range(1, written + 1))


async def test_what_a_killed_process_left_goes_at_the_next_start(store: SqliteStore, path: Path) -> None:
    await store.append(turn("c", assistant=SECRET), ME)
    copy = path.parent.parent / "copy" / path.name
    copy.parent.mkdir()

    def deleted_and_killed(writer: Any) -> None:
        writer._database.delete("c", ME)
        for file in path.parent.iterdir():  # as they are before it can scrub
            (copy.parent / file.name).write_bytes(file.read_bytes())

    await store._ask(deleted_and_killed)
    assert on_disk(copy)
    again = SqliteStore(copy)
    await again.open()
    await again.claim("any", ME)
    assert not on_disk(copy)
    await again.close()


async def test_notes_wait_with_their_turn(store: SqliteStore, path: Path) -> None:
    await store.append(turn(number=1), ME, Notes(pins=("first",)))
    other = locked(path)
    await store.append(turn(number=2), ME, Notes(pins=("second",)))
    await store.append(turn(number=3), ME)
    assert store.degraded
    assert await store.notes("c", ME) == Notes(pins=("second",))
    with pytest.raises(ServerBusy):
        await store.annotate("c", ME, Notes())
    other.execute("ROLLBACK")
    other.close()
    await healed(store)
    assert await store.notes("c", ME) == Notes(pins=("second",))


async def test_deleted_words_go_as_soon_as_nobody_reads(store: SqliteStore, path: Path) -> None:
    await store.append(turn("c", assistant="xyzzyplugh"), ME)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM turn").fetchall()
    assert await store.delete("c", ME)
    wal = path.with_name(path.name + "-wal")
    assert b"xyzzyplugh" in wal.read_bytes()
    reader.close()
    while wal.read_bytes():
        await store.claim("any", ME)
    assert b"xyzzyplugh" not in path.read_bytes()


async def test_the_loop_is_not_held_up(store: SqliteStore, path: Path) -> None:
    """While the thread waits for a lock, the loop turns."""
    other = locked(path)
    pending = asyncio.create_task(store.append(turn(), ME))
    turns_of_the_loop = 0
    while not pending.done():
        await asyncio.sleep(0)
        turns_of_the_loop += 1
    other.close()
    assert turns_of_the_loop > 5


async def test_turns_of_one_moment_share_a_commit(store: SqliteStore) -> None:
    commits: list[str] = []
    await store._ask(
        lambda writer: writer._database._connection.set_trace_callback(
            lambda sql: commits.append(sql) if sql == "COMMIT" else None
        )
    )
    await asyncio.gather(*(store.append(turn(number=number), ME) for number in range(100)))
    assert 1 <= len(commits) < 20


async def test_closing_twice_and_no_thread_is_left(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    thread = store._thread
    await store.close()
    await store.close()
    assert thread is not None
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _log_of_the_store(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "vivavoce.memory")
