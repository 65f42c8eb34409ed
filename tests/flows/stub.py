"""A small HTTP server on loopback for the `http` nodes: each path does one thing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Stub:
    """What it was asked, and what it answers."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[dict[str, Any]] = []
        self.hanging = asyncio.Event()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append({"method": method, "target": target, "headers": headers, "body": body})
            writer.write(await self.answer(method, target, headers, body))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(  # noqa: C901 - one arm for each path
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> bytes:
        path, _, query = target.partition("?")
        match path:
            case "/weather":
                place = query.partition("=")[2]
                return reply({"place": place, "degrees": 7 if place == "Oslo" else 21, "sky": ["sunny"]})
            case "/echo":
                return reply(
                    {"method": method, "query": query, "type": headers.get("content-type"), "body": body.decode()}
                )
            case "/text":
                return reply(b"plain words", media="text/plain")
            case "/broken":
                return reply(b'{"a": ', media="application/json")
            case "/empty":
                return reply(b"", media="application/json")
            case "/missing":
                return reply({"error": "no"}, status="404 Not Found")
            case "/here":
                return redirect("/echo?from=here")
            case "/loop":
                return redirect("/loop")
            case "/away":
                return redirect("http://169.254.169.254/latest/meta-data")
            case "/port":
                return redirect(f"http://127.0.0.1:{self.port + 1}/echo")
            case "/big":
                return reply(b"x" * (2 << 20), media="text/plain")
            case "/gzip":
                return reply(b"x", media="text/plain", more="Content-Encoding: gzip\r\n")
            case "/hang":
                self.hanging.set()
                await asyncio.sleep(60)
        return reply({})


def reply(body: Any, *, status: str = "200 OK", media: str = "application/json", more: str = "") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(data)}\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode() + data


def redirect(target: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@asynccontextmanager
async def a_stub() -> AsyncIterator[Stub]:
    stub = Stub()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await stub.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
