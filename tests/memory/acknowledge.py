"""Run by the crash test: append turns without end, and print the number of each one that is acknowledged."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from vivavoce.memory.base import Turn
from vivavoce.memory.sqlite import SqliteStore


async def append_for_ever(store: SqliteStore, speaker: int) -> None:
    number = 0
    while True:
        turn = Turn(
            conversation_id=f"c{speaker}", turn_id=number, user=f"{number}", assistant=f"{number} " * 50, at=1.0
        )
        await store.append(turn, "local")
        sys.stdout.write(f"{speaker} {number}\n")
        sys.stdout.flush()
        number += 1


async def main(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await asyncio.gather(*(append_for_ever(store, speaker) for speaker in range(4)))


asyncio.run(main(Path(sys.argv[1])))
