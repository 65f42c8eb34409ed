"""The forms of a benchmark's figures."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from benchmarks.figures import Figure, Results, cells, number, percentile, table
from benchmarks.plot import svg

LATE = Figure("late <b>", "ms", [5.0, 1.0, 130.0], "p95", 120, plotted=True)
NONE = Figure("none", "ms", [], target=1.0)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 10.0), (0.95, 19.0), (0.96, 20.0), (1.0, 20.0)])
def test_a_percentile_is_a_sample_that_so_many_do_not_exceed(share: float, value: float) -> None:
    assert percentile(range(20, 0, -1), share) == value


@pytest.mark.parametrize(("statistic", "value"), [("median", 5.0), ("p95", 130.0), ("worst", 130.0), ("sum", 136.0)])
def test_the_statistic_is_held_against_the_target(statistic: str, value: float) -> None:
    figure = Figure("a", "ms", [5.0, 1.0, 130.0], statistic, 120)  # type: ignore[arg-type]
    assert figure.value == value
    assert figure.ok is (value <= 120)


def test_a_figure_without_samples_reaches_no_target() -> None:
    assert math.isnan(NONE.value)
    assert NONE.ok is False
    assert NONE.to_json()["value"] is None
    assert Results([LATE, NONE]).missed == [LATE, NONE]


def test_tables_show_value_and_target_and_verdict() -> None:
    assert cells(LATE)[1:4] == ["130 ms (p95)", "≤ 120", "MISSED"]
    head, row = table([LATE]).splitlines()
    assert head.index("value") + len("value") == row.index("(p95)") + len("(p95)")
    markdown = Results([LATE]).to_markdown()
    assert "| late <b> | 130 ms (p95) | ≤ 120 | MISSED |" in markdown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.0421, "0.042"), (1.234, "1.23"), (158.4, "158"), (12345.0, "12345")]
)
def test_numbers_have_three_digits_and_no_exponent(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_plot_is_an_image_with_a_point_for_each_sample() -> None:
    root = ElementTree.fromstring(svg([LATE]))
    points = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(points) == 3
    assert all(0 <= float(point.get("cx", "-1")) <= 760 for point in points)
