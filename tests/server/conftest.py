"""A small application behind the real gate, with the real routes of this part."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from vivavoce.errors import EngineTimeout, ServerBusy
from vivavoce.flows.node import Services
from vivavoce.flows.store import FlowStore
from vivavoce.memory import ConversationStore, MemoryStore
from vivavoce.server import conversations, openapi
from vivavoce.server.auth import Gate
from vivavoce.server.errors import handlers
from vivavoce.session.conversation import Conversations
from vivavoce.settings import Server

MakeApp = Callable[..., Gate]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def page(request: Request) -> Response:
    return PlainTextResponse("the page")


async def health(request: Request) -> Response:
    return JSONResponse({"owner": request.scope["state"]["owner"]})


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def fault(request: Request) -> Response:
    raise RuntimeError("a secret detail")


async def busy(request: Request) -> Response:
    raise ServerBusy("SESSION_LIMIT", "Full.", retry_after_s=2.5)


async def slow(request: Request) -> Response:
    raise EngineTimeout("llm", "The model gave nothing.")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"owner": websocket.scope["state"]["owner"]})
    await websocket.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def make_app(clock: Clock, store: ConversationStore) -> MakeApp:
    def make(
        store: ConversationStore = store, conversations_open: Conversations | None = None, **settings: Any
    ) -> Gate:
        app = Starlette(
            routes=[
                Route("/", page),
                Route("/health", health),
                Route("/static/app.js", page),
                Route("/voices", health),
                Route("/echo", echo, methods=["POST"]),
                Route("/upload", echo, methods=["POST"]),
                Route("/fault", fault),
                Route("/busy", busy),
                Route("/slow", slow),
                WebSocketRoute("/ws", socket),
                WebSocketRoute("/ws/chat/stream", socket),
                *conversations.routes(),
                *openapi.routes(),
            ],
            exception_handlers=handlers(),
        )
        app.state.server = SimpleNamespace(
            store=store, conversations=conversations_open or Conversations(store), flows=FlowStore(None, Services())
        )
        sockets = ("/ws", "/ws/chat/stream")
        return Gate(app, Server(**settings), sockets=sockets, uploads=("/upload",), clock=clock)

    return make
