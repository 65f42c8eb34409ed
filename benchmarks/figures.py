"""A measured figure, its target, and the forms it is written in."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
Statistic = Literal["median", "p95", "worst", "sum"]


@dataclass(frozen=True)
class Figure:
    """One line of the table: samples, and what of them is held against the target."""

    name: str
    unit: str
    samples: Sequence[float]
    statistic: Statistic = "median"
    target: float | None = None
    """At most this; None where the figure is only shown."""
    note: str = ""
    plotted: bool = False
    """Whether each sample is worth a point in the plot."""

    @property
    def value(self) -> float:
        """NaN without samples."""
        if not self.samples:
            return math.nan
        match self.statistic:
            case "median":
                return statistics.median(self.samples)
            case "p95":
                return percentile(self.samples, 0.95)
            case "worst":
                return max(self.samples)
            case "sum":
                return math.fsum(self.samples)

    @property
    def ok(self) -> bool | None:
        """None where there is no target. A figure without samples reaches none."""
        return None if self.target is None else self.value <= self.target

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "statistic": self.statistic,
            "value": _finite(self.value),
            "target": self.target,
            "ok": self.ok,
            "p50": _finite(percentile(self.samples, 0.5)),
            "p95": _finite(percentile(self.samples, 0.95)),
            "samples": [round(sample, 4) for sample in self.samples],
            "note": self.note,
        }


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    names = ("msgspec", "numpy", "starlette", "uvicorn", "websockets", "pocketsphinx", "espeakng-loader")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "commit": _commit(),
        "load_before": load(),
        "packages": {name: version(name) for name in names},
    }


@dataclass
class Results:
    """All figures of a run, and where they were taken."""

    figures: list[Figure] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=machine)

    @property
    def missed(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.ok is False]

    def to_json(self) -> dict[str, Any]:
        figures = [figure.to_json() for figure in self.figures]
        return {"machine": self.machine, "figures": figures, "skipped": self.skipped}

    def to_markdown(self) -> str:
        where = self.machine
        head = (
            f"{where['date']}, {where['cores']} cores ({where['cpu']}), Python {where['python']}, "
            f"commit {where['commit']}, load {where['load_before']} before and {load()} after.\n"
        )
        rows = ["| figure | value | target | | p50 | p95 | n | |", "|---|--:|--:|---|--:|--:|--:|---|"]
        rows += ["| " + " | ".join(row) + " |" for row in map(cells, self.figures)]
        return "\n".join([head, *rows, *(f"\nSkipped: {reason}" for reason in self.skipped), ""])


def percentile(samples: Iterable[float], share: float) -> float:
    """The smallest sample that at least *share* of all do not exceed; NaN without samples."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def cells(figure: Figure) -> list[str]:
    """A figure as the columns of a table."""
    verdict = {True: "ok", False: "MISSED", None: ""}[figure.ok]
    target = "" if figure.target is None else f"≤ {number(figure.target)}"
    several = len(figure.samples) > 1
    spread = [number(percentile(figure.samples, share)) if several else "" for share in (0.5, 0.95)]
    shown = f"{number(figure.value)} {figure.unit}" + (f" ({figure.statistic})" if several else "")
    return [figure.name, shown, target, verdict, *spread, str(len(figure.samples)), figure.note]


def table(figures: Sequence[Figure]) -> str:
    """For a terminal."""
    rows = [["figure", "value", "target", "", "p50", "p95", "n", ""], *map(cells, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = {0, 3, 7}
    lines = [
        "  ".join(cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if math.isnan(value):
        return "-"
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 3)}f}"


def load() -> float:
    """Programs that wanted a processor within the last minute."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else math.nan


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
