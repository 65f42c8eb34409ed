"""Reading and checking flows: what is refused, and where the problem is said to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.cli import main
from vivavoce.flows.documents import MAX_BYTES, read_json, read_yaml, write_yaml
from vivavoce.flows.errors import BadFlow
from vivavoce.flows.mermaid import mermaid
from vivavoce.flows.model import parse, read, read_file
from vivavoce.flows.node import NODES

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "flows").glob("*.yaml"))
BOOKING = """id: booking
name: Table booking
variables: {guests: 2}
nodes:
  - {id: hello, type: say, text: "Welcome to {{name}}."}
  - {id: ask, type: listen, into: wish}
  - {id: size, type: set, values: {guests: "{{wish | first_number | default: 2}}"}}
  - {id: big, type: condition, if: "guests > 8"}          # names, numbers, strings, and/or/not, comparisons; never eval
  - {id: table, type: http, method: GET, url: "{{api}}/tables?n={{guests}}", into: table, timeout_s: 3}
  - {id: answer, type: llm, system: "You are a host.", prompt: "{{wish}}", model: null, temperature: 0.7, max_tokens: 150, into: reply}
  - {id: sorry, type: say, text: "We seat eight at most."}
  - {id: order, type: command, into: order}
  - {id: bye, type: end}
edges:
  - [hello, ask]
  - [ask, size]
  - [size, big]
  - [big, sorry, "true"]
  - [big, table, "false"]
  - [table, answer]
  - [answer, order]
  - [order, bye]
  - [sorry, ask]
