"""What a flow's executors emit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec


class FlowEvent(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    """One event; `node` is the id of the node it comes from."""

    node: str


class NodeStarted(FlowEvent, frozen=True, tag="node.started"):
    kind: str
    """The node's type."""


class NodeFinished(FlowEvent, frozen=True, tag="node.finished"):
    label: str | None = None
    """The label of the edge that is followed; null for the plain one."""
    ms: float = 0.0


class Token(FlowEvent, frozen=True, tag="llm.token"):
    """A piece of the answer, of a model or of a `say` node; joined they are what is said."""

    text: str


class LLMDone(FlowEvent, frozen=True, tag="llm.done"):
    text: str


class FlowFailed(FlowEvent, frozen=True, tag="flow.error"):
    """A node failed; the flow follows its `on_error` edge, or the turn ends."""

    code: str
    message: str
    handled: bool


Emit = Callable[[FlowEvent], Awaitable[None]]
"""Takes an event; waits while its listener is not keeping up."""
