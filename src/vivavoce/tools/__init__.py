"""What a language model may have done: typed functions, the tools of MCP servers, and the loop that runs them."""

from __future__ import annotations

from vivavoce.tools.base import ToolError
from vivavoce.tools.function import Tool, tool
from vivavoce.tools.mcp import MCPServer
from vivavoce.tools.toolbox import Toolbox

__all__ = ["MCPServer", "Tool", "ToolError", "Toolbox", "tool"]
