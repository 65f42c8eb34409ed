"""A picture of a flow, as Mermaid text."""

from __future__ import annotations

import msgspec

from vivavoce.flows.model import Flow
from vivavoce.flows.node import Node

SHAPES = {"listen": ("[/", "/]"), "condition": ("{", "}"), "route": ("{", "}"), "end": ("([", "])"), "say": ("(", ")")}
SHOWN = 48
"""Characters of a text."""


def mermaid(flow: Flow) -> str:
    """The flow as a `flowchart`; the nodes are numbered, since their ids may be words that Mermaid keeps for itself."""
    numbers = {name: f"n{at}" for at, name in enumerate(flow.nodes)}
    lines = ["---", f"title: {msgspec.json.encode(flow.name).decode()}", "---", "flowchart TD"]
    for name, node in flow.nodes.items():
        left, right = SHAPES.get(node.kind, ("[", "]"))
        lines.append(f"    {numbers[name]}{left}{quoted(told(node))}{right}")
    for source, edges in flow.edges.items():
        for label, target in edges.items():
            arrow = f"-->|{quoted(label)}|" if label is not None else "-->"
            lines.append(f"    {numbers[source]} {arrow} {numbers[target]}")
    return "\n".join(lines) + "\n"


def told(node: Node) -> str:
    """What a node's box says: its type and id, and the beginning of what matters of it."""
    for name in ("text", "prompt", "test", "url", "tool"):
        found = getattr(node, name, None)
        source = getattr(found, "source", None) or getattr(found, "text", None) or found
        if isinstance(source, str):
            short = " ".join(source.split())
            return f"{node.kind} {node.id}: {short if len(short) <= SHOWN else short[: SHOWN - 1] + '…'}"
    return f"{node.kind} {node.id}"


def quoted(text: str) -> str:
    """A string of Mermaid: what would end it or mean something to it is written as a character's number."""
    plain = "".join(c if c.isalnum() or c in " .,:;!?'()/+-=_*…" else f"#{ord(c)};" for c in " ".join(text.split()))
    return f'"{plain}"'
