"""Measure what we promise, against the real server process on this machine.

    python -m benchmarks [--quick] [--runs N] [--only NAME]… [--fresh]

Prints each figure beside its target and writes benchmarks/results/latest.json, latest.md and latest.svg. Everything
runs on the embedded engines and real recordings, over loopback. Exit code 1 when a target was missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import chat, commands, conversation, load, startup, text
from benchmarks.figures import Figure, Results, table
from benchmarks.plot import svg

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
SCRIPTS = ("vad", "text_audio", "asr_accuracy")
"""Benchmarks that print tables of their own."""


def main() -> int:
    arguments = _arguments()
    runs, quick = arguments.runs, arguments.quick
    progress = partial(print, " ", flush=True)
    figures: dict[str, Callable[[], list[Figure]]] = {
        "import": lambda: startup.imports(runs),
        "size": startup.size,
        "text": lambda: text.text(quick=quick),
        "ready": lambda: startup.ready(runs),
        "latency": lambda: conversation.latency(runs, progress, quick=quick),
        "barge-in": lambda: conversation.barge_ins(runs, progress, quick=quick),
        "load": lambda: load.load(runs, progress, quick=quick),
        "chat": lambda: chat.chat(runs, progress, quick=quick),
        "commands": lambda: commands.commands(runs, progress),
        "fresh": lambda: startup.fresh(runs),
    }
    wanted = arguments.only or [name for name in figures if name != "fresh" or arguments.fresh]
    results = Results()
    for name in wanted:
        print(f"{name} …", flush=True)
        if name in SCRIPTS:
            subprocess.run([sys.executable, FOLDER / f"{name}.py"], check=True)
            continue
        try:
            measured = figures[name]()
        except LookupError as error:
            results.skipped.append(f"{name}: {error}")
            continue
        results.figures += measured
    _report(results)
    if not arguments.only and not quick:
        print(f"\nMore tables: {', '.join(f'python benchmarks/{name}.py' for name in SCRIPTS)}")
    return 1 if results.missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    names = ("import", "size", "text", "ready", "latency", "barge-in", "load", "chat", "commands", "fresh", *SCRIPTS)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--runs", type=int, default=1, help="how often each recording is spoken (1)")
    parser.add_argument("--quick", action="store_true", help="few recordings and short loads, in about two minutes")
    parser.add_argument("--fresh", action="store_true", help="also clone, install and start; needs the package index")
    return parser.parse_args()


def _report(results: Results) -> None:
    for reason in results.skipped:
        print(f"skipped {reason}")
    if not results.figures:
        return
    print(f"\n{table(results.figures)}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps(results.to_json(), indent=1) + "\n", encoding="utf-8")
    (RESULTS / "latest.md").write_text(results.to_markdown(), encoding="utf-8")
    if plotted := [figure for figure in results.figures if figure.plotted and figure.samples]:
        (RESULTS / "latest.svg").write_text(svg(plotted), encoding="utf-8")
    print(f"\nwritten to {RESULTS.relative_to(FOLDER.parent)}/latest.json, .md, .svg")


if __name__ == "__main__":
    sys.exit(main())
