"""What each kind of node does, run by itself; and what a walk through a flow keeps to."""

# ruff: noqa: E501 - flows in one line

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from flows.stub import a_stub
from kit import FakeModel, run_virtually
from vivavoce.agent import Agent
from vivavoce.commands.agent import FlowCommands
from vivavoce.engines.base import Message
from vivavoce.errors import EngineFailed, EngineTimeout
from vivavoce.events import ServerMessage, ToolDone
from vivavoce.flows.errors import FlowError
from vivavoce.flows.events import FlowEvent, FlowFailed, NodeFinished, NodeStarted, Token
from vivavoce.flows.executor import FlowRun
from vivavoce.flows.fetch import Fetcher
from vivavoce.flows.model import read
from vivavoce.flows.node import NODES, Deadlines, Node, Services, Step, Turn, node
from vivavoce.flows.nodes import first_date
from vivavoce.flows.sessions import AlwaysCertain
from vivavoce.flows.templates import Template
from vivavoce.settings import Settings
from vivavoce.tools import ToolError
from vivavoce.tools.toolbox import Toolbox


class Desk:
    """One flow, and who talks to it."""

    def __init__(self, text: str, *, llm: Any = None, **services: Any) -> None:
        self.llm = llm or FakeModel("Fine.")
        self.run = FlowRun(read(text.encode()), Services(**services))
        self.events: list[FlowEvent] = []
        self.sent: list[ServerMessage] = []
        self.host: Any = AlwaysCertain()
        self.history: Sequence[Message] = ()

    async def emit(self, event: FlowEvent) -> None:
        self.events.append(event)

    def turn(self, text: str | None) -> Turn:
        return Turn(
            text=text, llm=self.llm, host=self.host, emit=self.emit, send=self.sent.append, session_id="s9",
            language="en_US", instructions="Be brief.", history=self.history,
        )  # fmt: skip

    async def say(self, text: str | None = None) -> str:
        return (await self.run.advance(self.turn(text))).text

    @property
    def variables(self) -> dict[str, Any]:
        return self.run.state.variables


def flow(nodes: str, edges: str = "[]") -> str:
    return f"id: f\nname: F\nvariables: {{n: 1}}\nnodes: [{nodes}]\nedges: {edges}\n"


ASK = "{id: ask, type: listen, into: x}"
ECHO = "{id: echo, type: say, text: '<{{x}}>'}"


async def test_a_flow_without_a_listen_runs_for_every_input() -> None:
    desk = Desk(
        flow(
            "{id: a, type: set, values: {n: '{{n | plus: 1}}'}}, {id: b, type: say, text: '{{input}} {{n}} {{session_id}} {{name}}'}",
            "[[a, b]]",
        )
    )
    assert await desk.say("one") == "one 2 s9 F"
    assert await desk.say("two") == "two 2 s9 F"
    assert [type(event) for event in desk.events[:3]] == [NodeStarted, NodeFinished, NodeStarted]


async def test_listens_take_what_they_expect() -> None:
    desk = Desk(
        flow(
            "{id: ask, type: listen, into: x, expect: number, prompt: How many?, reprompt: 'A number, please.', tries: 2},"
            f"{ECHO}, {{id: bad, type: say, text: I give up.}}",
            "[[ask, echo], [ask, bad, invalid], [bad, ask], [echo, ask]]",
        )
    )
    assert await desk.say() == "How many?"
    assert await desk.say("lots") == "A number, please."
    assert await desk.say("many") == "I give up. How many?"
    assert await desk.say("lots") == "A number, please."  # counted anew
    assert await desk.say("a dozen") == "<12> How many?"
    assert await desk.say("seven") == "<7> How many?"


async def test_a_listen_without_a_way_out_goes_on_asking() -> None:
    desk = Desk(flow("{id: ask, type: listen, into: x, expect: yes_no}," + ECHO, "[[ask, echo], [echo, ask]]"))
    for _ in range(6):
        assert await desk.say("a table") == "Sorry, I did not get that."
    assert await desk.say("yes please") == "<true>"


