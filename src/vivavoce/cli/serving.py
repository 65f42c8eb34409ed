"""The ASGI server: uvicorn with our limits, and a stop that lets running turns finish."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import cast

import msgspec
import uvicorn

from vivavoce.agent import Agent
from vivavoce.app import create_app
from vivavoce.cli import Failed
from vivavoce.server.deadline import with_deadline
from vivavoce.server.sockets import HEAD_BYTES, SocketProtocol
from vivavoce.server.state import ServerState
from vivavoce.settings import Settings

log = logging.getLogger("vivavoce.serve")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
FORCED_S = 2.0
"""What the engines may still take to close when a second signal says now."""


def listen(host: str, port: int) -> socket.socket:
    """The listening socket. Raises Failed with what to do when the port cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"stop the program that has it, or choose another port: --port {port + 1} (or PORT={port + 1})"
            raise Failed(f"port {port} on {host} is in use", hint=hint) from error
        if error.errno == errno.EACCES:
            raise Failed(
                f"port {port} may not be used", hint="ports below 1024 need rights; try --port 8000"
            ) from error
        raise Failed(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error


def page_address(sock: socket.socket) -> str:
    """Where a browser on this machine finds the page."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def configuration(settings: Settings, agent: Agent | None = None) -> uvicorn.Config:
    """uvicorn's options. Compression of messages is off: audio does not compress, and bombs do."""
    server = settings.server
    return uvicorn.Config(
        create_app(settings, agent=agent),
        loop="auto",  # uvloop where there is one
        http=with_deadline(server.request_timeout_s),
        ws=SocketProtocol,
        ws_ping_interval=server.ping_interval_s,
        ws_ping_timeout=server.ping_timeout_s,
        ws_max_size=server.max_message_bytes,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,  # after the drain, which has its own limit
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


class Server(uvicorn.Server):
    """Drains before it stops; a second signal stops it at once."""

    def __init__(self, settings: Settings, *, agent: Agent | None = None, signals: bool = True) -> None:
        super().__init__(configuration(settings, agent))
        self.ready = asyncio.Event()
        """Set when it listens."""
        self._signals = SIGNALS if signals else ()
        self._forced = asyncio.Event()

    @property
    def state(self) -> ServerState:
        """What the application shares; once `ready`."""
        return cast("ServerState", self.lifespan.state["server"])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as error:
            raise Failed("the server could not start; the log above says why") from error
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain while it still listens, so that new clients are told; then close."""
        drain = asyncio.ensure_future(self.state.drain())
        forced = asyncio.ensure_future(self._forced.wait())
        await asyncio.wait({drain, forced}, return_when=asyncio.FIRST_COMPLETED)
        for task in (drain, forced):
            task.cancel()
        for outcome in await asyncio.gather(drain, forced, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("the sessions could not be drained", exc_info=outcome)
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn leaves the application as it is then, and with it the engines' processes
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FORCED_S):
                    await self.lifespan.shutdown()

    def stop(self) -> None:
        """Stop; called again, at once."""
        if self.should_exit:
            self.force_exit = True
            self._forced.set()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        log.info("[STOP] %s: %s", signal.Signals(sig).name, "now" if self.should_exit else "running turns may finish")
        self.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, this does not raise the signals again afterwards: a wanted stop is no failure."""
        if sys.platform == "win32" and self._signals:
            with super().capture_signals():
                yield
            return
        loop = asyncio.get_running_loop()
        for number in self._signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in self._signals:
                loop.remove_signal_handler(number)


@asynccontextmanager
async def in_process(settings: Settings, agent: Agent | None = None) -> AsyncIterator[str]:
    """A server inside this process, on a free port, that remembers nothing afterwards. Yields its WebSocket address
    once its engines have started."""
    replace = msgspec.structs.replace
    own = replace(settings.server, host="127.0.0.1", port=0, api_key=None, drain_s=0.0)
    settings = replace(settings, server=own, memory=replace(settings.memory, persist=False))
    sock = listen("127.0.0.1", 0)
    server = Server(settings, agent=agent, signals=False)
    running = asyncio.create_task(server.serve([sock]), name="server in process")
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        await server.state.started()
        yield f"ws://127.0.0.1:{sock.getsockname()[1]}/ws"
    finally:
        ready.cancel()
        server.stop()
        await asyncio.wait({running})
