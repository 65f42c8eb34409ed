"""A language model server on loopback that speaks OpenAI's and Ollama's protocols, with faults.

The model's name chooses the fault, so that one server serves all tests:

    async with fake_llm() as server:
        OpenAIChat(base_url=server.openai_url, model="stall")

What it saw is kept: `requests`, `connections`, and when connections were closed.
As a program (`python tests/fake_llm.py PORT`) it serves until it is ended.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import json
import re
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

Json = dict[str, Any]
Speak = Callable[[list[str]], Iterator[bytes]]
"""Pieces of an answer -> the chunks of a protocol."""

ANSWER = "Well, once upon a time there was a fox – un renard rusé 🦊 – and it spoke."
PIECES = [word + " " for word in ANSWER.split()]
INVALID = b"caf\xff\xc3 \xe2\x82 noir"
"""Broken UTF-8 within an answer."""

REFUSALS: dict[str, tuple[int, dict[str, str], str]] = {
    "403": (403, {}, '{"error": {"message": "the key secret-key-1 may not use the model"}}'),
    "408": (408, {}, ""),
    "503": (503, {}, '{"error": "loading the model"}'),
    "401": (401, {}, '{"error": {"message": "Incorrect API key provided: secret-key-1"}}'),
    "404": (404, {}, '{"error": {"message": "The model does not exist", "code": "model_not_found"}}'),
    "400": (400, {}, '{"error": {"message": "too long", "code": "context_length_exceeded", "param": "messages"}}'),
    "429": (429, {"Retry-After": "0.2"}, '{"error": "slow down"}'),
    "429-long": (429, {"Retry-After": "30"}, '{"error": {"message": "quota"}}'),
    "500": (500, {}, "<html>oops</html>"),
    "307": (307, {"Location": "http://127.0.0.1:1/"}, ""),
}
UNWANTED: dict[str, tuple[int, str]] = {
    "no-tools": (400, '{"error": "registry/no-tools does not support tools"}'),
    "no-tools-500": (500, '{"error": {"message": "tools param requires --jinja flag"}}'),
    "no-response_format": (
        422,
        '{"detail": [{"loc": ["body", "response_format"], "msg": "Extra inputs not permitted"}]}',
    ),
    "no-format": (400, '{"error": "json: cannot unmarshal object into field ChatRequest.format of type string"}'),
    "no-think": (400, '{"error": "this model does not support thinking"}'),
    "no-stream_options": (400, '{"error": {"message": "Unknown parameter", "param": "stream_options"}}'),
    "silent-no-stream_options": (400, "<html>"),
    "bad-tools": (400, '{"error": {"message": "Invalid schema", "param": "tools[0].function.parameters"}}'),
}
"""Refuse a request that has the field behind the last `no-` or `bad-`."""
ERROR = {"error": {"message": "out of memory"}}
FLAKY = {"429-once": ("429", 1), "500-twice": ("500", 2)}
"""Refuse so many times, then answer."""


class End(enum.Enum):
    """How a streamed answer ends."""

    WELL = enum.auto()
    NEVER = enum.auto()
    CLOSE = enum.auto()
    RESET = enum.auto()


class Connection:
    """One TCP connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.requests = 0
        self.closed_at: float | None = None

    async def send(self, data: bytes) -> None:
        """One chunk of a chunked answer; an empty one ends it."""
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


