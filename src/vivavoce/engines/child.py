"""The child's end of a worker process; the parent's end is `engines.worker`.

A message is a list: a kind and what belongs to it, `["audio", b"..."]`. On the line it is msgpack, so audio stays raw
bytes, behind its length in four bytes. `ready`, `unavailable`, `reset` and `idle` belong to the line itself.

This module is all a child imports of the server: no asyncio, no settings.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

HEADER = struct.Struct("<I")
MAX_MESSAGE = 64 * 1024 * 1024
PR_SET_PDEATHSIG = 1


class Abandoned(Exception):  # a signal, not a failure
    """The parent no longer wants the job at hand."""


def encode(kind: str, *payload: object) -> bytes:
    """One message as it goes over the line."""
    body = msgspec.msgpack.encode((kind, *payload))
    return HEADER.pack(len(body)) + body


def decode(body: bytes | bytearray | memoryview) -> list[Any]:
    """The message in *body*, its header taken off."""
    message: list[Any] = msgspec.msgpack.decode(body, type=list[Any])
    return message


class Line:
    """The connection to the parent, which is this process's standard input. Blocking.

    The process ends at once when the parent is gone: there is nobody left to work for.
    """

    def __init__(self) -> None:
        # Ctrl-C, or a service manager that stops all processes, is for the server: it drains first, then closes us.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        _die_with_parent()
        self._socket = socket.socket(fileno=os.dup(0))
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # a library that reads stdin must not eat messages
            os.dup2(nothing.fileno(), 0)
        self._rest = bytearray()
        self._messages: deque[list[Any]] = deque()

    def ready(self, *payload: object) -> None:
        """Say that the engine is loaded; *payload* becomes `Worker.ready`."""
        self.send("ready", *payload)

    def refuse(self, message: str, hint: str = "") -> NoReturn:
        """Say instead of `ready` why the engine cannot be loaded, and end."""
        self.send("unavailable", message, hint)
        sys.exit(1)

    def send(self, kind: str, *payload: object) -> None:
        """Send a message; waits while the parent does not read."""
        try:
            self._socket.sendall(encode(kind, *payload))
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    def receive(self) -> list[Any]:
        """Wait for the next message. Raises Abandoned where the parent gave the job up."""
        while not self._messages:
            self._read()
        message = self._messages.popleft()
        if message[0] == "reset":
            raise Abandoned
        return message

    def check(self) -> None:
        """Look, without waiting, whether the parent gave the job up: raises Abandoned, and its messages are gone."""
        while select.select([self._socket], [], [], 0)[0]:
            self._read()
        if any(message[0] == "reset" for message in self._messages):
            while self._messages.popleft()[0] != "reset":
                pass
            raise Abandoned

    def waiting(self) -> bool:
        """Is there a message that `receive` would return at once?"""
        while select.select([self._socket], [], [], 0)[0]:
            self._read()
        return bool(self._messages)

    def serve(self, job: Callable[[list[Any]], None]) -> NoReturn:
        """Call *job* with the first message of every job, for ever.

        It takes further messages by `receive`, and looks by `check` between pieces of long work; it need not catch
        Abandoned, only leave the engine usable. An exception ends the process: the parent replaces it.
        """
        while True:
            try:
                job(self.receive())
            except Abandoned:
                self.send("idle")

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            # Not sys.exit: this may run below a C library's callback, which swallows exceptions.
            os._exit(0)
        rest = self._rest
        rest += data
        start = 0
        while len(rest) - start >= HEADER.size:
            (size,) = HEADER.unpack_from(rest, start)
            end = start + HEADER.size + size
            if len(rest) < end:
                break
            self._messages.append(decode(bytes(rest[start + HEADER.size : end])))
            start = end
        del rest[:start]


def _die_with_parent() -> None:
    """On Linux, be killed with the parent even while a C library hangs; elsewhere the end of the line has to do."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
