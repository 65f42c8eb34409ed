"""What a node is, and what its executor may do. `nodes` has ours; anybody can register more:

@node("shout")
class Shout(Node, frozen=True):
    text: Template

    async def run(self, step: Step) -> str | None:
        await step.say(self.text.text(step.scope).upper())
        return None
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

import msgspec
from msgspec import Meta

from vivavoce.engines.base import ChatModel, Host, Message
from vivavoce.events import ServerMessage
from vivavoce.flows.errors import FlowError
from vivavoce.flows.events import Emit, Token
from vivavoce.flows.expressions import Expression
from vivavoce.flows.fetch import Fetcher
from vivavoce.flows.templates import Template, Tree
from vivavoce.tools.toolbox import Toolbox

NodeId = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
ON_ERROR = "on_error"
MAX_VALUE = 64 * 1024
MAX_VARIABLES = 256 * 1024
"""Bytes, as JSON."""

NodeType = TypeVar("NodeType", bound=type["Node"])
NODES: dict[str, type[Node]] = {}
"""The executors, by type of node."""


def node(kind: str) -> Callable[[NodeType], NodeType]:
    """Registers a class as the executor of the nodes of type *kind*."""

    def register(executor: NodeType) -> NodeType:
        NODES[kind] = executor
        executor.kind = kind
        return executor

    return register


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of a flow: its fields are what a flow's author writes, `run` executes it."""

    kind: ClassVar[str] = ""
    effects: ClassVar[bool] = False
    """Whether it acts on the world: then it waits until the user's turn is certain."""
    waits: ClassVar[bool] = False
    """Whether the flow waits here for the user's words."""
    ends: ClassVar[bool] = False
    speaks: ClassVar[bool] = False

    id: NodeId

    @property
    def labels(self) -> tuple[frozenset[str], bool]:
        """The labels that its edges must have, all of them; and whether a plain edge stands in for those missing."""
        return frozenset(), True

    @property
    def optional_labels(self) -> frozenset[str]:
        """Further labels that edges may have; `on_error` always may."""
        return frozenset()

    @property
    def sets(self) -> Mapping[str, frozenset[str]]:
        """The variables it fills, each with the variables that the value is made of."""
        into: str | None = getattr(self, "into", None)
        return {into: frozenset()} if into else {}

    @property
    def reads(self) -> frozenset[str]:
        """The variables that it reads."""
        holders = (getattr(self, name) for name in self.__struct_fields__)
        return frozenset().union(*(each.names for each in holders if isinstance(each, Template | Expression | Tree)))

    async def run(self, step: Step) -> str | None:
        """Execute the node. Returns the label of the edge to follow, None for the plain one.

        Raises FlowError or EngineError. Cancelling stops it.
        """
        raise NotImplementedError


class CommandParser(Protocol):
    """What a `command` node asks."""

    async def __call__(self, text: str, turn: Turn) -> dict[str, Any]:
        """`intent`, `entities`, `confidence`, `response`. Raises VivavoceError."""


class Deadlines(msgspec.Struct, frozen=True):
    """Of a language model, in seconds."""

    first_token_s: float = 10.0
    token_s: float = 5.0
    total_s: float = 30.0


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the nodes of a flow may use, whoever talks to it."""

    fetcher: Fetcher = msgspec.field(default_factory=Fetcher)
    tools: Toolbox = msgspec.field(default_factory=Toolbox)
    commands: CommandParser | None = None
    variables: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """The operator's."""
    deadlines: Deadlines = Deadlines()


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One input, and who gave it."""

    text: str | None
    """What the user said; None where the flow begins."""
    llm: ChatModel
    host: Host
    emit: Emit
    send: Callable[[ServerMessage], None]
    """Sends a message of our wire beside the answer; does nothing where there is none."""
    session_id: str = ""
    language: str = "en"
    instructions: str = ""
    history: Sequence[Message] = ()
    """What was said before this input, oldest first."""
    pins: tuple[str, ...] = ()
    """What is remembered of the conversation besides; see `ChatRequest`."""
    summary: str = ""
    agent_session: Any = None
    """The `AgentSession`, where there is one."""


class Step:
    """One execution of one node."""

    def __init__(
        self,
        node: Node,
        *,
        scope: Mapping[str, Any],
        variables: MutableMapping[str, Any],
        services: Services,
        turn: Turn,
        said: list[str],
        muted: bool,
    ) -> None:
        self.node = node
        self.scope = scope
        """All variables: those of the flow before the operator's before `input`, `name`, `flow_id`, `session_id`."""
        self.services = services
        self.turn = turn
        self.muted = muted
        """The user has talked over the answer: the rest of it is not said."""
        self._variables = variables
        self._said = said
        self._spoke = False

    async def say(self, text: str) -> None:
        """Say a piece of text; white space goes between it and what another node said before."""
        if not text or self.muted:
            return
        if not self._spoke and self._said and not self._said[-1][-1:].isspace() and not text[0].isspace():
            text = " " + text
        self._spoke = True
        self._said.append(text)
        await self.turn.emit(Token(node=self.node.id, text=text))

    def set(self, name: str, value: Any) -> None:
        """Set a variable. Raises FlowError for a value that is too large or that JSON cannot say."""
        try:
            size = json_size(value)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise self.error("FLOW_LIMIT", f"{name}: the value cannot be kept") from error
        if size > MAX_VALUE:
            raise self.error("FLOW_LIMIT", f"{name}: a value may have {MAX_VALUE} bytes as JSON, not {size}")
        if json_size({**self._variables, name: value}) > MAX_VARIABLES:
            raise self.error("FLOW_LIMIT", f"all variables together may have {MAX_VARIABLES} bytes as JSON")
        self._variables[name] = value

    def error(self, code: str, message: str, *, hint: str = "") -> FlowError:
        """An error of this node."""
        return FlowError(code, message, node=self.node.id, hint=hint)


def json_size(value: Any) -> int:
    """Bytes of *value* as JSON."""
    return len(msgspec.json.encode(value))