class FakeLLM:
    """The server; make it by `fake_llm`."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Json] = []
        """Path, headers and body of each, in order."""
        self.connections: list[Connection] = []
        self.models = ["plain", "llama3.2:3b", "tagged:latest"]
        self.sent = asyncio.Event()
        """Set when a stream has sent its first piece."""
        self.closed = asyncio.Event()
        """Set when a client has closed a connection."""
        self.instead: str | None = None
        """Answers every request as this model would."""
        self._server: asyncio.Server | None = None
        self._asked = asyncio.Event()
        self._flaws: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    async def seen(self, path: str) -> None:
        """Wait until there was a request to *path*."""
        while not self.bodies(path):
            self._asked.clear()
            await self._asked.wait()

    def bodies(self, path: str) -> list[Json]:
        """The bodies of the requests to *path*."""
        return [request["body"] for request in self.requests if request["path"] == path]

    async def open(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port or self.port, limit=2**22)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections from now on, and end those there are."""
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            connection.writer.close()
        while not all(connection.closed_at for connection in self.connections):
            self.closed.clear()
            await self.closed.wait()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.connections.append(connection)
        try:
            while (request := await read_request(reader)) is not None:
                connection.requests += 1
                self.requests.append(request)
                self._asked.set()
                await self._answer(connection, request)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            connection.closed_at = asyncio.get_running_loop().time()
            self.closed.set()
            writer.close()

    async def _answer(self, connection: Connection, request: Json) -> None:
        match request["path"]:
            case "/v1/models":
                await self._send(connection, 200, {"data": [{"id": name} for name in self.models]})
            case "/api/tags":
                await self._send(connection, 200, {"models": [{"name": name} for name in self.models]})
            case "/api/generate":
                await self._send(connection, 200, {"done": True, "done_reason": "load"})
            case "/v1/chat/completions":
                await self._chat(connection, request["body"], openai)
            case "/api/chat":
                await self._chat(connection, request["body"], ollama)
            case _:
                await self._send(connection, 404, {"error": "there is no such path"})

    async def _send(
        self, connection: Connection, status: int, body: Any, headers: dict[str, str] | None = None
    ) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Fake", f"Content-Length: {len(data)}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        connection.writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await connection.writer.drain()

    async def _chat(self, connection: Connection, body: Json, speak: Speak) -> None:
        model = self.instead or body["model"]
        if model in FLAKY:
            refusal, times = FLAKY[model]
            self._flaws[model] = self._flaws.get(model, 0) + 1
            model = refusal if self._flaws[model] <= times else "plain"
        if model == "reasoner" and (refused := {"max_tokens", "temperature"} & body.keys()):
            param = min(refused)
            error = {"message": f"Unsupported: {param}", "param": param, "code": "unsupported_parameter"}
            await self._send(connection, 400, {"error": error})
        elif model in UNWANTED and unwanted(model) in body:
            await self._send(connection, *UNWANTED[model])
        elif model == "429-date":
            soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
            await self._send(connection, 429, "", {"Retry-After": soon})
        elif model in REFUSALS:
            status, headers, text = REFUSALS[model]
            await self._send(connection, status, text, headers)
        elif model == "deaf":
            await connection.gone()
        else:
            await self._stream(connection, *answer(model, speak))

    async def _stream(self, connection: Connection, chunks: Iterable[bytes | float], end: End) -> None:
        connection.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        await connection.writer.drain()
        for place, chunk in enumerate(chunks, 1):
            if isinstance(chunk, float):
                await asyncio.sleep(chunk)
            else:
                await connection.send(chunk)
                self.sent.set()
                if place % 16 == 0:
                    await asyncio.sleep(0)  # it shares the loop with those that it serves
        match end:
            case End.WELL:
                await connection.send(b"")
            case End.NEVER:
                await connection.gone()
            case End.CLOSE:
                connection.writer.close()
            case End.RESET:
                at_once = struct.pack("ii", 1, 0)
                connection.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                connection.writer.transport.abort()


def unwanted(model: str) -> str:
    """The field that a model of UNWANTED does not take."""
    return re.split("no-|bad-", model)[-1].removesuffix("-500")


