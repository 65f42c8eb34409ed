"""The gate and the deadlines over real sockets, with uvicorn as it is really used."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from server.conftest import MakeApp
from vivavoce.server.deadline import with_deadline

KEY = "correct-horse"


@asynccontextmanager
async def listening(app: ASGIApp, head_timeout_s: float = 10.0) -> AsyncIterator[int]:
    """*app* on a free port of loopback."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", http=with_deadline(head_timeout_s), log_config=None
    )
    server = uvicorn.Server(config)
    config.load()
    listener = config.bind_socket()
    listener.listen()  # who connects before the server is up waits in line
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def exchange(port: int, *pieces: bytes) -> bytes:
    """Send *pieces*, then listen until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_browser_comes_in_with_a_token_that_no_log_shows(make_app: MakeApp, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    async with listening(make_app(api_key=KEY)) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            answer = await http.post("/api/token", headers={"authorization": f"Bearer {KEY}"})
        token = answer.json()["token"]
        own = Origin(f"http://localhost:{port}")
        async with connect(f"ws://127.0.0.1:{port}/ws?token={token}", origin=own, proxy=None) as socket:
            assert json.loads(await socket.recv())["owner"].startswith("key-")
        async with connect(f"ws://127.0.0.1:{port}/ws?token={token}", origin=own, proxy=None) as socket:
            assert json.loads(await socket.recv())["code"] == "UNAUTHORIZED"
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1008
    assert "/ws" in caplog.text
    assert token not in caplog.text


async def test_a_token_as_a_subprotocol(make_app: MakeApp) -> None:
    app = make_app(api_key=KEY)
    token, _ = app.access.issue("key")
    async with listening(app) as port:
        offers = [Subprotocol("vivavoce"), Subprotocol(f"token.{token}")]
        async with connect(f"ws://127.0.0.1:{port}/ws", subprotocols=offers, proxy=None) as socket:
            assert socket.subprotocol == "vivavoce"
            assert json.loads(await socket.recv())["owner"].startswith("key-")


async def test_another_site_s_handshake_fails(make_app: MakeApp) -> None:
    async with listening(make_app()) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/ws", origin=Origin("http://evil.example"), proxy=None)
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "FORBIDDEN_ORIGIN"


@pytest.mark.parametrize("piece", [b"GET", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_head_that_dawdles(make_app: MakeApp, piece: bytes) -> None:
    async with listening(make_app(), head_timeout_s=0.05) as port:
        answer = await exchange(port, piece)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "REQUEST_TIMEOUT"


async def test_a_second_head_that_dawdles(make_app: MakeApp) -> None:
    async with listening(make_app(), head_timeout_s=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readuntil(b"the page")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"GET /hea")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        writer.close()
        await writer.wait_closed()


async def test_a_connection_that_says_nothing_is_closed_without_a_word(make_app: MakeApp) -> None:
    async with listening(make_app(), head_timeout_s=0.05) as port:
        assert await exchange(port) == b""


async def test_a_body_that_dawdles(make_app: MakeApp) -> None:
    async with listening(make_app(request_timeout_s=0.05)) as port:
        head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"
        answer = await exchange(port, head)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


async def test_the_deadline_ends_with_the_head(make_app: MakeApp) -> None:
    """Neither a WebSocket nor a request being answered is touched by it."""
    app = make_app()
    entered, leave = asyncio.Event(), asyncio.Event()

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            entered.set()
            await leave.wait()
        await app(scope, receive, send)

    async with listening(waiting, head_timeout_s=0.02) as port:
        answer = asyncio.create_task(exchange(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
        await entered.wait()
        assert await exchange(port) == b""  # a deadline has passed
        leave.set()
        assert (await answer).startswith(b"HTTP/1.1 200 OK\r\n")
