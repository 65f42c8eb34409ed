"""Clients of the voice WebSocket, and the real application for them to talk to.

`a_server` is the application with chosen engines, entered through its own lifespan; its peers talk ASGI in memory, so
that a whole conversation runs in virtual time. `listening` is the same application behind the listener that
`vivavoce serve` uses, on a loopback port. Both kinds of peer have the same methods.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import math
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from unittest import mock

import msgspec
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kit import FakeDetector, FakeModel, FakeRecognizer, FakeVoice, run_virtually
from vivavoce.agent import Agent
from vivavoce.app import create_app
from vivavoce.audio import wav
from vivavoce.cli.serving import Server, listen
from vivavoce.engines import registry
from vivavoce.memory.base import ConversationStore
from vivavoce.server.state import ServerState
from vivavoce.settings import Memory, Settings

Json = dict[str, Any]
HEADER = struct.Struct("<BBHI")
LAST = 1
FRAME_S = 0.02
CLOSING = ("tts_complete", "interrupted", "error")
CHAT = "/ws/chat/stream"


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs in virtual time; no task may be left when it ends."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtually(test(*args, **kwargs))

    return run


# --- audio ----------------------------------------------------------------------------------------------------------


def tone(seconds: float, rate_hz: int = 16_000) -> bytes:
    """What the fake detector takes for speech: 220 Hz, mono s16le."""
    count = round(seconds * rate_hz)
    return struct.pack(f"<{count}h", *(round(8000 * math.cos(2 * math.pi * 220 * i / rate_hz)) for i in range(count)))


def silence(seconds: float, rate_hz: int = 16_000) -> bytes:
    return bytes(2 * round(seconds * rate_hz))


def pieces(pcm: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(pcm), size):
        yield pcm[at : at + size]


def sound_of(chunk: Json) -> tuple[bytes, int]:
    """The audio of a `tts_chunk`, which must be a complete WAV; and its rate."""
    data = base64.b64decode(chunk["audio_b64"], validate=True)
    assert data[:4] == b"RIFF"
    assert data[8:12] == b"WAVE"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    return wav.read(data)


# --- what a client sees ---------------------------------------------------------------------------------------------


class Peer:
    """A client of `/ws`: speaks, and keeps everything that it is sent, with the time of its arrival."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self.frames: list[bytes] = []
        """Binary messages."""
        self.arrived: list[tuple[float, Json | bytes]] = []
        self.closed: tuple[int, str] | None = None
        """Code and reason, once the connection has ended."""
        self._news = asyncio.Event()

    async def send_raw(self, data: str | bytes) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Leave politely."""
        raise NotImplementedError

    def take(self, data: str | bytes) -> None:
        """A message has come."""
        message: Json | bytes
        if isinstance(data, str):
            message = json.loads(data)
            assert isinstance(message, dict)
            self.messages.append(message)
        else:
            message = data
            self.frames.append(data)
        self.arrived.append((asyncio.get_running_loop().time(), message))
        self._news.set()

    def ended_with(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = code, reason
        self._news.set()

    # --- saying -----------------------------------------------------------------------------------------------------

    async def send(self, type: str, **fields: Any) -> None:
        await self.send_raw(json.dumps({"type": type, **fields}))

    async def start(self, **fields: Any) -> Json:
        """Start, and wait for the `info` that answers it."""
        answers = len(self.of("info"))
        await self.send("start", **fields)
        return await self.wait("info", answers + 1)

    async def ask(self, text: str) -> Json:
        """A typed turn, to its end: its metrics."""
        ended = len(self.of("metrics"))
        await self.send("text", text=text)
        return await self.wait("metrics", ended + 1)

    async def say_sound(self, pcm: bytes, *, rate_hz: int = 16_000, frame_s: float = FRAME_S) -> None:
        """Audio as fast as it is spoken."""
        loop, frame = asyncio.get_running_loop(), 2 * round(frame_s * rate_hz)
        due = loop.time()
        for piece in pieces(pcm, frame):
            await self.send_raw(piece)
            due += len(piece) / 2 / rate_hz
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def speak(self, seconds: float, **how: Any) -> None:
        await self.say_sound(tone(seconds, how.get("rate_hz", 16_000)), **how)

    async def hush(self, seconds: float, **how: Any) -> None:
        await self.say_sound(silence(seconds, how.get("rate_hz", 16_000)), **how)

    # --- hearing ----------------------------------------------------------------------------------------------------

    def of(self, *kinds: str, turn: int | None = None) -> list[Json]:
        return [m for m in self.messages if m["type"] in kinds and turn in (None, m.get("turn_id"))]

    def kinds(self, turn: int | None = None) -> list[str]:
        return [m["type"] for m in self.messages if turn in (None, m.get("turn_id"))]

    async def until(self, happened: Callable[[], bool], within_s: float = 120.0) -> None:
        """Wait for messages until *happened*; an unexpected end of the connection is an error."""
        try:
            async with asyncio.timeout(within_s):
                while not happened():
                    assert self.closed is None, f"closed {self.closed} after {self.messages[-5:]}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"it never came; got {self.kinds()}") from None

    async def wait(self, kind: str, count: int = 1, within_s: float = 120.0) -> Json:
        """The *count*-th message of a kind."""
        await self.until(lambda: len(self.of(kind)) >= count, within_s)
        return self.of(kind)[count - 1]

    async def news(self) -> bool:
        """Wait for one more message; False once the connection has ended."""
        self._news.clear()
        if self.closed is None:
            await self._news.wait()
        return self.closed is None

    async def ended(self, within_s: float = 120.0) -> tuple[int, str]:
        """How the connection ended."""
        async with asyncio.timeout(within_s):
            while self.closed is None:
                self._news.clear()
                await self._news.wait()
        return self.closed

    def speech(self, turn: int) -> list[tuple[float, int, int, bytes]]:
        """Binary audio of a turn: (arrival, flags, phrase, PCM)."""
        found = []
        for at, frame in self.arrived:
            if isinstance(frame, bytes):
                kind, flags, number, seq = HEADER.unpack_from(frame)
                assert kind == 1
                if number == turn:
                    found.append((at, flags, seq, frame[HEADER.size :]))
        return found


def check_laws(peer: Peer) -> None:
    """What holds for every conversation: numbers without gaps, one closing message a turn, and metrics last."""
    numbers = [m["n"] for m in peer.messages]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
    turns = {m["turn_id"] for m in peer.messages if "turn_id" in m and m["type"] != "decision"}
    for turn in turns:
        of_turn = [m for m in peer.messages if m.get("turn_id") == turn and m["type"] != "decision"]
        of_turn = [m for m in of_turn if not m.get("revision")]
        assert [m["type"] for m in of_turn].count("metrics") <= 1
        if of_turn[-1]["type"] != "metrics":
            continue  # the client left before its end
        closing = [m["type"] for m in of_turn if m["type"] in CLOSING]
        answered = any(m["type"] == "llm_token" for m in of_turn)
        assert len(closing) == 1 if answered else len(closing) <= 1, closing
        check_metrics(of_turn[-1])


METRICS = (
    "t0_ms",
    "t1_first_partial_ms",
    "t2_final_transcript_ms",
    "t3_first_llm_token_ms",
    "t4_first_tts_audio_ms",
    "end_of_speech_ms",
    "voice_to_voice_ms",
    "asr_rtf",
    "tts_rtf",
    "llm_tokens",
    "llm_tokens_per_s",
    "phrases",
    "dropped_frames",
    "interrupted",
    "outcome",
)


def check_metrics(metrics: Json) -> None:
    """All keys are there, and the marks are in order."""
    assert set(METRICS) <= set(metrics), set(METRICS) - set(metrics)
    assert metrics["outcome"] in ("done", "interrupted", "failed", "incomplete")
    assert metrics["interrupted"] == (metrics["outcome"] == "interrupted")
    marks = [metrics[key] for key in METRICS[:5]]
    known = [mark for mark in marks if mark is not None]
    assert known == sorted(known), marks


# --- in memory ------------------------------------------------------------------------------------------------------


class MemoryPeer(Peer):
    """A WebSocket without a socket. `stall` makes it a client that does not read."""

    def __init__(self, app: ASGIApp, path: str, headers: Json, address: str) -> None:
        super().__init__()
        self.path = path.partition("?")[0]
        self._incoming: asyncio.Queue[Json] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._reading = asyncio.Event()
        self._reading.set()
        self._gone = False
        self.accepted = asyncio.Event()
        given = {"host": "127.0.0.1:8000", **headers}
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": path.partition("?")[0],
            "raw_path": path.partition("?")[0].encode(),
            "query_string": path.partition("?")[2].encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "subprotocols": [],
            "client": (address, 50_000),
            "server": ("127.0.0.1", 8000),
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }
        self.task = asyncio.create_task(self._serve(app, scope), name="application")

    async def _serve(self, app: ASGIApp, scope: Json) -> None:
        try:
            await app(scope, self._incoming.get, self._outgoing)
        finally:
            self.ended_with(1006, "the application left")

    async def _outgoing(self, message: Any) -> None:
        await self._reading.wait()
        if self._gone:
            raise OSError("the peer is gone")
        match message["type"]:
            case "websocket.accept":
                self.accepted.set()
            case "websocket.send":
                self.take(message["text"] if message.get("text") is not None else message["bytes"])
            case "websocket.close":
                self.ended_with(message.get("code", 1000), message.get("reason") or "")
                self._incoming.put_nowait({"type": "websocket.disconnect", "code": message.get("code", 1000)})

    def stall(self) -> None:
        """Read nothing more."""
        self._reading.clear()

    def read_on(self) -> None:
        self._reading.set()

    async def send_raw(self, data: str | bytes) -> None:
        key = "text" if isinstance(data, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", key: data})
        await asyncio.sleep(0)

    async def close(self) -> None:
        await self.leave(1000)

    async def vanish(self) -> None:
        """The connection breaks."""
        await self.leave(1005)

    async def leave(self, code: int) -> None:
        self._gone = True
        self._reading.set()
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": code})
        await self.task


class App:
    """The application, running."""

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self.asgi = app
        self.state = state
        self.peers: list[MemoryPeer] = []

    async def connect(
        self, path: str = "/ws", *, headers: Json | None = None, address: str = "127.0.0.1"
    ) -> MemoryPeer:
        peer = MemoryPeer(self.asgi, path, headers or {}, address)
        self.peers.append(peer)
        await peer.accepted.wait()
        return peer

    async def leave(self) -> None:
        """All peers go; what they were sent obeyed the laws."""
        for peer in self.peers:
            if not peer.task.done():
                peer.read_on()
                await peer.close()
            await peer.task


class _Lifespan:
    """The server's side of ASGI's lifespan protocol."""

    def __init__(self, app: ASGIApp) -> None:
        self.state: Json = {}
        self._ask: asyncio.Queue[Json] = asyncio.Queue()
        self._answers: asyncio.Queue[Json] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        self._task = asyncio.create_task(app(scope, self._ask.get, self._answer), name="lifespan")  # type: ignore[arg-type]

    async def _answer(self, message: Any) -> None:
        self._answers.put_nowait(message)

    async def say(self, what: str) -> None:
        self._ask.put_nowait({"type": f"lifespan.{what}"})
        answer = await self._answers.get()
        assert answer["type"] == f"lifespan.{what}.complete", answer
        if what == "shutdown":
            await self._task


@contextmanager
def chosen_engines(*, asr: Any = None, llm: Any = None, tts: Any = None, vad: Any = None) -> Iterator[None]:
    """The table of engines holds these, or fakes."""
    roles = {
        "vad": vad or FakeDetector(),
        "asr": asr or FakeRecognizer(["hello there"]),
        "llm": llm or FakeModel("Well, hello to you. It is a fine day."),
        "tts": tts or FakeVoice(),
    }
    factories = {role: {"fake": functools.partial(_given, engine)} for role, engine in roles.items()}
    with mock.patch.object(registry, "FACTORIES", factories):
        yield
    for role, engine in roles.items():
        if role != "vad":
            assert not getattr(engine, "streams", 0), f"{role} has an open stream"


def _given(engine: Any, settings: Settings) -> Any:
    return engine


def forgetful(settings: Settings | None) -> Settings:
    """*settings* with a memory that is not kept on disk, unless they name a place for it."""
    settings = settings or Settings()
    if settings.memory.data_dir is not None:
        return settings
    return msgspec.structs.replace(settings, memory=Memory(persist=False))


@asynccontextmanager
async def a_server(
    settings: Settings | None = None,
    *,
    store: ConversationStore | None = None,
    agent: Agent | None = None,
    **engines: Any,
) -> AsyncIterator[App]:
    """The application with fake (or the given) engines; every connection is over when it returns."""
    with chosen_engines(**engines), suppress_store(store):
        app = create_app(forgetful(settings), agent=agent)
        lifespan = _Lifespan(app)
        await lifespan.say("startup")
        running = App(app, lifespan.state["server"])
        try:
            yield running
            await running.leave()
            assert not len(running.state.sessions)
            for peer in running.peers:
                if peer.path != CHAT:
                    check_laws(peer)
        finally:
            for peer in running.peers:
                peer.read_on()
                peer.task.cancel()
            await asyncio.gather(*(peer.task for peer in running.peers), return_exceptions=True)
            await lifespan.say("shutdown")


@contextmanager
def suppress_store(store: ConversationStore | None) -> Iterator[None]:
    """Use *store*, if there is one, instead of a fresh one."""
    if store is None:
        yield
        return
    with mock.patch("vivavoce.app.open_store", return_value=store):
        yield


# --- over a real socket ---------------------------------------------------------------------------------------------


class SocketPeer(Peer):
    """A client over loopback."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__()
        self.socket = socket
        self._reader = asyncio.create_task(self._read(), name="socket peer")

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for data in self.socket:
                self.take(data)
        self.ended_with(self.socket.close_code or 1006, self.socket.close_reason or "")

    async def send_raw(self, data: str | bytes) -> None:
        await self.socket.send(data)

    async def close(self) -> None:
        await self.socket.close()
        await self._reader

    async def vanish(self) -> None:
        """Reset the connection."""
        raw = self.socket.transport.get_extra_info("socket")
        raw.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: a close sends RST
        self.socket.transport.abort()
        await self._reader