def answer(model: str, speak: Speak) -> tuple[Iterable[bytes | float], End]:
    """What a model sends (a number is a pause in seconds), and how that ends."""
    said = list(speak(PIECES))
    begun = said[:4]
    whole = b"".join(speak(PIECES[:4]))
    error = event(ERROR) if speak is openai else line({"error": "out of memory"})
    start = b"\xef\xbb\xbf: hello\r\nid: 1\r\nretry: 5\r\n\r\n" if speak is openai else b"\r\n"
    everything = b"".join(said)
    if model.startswith("calls"):
        return CALLS[speak](model), End.WELL
    ways: dict[str, tuple[Iterable[bytes | float], End]] = {
        "slow-first": ([0.3, *said], End.WELL),
        "stall": (begun, End.NEVER),
        "bytes": ((whole[at : at + 1] for at in range(len(whole))), End.WELL),
        "crlf": ([start, *(chunk.replace(b"\n", b"\r\n") for chunk in said)], End.WELL),
        "unfinished": (begun, End.WELL),
        "broken": (begun, End.CLOSE),
        "reset": ([*begun, 0.05], End.RESET),
        "empty": ([], End.WELL),
        "open": (said, End.NEVER),
        "invalid-utf8": ((chunk.replace(b"HERE", INVALID) for chunk in speak(["HERE"])), End.WELL),
        "error": ([*begun, error], End.WELL),
        "error-first": ([error], End.WELL),
        "endless": (itertools.repeat(begun[1]), End.NEVER),
        "alive": (itertools.chain(begun, itertools.cycle([NULLS[speak][-1], 0.05])), End.NEVER),
        "silent": (itertools.cycle([NULLS[speak][-1], 0.05]), End.NEVER),
        "slow": (itertools.cycle([begun[1], 0.1]), End.NEVER),
        "long": (speak(["first ", "x " * 100_000]), End.WELL),
        "cut-in-a-character": ([everything[: everything.index("🦊".encode()) + 2]], End.CLOSE),
        "finish-open": (said[:-1] if speak is openai else said, End.NEVER),
        "usage": ([*said[:-1], USAGE, said[-1]] if speak is openai else said, End.WELL),
        "huge": (speak(["first ", "x" * 1_000_000]), End.WELL),
        "thinks": ([*THOUGHTS[speak], *said], End.WELL),
        "thinks-aloud": (speak(["<thi", "nk>\nhm <b", "> hm</thi", "nk>", "\n", "\n", *PIECES]), End.WELL),
        "nulls": ([*NULLS[speak], *said], End.WELL),
        "garbage": ([*begun, b"data: {nonsense\n\n"], End.WELL),
        "done-only": ([*said[:-2], said[-1]], End.WELL),
        "length": ((chunk.replace(b'"stop"', b'"length"') for chunk in said), End.WELL),
    }
    return ways.get(model, (said, End.WELL))


def event(document: Json) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def line(document: Json) -> bytes:
    return f"{json.dumps(document, ensure_ascii=False)}\n".encode()


