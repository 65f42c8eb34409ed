"""Engines in processes of their own: those that hold the interpreter lock, may crash, or keep global state.

A `Worker` is one child process, which runs a module that uses `engines.child`; a `Pool` lends interchangeable ones. The
child sees the end of its line, and ends, whenever this process is gone, however it went.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from vivavoce.engines.child import HEADER, MAX_MESSAGE, decode, encode
from vivavoce.errors import EngineBusy, EngineFailed, EngineUnavailable, Role

log = logging.getLogger(__name__)

UNSENT_LIMIT = 4 * 1024 * 1024
"""Bytes that may wait for a child that does not read (two minutes of audio); more is a failure."""
TAIL = 4096
"""Bytes kept of what the child wrote to its standard error last."""
EXIT_GRACE_S = 0.5
SETTLE_S = 1.0
"""A child must have dropped a job within this time after it was told to; else it is replaced."""
BACKOFF_S = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Waits before the next start, by the number of failures in a row."""


class _Complaints(asyncio.Protocol):
    """The last bytes of the child's standard error; its end is the end of the child."""

    def __init__(self) -> None:
        self.tail = b""
        self.gone = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-TAIL:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.gone.done():
            self.gone.set_result(None)

    def last_line(self) -> str:
        lines = self.tail.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Worker:
    """One child process. Made by `start`; whoever has it calls `close`."""

    def __init__(self, role: Role, module: str) -> None:
        self.role = role
        self.module = module
        self.ready: list[Any] = []
        """What the child said with its `ready`."""
        self._process: subprocess.Popen[bytes]
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._complaints: _Complaints
        self._stderr: asyncio.Transport
        self._killed = False
        self._closing: asyncio.Task[None] | None = None
        self._size: int | None = None

    @classmethod
    async def start(cls, role: Role, module: str, *args: str, ready_timeout_s: float = 30.0) -> Worker:
        """Run `python -m module args…` and wait until it is ready.

        Raises EngineUnavailable with the reason the child gives, or the last line it wrote before it ended.
        """
        worker = cls(role, module)
        await worker._spawn(args)
        try:
            async with asyncio.timeout(ready_timeout_s):
                worker.ready = await worker._greeting()
        except BaseException as error:
            worker.kill()
            await worker.close()
            if isinstance(error, TimeoutError):
                raise EngineUnavailable(role, f"{module} was not ready within {ready_timeout_s:g} s") from None
            raise
        return worker

    async def _greeting(self) -> list[Any]:
        try:
            message = await self.receive()
        except EngineFailed as error:
            raise EngineUnavailable(self.role, error.message) from None
        match message:
            case ["ready", *payload]:
                return payload
            case ["unavailable", reason, hint]:
                raise EngineUnavailable(self.role, reason, hint=hint)
            case _:
                raise EngineUnavailable(self.role, f"{self.module} began with {message[0]!r} instead of `ready`")

    async def _spawn(self, args: tuple[str, ...]) -> None:
        ours, theirs = socket.socketpair()
        our_stderr, their_stderr = socket.socketpair()
        with theirs, their_stderr, contextlib.ExitStack() as undo:
            undo.callback(our_stderr.close)
            self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
            undo.callback(self._writer.transport.abort)
            loop = asyncio.get_running_loop()
            self._stderr, self._complaints = await loop.create_unix_connection(_Complaints, sock=our_stderr)
            undo.callback(self._stderr.abort)
            try:
                self._process = subprocess.Popen(  # noqa: ASYNC220  # asyncio's own would take a thread to wait for it
                    [sys.executable, "-P", "-m", self.module, *args],
                    stdin=theirs.fileno(),
                    stdout=their_stderr.fileno(),  # what a C library prints must not get in between the messages
                    stderr=their_stderr.fileno(),
                    process_group=0,  # Ctrl-C in the terminal is for the server alone
                )
            except OSError as error:
                raise EngineUnavailable(self.role, f"{self.module} cannot be run: {error}") from error
            undo.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._killed and not self._complaints.gone.done()

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done once the child has ended; not to be cancelled."""
        return self._complaints.gone

    def send(self, kind: str, *payload: object) -> None:
        """Send a message without waiting. Raises EngineFailed where the child is gone or reads far too slowly."""
        if not self.alive or self._writer.is_closing():
            raise EngineFailed(self.role, self._obituary())
        if self._writer.transport.get_write_buffer_size() > UNSENT_LIMIT:
            self.kill()
            raise EngineFailed(self.role, f"{self.module} does not take its messages")
        self._writer.write(encode(kind, *payload))

    async def drain(self) -> None:
        """Wait while much is unsent, for a caller that may go no faster than the child."""
        with contextlib.suppress(ConnectionError):  # `receive` says why it ended
            await self._writer.drain()

    async def receive(self) -> list[Any]:
        """The next message, `[kind, …]`. May be cancelled and called again. Raises EngineFailed where the child ended.

        What is not taken waits, a few hundred kilobytes at most; then the child's `send` blocks.
        """
        try:
            if self._size is None:
                (self._size,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            if self._size > MAX_MESSAGE:
                self.kill()
                raise EngineFailed(self.role, f"{self.module} sent a message of {self._size} bytes")
            body = await self._reader.readexactly(self._size)
        except (asyncio.IncompleteReadError, ConnectionError):
            if not self._killed:
                await asyncio.wait({self.gone}, timeout=EXIT_GRACE_S)  # for its last words
            raise EngineFailed(self.role, self._obituary()) from None
        self._size = None
        return decode(body)

    async def settle(self) -> None:
        """Have the child drop its job and everything it said of it. Raises EngineFailed, TimeoutError."""
        self.send("reset")
        async with asyncio.timeout(SETTLE_S):
            while await self.receive() != ["idle"]:
                pass

    def kill(self) -> None:
        """End the child at once, whatever it does. `close` must still follow."""
        if not self._killed:
            self._killed = True
            self._process.kill()
            self._writer.transport.abort()

    async def close(self) -> None:
        """Let the child end, or make it after half a second; nothing of it is left. Idempotent.

        Cancelling the wait does not stop the closing; calling it again waits for the rest.
        """
        self._closing = self._closing or asyncio.create_task(self._end())
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        if not self._writer.is_closing():
            self._writer.close()
        if not self._killed:
            await asyncio.wait({self.gone}, timeout=EXIT_GRACE_S)
        self.kill()
        # These are its last milliseconds, and without a thread nothing announces their end.
        while self._process.poll() is None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        self._stderr.close()
        await asyncio.wait({self.gone})

    def _obituary(self) -> str:
        reason = self._complaints.last_line()
        return f"{self.module} ended" + (f": {reason}" if reason else "")


class Pool:
    """A fixed number of interchangeable workers, each lent to one borrower at a time.

    A worker that dies, or does not drop its job in time when it comes back, is replaced in the background. A child that
    cannot be started is tried again ever more rarely.
    """

    def __init__(self, role: Role, module: str, *args: str, size: int, ready_timeout_s: float = 30.0) -> None:
        self.role = role
        self.restarts = 0
        """How many workers were started in place of another, or after a failed start."""
        self._recipe = (module, args, ready_timeout_s)
        self._size = size
        self._free: asyncio.Queue[tuple[Worker, asyncio.Future[None]]] = asyncio.Queue()
        self._live: set[Worker] = set()
        self._dying: set[Worker] = set()
        self._places: list[asyncio.Task[None]] = []
        self._failure: EngineUnavailable | None = None

    @property
    def live(self) -> int:
        """Workers that run, lent or not."""
        return len(self._live)

    @property
    def pids(self) -> set[int]:
        """The processes of the workers that run."""
        return {worker.pid for worker in self._live}

    async def start(self) -> list[Any]:
        """Start all; returns what the first one said when it was ready. Raises EngineUnavailable if it cannot be."""
        first = await self._launch()
        self._places = [asyncio.create_task(self._keep(worker)) for worker in [first, *[None] * (self._size - 1)]]
        await asyncio.sleep(0)  # from its first step on, a place closes its worker when it is cancelled
        return first.ready

    async def close(self) -> None:
        """End all workers, lent ones too. Idempotent."""
        places, self._places = self._places, []
        for place in places:
            place.cancel()
        await asyncio.gather(*places, return_exceptions=True)
        await asyncio.gather(*[worker.close() for worker in self._dying])
        self._dying.clear()

    @asynccontextmanager
    async def lend(self, wait_s: float) -> AsyncGenerator[Worker, None]:
        """A worker that has nothing to do. Leaving the block, however, makes it drop whatever it still does.

        Raises EngineBusy where none was free within *wait_s*, EngineUnavailable where none can be started.
        """
        if not self._places:
            raise EngineUnavailable(self.role, "the engine is not running")
        try:
            async with asyncio.timeout(wait_s):
                worker, returned = await self._free.get()
                while not worker.alive:
                    worker, returned = await self._free.get()
        except TimeoutError:
            if self._failure and not self._live:
                raise self._failure from None
            raise EngineBusy(self.role, f"all {self._size} workers are busy") from None
        try:
            yield worker
        finally:
            if not returned.done():
                returned.set_result(None)

    async def _launch(self) -> Worker:
        module, args, ready_timeout_s = self._recipe
        return await Worker.start(self.role, module, *args, ready_timeout_s=ready_timeout_s)

    async def _keep(self, worker: Worker | None) -> None:
        """One place of the pool: have a worker, offer it until it is gone, have the next."""
        failures = 0
        while True:
            try:
                worker = worker or await self._launch()
            except EngineUnavailable as error:
                self._failure = error
                log.warning("%s", error)
            else:
                self._live.add(worker)
                try:
                    if await self._offer(worker):
                        failures = 0
                finally:
                    self._live.discard(worker)
                    self._dying.add(worker)
                    worker.kill()
                    await worker.close()
                    self._dying.discard(worker)
                worker = None
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            failures += 1
            self.restarts += 1

    async def _offer(self, worker: Worker) -> bool:
        """Lend *worker* again and again until it is gone; says whether it was of any use."""
        useful = False
        while worker.alive:
            returned = asyncio.get_running_loop().create_future()
            self._free.put_nowait((worker, returned))
            await asyncio.wait({returned, worker.gone}, return_when=asyncio.FIRST_COMPLETED)
            try:
                await worker.settle()
            except EngineFailed as error:
                log.warning("%s", error)
                break
            except TimeoutError:
                log.warning("%s did not drop its job and is replaced", worker.module)
                break
            useful = True
        return useful
