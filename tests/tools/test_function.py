"""Typed functions as tools: what a model is told, what it may write, and what it is answered."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import datetime
import enum
import functools
import logging
import threading
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from vivavoce.agent import Agent, AgentSession
from vivavoce.tools import Tool, Toolbox, ToolError, tool
from vivavoce.tools import threads as threads_module
from vivavoce.tools.base import error_text, result_text


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Guest(msgspec.Struct):
    name: str
    age: int = 30


@dataclasses.dataclass
class Table:
    seats: int
    outside: bool = False


class Wish(TypedDict, total=False):
    text: str


class Folder(msgspec.Struct):
    name: str
    folders: list[Folder] = []


CITY = contextvars.ContextVar("city", default="nowhere")


def book(
    guest: Guest,
    table: Table,
    size: Annotated[Size, "of the portions"],
    day: Literal["Mon", "Tue"],
    date: datetime.date | None = None,
    wishes: list[Wish] = [],  # noqa: B006
    prices: dict[str, float] | None = None,
    pieces: Annotated[int, msgspec.Meta(ge=1, le=9, description="how many")] = 1,
    exact: bool = False,
    note: Annotated[str | None, "for the kitchen"] = None,
) -> dict[str, Any]:
    """Book a table
    for a guest.

    This paragraph is for people.
    """
    return {"guest": guest, "table": table, "size": size, "day": day, "date": date, "pieces": pieces, "exact": exact}


def test_the_schema_says_all_that_the_annotations_say() -> None:
    spec = tool(book).spec
    assert (spec.name, spec.description) == ("book", "Book a table for a guest.")
    schema = spec.parameters
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert schema["required"] == ["guest", "table", "size", "day"]
    properties = schema["properties"]
    assert properties["guest"]["properties"]["name"] == {"type": "string"}
    assert properties["guest"]["required"] == ["name"]
    assert properties["table"]["properties"]["seats"] == {"type": "integer"}
    assert properties["size"]["enum"] == ["large", "small"] or properties["size"]["enum"] == ["small", "large"]
    assert properties["size"]["description"] == "of the portions"
    assert properties["day"]["enum"] == ["Mon", "Tue"]
    assert properties["date"]["anyOf"][0] == {"type": "string", "format": "date"}
    assert properties["wishes"]["items"]["properties"]["text"] == {"type": "string"}
    assert properties["pieces"] == {
        "type": "integer", "minimum": 1, "maximum": 9, "description": "how many", "default": 1,
    }  # fmt: skip
    assert properties["exact"] == {"type": "boolean", "default": False}
    assert properties["note"]["description"] == "for the kitchen"
    assert properties["note"]["default"] is None
    assert "$ref" not in str(schema)


def test_a_type_that_holds_itself_stays_a_reference() -> None:
    def move(folder: Folder, to: Folder) -> None:
        """Move it."""

    schema = tool(move).spec.parameters
    assert schema["properties"]["folder"] == {"$ref": "#/$defs/Folder"}
    assert schema["$defs"]["Folder"]["properties"]["folders"]["items"] == {"$ref": "#/$defs/Folder"}
    assert tool(move).checked({"folder": {"name": "a", "folders": [{"name": "b"}]}, "to": {"name": "c"}})["to"] == (
        Folder("c")
    )


GOOD = {"guest": {"name": "Ann"}, "table": {"seats": 2}, "size": "small", "day": "Mon"}


async def test_the_function_gets_its_own_types() -> None:
    result = await tool(book).call(GOOD | {"date": "2026-11-21", "pieces": "3", "exact": "true"})
    assert result == {
        "guest": Guest("Ann"), "table": Table(2), "size": Size.SMALL, "day": "Mon",
        "date": datetime.date(2026, 11, 21), "pieces": 3, "exact": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "guest is missing; table is missing; size is missing; day is missing"),
        (GOOD | {"guest": "Ann"}, "guest: expected object, got str"),
        (GOOD | {"guest": {"name": 3}}, "guest: name: expected str, got int"),
        (GOOD | {"guest": {}}, "guest: object missing required field name"),
        (GOOD | {"size": "huge"}, "size: invalid enum value 'huge' (it is one of small, large)"),
        (GOOD | {"day": "Sun"}, "day: invalid enum value 'Sun' (it is one of Mon, Tue)"),
        (GOOD | {"pieces": 10}, "pieces: expected int <= 9"),
        (GOOD | {"pieces": None}, "pieces: expected int, got nothing"),
        (GOOD | {"date": "tomorrow"}, "date: invalid RFC3339 encoded date"),
        (GOOD | {"wishes": [{"text": 1}]}, "wishes: [0].text: expected str, got int"),
        (GOOD | {"people": 2, "when": 1}, "there is no people, when (there is: guest, table, size"),
        (GOOD | {"pieces": "x", "exact": []}, "pieces: expected int, got str; exact: expected bool, got array"),
    ],
    ids=range(12),
)
async def test_wrong_arguments_are_told_in_plain_words(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ToolError) as caught:
        await tool(book).call(arguments)
    said = str(caught.value).replace("large, small", "small, large")
    assert said.startswith("wrong arguments: ")
    assert told in said
    assert "`" not in said


def test_names_and_descriptions() -> None:
    def look_up() -> None: ...

    assert tool(look_up).spec.description == "look up"
    named = tool(name="other-name", description="Something else.")(look_up)
    assert isinstance(named, Tool)
    assert (named.name, named.spec.description) == ("other-name", "Something else.")
    assert named() is None
    for name in ("two words", "x" * 65, "é"):
        with pytest.raises(ValueError, match="cannot be the name of a tool"):
            tool(look_up, name=name)
    with pytest.raises(ValueError, match="lambda"):
        tool(lambda: None)


def test_methods_partials_and_objects_are_functions_too() -> None:
    class Shop:
        def price(self, item: str) -> str:
            """What it costs."""
            return item

        def __call__(self, item: str) -> str:
            """Sell it."""
            return item

    shop = Shop()
    assert list(tool(shop.price).spec.parameters["properties"]) == ["item"]
    assert tool(shop, name="sell").spec.description == "Sell it."
    half = tool(functools.partial(book, day="Mon"), name="monday")
    assert half.spec.description == "Book a table for a guest."
    assert "day" not in half.spec.parameters["required"]


def untyped(thing):  # type: ignore[no-untyped-def]
    """No type."""


def many(*things: str) -> None: ...


def keywords(**things: str) -> None: ...


def positional(thing: str, /) -> None: ...


def strange(thing: threading.Thread) -> None: ...


def unknown(thing: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def generator(thing: str) -> Any:
    yield thing


async def async_generator(thing: str) -> Any:
    yield thing


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (untyped, "tool untyped: parameter thing has no type"),
        (many, r"tool many: \*things: .* cannot be given by name"),
        (keywords, "cannot be given by name"),
        (positional, "cannot be given by name"),
        (strange, "tool strange: parameter thing is of a type that no model can write"),
        (unknown, "tool unknown: its annotations cannot be read: .*Nowhere"),
        (generator, "a generator cannot be a tool"),
        (async_generator, "a generator cannot be a tool"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_when_it_is_made(function: Any, problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        tool(function)
    with pytest.raises(TypeError, match=problem):
        Agent(tools=[function])


def test_timeouts_are_checked() -> None:
    with pytest.raises(ValueError, match="above 0"):
        tool(book, timeout_s=0)


async def test_the_session_is_given_and_not_asked_for() -> None:
    async def note(text: str, session: AgentSession, again: AgentSession | None = None) -> bool:
        """Note it."""
        return session is again

    made = tool(note)
    assert list(made.spec.parameters["properties"]) == ["text"]
    assert await made.call({"text": "a"}, object()) is True
    with pytest.raises(ToolError, match="there is no session"):
        await made.call({"text": "a", "session": 1}, object())
    with pytest.raises(ToolError, match="only in a conversation"):
        await made.call({"text": "a"})


async def test_blocking_functions_run_in_a_thread_with_the_context() -> None:
    def where() -> tuple[str, bool]:
        return CITY.get(), threading.current_thread() is threading.main_thread()

    async def here() -> tuple[str, bool]:
        return CITY.get(), threading.current_thread() is threading.main_thread()

    CITY.set("Rome")
    assert await tool(where).call({}) == ("Rome", False)
    assert await tool(here).call({}) == ("Rome", True)


async def test_a_function_that_returns_an_awaitable_is_awaited() -> None:
    async def inner() -> str:
        return "late"

    def outer() -> Any:
        return inner()

    assert await tool(outer).call({}) == "late"


async def test_what_a_thread_raises_reaches_the_caller() -> None:
    def stops() -> None:
        raise StopIteration("end")

    def leaves() -> None:
        raise SystemExit(3)

    def breaks() -> None:
        raise KeyError("day")

    with pytest.raises(RuntimeError, match="StopIteration: end"):
        await tool(stops).call({})
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        await tool(leaves).call({})
    with pytest.raises(KeyError):
        await tool(breaks).call({})


async def test_a_blocking_function_is_not_waited_for_once_cancelled() -> None:
    began, free, ended = threading.Event(), threading.Event(), threading.Event()

    def block() -> str:
        began.set()
        free.wait(10.0)
        ended.set()
        return "done"

    task = asyncio.create_task(tool(block).call({}))
    await asyncio.to_thread(began.wait, 10.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ended.is_set(), "it goes on"
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    free.set()
    assert await asyncio.to_thread(ended.wait, 10.0)
    for thread in threading.enumerate():
        if thread.name.startswith("tool "):
            await asyncio.to_thread(thread.join, 10.0)
    assert faults == [], "its result is dropped in silence"


async def test_blocking_functions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "_free", threading.BoundedSemaphore(2))
    free = threading.Event()

    def block() -> bool:
        return free.wait(10.0)

    made = tool(block)
    tasks = [asyncio.create_task(made.call({})) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ToolError, match="too many"):
        await made.call({})
    free.set()
    assert await asyncio.gather(*tasks) == [True, True]
    assert await made.call({}) is True


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "done"),
        ("", "(empty)"),
        ("sunny", "sunny"),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        ({"b": 1, "a": [None]}, '{"b":1,"a":[null]}'),
        ([1, "é"], '[1,"é"]'),
        (Guest("Ann"), '{"name":"Ann","age":30}'),
        (Table(2), '{"seats":2,"outside":false}'),
        (Size.SMALL, '"small"'),
        ({"at": datetime.date(2026, 1, 2)}, '{"at":"2026-01-02"}'),
        ({"odd": ValueError("x")}, '{"odd":"x"}'),
        ("half \ud83d", "half ?"),
    ],
    ids=range(14),
)
def test_results_in_words(value: Any, text: str) -> None:
    assert result_text(value) == text


def test_errors_in_words() -> None:
    assert error_text(ToolError("the kitchen is closed")) == "error: the kitchen is closed"
    assert error_text(ToolError()) == "error: it did not work"
    assert error_text(ValueError()) == "error: ValueError"
    assert error_text(ValueError("a\n  b")) == "error: ValueError: a b"
    assert len(error_text(ValueError("x" * 10_000))) < 520


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two tools called book"):
        Agent(tools=[book, tool(book)])
    with pytest.raises(TypeError, match="cannot be a tool"):
        Agent(tools=["book"])
    with pytest.raises(TypeError, match="cannot be a tool"):
        Agent(tools=[Guest])
    assert list(Agent(tools=[book, tool(book, name="again")]).toolbox) == ["book", "again"]


class Source:
    """A server with these tools."""

    trouble = ""

    def __init__(self, name: str, *names: str) -> None:
        self.name = name
        self.tools = [tool(lambda: None, name="x") for _ in names]
        for made, wanted in zip(self.tools, names, strict=True):
            made.spec = msgspec.structs.replace(made.spec, name=wanted)

    async def start(self) -> None: ...

    async def close(self) -> None: ...


def test_names_that_are_taken_get_the_servers_before_them(caplog: pytest.LogCaptureFixture) -> None:
    def search() -> None: ...

    box = Toolbox([search, Source("web", "search", "open", "files/read"), Source("web", "search"), Source("b", "open")])
    with caplog.at_level(logging.DEBUG):
        assert list(box) == ["search", "web_search", "open", "web_files_read", "b_open"]
    assert "left out" in caplog.text
    assert list(Toolbox([Source("é" * 80, "a b")])) == ["_" * 64]