def test_dates() -> None:
    from datetime import UTC, datetime

    today = lambda: datetime(2027, 3, 1, 12, tzinfo=UTC)  # noqa: E731 - a Monday
    for text, found in {
        "on Friday at seven": "2027-03-05",
        "the third of April, please": "2027-04-03",
        "Tomorrow!": "2027-03-02",
        "in ten days": "2027-03-11",
        "2027-12-24": "2027-12-24",
        "whenever": None,
        "x" * 5000: None,
    }.items():
        assert first_date(text, today) == found, text


async def test_an_llm_node_asks_what_it_is_told_to() -> None:
    model = FakeModel("It is fine.")
    desk = Desk(
        flow(
            ASK
            + ", {id: a, type: llm, system: 'Serve {{name}}.', prompt: 'About {{x}}?', model: big, temperature: 0.2,"
            " max_tokens: 9, history: true, into: told}, {id: b, type: llm, quiet: true, into: more}, "
            + ASK.replace("ask", "again"),
            "[[ask, a], [a, b], [b, again], [again, a]]",
        ),
        llm=model,
    )
    assert await desk.say("wine") == "It is fine. "
    first, second = model.requests
    assert (first.instructions, first.model, first.temperature, first.max_tokens) == ("Serve F.", "big", 0.2, 9)
    assert [(m.role, m.content) for m in first.messages] == [("user", "About wine?")]
    assert (second.instructions, second.messages[-1].content, second.max_tokens) == ("Be brief.", "wine", None)
    assert desk.variables["told"] == desk.variables["more"] == "It is fine."
    await desk.say("beer")
    assert [m.content for m in model.requests[2].messages] == ["wine", "It is fine.", "About beer?"]
    desk.history = (Message(role="user", content="from the session"),)
    await desk.say("tea")
    assert [m.content for m in model.requests[4].messages] == ["from the session", "About tea?"]


async def test_routes_by_rules_by_the_model_or_by_the_plain_edge() -> None:
    text = flow(
        ASK
        + ", {id: r, type: route, rules: [{if: 'x == \"one\"', label: first}], labels: {book: a table, bye: to leave}, prompt: '{{x}}'},"
        "{id: a, type: say, text: A}, {id: b, type: say, text: B}, {id: c, type: say, text: C}, {id: d, type: say, text: D}",
        "[[ask, r], [r, a, first], [r, b, book], [r, c, bye], [r, d], [a, ask], [b, ask], [c, ask], [d, ask]]",
    )
    model = FakeModel("")
    desk = Desk(text, llm=model)
    for said, answer, told in (
        ("one", "", "A"),
        ("two", "book", "B"),
        ("two", " Book. ", "B"),
        ("two", "The label is: bye", "C"),
        ("two", "book or bye", "D"),
        ("two", "booking", "D"),
        ("two", "", "D"),
    ):
        model.answer = [answer] if answer else []
        assert await desk.say(said) == told, answer
    assert model.requests[0].messages[-1].content == "two"
    assert "book: a table" in model.requests[0].instructions
    with pytest.raises(Exception, match="needs rules"):
        read(flow("{id: r, type: route}").encode())


async def test_conditions_and_what_on_error_gets() -> None:
    async with a_stub() as stub:
        desk = Desk(
            flow(
                ASK
                + ", {id: get, type: http, url: '{{base}}/{{x}}', into: got}, {id: told, type: say, text: '{{got.sky.0}}'},"
                "{id: sorry, type: say, text: '{{error.code}} {{error.node}}'}",
                "[[ask, get], [get, told], [get, sorry, on_error], [told, ask], [sorry, ask]]",
            ),
            fetcher=Fetcher([stub.place]),
            variables={"base": f"http://{stub.place}"},
        )
        assert await desk.say("weather") == "sunny"
        assert await desk.say("missing") == "HTTP_STATUS get"
        assert await desk.say("broken") == "HTTP_FAILED get"
        assert await desk.say("away") == "HTTP_FORBIDDEN get"
        assert [event.handled for event in desk.events if isinstance(event, FlowFailed)] == [True] * 3
        assert stub.requests[0]["headers"]["accept"].startswith("application/json")


