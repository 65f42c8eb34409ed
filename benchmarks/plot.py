"""Samples as a strip of points on one axis each, in plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.figures import Figure, number, percentile

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 20, 20, 74, 14
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.name{font-weight:600}.axis{stroke:#bbb}"
    ".sample{fill:#2563eb;fill-opacity:.45}.target{stroke:#dc2626;stroke-dasharray:4 3}.mark{stroke:#111}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.axis{stroke:#555}.mark{stroke:#eee}}"
)


def svg(figures: Sequence[Figure]) -> str:
    """One row for each figure: its samples, median and 95th percentile, and its target."""
    height = TOP * 2 + ROW * len(figures)
    rows = "".join(_row(figure, TOP + ROW * at) for at, figure in enumerate(figures))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>Samples and targets</title><style>{STYLE}</style>{rows}</svg>\n"
    )


def _row(figure: Figure, top: float) -> str:
    axis = top + 46
    target = figure.target or 0.0
    most = max([*figure.samples, target]) * 1.05 or 1.0
    least = min([*figure.samples, 0.0]) * 1.05

    def x(value: float) -> float:
        return round(LEFT + (value - least) / (most - least) * (WIDTH - LEFT - RIGHT), 1)

    median, tail = (percentile(figure.samples, share) for share in (0.5, 0.95))
    spread = f"p50 {number(median)}, p95 {number(tail)} {figure.unit}, n {len(figure.samples)}"
    parts = [
        f'<text class="name" x="{LEFT}" y="{top + 12}">{escape(figure.name.strip())}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{top + 12}" text-anchor="end">{escape(spread)}</text>',
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axis}" y2="{axis}"/>',
        *(
            f'<circle class="sample" cx="{x(value)}" cy="{axis - 9 + at % 5 * 4.5:g}" r="3.5"/>'
            for at, value in enumerate(figure.samples)
        ),
        *(f'<line class="mark" x1="{x(v)}" x2="{x(v)}" y1="{axis - 15}" y2="{axis + 15}"/>' for v in (median, tail)),
        _tick(x(least if least < 0 else 0.0), axis, number(least if least < 0 else 0.0)),
    ]
    if figure.target is not None:
        at = x(target)
        parts.append(f'<line class="target" x1="{at}" x2="{at}" y1="{axis - 19}" y2="{axis + 12}"/>')
        parts.append(_tick(at, axis, f"target {number(target)}"))
    return "".join(parts)


def _tick(at: float, axis: float, label: str) -> str:
    return f'<text x="{at}" y="{axis + 24}" text-anchor="middle">{escape(label)}</text>'
