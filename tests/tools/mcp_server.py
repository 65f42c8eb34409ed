"""A real MCP server, to be run as a program: `mcp_server.py` over stdio, `mcp_server.py PORT` over HTTP.

What happens to it is written to the file named by LOG, a line each.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent

server = MCPServer("shop")


def note(line: str) -> None:
    if name := os.environ.get("LOG"):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@server.tool()
async def price(item: str, pieces: int = 1) -> str:
    """What an item costs."""
    if item == "unicorn":
        raise ToolError("there are no unicorns")
    return f"{item}: {3 * pieces} euro"


@server.tool()
async def stock(item: str) -> dict[str, int]:
    """How many there are."""
    return {item: 7}


@server.tool()
async def picture() -> CallToolResult:
    """What it looks like."""
    image = ImageContent(type="image", data="aGk=", mime_type="image/png")
    return CallToolResult(content=[TextContent(type="text", text="a red bicycle"), image])


@server.tool()
async def nothing() -> None:
    """Does nothing."""


@server.tool()
async def slow(seconds: float) -> str:
    """Takes its time."""
    note("slow began")
    try:
        await asyncio.sleep(seconds)
    except BaseException as error:
        note(f"slow {type(error).__name__}")
        raise
    note("slow ended")
    return "at last"


@server.tool()
async def die() -> str:
    """Ends the server in the middle of a call."""
    note("dies")
    os._exit(1)


@server.tool()
async def secret() -> str:
    """What it was given by its environment."""
    return os.environ.get("SHOP_SECRET", "none")


@server.tool()
async def learn(context: Context) -> str:
    """From now on there is another tool."""

    async def fresh() -> str:
        """It is new."""
        return "fresh"

    server.add_tool(fresh)
    await context.notify_tools_changed()  # the stream of changes
    await context.session.send_tool_list_changed()  # what older clients hear
    return "learnt"


if __name__ == "__main__":
    note(f"pid {os.getpid()}")
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
    note("over")