async def test_what_is_filled_into_an_address_stays_in_its_place() -> None:
    async with a_stub() as stub:
        desk = Desk(
            flow(
                ASK
                + ", {id: get, type: http, method: POST, url: '{{base}}/echo?q={{x}}', json: {said: '{{x}}', n: '{{n}}'}, into: got}",
                "[[ask, get], [get, ask]]",
            ),
            fetcher=Fetcher([stub.place]),
            variables={"base": f"http://{stub.place}"},
        )
        await desk.say('a&b=/../?#@evil.example " }')
        assert desk.variables["got"]["query"] == "q=a%26b%3D%2F..%2F%3F%23%40evil.example%20%22%20%7D"
        assert desk.variables["got"]["body"] == '{"said":"a&b=/../?#@evil.example \\" }","n":1}'
        assert desk.variables["got"]["type"] == "application/json"


async def test_tools() -> None:
    def stock(size: int) -> dict[str, int]:
        """How many there are."""
        if size > 50:
            raise ToolError("no such size")
        return {"left": size * 2}

    async def slow() -> None:
        """Takes long."""
        await asyncio.sleep(60)

    desk = Desk(
        flow(
            "{id: ask, type: listen, into: x, expect: number}, {id: t, type: tool, tool: stock, arguments: {size: '{{x}}'}, into: got},"
            "{id: told, type: say, text: '{{got.left}} left'}, {id: sorry, type: say, text: '{{error.message}}'}",
            "[[ask, t], [t, told], [t, sorry, on_error], [told, ask], [sorry, ask]]",
        ),
        tools=Toolbox([stock, slow]),
    )
    assert await desk.say("twenty") == "40 left"
    assert await desk.say("sixty") == "stock: no such size"
    assert [message.ok for message in desk.sent if isinstance(message, ToolDone)] == [True, False]
    for name, says in (("none", "there is no tool 'none'"), ("slow", "longer than 0.05 s"), ("stock", "stock:")):
        other = Desk(flow(f"{{id: t, type: tool, tool: {name}, timeout_s: 0.05}}"), tools=Toolbox([stock, slow]))
        with pytest.raises(FlowError, match=says) as caught:
            await other.say("x")
        assert (caught.value.code, caught.value.node) == ("TOOL_FAILED", "t")


async def test_commands() -> None:
    desk = Desk(
        flow(ASK + ", {id: c, type: command, text: '{{x}}', into: order}", "[[ask, c], [c, ask]]"),
        commands=FlowCommands(Agent(), Settings()),
        llm=FakeModel(""),
    )
    await desk.say("set a timer for ten minutes")
    assert {"intent", "entities", "confidence", "response"} <= set(desk.variables["order"])
    with pytest.raises(FlowError, match="no commands"):
        await Desk(flow("{id: c, type: command}")).say("x")


class Undecided:
    """A turn that is a guess until somebody says otherwise."""

    def __init__(self) -> None:
        self.certain = asyncio.Event()
        self.timers = None

    async def confirmed(self) -> None:
        await self.certain.wait()


@pytest.mark.parametrize(
    "kind", ["{id: t, type: tool, tool: count}", "{id: t, type: http, url: 'http://127.0.0.1:1/'}"]
)
def test_nothing_is_done_for_a_turn_that_may_be_discarded(kind: str) -> None:
    async def scenario() -> None:
        called: list[int] = []

        def count() -> None:
            """Count."""
            called.append(1)

        desk = Desk(flow("{id: s, type: say, text: One moment.}, " + kind, "[[s, t]]"), tools=Toolbox([count]))
        desk.host = Undecided()
        work = asyncio.create_task(desk.say("x"))
        done, _ = await asyncio.wait({work}, timeout=5.0)
        assert not done
        assert not called
        assert [event.text for event in desk.events if isinstance(event, Token)] == ["One moment."]
        work.cancel()
        await asyncio.wait({work})

    run_virtually(scenario())


async def test_errors_leave_the_flow_where_it_was() -> None:
    desk = Desk(
        flow(ASK + ", {id: a, type: llm, into: told}", "[[ask, a], [a, ask]]"),
        llm=FakeModel([EngineFailed("llm", "no")]),
    )
    await desk.say()
    with pytest.raises(EngineFailed, match="no"):
        await desk.say("one")
    assert "x" not in desk.variables
    desk.llm = FakeModel("Yes.")
    assert (await desk.say("two")).strip() == "Yes."
    assert desk.variables["x"] == "two"


