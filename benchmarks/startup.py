"""What it takes before anybody can speak: import, start, size, a fresh clone."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import ROOT, Figure
from benchmarks.processes import free_port, server, stop, wait_ready


def imports(runs: int) -> list[Figure]:
    """A new interpreter that imports the package, and what the interpreter alone takes."""

    def took_s(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    took_s("import vivavoce")  # the disk's cache, the byte code
    whole = [took_s("import vivavoce") for _ in range(max(runs, 3))]
    bare = statistics.median(took_s("pass") for _ in range(3))
    note = f"the interpreter alone: {bare:.3f} s"
    return [Figure("import vivavoce", "s", whole, target=0.3, note=note)]


def ready(runs: int) -> list[Figure]:
    """From the start of the process to /ready, with the recogniser's language model made before."""
    with server():
        pass
    samples = []
    for _ in range(max(runs, 3)):
        with server() as running:
            samples.append(running.ready_s)
    return [Figure("process ready", "s", samples, target=1.5)]


def size() -> list[Figure]:
    """Of the distributions in requirements.txt, as they are installed here, with their byte code where it was made."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = {found[1] for line in lines if (found := re.match(r"([A-Za-z0-9._-]+)==", line))}
    sizes = {name: taken for name in names if (taken := _installed_bytes(name))}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    shown = ", ".join(f"{name} {sizes[name] / 1e6:.0f}" for name in largest)
    note = f"{len(sizes)} distributions; {shown}"
    return [Figure("installed size of the default set", "MB", [sum(sizes.values()) / 1e6], target=250, note=note)]


def _installed_bytes(name: str) -> int:
    """0 where it is not installed: a requirement of another system."""
    try:
        files = importlib.metadata.distribution(name).files or []
    except importlib.metadata.PackageNotFoundError:
        return 0
    paths = {Path(str(file.locate())) for file in files}
    paths |= {Path(importlib.util.cache_from_source(str(path))) for path in paths if path.suffix == ".py"}
    return sum(path.stat().st_size for path in paths if path.is_file())


def fresh(runs: int) -> list[Figure]:  # noqa: ARG001 - once is enough: it installs everything
    """`git clone` and `make run`, until /ready, with empty caches; needs the package index."""
    with tempfile.TemporaryDirectory(prefix="vivavoce-fresh-") as folder:
        clone, log, port = Path(folder) / "clone", Path(folder) / "run.log", free_port()
        began = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        with log.open("wb") as output:
            command = ["make", "run", f"ARGS=--port {port}", f"PYTHON={sys.base_prefix}/bin/python3"]
            # The caches of pip and of the recogniser's language model, and the conversation store.
            env = os.environ | {"XDG_CACHE_HOME": folder, "VIVAVOCE_DATA_DIR": folder}
            process = subprocess.Popen(
                command, cwd=clone, env=env, stdout=output, stderr=output, start_new_session=True
            )
        try:
            wait_ready(f"http://127.0.0.1:{port}/ready", process, log, limit_s=600)
            took = time.perf_counter() - began
        finally:
            stop(process, group=True)
    note = "git clone, make run, /ready; nothing cached"
    return [Figure("fresh clone ready", "s", [took], target=60, note=note)]
