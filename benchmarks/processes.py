"""What the server's processes use, read from /proc (Linux only), and a server to look at."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
HAS_PROC = (PROC / "self" / "stat").is_file()
START_S = 60.0
STOP_S = 5.0
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Memory:
    """Of a tree of processes, in MB."""

    resident: float
    """Summed over the processes: pages they share count several times."""
    proportional: float
    """Each shared page counted once, in parts."""


def tree(pid: int) -> list[int]:
    """*pid* and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (row := _stat(int(entry.name))) is not None:
            children.setdefault(int(row[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, []))
    return found


def cpu_s(pid: int) -> float:
    """Processor time of the tree so far, ended children included."""
    rows = [row for row in map(_stat, tree(pid)) if row is not None]
    return sum(sum(int(row[column]) for column in (11, 12, 13, 14)) for row in rows) / _TICKS


def memory(pid: int) -> Memory:
    """What the tree holds now."""
    resident = proportional = 0
    for each in tree(pid):
        for line in (PROC / str(each) / "smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "Rss":
                resident += int(value.split()[0])
            elif name == "Pss":
                proportional += int(value.split()[0])
    return Memory(resident * 1024 / 1e6, proportional * 1024 / 1e6)


def settle(pid: int, limit_s: float = 20.0) -> None:
    """Wait until the tree does nothing any more: 1 s in which it uses less than 2 %. Without /proc: a while."""
    if not HAS_PROC:
        time.sleep(3.0)
        return
    until, used = time.monotonic() + limit_s, cpu_s(pid)
    while time.monotonic() < until:
        time.sleep(1.0)
        before, used = used, cpu_s(pid)
        if used - before < 0.02:
            return


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the program's name (state, parent, …); None when it has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


class Server:
    """A running `vivavoce serve`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, ready_s: float) -> None:
        self.pid = process.pid
        self.http = f"http://127.0.0.1:{port}"
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.ready_s = ready_s
        """From its start to the first 200 of /ready."""

    def get(self, path: str) -> Any:
        """The JSON at *path*."""
        with urllib.request.urlopen(self.http + path, timeout=10) as answer:
            return json.load(answer)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def server(**env: str) -> Iterator[Server]:
    """A server process in an empty folder, with our environment's search path only; stopped in the end.

    Raises RuntimeError with its log when it does not become ready.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="vivavoce-bench-") as folder:
        log = Path(folder) / "server.log"
        port = free_port()
        with log.open("wb") as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "vivavoce", "serve", "--port", str(port)],
                cwd=folder,
                env={**kept, "VIVAVOCE_DATA_DIR": folder, **env},
                stdout=output,
                stderr=output,
            )
        try:
            wait_ready(f"http://127.0.0.1:{port}/ready", process, log)
            yield Server(process, port, time.perf_counter() - began)
        finally:
            stop(process)


def wait_ready(address: str, process: subprocess.Popen[bytes], log: Path, limit_s: float = START_S) -> None:
    """Wait until *address* answers 200. Raises RuntimeError with the log's end."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError as error:
            error.close()  # 503: still loading
        except OSError:
            pass
        time.sleep(0.01)
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"the server was not ready within {limit_s:g} s:\n{tail}")


def stop(process: subprocess.Popen[bytes], *, group: bool = False) -> None:
    """End it (and its process group) as a service manager does: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_S)
