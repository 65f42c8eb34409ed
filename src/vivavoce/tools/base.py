"""What a tool is, whoever runs it; and the two things that pass between tools and agents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from vivavoce.engines.base import ToolSpec

T = TypeVar("T", bound=type)

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
RESULT_CHARS = 16_000
"""What a model reads of one result."""
ERROR_CHARS = 500


class ToolError(Exception):
    """A tool cannot do what is asked; its message is for the model, which may then ask for something else."""


class AnyTool(Protocol):
    """Something a model may call, whatever is behind it."""

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def timeout_s(self) -> float | None:
        """Its own limit; None for the configured one."""

    async def call(self, arguments: Mapping[str, Any], session: Any) -> Any:
        """Do it. Cancelling abandons the call.

        arguments: what the model wrote, not checked. session: the `AgentSession` that asks, where there is one.
        Returns anything `result_text` can put into words, or a `Successor`. Raises ToolError, or whatever breaks.
        """


class ToolSource(Protocol):
    """A server whose tools come and go."""

    @property
    def name(self) -> str: ...

    @property
    def tools(self) -> Sequence[AnyTool]:
        """Those it has now."""

    @property
    def trouble(self) -> str:
        """Why it cannot be used now; empty while it can."""

    async def start(self) -> None:
        """Connect, and stay connected. Returns once the tools are known, or cannot be for now. Idempotent."""

    async def close(self) -> None:
        """Leave nothing behind. Idempotent."""


class Successor:
    """Something a tool may return that answers from then on: another agent."""

    name: str


GIVEN: set[type] = set()


def given_to_tools(kind: T) -> T:
    """A parameter annotated with this class is given by whoever calls the tool: the model does not see it."""
    GIVEN.add(kind)
    return kind


def result_text(value: object) -> str:
    """*value* as a model reads it: text as it is, anything else as JSON, no more than `RESULT_CHARS`."""
    if value is None:
        text = "done"
    elif isinstance(value, str):
        text = value or "(empty)"
    else:
        text = msgspec.json.encode(value, enc_hook=str).decode()
    text = clean(text)
    if len(text) <= RESULT_CHARS:
        return text
    note = f" … (cut: {len(text)} characters)"
    return text[: RESULT_CHARS - len(note)] + note


def error_text(error: BaseException) -> str:
    """What the model is told of *error*: never a traceback."""
    said = " ".join(clean(str(error)).split())
    if not isinstance(error, ToolError):
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return "error: " + (said or "it did not work")[:ERROR_CHARS]


def clean(text: str) -> str:
    """Without what cannot be sent as UTF-8."""
    return text.encode("utf-8", "replace").decode()
