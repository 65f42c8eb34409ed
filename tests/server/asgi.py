"""Clients that talk to an ASGI application in memory."""

from __future__ import annotations

from typing import Any

import httpx
from starlette.types import ASGIApp

OWN = "http://127.0.0.1:8000"


def client(app: ASGIApp, *, address: str = "127.0.0.1", base_url: str = OWN, **headers: str) -> httpx.AsyncClient:
    """An HTTP client of *app*, coming from *address*. The server's own address is that of *base_url*."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))
    return httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers)


async def connect(
    app: ASGIApp,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    query: str = "",
    subprotocols: tuple[str, ...] = (),
    address: str = "127.0.0.1",
    server: tuple[str, int | None] = ("127.0.0.1", 8000),
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Open a WebSocket and leave again: all that the application sent, and the scope as it is afterwards."""
    given = {"host": "127.0.0.1:8000", **(headers or {})}
    if subprotocols:
        given["sec-websocket-protocol"] = ", ".join(subprotocols)
    scope: dict[str, Any] = {
        "type": "websocket",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        "subprotocols": list(subprotocols),
        "client": (address, 50000),
        "server": server,
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
    incoming = [{"type": "websocket.disconnect", "code": 1000}, {"type": "websocket.connect"}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent, scope
