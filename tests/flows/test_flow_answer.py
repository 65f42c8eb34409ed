"""An answer and its reader: one that does not keep up, one that is gone, one that comes back; in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from kit import FakeModel
from transports.wire import virtual
from vivavoce.flows.model import Flow, read
from vivavoce.flows.node import Services
from vivavoce.flows.sessions import KEPT_BYTES, UNREAD_BYTES, Answer, FlowSession, FlowSessions
from vivavoce.settings import Settings, Stream
from vivavoce.transports.flow_sse import PING_S, EventStream

SERVER: Any = SimpleNamespace(settings=Settings(stream=Stream(send_timeout_s=2.0)))


def flows(**options: Any) -> FlowSessions:
    chosen = {"limit": 10, "idle_s": 900.0, "turn_s": 60.0, "window_s": 30.0} | options
    return FlowSessions(Services(), clock=asyncio.get_running_loop().time, **chosen)


def flow(text: str, count: int = 1) -> Flow:
    nodes = ", ".join(f"{{id: s{at}, type: say, text: '{{{{v}}}}'}}" for at in range(count))
    edges = ", ".join(f"[s{at}, s{at + 1}]" for at in range(count - 1))
    return read(f"id: f\nvariables: {{v: {text}}}\nnodes: [{nodes}]\nedges: [{edges}]\n".encode())


LONG = flow("x" * 7900, 90)
SLOW = read(b"id: f\nnodes: [{id: a, type: llm}]")

TWICE = read(b"id: f\nnodes: [{id: a, type: llm, quiet: true}, {id: b, type: llm}]\nedges: [[a, b]]")


class Client:
    """The other side of an ASGI response."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.reading = asyncio.Event()
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reading.wait()
        self.sent.append(message)

    def read(self, answer: Answer, **how: Any) -> Coroutine[Any, Any, None]:
        """The response is there as soon as the answer has begun, as in the endpoint."""
        return EventStream(answer, SERVER, **how)({}, self.receive, self.send)

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line[6:]) for line in self.body.splitlines() if line.startswith("data: ")]


def begin(sessions: FlowSessions, flow: Flow, llm: Any = None) -> tuple[FlowSession, Answer]:
    session = sessions.open("me", "f", "s")
    return session, sessions.begin(session, flow, "hi", llm or FakeModel("Yes."), language="en_US")


@virtual
async def test_an_answer_waits_for_a_reader_that_does_not_keep_up() -> None:
    sessions, client = flows(), Client()
    _, answer = begin(sessions, LONG)
    reading = asyncio.create_task(client.read(answer))
    await asyncio.sleep(1.0)
    assert UNREAD_BYTES < answer.events[-1].end < UNREAD_BYTES + 20_000
    assert not answer.finished
    client.reading.set()
    await reading
    assert answer.finished
    assert client.events[-1]["type"] == "done"
    assert len(client.events[-1]["content"]) == 90 * 7900 + 89
    assert client.sent[-1]["more_body"] is False


@virtual
async def test_a_reader_that_takes_nothing_is_let_go_and_its_answer_stops() -> None:
    sessions, client, model = flows(), Client(), FakeModel(["one ", 300.0])
    session, answer = begin(sessions, SLOW, model)
    began = asyncio.get_running_loop().time()
    await client.read(answer)
    assert asyncio.get_running_loop().time() - began == SERVER.settings.stream.send_timeout_s
    await sessions.quiet()
    assert asyncio.get_running_loop().time() - began < SERVER.settings.stream.send_timeout_s + 1.0
    assert model.streams == 0
    assert session.state is not None
    assert session.state.interrupted


@virtual
async def test_a_silent_answer_is_pinged() -> None:
    sessions, client, model = flows(), Client(), FakeModel([9.0, "one "])
    client.reading.set()
    _, answer = begin(
        sessions, read(b"id: f\nnodes: [{id: a, type: llm, quiet: true}, {id: b, type: llm}]\nedges: [[a, b]]"), model
    )
    await client.read(answer)
    assert client.body.count(": ping\n\n") == int(18.0 // PING_S)
    assert client.events[-1]["content"] == "one "


@virtual
async def test_an_answer_has_a_limit() -> None:
    sessions, client = flows(), Client()
    client.reading.set()
    _, answer = begin(sessions, flow("é" * 7900, 95))
    await client.read(answer)
    assert client.events[-1]["code"] == "FLOW_LIMIT"
    assert answer.events[-1].end < KEPT_BYTES + 40_000


@virtual
async def test_a_turn_has_a_limit_in_time() -> None:
    sessions, client, model = flows(turn_s=5.0), Client(), FakeModel(["a ", 4.0] * 20)
    client.reading.set()
    _, answer = begin(sessions, SLOW, model)
    await client.read(answer)
    assert client.events[-1]["code"] == "FLOW_TIMEOUT"
    assert model.streams == 0


@virtual
async def test_who_comes_back_within_the_grace_finds_the_answer_going_on() -> None:
    sessions, model = flows(), FakeModel("a b c d e f", gap_s=0.2)
    _, answer = begin(sessions, SLOW, model)
    first, second = Client(), Client()
    first.reading.set()
    second.reading.set()
    reading = asyncio.create_task(first.read(answer))
    await asyncio.sleep(0.7)
    first.left.set()
    await reading
    await asyncio.sleep(0.4)
    seen = int(first.body.rpartition("id: ")[2].split("\n")[0].split(".")[1])
    await second.read(answer, sent=seen)
    told = [event["content"] for event in first.events + second.events]
    assert told == ["a ", "b ", "c ", "d ", "e ", "f ", "a b c d e f "]


@virtual
async def test_an_answer_that_was_cancelled_before_it_began_is_closed_too() -> None:
    sessions, client = flows(), Client()
    client.reading.set()
    _, answer = begin(sessions, SLOW)
    answer.cancel()
    await client.read(answer)
    assert [event["code"] for event in client.events] == ["CANCELLED"]


@virtual
async def test_unused_sessions_are_forgotten() -> None:
    sessions = flows(limit=2, idle_s=100.0)
    for name in ("a", "b"):
        sessions.open("me", "f", name)
    await asyncio.sleep(70.0)
    assert sessions.find("me", "f", "b") is not None
    sessions.open("me", "f", "c")  # a was unused for longest, and for more than a minute
    assert sessions.find("me", "f", "a") is None
    await asyncio.sleep(101.0)
    sessions.open("me", "f", "d")
    assert len(sessions) == 1
    assert sessions.find("you", "f", "d") is None


@virtual
async def test_a_flow_that_is_deleted_takes_its_sessions_along() -> None:
    sessions, model = flows(), FakeModel(["one ", 300.0])
    _, answer = begin(sessions, SLOW, model)
    await asyncio.sleep(1.0)
    sessions.forget("f")
    await sessions.quiet()
    assert (len(sessions), model.streams) == (0, 0)
    assert answer.finished
