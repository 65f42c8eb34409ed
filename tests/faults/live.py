"""A real `vivavoce serve` with the embedded engines, and its processes."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx

from cli.runs import Process
from speech import clip

COMMAND = "ps_goforward"
SAID = "go forward ten meters"


class Live:
    """A server process; `kill -9` whatever of it you like."""

    def __init__(self, folder: Path, *arguments: str, keep: bool = False, **env: str) -> None:
        memory = {"VIVAVOCE_MEMORY__PERSIST": "true", "VIVAVOCE_DATA_DIR": str(folder / "data")} if keep else {}
        self.began = time.monotonic()
        self.process = Process(folder, *arguments, **memory, **env)
        self.port = int(self.process.until(r"http://127\.0\.0\.1:(\d+)/")[1])
        self.listening_after_s = time.monotonic() - self.began

    def ready(self) -> Live:
        """Once its engines are in force."""
        self.process.until(r"\[READY\]")
        return self

    @property
    def pid(self) -> int:
        return self.process.process.pid

    def url(self, path: str = "/ws") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=10)

    def workers(self, name: str = "") -> list[int]:
        """Its child processes, those whose command line holds *name*."""
        return [pid for pid in children(self.pid) if name in command_line(pid)]

    def stop(self) -> int:
        """A polite end; its exit code."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait()

    def close(self) -> None:
        self.process.close()


def children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, ppid = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(ppid) == parent and state != "Z":
                    found.append(int(entry.name))
    return found


def command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def kill(pids: list[int]) -> None:
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def gone(pids: list[int], within_s: float = 5.0) -> bool:
    """Whether none of the processes is left."""
    until = time.monotonic() + within_s
    while any(command_line(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def spoken_command() -> bytes:
    """ "go forward ten meters", 16 kHz, with the silence that a microphone would go on sending."""
    recording = clip(COMMAND)
    assert recording.rate == 16_000
    return recording.pcm