@pytest.mark.parametrize(
    ("answer", "deadlines"),
    [([30.0], Deadlines(0.5, 5, 30)), (["a", 30.0], Deadlines(10, 0.5, 30)), (["a ", 0.4] * 50, Deadlines(10, 5, 2))],
)
def test_deadlines_of_the_model(answer: list[Any], deadlines: Deadlines) -> None:
    async def scenario() -> None:
        model = FakeModel(answer)
        desk = Desk(flow("{id: a, type: llm}"), llm=model, deadlines=deadlines)
        began = asyncio.get_running_loop().time()
        with pytest.raises(EngineTimeout):
            await desk.say("x")
        assert asyncio.get_running_loop().time() - began < 2.5
        assert model.streams == 0

    run_virtually(scenario())


def test_an_interrupted_node_counts_as_done_and_what_follows_is_not_said() -> None:
    async def scenario() -> None:
        model = FakeModel(["one ", 60.0])
        desk = Desk(
            flow(
                ASK
                + ", {id: a, type: llm, into: told}, {id: b, type: say, text: Never heard.}, {id: c, type: set, values: {n: 5}},"
                "{id: next, type: listen, into: y, prompt: Not asked.}, {id: end, type: say, text: '{{told}} {{y}} {{n}}'}",
                "[[ask, a], [a, b], [b, c], [c, next], [next, end]]",
            ),
            llm=model,
        )
        work = asyncio.create_task(desk.say("x"))
        await asyncio.sleep(1.0)
        work.cancel()
        await asyncio.wait({work})
        assert (desk.run.state.at, desk.run.state.interrupted) == ("a", True)
        assert await desk.say("stop") == "one stop 5"
        assert model.streams == 0

    run_virtually(scenario())


async def test_limits() -> None:
    many = ", ".join(f"{{id: s{at}, type: set, values: {{n: {at}}}}}" for at in range(120))
    desk = Desk(flow(many, "[" + ", ".join(f"[s{at}, s{at + 1}]" for at in range(119)) + "]"))
    with pytest.raises(FlowError, match="more than 100 nodes") as caught:
        await desk.say("x")
    assert caught.value.code == "FLOW_LIMIT"
    big = Desk(flow(ASK + ", {id: s, type: set, values: {x: '{{x}}{{x}}{{x}}'}}", "[[ask, s], [s, ask]]"))
    with pytest.raises(FlowError, match="node s: a text may have 20000 characters"):
        await big.say("x" * 7000)

    async def huge() -> list[str]:
        """Much."""
        return ["x" * 1000] * 100

    tool = Desk(flow("{id: t, type: tool, tool: huge, into: x}"), tools=Toolbox([huge]))
    with pytest.raises(FlowError, match="a value may have 65536 bytes"):
        await tool.say("x")
    wrong = Desk(flow(ASK + ", {id: s, type: set, values: {n: '{{x | plus: 1}}'}}", "[[ask, s], [s, ask]]"))
    with pytest.raises(FlowError, match="node s: plus: 'abc' is no number") as caught:
        await wrong.say("abc")
    assert caught.value.code == "EXPRESSION_FAILED"


async def test_the_history_is_bounded() -> None:
    desk = Desk(flow(ASK + ", " + ECHO, "[[ask, echo], [echo, ask]]"))
    for _ in range(30):
        await desk.say("y" * 4000)
    assert sum(len(message.content) for message in desk.run.state.history) <= 40_000


async def test_anybody_can_add_a_kind_of_node() -> None:
    @node("shout")
    class Shout(Node, frozen=True):
        text: Template

        async def run(self, step: Step) -> str | None:
            await step.say(self.text.text(step.scope).upper())
            step.set("shouted", True)
            return "loud" if step.scope["n"] else None

        @property
        def labels(self) -> tuple[frozenset[str], bool]:
            return frozenset({"loud"}), True

    try:
        desk = Desk(
            flow(
                "{id: a, type: shout, text: 'hey {{input}}'}, {id: b, type: say, text: '{{shouted}}'}", "[[a, b, loud]]"
            )
        )
        assert await desk.say("you") == "HEY YOU true"
    finally:
        del NODES["shout"]
