"""The command as a person runs it: a process of its own, in an empty folder, with an empty environment."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

PASSED_ON = ("PATH", "HOME", "XDG_CACHE_HOME", "COVERAGE_PROCESS_START")
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return kept | {"VIVAVOCE_MEMORY__PERSIST": "false"} | more


class Process:
    """A `vivavoce serve` that runs; both its outputs are read all the time."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vivavoce", "serve", "--port", "0", *arguments],
            cwd=folder,
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._news: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._readers = [self._reading(self.process.stdout, self.out), self._reading(self.process.stderr, self.err)]

    def _reading(self, pipe: IO[str] | None, into: list[str]) -> threading.Thread:
        assert pipe is not None

        def read() -> None:
            with pipe:
                for line in pipe:
                    into.append(line.rstrip("\n"))
                    self._news.put(into[-1])
            self._news.put(None)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line of either output."""
        while (line := self._news.get(timeout=50)) is not None:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} never came:\n" + "\n".join(self.out + self.err))

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        code = self.process.wait(timeout=30)
        for reader in self._readers:
            reader.join(timeout=10)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
