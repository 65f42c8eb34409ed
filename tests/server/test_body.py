"""Bodies: bounded in size and in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from server.asgi import client
from server.conftest import MakeApp
from vivavoce.server.body import WholeBody

MAX_BYTES = 1 << 20


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_a_body_in_pieces_arrives_whole(make_app: MakeApp) -> None:
    async with client(make_app()) as http:
        assert (await http.post("/echo", content=b"")).content == b""
        assert (await http.post("/echo", content=b"abc")).content == b"abc"
        assert (await http.post("/echo", content=pieces(100, 1000))).content == b"x" * 100_000
        assert (await http.post("/echo", content=b"x" * MAX_BYTES)).status_code == 200


async def test_the_limit_is_a_setting(make_app: MakeApp) -> None:
    async with client(make_app(max_body_bytes=10)) as http:
        assert (await http.post("/echo", content=b"x" * 10)).status_code == 200
        assert (await http.post("/echo", content=b"x" * 11)).status_code == 413


async def test_a_body_too_large(make_app: MakeApp) -> None:
    async with client(make_app()) as http:
        announced = await http.post("/echo", content=b"x" * (MAX_BYTES + 1))
        unannounced = await http.post("/echo", content=pieces(2000, 1000))
        own_limits = await http.post("/upload", content=pieces(2000, 1000))
    for answer in (announced, unannounced):
        assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")
        assert answer.headers["connection"] == "close"
    assert len(own_limits.content) == 2_000_000


class Caller:
    """An ASGI connection that gives what it is told to, and then stays silent."""

    def __init__(self, *given: dict[str, Any]) -> None:
        self.given = list(given)
        self.sent: list[Any] = []
        self.reached = False

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached = True

    async def receive(self) -> dict[str, Any]:
        if self.given:
            return self.given.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def run(self, timeout_s: float = 0.01) -> None:
        scope = {"type": "http", "path": "/echo", "method": "POST", "headers": [(b"content-length", b"9")]}
        await WholeBody(self.app, timeout_s=timeout_s, max_bytes=100)(scope, self.receive, self.send)


async def test_a_body_that_dawdles() -> None:
    caller = Caller({"type": "http.request", "body": b"half", "more_body": True})
    await caller.run()
    assert caller.sent[0]["status"] == 408
    assert (b"connection", b"close") in caller.sent[0]["headers"]
    assert b"REQUEST_TIMEOUT" in caller.sent[1]["body"]
    assert not caller.reached


async def test_a_client_that_leaves_midway() -> None:
    caller = Caller({"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"})
    await caller.run(5.0)
    assert caller.sent == []
    assert not caller.reached
