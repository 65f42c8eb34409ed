"""The real server's disk: nothing where nothing is to be kept, and nothing left of what was deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from faults.live import Live
from transports.wire import SocketPeer, a_socket

pytestmark = pytest.mark.xdist_group("faults")
SECRET = "Xyzzyplugh"
Serve = Callable[..., Live]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers in an empty home."""
    started: list[Live] = []

    def start(**env: str) -> Live:
        home = tmp_path / "home"
        work = tmp_path / "work"
        for folder in (home, work):
            folder.mkdir(exist_ok=True)
        folders = {
            f"XDG_{name}_HOME": str(home / name.lower()) for name in ("DATA", "CONFIG", "STATE", "CACHE", "RUNTIME")
        }
        bare = tmp_path / "bare" / "pocketsphinx"  # nobody speaks here, and its model would take a while to be made
        bare.mkdir(parents=True, exist_ok=True)
        (bare / "__init__.py").touch()
        env |= {"HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(bare.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        started.append(Live(work, **folders, **env))
        return started[-1]

    yield start
    for live in started:
        live.close()


def files(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below *folder*, with what changes when it is written."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if path.is_file():
            found[str(path.relative_to(folder))] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def holding(folder: Path, words: str) -> list[str]:
    """The files below *folder* that hold *words*, in whatever case."""
    wanted = words.lower().encode()
    return [str(path) for path in folder.rglob("*") if path.is_file() and wanted in path.read_bytes().lower()]


async def heard(peer: SocketPeer, text: str) -> None:
    """A typed turn, played in no time."""
    ended = len(peer.of("metrics"))
    await peer.send("text", text=text)
    reported = 0
    while len(peer.of("metrics")) == ended:
        assert await peer.news()
        done = peer.of("tts_phrase_done")
        for phrase in done[reported:]:
            await peer.send("played", turn_id=phrase["turn_id"], seq=phrase["seq"], ms=1e9)
        reported = len(done)


async def test_without_persistence_turns_write_nothing(serve: Serve, tmp_path: Path) -> None:
    live = serve(VIVAVOCE_MEMORY__PERSIST="false").ready()
    async with a_socket(live.url()) as peer:  # whatever engines make once at their first use
        await peer.start(conversation_id="c")
        await heard(peer, "hello")
        before = files(tmp_path)
        await heard(peer, f"remember that my cat is {SECRET}")
        await heard(peer, "what is my cat")
        assert SECRET.lower() in "".join(m["text"] for m in peer.of("llm_token")).lower()
        async with a_socket(live.url("/ws/chat/stream?message=hello&conversation_id=d")) as chat:
            await chat.ended(within_s=20)
        assert files(tmp_path) == before
    assert live.get("/api/conversations/c").json()["pins"] == [f"my cat is {SECRET}"]
    assert live.stop() == 0
    assert files(tmp_path).keys() <= before.keys()
    assert not holding(tmp_path, SECRET)
    assert not [name for name in files(tmp_path) if name.endswith((".sqlite3", "-wal", "-shm", ".log"))]


async def test_a_deleted_conversation_leaves_no_bytes(serve: Serve, tmp_path: Path) -> None:
    live = serve(VIVAVOCE_MEMORY__PERSIST="true").ready()
    at = f"http://127.0.0.1:{live.port}/api/conversations/c"
    async with (
        httpx.AsyncClient(trust_env=False, timeout=10) as http,
        a_socket(live.url()) as peer,
        a_socket(live.url()) as other,
    ):
        await peer.start(conversation_id="c")
        await other.start(conversation_id="other")
        await heard(other, "hello")
        await heard(peer, f"remember that my cat is {SECRET}")
        assert holding(tmp_path, SECRET)
        await other.send("text", text="tell me a story")  # is being written while the first is deleted
        assert (await http.patch(at, json={"title": "Cats", "pins": []})).status_code == 200
        assert (await http.delete(at)).status_code == 204
        assert not holding(tmp_path, SECRET)
        assert (await http.get(at)).status_code == 404
        await heard(peer, "what is my cat")  # the session goes on, without its past
        answer = "".join(m["text"] for m in peer.of("llm_token", turn=2))
        assert SECRET.lower() not in answer.lower()
        turns = (await http.get(at)).json()["turns"]
        assert [turn["user"] for turn in turns] == ["what is my cat"], "what is said later is stored as new"
        await heard(peer, f"my dog is {SECRET}")
        assert holding(tmp_path, SECRET)
        assert (await http.delete(at)).status_code == 204
        assert not holding(tmp_path, SECRET)
    assert live.stop() == 0
    assert not holding(tmp_path, SECRET)
    assert holding(tmp_path, "tell me a story")
    assert not [line for line in live.process.err + live.process.out if SECRET.lower() in line.lower()]


async def test_the_retention_leaves_no_bytes(serve: Serve, tmp_path: Path) -> None:
    live = serve(VIVAVOCE_MEMORY__PERSIST="true").ready()
    async with a_socket(live.url()) as peer:
        await peer.start(conversation_id="c")
        await heard(peer, f"remember that my cat is {SECRET}")
    assert live.stop() == 0
    (file,) = (tmp_path / "home").rglob("*.sqlite3")
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE turn SET at = 1000.0")
    raw.close()
    assert holding(tmp_path, SECRET)
    again = serve(VIVAVOCE_MEMORY__PERSIST="true")
    again.ready()
    assert again.get("/api/conversations/c").status_code == 404
    assert not holding(tmp_path, SECRET)
    assert any("retention: 1 turns" in line for line in again.process.err + again.process.out)
