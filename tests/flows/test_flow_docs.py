"""The blocks of docs/flows.md run, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from transports.wire import listening
from vivavoce import FlowAgent
from vivavoce.flows.documents import read_yaml
from vivavoce.flows.filters import FILTERS
from vivavoce.flows.model import read, read_file
from vivavoce.flows.node import NODES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
PROGRAMS = [code for language, code in BLOCKS if language == "python"]


def test_the_first_flow_can_be_used() -> None:
    flow = read(next(code for language, code in BLOCKS if language == "yaml").encode())
    assert not flow.warnings


def test_an_agent_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(next(code for code in PROGRAMS if "from_file" in code), names)
    assert isinstance(names["agent"], FlowAgent)
    assert names["agent"].opens


async def test_the_client_speaks_a_flow(capsys: pytest.CaptureFixture[str]) -> None:
    async with listening() as server:
        document = read_yaml((ROOT / "examples" / "flows" / "booking.yaml").read_text(encoding="utf-8"))
        await server.state.flows.save("booking", document)
        code = next(code for code in PROGRAMS if "FlowClient" in code)
        assert "http://127.0.0.1:8000" in code
        names: dict[str, Any] = {}
        exec(code.replace("http://127.0.0.1:8000", server.http), names)
        await names["main"]()
    assert "A table for 2." in capsys.readouterr().out


def test_a_node_of_one_s_own() -> None:
    try:
        exec(next(code for code in PROGRAMS if "@node" in code), {})
        assert NODES["shout"].__struct_fields__ == ("text", "id")
    finally:
        NODES.pop("shout", None)


def test_every_node_field_and_filter_is_described() -> None:
    rows = {row[1]: row[0] for row in re.findall(r"^(\| `(\w+)` \|.*)$", TEXT, re.MULTILINE)}
    for kind, executor in NODES.items():
        renamed = {"test": "if", "choices": "labels"}
        for name in set(executor.__struct_fields__) - {"id"}:
            assert f"`{renamed.get(name, name)}`" in rows[kind], f"{kind}.{name}"
    for name in FILTERS:
        assert re.search(rf"`{name}[:`]", TEXT), name


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "flows").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_samples_can_be_used(path: Path) -> None:
    flow = read_file(path)
    assert {str(each) for each in flow.warnings} <= {"node ask: nothing in the flow sets 'api'"}
    assert flow.id == path.stem
