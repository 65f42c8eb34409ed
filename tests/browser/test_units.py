"""The page's pure modules, tested by Node's own runner; they run in the browser as they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parent / "units"


def node() -> str:
    """The path of a Node that has the test runner; skips where there is none."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < 20:
        pytest.skip(f"node {version} is too old: 20 or later has what the tests use")
    return found


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.test.mjs")))
def test_unit(unit: str) -> None:
    ran = subprocess.run([node(), "--test", UNITS / unit], check=False, capture_output=True, text=True, timeout=50)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "# pass 0" not in ran.stdout
