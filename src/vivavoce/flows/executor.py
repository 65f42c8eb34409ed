"""Executes a flow, one input at a time.

    run = FlowRun(flow, services)
    await run.advance(turn)      # from where it rests to the next listen, or to the end

The run works on a copy of its state and gives it back; whoever called decides when it counts (`run.state = ...`): the
answer to a turn that is discarded changes nothing.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

import msgspec

from vivavoce.engines.base import Message
from vivavoce.errors import EngineError, VivavoceError
from vivavoce.flows.errors import FlowError
from vivavoce.flows.events import FlowFailed, NodeFinished, NodeStarted
from vivavoce.flows.filters import FilterError
from vivavoce.flows.model import Flow
from vivavoce.flows.node import ON_ERROR, Node, Services, Step, Turn
from vivavoce.flows.nodes import Listen

MAX_STEPS = 100
"""Nodes in one input."""
MAX_HISTORY = 40
"""Messages that a run remembers by itself."""
MAX_HISTORY_CHARACTERS = 40_000


class FlowState(msgspec.Struct, kw_only=True):
    """Where a flow rests, and what it knows; plain data."""

    at: str | None = None
    """The node: a `listen` that waits, or the node that was interrupted. None before the start and after the end."""
    interrupted: bool = False
    variables: dict[str, Any] = msgspec.field(default_factory=dict)
    history: list[Message] = msgspec.field(default_factory=list)
    misses: int = 0
    """Inputs in a row that did not hold what the listen expects."""
    inputs: int = 0
    """Inputs since the start; 0 for a flow that has not begun."""


class Advance(msgspec.Struct, frozen=True):
    """What came of one input."""

    text: str
    """What was said."""
    ended: bool


class FlowRun:
    """One flow for one session."""

    def __init__(self, flow: Flow, services: Services, state: FlowState | None = None) -> None:
        self.flow = flow
        self.services = services
        self.state = state if state is not None else FlowState(variables=dict(flow.variables))
        if self.state.at is not None and self.state.at not in flow.nodes:
            self.state = FlowState(variables=dict(flow.variables))  # the flow has been rewritten

    @property
    def waiting(self) -> bool:
        """Whether nothing can be done without the user's words."""
        return self.state.at is not None

    def begin(self, turn: Turn) -> Walk:
        """One input's way through the flow, on a copy of the state."""
        return Walk(self.flow, self.services, copy.deepcopy(self.state), turn)

    async def advance(self, turn: Turn) -> Advance:
        """Take one input. The state changes when it succeeds, and when it is cancelled: see `Walk.interrupted`.

        Raises FlowError or EngineError; the flow is then where it was before.
        """
        walk = self.begin(turn)
        try:
            done = await walk.run()
        except asyncio.CancelledError:
            self.state = walk.interrupted()
            raise
        self.state = walk.state
        return done


