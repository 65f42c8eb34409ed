"""The composition root: settings -> engines, store -> routes.

`create_app()` is what an ASGI server imports; `vivavoce serve` does the same with its own options.
"""

from __future__ import annotations

import asyncio
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
from starlette.types import Receive, Scope, Send

from vivavoce.agent import Agent
from vivavoce.engines.registry import InstalledEngines
from vivavoce.memory import open_store
from vivavoce.observe.logs import SessionLog
from vivavoce.server import conversations, flows, openapi, status
from vivavoce.server.auth import Gate
from vivavoce.server.errors import handlers
from vivavoce.server.state import ServerState
from vivavoce.settings import Settings, load_from_environment
from vivavoce.transports import chat_ws, flow_sse, voice_ws

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
        *flows.routes(),
        *flow_sse.routes(),
        *openapi.routes(),
    ]


class Application:
    """The server as an ASGI application: `app.mount("/voice", create_app(agent=agent))`, or an application by itself.

    It starts with the lifespan of whoever serves it. What is mounted is never told of one: there, start it by
    `FastAPI(lifespan=voice.lifespan)`, or let the first request do it; it then ends with the event loop.
    """

    def __init__(self, settings: Settings, agent: Agent | None = None) -> None:
        self._settings = settings
        self._agent = agent
        self._app = Starlette(routes=routes(), lifespan=self.lifespan, exception_handlers=handlers())
        self._gate = Gate(self._app, settings.server, sockets=SOCKETS)
        self._loop: asyncio.AbstractEventLoop | None = None  # that it is started in
        self._start: tuple[asyncio.Task[None], asyncio.Future[None]] | None = None  # by itself

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._started()
        await self._gate(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[dict[str, ServerState]]:  # noqa: ARG002
        """Started within the block; what a host application's own lifespan enters."""
        settings = self._settings
        state = ServerState(
            settings,
            InstalledEngines(settings),
            open_store(settings.memory),
            [partial(SessionLog, settings.log, settings.stream)],
            self._agent,
        )
        await state.start()
        self._app.state.server, self._loop = state, asyncio.get_running_loop()
        try:
            yield {"server": state}
        finally:
            self._loop = None
            await state.stop()

    async def _started(self) -> None:
        """Start, unless that was done. Raises what the start raises; the next request tries again."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and self._loop.is_running():
            raise RuntimeError("this application runs in another event loop: make one for each")
        if self._start is None or self._start[0].get_loop() is not loop or self._start[0].done():
            ready: asyncio.Future[None] = loop.create_future()
            self._start = loop.create_task(self._run(ready), name="vivavoce"), ready
        await asyncio.shield(self._start[1])

    async def _run(self, ready: asyncio.Future[None]) -> None:
        """Started until the event loop ends, which cancels all that still runs."""
        try:
            async with self.lifespan():
                ready.set_result(None)
                await asyncio.Event().wait()
        except Exception as error:  # of the start: told to those who wait for it
            if ready.done():
                raise
            ready.set_exception(error)


def create_app(settings: Settings | None = None, *, agent: Agent | None = None) -> Application:
    """The server as an ASGI application; its engines load when it starts.

    agent: who answers; without one, the language model with the configured instructions.
    """
    return Application(settings if settings is not None else load_from_environment(), agent)
