"""The composition root: settings -> engines, store -> routes.

`create_app()` is what an ASGI server imports; `vivavoce serve` does the same with its own options.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from vivavoce.agent import Agent
from vivavoce.engines.registry import InstalledEngines
from vivavoce.memory import open_store
from vivavoce.observe.logs import SessionLog
from vivavoce.server import conversations, openapi, status
from vivavoce.server.auth import Gate
from vivavoce.server.errors import handlers
from vivavoce.server.state import ServerState
from vivavoce.settings import Settings, load_from_environment
from vivavoce.transports import chat_ws, voice_ws

WEB = Path(str(files("vivavoce") / "web"))
SOCKETS = ("/ws", "/ws2", "/ws_legacy", "/ws/chat/stream")


class PageFiles(StaticFiles):
    """The page's modules, asked for again at every visit: an upgrade never mixes old and new ones."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def page(request: Request) -> Response:  # noqa: ARG001
    """The page."""
    return FileResponse(WEB / "index.html", headers={"Cache-Control": "no-cache"})


def routes() -> list[BaseRoute]:
    """Every route of the server."""
    return [
        Route("/", page),
        Mount("/static", PageFiles(directory=WEB)),
        WebSocketRoute("/ws", voice_ws.voice),
        WebSocketRoute("/ws2", voice_ws.voice),
        WebSocketRoute("/ws_legacy", voice_ws.legacy),
        WebSocketRoute("/ws/chat/stream", chat_ws.chat),
        *status.routes(),
        *conversations.routes(),
        *openapi.routes(),
    ]


def create_app(settings: Settings | None = None, *, agent: Agent | None = None) -> ASGIApp:
    """The server as an ASGI application; its engines load when it starts.

    agent: who answers; without one, the language model with the configured instructions.
    """
    settings = settings if settings is not None else load_from_environment()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, ServerState]]:
        state = ServerState(
            settings,
            InstalledEngines(settings),
            open_store(settings.memory),
            [partial(SessionLog, settings.log, settings.stream)],
            agent,
        )
        app.state.server = state
        await state.start()
        try:
            yield {"server": state}
        finally:
            await state.stop()

    app = Starlette(routes=routes(), lifespan=lifespan, exception_handlers=handlers())
    return Gate(app, settings.server, sockets=SOCKETS)