class Walk:
    """One input on its way. `state` is its own until somebody takes it."""

    def __init__(self, flow: Flow, services: Services, state: FlowState, turn: Turn) -> None:
        self.flow = flow
        self.state = state
        self.said: list[str] = []
        self._services = services
        self._turn = turn
        self._text = turn.text
        """The user's words, until a listen has taken them."""
        self._muted = False
        self._at: Node | None = None
        self._past = tuple(turn.history or state.history)
        given = {
            "input": turn.text or "",
            "name": flow.name,
            "flow_id": flow.id,
            "session_id": turn.session_id,
            "language": turn.language,
        }
        self._scope: Mapping[str, Any] = ChainMap(state.variables, dict(services.variables), given)

    async def run(self) -> Advance:
        """From where the flow rests to the next listen, or to its end. Raises FlowError or EngineError."""
        state = self.state
        node: Node | None
        if state.at is None:
            node = self.flow.start
        elif state.interrupted:
            self._muted = True
            node = self._after(self.flow.nodes[state.at])
        else:
            node = self.flow.nodes[state.at]
        state.inputs += 1
        state.interrupted = False
        for _ in range(MAX_STEPS):
            if node is None or node.ends:
                return await self._end(node)
            self._at = node
            if isinstance(node, Listen) and (followed := await self._listen(node)) is None:
                return self._rest(node)
            if isinstance(node, Listen):
                node = self.flow.follow(node, followed)
            else:
                node = self.flow.follow(node, await self._execute(node))
        raise FlowError("FLOW_LIMIT", f"more than {MAX_STEPS} nodes in one turn", node=node.id if node else "")

    def interrupted(self) -> FlowState:
        """The state after the user has talked over the answer, or has gone: the node that was at work counts as done,
        nothing behind it is said, and the next input goes to the next listen."""
        state = self.state
        if self._at is not None:
            state.at = self._at.id
            state.interrupted = not self._at.waits
        self._remember()
        return state

    async def _listen(self, node: Listen) -> str | None:
        """Give the user's words to a listen. Returns the label to follow ("" for the plain edge), None to wait."""
        self._muted = False
        text, self._text = self._text, None
        if text is None:
            self.state.misses = 0
            await self._execute(node)
            return None
        heard = node.heard(text)
        if heard is None:
            self.state.misses += 1
            edges = self.flow.edges.get(node.id, {})
            if self.state.misses >= node.tries and "invalid" in edges:
                self.state.misses = 0
                return "invalid"
            await node.ask_again(self._step(node))
            return None
        self.state.misses = 0
        if node.into is not None:
            self._step(node).set(node.into, heard)
        return ""

    async def _execute(self, node: Node) -> str | None:
        """Run one node, or follow its edge for errors."""
        turn, began = self._turn, time.perf_counter()
        await turn.emit(NodeStarted(node=node.id, kind=node.kind))
        if node.effects:
            await turn.host.confirmed()
        try:
            label = await self._guarded(node)
        except EngineError as error:
            handled = ON_ERROR in self.flow.edges.get(node.id, {})
            await turn.emit(FlowFailed(node=node.id, code=error.code, message=error.message, handled=handled))
            if not handled:
                raise
            self.state.variables["error"] = {"code": error.code, "message": error.message, "node": node.id}
            label = ON_ERROR
        await turn.emit(NodeFinished(node=node.id, label=label, ms=round((time.perf_counter() - began) * 1000, 3)))
        return label

    async def _guarded(self, node: Node) -> str | None:
        """Run one node; every failure is an EngineError that names it."""
        try:
            return await node.run(self._step(node))
        except FlowError as error:
            error.node = error.node or node.id
            raise
        except EngineError:
            raise
        except FilterError as error:
            raise FlowError("EXPRESSION_FAILED", f"node {node.id}: {error}", node=node.id) from error
        except VivavoceError as error:
            raise FlowError("FLOW_FAILED", f"node {node.id}: {error.message}", node=node.id) from error
        except RecursionError as error:
            raise FlowError("FLOW_LIMIT", f"node {node.id}: a value is nested too deeply", node=node.id) from error

    def _step(self, node: Node) -> Step:
        return Step(
            node,
            scope=self._scope,
            variables=self.state.variables,
            services=self._services,
            turn=msgspec.structs.replace(self._turn, history=self._past),
            said=self.said,
            muted=self._muted,
        )

    def _after(self, node: Node) -> Node | None:
        """What follows a node that was cut off before it could say which edge to take."""
        following = self.flow.follow(node, None)
        edges = [target for label, target in self.flow.edges.get(node.id, {}).items() if label != ON_ERROR]
        return following if following is not None or not edges else self.flow.nodes[edges[0]]

    def _rest(self, node: Listen) -> Advance:
        self.state.at = node.id
        self._remember()
        return Advance("".join(self.said), ended=False)

    async def _end(self, node: Node | None) -> Advance:
        """What the user says next begins the flow anew."""
        if node is not None:
            await self._execute(node)
        self._remember()
        self.state = FlowState(variables=dict(self.flow.variables), history=self.state.history)
        return Advance("".join(self.said), ended=True)

    def _remember(self) -> None:
        """Keep what was said, for a model that wants to see it."""
        history = self.state.history
        if self._turn.text:
            history.append(Message(role="user", content=self._turn.text))
        if text := "".join(self.said).strip():
            history.append(Message(role="assistant", content=text))
        del history[:-MAX_HISTORY]
        while sum(len(message.content) for message in history) > MAX_HISTORY_CHARACTERS:
            del history[0]