"""  # noqa: E501


def problems(text: str) -> list[str]:
    """What is wrong with a flow, each with its line."""
    with pytest.raises(BadFlow) as caught:
        read(text.encode())
    return [f"{each.line}: {each}" for each in caught.value.problems if not each.warning]


def test_the_contract_s_flow() -> None:
    flow = read(BOOKING.encode())
    assert (flow.id, flow.name, flow.start.id, len(flow.nodes), flow.opens) == (
        "booking",
        "Table booking",
        "hello",
        9,
        True,
    )
    assert [str(each) for each in flow.warnings] == ["node table: nothing in the flow sets 'api'"]
    again = parse(read_json(json.dumps(flow.document).encode()))
    assert again.document == flow.document
    assert again.edges == flow.edges
    assert parse(read_yaml(write_yaml(flow.document))).document == flow.document


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("[sorry, ask]", "[sorry, size]", "7: node size: a circle without a listen: size -> big -> sorry -> size"),
        ("[sorry, ask]", "[sorry, sorry]", "11: node sorry: a circle without a listen: sorry -> sorry"),
        ('  - [big, table, "false"]\n', "", "8: node big: the edge labelled 'false' is missing"),
        (
            '[big, sorry, "true"]',
            '[big, sorry, "yes"]',
            "8: node big: its edges have no label 'yes'; they may be false, on_error, true",
        ),
        ('[big, sorry, "true"]', "[big, sorry]", "8: node big: each of its edges needs a label: false, true"),
        ("[hello, ask]", "[hello, asks]", "15: edge hello -> asks: there is no node 'asks'"),
        ("[hello, ask]", "[ask, hello]", "16: node ask: there is another edge without a label from here"),
        ("[order, bye]", "[bye, order]", "13: node bye: no edge leads on from an end"),
        ("[hello, ask]", "[hello]", "15: edges: Expected `array` of length >= 2"),
        ("id: sorry, type", "id: hello, type", "11: node hello: there is another node of this id"),
        ("type: listen", "type: listne", "6: node ask, type: there is no node of type 'listne'; is it 'listen'?"),
        ("type: end", "kind: end", "13: node bye, type: a node needs a type"),
        ('"{{wish}}"', '"{{wish"', "10: node answer, prompt: '{{' is not closed by '}}' (character 1)"),
        ("guests > 8", "guests >", "8: node big, if: something is missing at the end (character 9)"),
        ("timeout_s: 3", "timeout_s: 300", "9: node table, timeout_s: Expected `float` <= 30.0"),
        ("method: GET", "method: TRACE", "9: node table, method: Invalid enum value 'TRACE'"),
        ('text: "We seat', 'txt: "We seat', "11: node sorry: Object contains unknown field `txt`"),
        ("into: wish", 'into: "a b"', "6: node ask, into: Expected `str` matching regex"),
        ("id: booking", "id: ../x", "1: id: Expected `str` matching regex"),
        ("id: ask,", "id: 3,", "6: node number 2, id: Expected `str`, got `int`"),
        ("guests: 2}", "guests: 2, guests: 3}", "3: 'guests' is there twice"),
        ("id: booking", "id: booking\nlanguage: not one", "2: language: Expected `str` matching regex"),
        ("name: Table booking", "naem: Table booking", "1: Object contains unknown field `naem`"),
    ],
)
def test_problems_name_node_field_and_line(old: str, new: str, found: str) -> None:
    assert BOOKING.count(old) == 1
    told = problems(BOOKING.replace(old, new))
    assert any(each.startswith(found) for each in told), told


def test_all_problems_of_nodes_are_told_at_once() -> None:
    told = problems(
        BOOKING.replace("guests > 8", "guests >")
        .replace("type: end", "type: ned")
        .replace("[hello, ask]", "[hello, x]")
    )
    assert [each.split(":")[0] for each in told] == ["8", "13", "15"]


def warnings(text: str) -> list[str]:
    return [str(each) for each in read(text.encode()).warnings]


def test_warnings() -> None:
    unreachable = BOOKING.replace("[hello, ask]", "[hello, size]")
    assert "node ask: no edge leads here from the start" not in warnings(unreachable)  # sorry leads there
    assert "node lost: no edge leads here from the start" in warnings(
        BOOKING.replace("edges:", "  - {id: lost, type: say, text: x}\nedges:")
    )
    told = warnings(BOOKING.replace("You are a host.", "You serve {{name}} and obey {{wish}}."))
    assert told[-1].startswith("node answer, system: wish would make what users say part of the instructions")
    handed_on = BOOKING.replace("values: {guests", "values: {alias: '{{wish}}', guests").replace(
        "a host.", "{{alias}} {{guests}}."
    )
    assert warnings(handed_on)[-1].startswith("node answer, system: alias would")
    assert "node sorry: nothing follows: the flow ends here without an end" in warnings(
        BOOKING.replace("  - [sorry, ask]\n", "")
    )


@pytest.mark.parametrize(
    ("nodes", "opens"),
    [
        ("{id: a, type: say, text: Hi}", True),
        ("{id: a, type: listen}, {id: b, type: say, text: Hi}", False),
        ("{id: a, type: listen, prompt: Hi}", True),
        ("{id: a, type: set, values: {n: 1}}, {id: b, type: say, text: Hi}", True),
        ("{id: a, type: llm, quiet: true}, {id: b, type: listen}", False),
    ],
)
def test_who_speaks_first(nodes: str, opens: bool) -> None:
    edges = "[[a, b]]" if "id: b" in nodes else "[]"
    assert read(f"id: x\nnodes: [{nodes}]\nedges: {edges}".encode()).opens is opens


def test_booleans_are_labels_too() -> None:
    assert read(BOOKING.replace('"true"', "true").replace('"false"', "no").encode()).edges["big"] == {
        "true": "sorry",
        "false": "table",
    }


HOSTILE: list[Any] = [
    b"",
    b"\xff\xfe\x00",
    b"[" * 60_000,
    b"[" * 60_000 + b"]" * 60_000,
    b"{a: " * 20_000,
    b"- " * 60_000,
    b"x" * (MAX_BYTES + 1),
    b"a: &a [*a]",
    b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (98 + at, 98 + at, b",".join([b"*%c" % (97 + at)] * 10)) for at in range(9)
    ),
    b"id: x\nnodes: !!python/object/apply:os.system [ls]",
    b"id: !!int x",
    b"id: !!bool x",
    b"id: .inf",
    b"id: " + b"9" * 5000,
    b"? {a: b}\n: c",
    b"a: 1\n--- \nb: 2",
    b"\x00",
    b"id: x\nnodes: [null, 3]",
    b"id: x\nnodes: []",
    b"id: x\nnodes: [{id: a, type: say, text: x}]\nedges: [[a, 1.5]]",
    b"id: x\nnodes: [{id: a, type: set, values: {b: %s}}]" % (b"[" * 20 + b"]" * 20),
    b"id: x\nnodes: [{id: a, type: [say]}]",
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_documents_are_refused(data: bytes) -> None:
    for as_json in (False, True):
        with pytest.raises(BadFlow):
            read(data, json=as_json)


def test_yaml_says_only_what_json_could() -> None:
    text = "a: 1\nb: [-0x1f, 017, 1_000, .5, yes, ~, 2026-01-01, 12:30, !mine x]\nc: {d: null, <<: 1}"
    assert read_yaml(text).value == {
        "a": 1,
        "b": [-31, 15, 1000, 0.5, True, None, "2026-01-01", "12:30", "x"],
        "c": {"d": None, "<<": 1},
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=20,
    )
)
def test_what_is_written_is_read(value: Any) -> None:
    assert read_yaml(write_yaml(value)).value == value


@pytest.mark.parametrize(
    "text", ["a\x85b", "a\u2028b", "\ufeffa", "a\x07b", "é 語 🦊", " a ", "yes", "2026-01-01", "a: b"]
)
def test_every_text_survives(text: str) -> None:
    assert read_yaml(write_yaml({"k": text, text: 1})).value == {"k": text, text: 1}


def test_a_picture_keeps_to_its_boxes() -> None:
    hostile = BOOKING.replace("We seat eight at most.", "a] --> b; <b>`x`</b> & {c} |d| #35; é")
    lines = mermaid(read(hostile.encode())).splitlines()
    box = next(line for line in lines if "say sorry" in line)
    assert box == (
        '    n6("say sorry: a#93; --#62; b; #60;b#62;#96;x#96;#60;/b#62; #38; #123;c#125; #124;d#124; #35;35; é")'
    )


def test_all_kinds_of_nodes_of_the_contract_are_there() -> None:
    assert {"llm", "say", "listen", "condition", "route", "set", "http", "tool", "command", "end"} <= set(NODES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_pictures(path: Path) -> None:
    flow = read_file(path)
    front, start, head, *lines = mermaid(flow).split("\n", 3)[0:3] + mermaid(flow).splitlines()[3:]
    assert (front, head) == ("---", "---")
    assert start.startswith("title: ")
    assert lines[0] == "flowchart TD"
    boxes = [line for line in lines[1:] if "-->" not in line]
    arrows = [line for line in lines[1:] if "-->" in line]
    assert len(boxes) == len(flow.nodes)
    assert len(arrows) == sum(map(len, flow.edges.values()))
    for line in boxes:
        assert line.count('"') == 2, line
        inside = line.split('"')[1]
        assert not set(inside) & set("[]{}<>|`&")


def test_the_command(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(BOOKING)
    bad.write_text(BOOKING.replace("guests > 8", "guests >").replace("type: end", "type: ned"))
    runner = CliRunner()
    fine = runner.invoke(main, ["flow", "check", str(good)])
    assert fine.exit_code == 0
    assert "flow booking can be used: 9 nodes, 1 of them listen" in fine.stdout
    assert f"{good}:9: warning: node table: nothing in the flow sets 'api'" in fine.stderr
    wrong = runner.invoke(main, ["flow", "check", str(good), str(bad), str(tmp_path / "none.yaml")])
    assert wrong.exit_code == 1
    assert f"{bad}:8: node big, if: " in wrong.stderr
    assert f"{bad}:13: node bye, type: " in wrong.stderr
    assert "none.yaml: No such file" in wrong.stderr
    folder = ["--set", f"flows.folder={tmp_path}"]
    shown = runner.invoke(main, ["flow", "show", "booking", *folder])
    assert shown.exit_code == 0
    assert shown.stdout == runner.invoke(main, ["flow", "show", str(good)]).stdout
    assert "flowchart TD" in shown.stdout
    listed = runner.invoke(main, ["flow", "list", *folder])
    assert "booking" in listed.stdout
    assert f"{bad}:8:" in listed.stderr
    missing = runner.invoke(main, ["flow", "show", "none", *folder])
    assert missing.exit_code == 1
    assert "there is no flow 'none'" in missing.stderr
