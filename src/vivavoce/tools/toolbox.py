"""The tools of one agent, by name."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from vivavoce.engines.base import ToolSpec
from vivavoce.tools.base import NAME, AnyTool, ToolSource
from vivavoce.tools.function import Tool

log = logging.getLogger(__name__)


class Toolbox:
    """Functions, and servers whose tools come and go."""

    def __init__(self, tools: Sequence[Any] = ()) -> None:
        """
        tools: functions, `Tool`s, MCP servers, anything like them. Raises ValueError for two of one name, and what
        `Tool` raises.
        """
        self._own: dict[str, AnyTool] = {}
        self._sources: list[ToolSource] = []
        for given in tools:
            if _is_source(given):
                if given not in self._sources:
                    self._sources.append(given)
                continue
            one = given if _is_tool(given) else _from_function(given)
            name = one.spec.name
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a tool: 1 to 64 of A-Z a-z 0-9 _ -")
            if name in self._own:
                raise ValueError(f"there are two tools called {name}")
            self._own[name] = one

    def __bool__(self) -> bool:
        return bool(self._own or self._sources)

    def __iter__(self) -> Iterator[str]:
        return iter(self.present())

    def present(self) -> Mapping[str, AnyTool]:
        """The tools there are now, by the name that a model calls them by.

        A server's tool keeps its own name, unless it is taken or cannot be used: then the server's is put before it.
        """
        tools = dict(self._own)
        for source in self._sources:
            for tool in source.tools:
                name = tool.spec.name
                if name in tools or not NAME.fullmatch(name):
                    name = usable(f"{source.name}_{name}")
                if name in tools:
                    log.debug("tool %s of %s is left out: the name is taken", name, source.name)
                    continue
                tools[name] = tool
        return tools

    async def offered(self) -> Mapping[str, AnyTool]:
        """`present`, connected to the servers first where nobody has done so."""
        await self.start()
        return self.present()

    @property
    def troubles(self) -> list[str]:
        """What does not work at the moment, a sentence each."""
        return [f"{source.name}: {source.trouble}" for source in self._sources if source.trouble]

    async def start(self) -> None:
        """Connect to the servers, side by side; those that cannot be reached are tried again later. Idempotent."""
        if self._sources:
            await asyncio.gather(*(source.start() for source in self._sources))

    async def close(self) -> None:
        """Leave the servers. Idempotent."""
        await asyncio.gather(*(source.close() for source in self._sources))


def specs(tools: Mapping[str, AnyTool]) -> tuple[ToolSpec, ...]:
    """What a model is told of *tools*, under the names it is to use."""
    return tuple(msgspec.structs.replace(tool.spec, name=name) for name, tool in tools.items())


def usable(name: str) -> str:
    """*name* made one that a tool may have."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in name)[:64]


def _is_tool(given: Any) -> bool:
    return hasattr(given, "spec") and hasattr(given, "call")


def _is_source(given: Any) -> bool:
    return not inspect.isclass(given) and hasattr(given, "tools") and hasattr(given, "trouble")


def _from_function(given: Any) -> Tool:
    if inspect.isclass(given) or not callable(given):
        raise TypeError(f"{given!r} cannot be a tool: give a function, a Tool or an MCPServer")
    return Tool(given)
