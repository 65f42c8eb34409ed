"""After every test of this part nothing is left: no thread, no file descriptor."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

FDS = Path("/proc/self/fd")


def descriptors() -> set[str]:
    """What this process has open; the interpreter's own pipes and the listing itself are not told apart."""
    if not FDS.is_dir():
        return set()
    found = set()
    for entry in FDS.iterdir():
        try:
            found.add(f"{entry.name} {entry.readlink()}")
        except OSError:
            continue  # the listing's own
    return found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Threads and descriptors after a test are those before it. (Tasks: see `run_virtually`; the loop of a real-time
    test is closed by its runner, which reports what was still pending.)"""
    descriptors()
    before, open_before = set(threading.enumerate()), descriptors()
    yield
    gc.collect()
    left = {thread.name for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio_")}
    assert not left, f"threads left: {left}"
    new = {entry for entry in descriptors() - open_before if "anon_inode" not in entry}
    assert not new, f"left open: {new}"
