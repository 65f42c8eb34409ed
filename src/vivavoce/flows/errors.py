"""What can go wrong in a flow."""

from __future__ import annotations

import msgspec

from vivavoce.errors import ClientError, EngineFailed


class FlowError(EngineFailed):
    """A flow could not go on; `code` says why, `node` where. As an EngineError it ends the turn, not the session.

    Codes: `FLOW_FAILED`, `FLOW_TIMEOUT`, `FLOW_LIMIT` (too many steps, too much data), `EXPRESSION_FAILED`,
    `HTTP_FORBIDDEN`, `HTTP_FAILED`, `HTTP_TIMEOUT`, `HTTP_STATUS`, `TOOL_FAILED`, `COMMAND_FAILED`; a client of a
    flow on another server also sees `UNREACHABLE`, `INTERRUPTED` and the codes of HTTP errors.
    """

    def __init__(self, code: str, message: str, *, node: str = "", hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__("llm", message, hint=hint)
        self.code = code
        self.node = node
        self.retry_after_s = retry_after_s


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong with a flow as it is written."""

    message: str
    node: str = ""
    """The id of the node, where it is one's."""
    field: str = ""
    path: tuple[str | int, ...] = ()
    """Where in the document: `("nodes", 2, "text")`."""
    line: int | None = None
    """From 1, where the document was YAML."""
    warning: bool = False
    """It can be used all the same."""

    def __str__(self) -> str:
        place = f"node {self.node}" if self.node else ""
        if self.field:
            place += f"{', ' if place else ''}{self.field}"
        return f"{place}: {self.message}" if place else self.message


class BadFlow(ClientError):
    """A flow that cannot be used; `problems` holds all that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        errors = [problem for problem in problems if not problem.warning]
        lines = [f"line {each.line}: {each}" if each.line else str(each) for each in errors[:20]]
        super().__init__("BAD_FLOW", "; ".join(lines) or "the flow cannot be used")
