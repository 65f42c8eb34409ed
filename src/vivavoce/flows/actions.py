"""The executors of the nodes that act on the world: they wait until the user's turn is certain."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from vivavoce.errors import VivavoceError
from vivavoce.events import ToolDone, ToolStarted
from vivavoce.flows.node import Node, Step, Variable, node
from vivavoce.flows.templates import Template, Tree
from vivavoce.tools.base import ToolError, result_text

log = logging.getLogger(__name__)

SHOWN = 500
"""Characters of a tool's result that a client is shown."""
Seconds = Annotated[float, Meta(gt=0, le=30)]


@node("http")
class Http(Node, frozen=True):
    """Asks a server. What is filled into the address behind its beginning is percent-encoded."""

    effects: ClassVar[bool] = True
    url: Template
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "GET"
    headers: Annotated[dict[str, Template], Meta(max_length=50)] = msgspec.field(default_factory=dict)
    body: Template | None = None
    """A text, sent as it is."""
    json: Tree | None = None
    """A value, sent as JSON."""
    into: Variable | None = None
    """Gets the answer: JSON where it is any, else a text."""
    timeout_s: Seconds = 10.0

    def __post_init__(self) -> None:
        if self.body is not None and self.json is not None:
            raise ValueError("body or json, not both")

    @property
    def reads(self) -> frozenset[str]:
        return super().reads.union(*(template.names for template in self.headers.values()))

    async def run(self, step: Step) -> str | None:
        headers = {name: template.text(step.scope) for name, template in self.headers.items()}
        named = {name.lower() for name in headers}
        content: bytes | None = None
        if self.json is not None:
            content = msgspec.json.encode(self.json.value(step.scope))
            headers |= {} if "content-type" in named else {"Content-Type": "application/json"}
        elif self.body is not None:
            content = self.body.text(step.scope).encode("utf-8", "replace")
            headers |= {} if "content-type" in named else {"Content-Type": "text/plain; charset=utf-8"}
        if "accept" not in named:
            headers["Accept"] = "application/json, text/plain;q=0.5"
        url = self.url.text(step.scope, lambda piece: quote(piece, safe=""))
        got = await step.services.fetcher.fetch(
            self.method, url, headers=headers, content=content, timeout_s=self.timeout_s
        )
        if got.status >= 400:
            raise step.error("HTTP_STATUS", f"the server answered with status {got.status}")
        if self.into is not None:
            try:
                value = got.value()
            except (ValueError, RecursionError) as error:
                raise step.error("HTTP_FAILED", f"the answer is no JSON that can be read: {error}") from error
            step.set(self.into, value)
        return None


@node("tool")
class ToolNode(Node, frozen=True):
    """Calls a registered function."""

    effects: ClassVar[bool] = True
    tool: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    arguments: dict[str, Tree] = msgspec.field(default_factory=dict)
    into: Variable | None = None
    timeout_s: Seconds = 10.0

    @property
    def reads(self) -> frozenset[str]:
        return frozenset[str]().union(*(tree.names for tree in self.arguments.values()))

    async def run(self, step: Step) -> str | None:
        tools = await step.services.tools.offered()
        if (tool := tools.get(self.tool)) is None:
            known = ", ".join(sorted(tools)) or "none"
            raise step.error("TOOL_FAILED", f"there is no tool {self.tool!r}", hint=f"registered tools: {known}")
        arguments = {name: tree.value(step.scope) for name, tree in self.arguments.items()}
        call_id, began = f"{self.id}-{secrets.token_hex(4)}", time.perf_counter()
        step.turn.send(ToolStarted(id=call_id, name=self.tool, arguments=arguments))
        failure = ""
        try:
            async with asyncio.timeout(self.timeout_s):
                result = await tool.call(arguments, step.turn.agent_session)
            value = msgspec.to_builtins(result, enc_hook=str)
        except TimeoutError:
            failure = f"{self.tool} took longer than {self.timeout_s:g} s"
        except Exception as error:  # somebody's own code: whatever it does, the flow can go on by `on_error`
            if not isinstance(error, ToolError):
                log.exception("tool %s broke", self.tool)
            failure = f"{self.tool}: {str(error)[:200] or type(error).__name__}"
        shown = failure or result_text(value)[:SHOWN]
        ms = round((time.perf_counter() - began) * 1000, 1)
        step.turn.send(ToolDone(id=call_id, name=self.tool, ok=not failure, result=shown, ms=ms))
        if failure:
            raise step.error("TOOL_FAILED", failure)
        if self.into is not None:
            step.set(self.into, value)
        return None


@node("command")
class Command(Node, frozen=True):
    """Finds the command in what was said: its intent, entities, confidence and response."""

    effects: ClassVar[bool] = True
    text: Template = Template("{{input}}")
    into: Variable | None = None
    say: bool = False
    """Whether the response is said."""

    async def run(self, step: Step) -> str | None:
        if step.services.commands is None:
            raise step.error("COMMAND_FAILED", "this server has no commands")
        try:
            command = await step.services.commands(self.text.text(step.scope), step.turn)
        except VivavoceError as error:
            raise step.error("COMMAND_FAILED", error.message) from error
        if self.into is not None:
            step.set(self.into, command)
        if self.say:
            await step.say(str(command.get("response", "")))
        return None
