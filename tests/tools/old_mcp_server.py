"""An MCP server by hand, as there were before 2026: a handshake, a list that changes, and chatter on its output."""

from __future__ import annotations

import json
import sys
from typing import Any

names = ["echo"]


def send(**message: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    match method:
        case "initialize":
            return {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "old", "version": "1"},
            }
        case "tools/list":  # a page for each tool
            at = int(params.get("cursor") or 0)
            page: dict[str, Any] = {"tools": [{"name": names[at], "inputSchema": {"type": "object"}}]}
            return page | ({"nextCursor": str(at + 1)} if at + 1 < len(names) else {})
        case "tools/call":
            if params["name"] == "echo":
                names.append(f"echo.{len(names)}")
                send(method="notifications/tools/list_changed")
            return {"content": [{"type": "text", "text": json.dumps(params.get("arguments"))}]}
    return None


print("old server, version 1", flush=True)  # what does not belong here
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    result = answer(request["method"], request.get("params") or {})
    if result is None:
        send(id=request["id"], error={"code": -32601, "message": "Method not found"})
    else:
        send(id=request["id"], result=result)