@asynccontextmanager
async def a_socket(url: str, **options: Any) -> AsyncIterator[SocketPeer]:
    socket = await connect(url, compression=None, max_size=1 << 24, proxy=None, **options)
    peer = SocketPeer(socket)
    try:
        yield peer
    finally:
        await peer.close()


class Listening:
    """A server that listens on loopback."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port

    @property
    def state(self) -> ServerState:
        return self.server.state

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, path: str = "/ws") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def listening(settings: Settings | None = None, **engines: Any) -> AsyncIterator[Listening]:
    """The application behind the listener that `vivavoce serve` uses."""
    settings = forgetful(settings)
    if settings.server.drain_s == Settings().server.drain_s:
        settings = msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, drain_s=0.0))
    with chosen_engines(**engines):
        sock = listen("127.0.0.1", 0)
        port = sock.getsockname()[1]
        server = Server(settings, signals=False)
        running = asyncio.create_task(server.serve([sock]), name="server")
        try:
            await server.ready.wait()
            await server.state.engines.started()
            yield Listening(server, port)
        finally:
            server.stop()
            await running
            sock.close()


def in_order(wanted: Sequence[str], kinds: Sequence[str]) -> bool:
    """Whether *wanted* appear in *kinds* in this order, with others between."""
    rest = iter(kinds)
    return all(kind in rest for kind in wanted)