def openai(pieces: list[str]) -> Iterator[bytes]:
    """Chat completion chunks: the role, the pieces, the finish reason, usage, `[DONE]`."""

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event({"id": "c1", "object": "chat.completion.chunk", "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces:
        yield chunk({"content": piece})
    yield chunk({}, "stop")
    yield b"data: [DONE]\n\n"


def ollama(pieces: list[str]) -> Iterator[bytes]:
    """The lines of `/api/chat`."""
    for piece in pieces:
        yield line({"model": "m", "message": {"role": "assistant", "content": piece}, "done": False})
    last = {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    yield line(last)


NULLS: dict[Speak, list[bytes]] = {
    openai: [
        event({"choices": choices})
        for choices in (
            None,
            [],
            [{"delta": None}],
            [{"delta": {"content": None, "tool_calls": None}, "finish_reason": ""}],
        )
    ],
    ollama: [line({"message": message, "done": False}) for message in (None, {"content": None})],
}
THOUGHTS: dict[Speak, list[bytes]] = {
    openai: [event({"choices": [{"delta": {key: "hm"}}]}) for key in ("reasoning_content", "reasoning")],
    ollama: [line({"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False})] * 2,
}


USAGE = event({"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 12}})


def openai_calls(model: str) -> list[bytes]:
    """A model that calls tools, in one of the ways in which servers stream that."""

    def chunk(*calls: Json, finish: str | None = None, text: str | None = None) -> bytes:
        delta = {"content": text, "tool_calls": list(calls)} if calls else {"content": text}
        return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def call(name: str | None = None, arguments: Any = None, **more: Any) -> Json:
        return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}

    done = b"data: [DONE]\n\n"
    fragments = ['{"pla', 'ce": "Os', 'lo"}']
    ways: dict[str, list[bytes]] = {
        "calls": [
            chunk(text="One moment. "),
            chunk(call("weather", "", index=0, id="a1")),
            *(chunk(call(arguments=part, index=0)) for part in fragments),
            chunk(call("clock", "", index=1, id="a2")),
            chunk(finish="tool_calls"),
            USAGE,
            done,
        ],
        "calls-whole": [chunk(call("weather", {"place": "Oslo"}), call("clock", {}), finish="stop"), done],
        "calls-no-end": [chunk(call("weather", '{"place": "Oslo"}')), chunk(call("clock", "{}"))],
        "calls-cut": [chunk(call("weather", fragments[0], index=0, id="a1"), finish="length"), done],
        "calls-broken": [chunk(call("weather", fragments[0], index=0, id="a1"))],
        "calls-nameless": [chunk(call(None, "{}", index=0, id="a1"), finish="tool_calls"), done],
        "calls-none": [chunk(text="Well."), chunk(finish="tool_calls"), done],
        "calls-garbage": [chunk({"index": "x", "id": 5, "function": {"name": ["y"], "arguments": 3}}, {}), done],
        "calls-many": [chunk(*(call(f"t{at}", "{}", index=at, id=f"a{at}") for at in range(17))), done],
        "calls-long": [chunk(call("weather", '{"place": "', index=0))]
        + [chunk(call(arguments="x" * 999, index=0))] * 70,
    }
    return ways[model]


def ollama_calls(model: str) -> list[bytes]:
    def message(*calls: Json, text: str = "", done: str | None = None) -> bytes:
        said: Json = {"role": "assistant", "content": text} | ({"tool_calls": list(calls)} if calls else {})
        end = (
            {"done": True, "done_reason": done, "prompt_eval_count": 90, "eval_count": 12} if done else {"done": False}
        )
        return line({"model": "m", "message": said, **end})

    def call(name: Any, arguments: Any) -> Json:
        return {"function": {"name": name, "arguments": arguments}}

    weather, clock = call("weather", {"place": "Oslo"}), call("clock", {})
    ways: dict[str, list[bytes]] = {
        "calls": [message(text="One moment. "), message(weather), message(clock), message(done="stop")],
        "calls-whole": [message(weather, clock, done="stop")],
        "calls-no-end": [message(weather), message(clock)],
        "calls-cut": [message(call("weather", '{"pla'), done="length")],
        "calls-broken": [message(call("weather", '{"pla'))],
        "calls-nameless": [message(call(None, {})), message(done="tool_calls")],
        "calls-none": [message(text="Well."), message(done="tool_calls")],
        "calls-garbage": [message({"id": 5, "function": {"name": ["y"], "arguments": 3}}, {}), message(done="stop")],
        "calls-many": [message(*(call(f"t{at}", {}) for at in range(17)))],
        "calls-long": [message(call("weather", {"place": "x" * 70_000}))],
    }
    return ways[model]


CALLS: dict[Speak, Callable[[str], list[bytes]]] = {openai: openai_calls, ollama: ollama_calls}


async def read_request(reader: asyncio.StreamReader) -> Json | None:
    """One HTTP request; None when the client has closed."""
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *fields = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return {"path": first.split()[1], "headers": headers, "body": json.loads(body) if body else None}


@asynccontextmanager
async def fake_llm() -> AsyncIterator[FakeLLM]:
    """A running server."""
    server = FakeLLM()
    await server.open()
    try:
        yield server
    finally:
        await server.close()


async def serve(port: int) -> None:
    server = FakeLLM()
    await server.open(port)
    print(server.openai_url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
