"""`/api/conversations`, through the gate."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.asgi import client
from server.conftest import MakeApp
from vivavoce.engines.base import Message, ToolCall
from vivavoce.errors import ClientError
from vivavoce.memory import MemoryStore
from vivavoce.memory.base import Notes, Turn
from vivavoce.server.auth import owner_of_key
from vivavoce.server.conversations import parse_before
from vivavoce.session.conversation import Conversations


def turn(conversation: str, number: int, **fields: object) -> Turn:
    return Turn(conversation_id=conversation, turn_id=number, user=f"q{number}", assistant="a", at=float(number))


@pytest.fixture
async def filled(store: MemoryStore) -> MemoryStore:
    for number in range(5):
        await store.append(turn(f"c{number}", number), "local")
    await store.append(turn("c4", 9), "local")
    await store.append(turn("theirs", 7), "somebody-else")
    return store


async def test_the_list(make_app: MakeApp, filled: MemoryStore) -> None:
    async with client(make_app()) as http:
        answer = (await http.get("/api/conversations")).json()
    assert [each["id"] for each in answer["conversations"]] == ["c4", "c3", "c2", "c1", "c0"]
    assert answer["conversations"][0] == {"id": "c4", "title": "q4", "updated": 9.0, "turns": 2}
    assert answer["next"] is None


async def test_page_by_page(make_app: MakeApp, filled: MemoryStore) -> None:
    seen: list[str] = []
    query: dict[str, str] = {}
    async with client(make_app()) as http:
        while True:
            page = (await http.get("/api/conversations", params={"limit": "2", **query})).json()
            seen += [each["id"] for each in page["conversations"]]
            if page["next"] is None:
                break
            query = {"before": page["next"]}
        assert seen == ["c4", "c3", "c2", "c1", "c0"]
        by_time = (await http.get("/api/conversations", params={"before": "3"})).json()
        by_date = (await http.get("/api/conversations?before=1970-01-01T01:00:03+01:00")).json()
    assert [each["id"] for each in by_time["conversations"]] == ["c2", "c1", "c0"]
    assert by_date == by_time


BAD_LIMITS = ["0", "201", "-1", "x", "٣", "1e1", "", "99999999999999999999"]
BAD_TIMES = ["x", "nan", "1,a b", "2020-13-01", "1e999"]


@pytest.mark.parametrize("query", [f"limit={each}" for each in BAD_LIMITS] + [f"before={each}" for each in BAD_TIMES])
async def test_bad_queries(make_app: MakeApp, query: str) -> None:
    async with client(make_app()) as http:
        answer = await http.get(f"/api/conversations?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


@given(st.text() | st.from_regex(r"[0-9T:+.,-]{1,30}", fullmatch=True))
def test_before_is_a_time_or_refused(text: str) -> None:
    with contextlib.suppress(ClientError):
        moment, conversation_id = parse_before(text)
        assert abs(moment) < float("inf")
        assert conversation_id == "" or text.endswith(conversation_id)


@given(st.floats(allow_nan=False, allow_infinity=False), st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True))
def test_next_is_understood(moment: float, conversation_id: str) -> None:
    assert parse_before(f"{moment!r},{conversation_id}") == (moment, conversation_id)


async def test_the_turns(make_app: MakeApp, filled: MemoryStore) -> None:
    async with client(make_app()) as http:
        answer = (await http.get("/api/conversations/c4")).json()
        latest = (await http.get("/api/conversations/c4?limit=1")).json()
    assert (answer["id"], answer["title"], answer["updated"]) == ("c4", "q4", 9.0)
    assert [each["user"] for each in answer["turns"]] == ["q4", "q9"]
    assert latest["turns"] == answer["turns"][1:]
    assert latest["turns"][0] == {
        "turn_id": 9,
        "user": "q9",
        "assistant": "a",
        "interrupted": False,
        "outcome": "done",
        "at": 9.0,
        "language": "en",
    }


async def test_what_was_exchanged_with_tools(make_app: MakeApp, store: MemoryStore) -> None:
    call = ToolCall(id="call-1", name="weather", arguments='{"in": "Rome"}')
    steps = (
        Message(role="assistant", content="", calls=(call,)),
        Message(role="tool", content="sunny", call_id="call-1"),
    )
    await store.append(msgspec.structs.replace(turn("c", 1), steps=steps), "local")
    async with client(make_app()) as http:
        (shown,) = (await http.get("/api/conversations/c")).json()["turns"]
    assert shown["steps"] == [
        {
            "role": "assistant",
            "content": "",
            "calls": [{"id": "call-1", "name": "weather", "arguments": call.arguments}],
        },
        {"role": "tool", "content": "sunny", "call_id": "call-1"},
    ]


async def test_another_title(make_app: MakeApp, filled: MemoryStore) -> None:
    async with client(make_app()) as http:
        answer = await http.patch("/api/conversations/c1", json={"title": " Booking\na table\x1b "})
        assert (answer.status_code, answer.json()["title"]) == (200, "Booking a table")
        assert (await http.get("/api/conversations/c1")).json()["title"] == "Booking a table"


async def test_what_is_pinned_is_shown_and_can_be_changed(make_app: MakeApp, store: MemoryStore) -> None:
    notes = Notes(pins=("my car is red",), summary="They spoke of cars.", covers="k", since=1.0)
    await store.append(turn("c", 1), "local", notes)
    conversations = Conversations(store)
    app = make_app(conversations_open=conversations)
    async with client(app) as http, conversations.enter("c", "local") as live:
        shown = (await http.get("/api/conversations/c")).json()
        assert (shown["pins"], shown["summary"]) == (["my car is red"], "They spoke of cars.")
        both = {"title": "Cars", "pins": ["tea is at\nfive", "my dog is old"]}
        answer = await http.patch("/api/conversations/c", json=both)
        assert (answer.status_code, answer.json()["title"]) == (200, "Cars")
        shown = (await http.get("/api/conversations/c")).json()
        assert (shown["pins"], shown["summary"]) == (["tea is at five", "my dog is old"], "They spoke of cars.")
        assert live is not None
        assert live.notes.pins == ("tea is at five", "my dog is old")
        assert (await http.patch("/api/conversations/c", json={"pins": []})).status_code == 200
        assert (await http.get("/api/conversations/c")).json()["pins"] == []
        assert live.notes.pins == ()
        assert (await http.patch("/api/conversations/none", json={"pins": []})).status_code == 404
        live.pin("what is said later")
    assert (await store.notes("c", "local")).pins == ("what is said later",)


@pytest.mark.parametrize("pins", [[""], ["x" * 301], ["x"] * 51, "x", [1], None])
async def test_bad_pins(make_app: MakeApp, filled: MemoryStore, pins: object) -> None:
    async with client(make_app()) as http:
        answer = await http.patch("/api/conversations/c1", json={"pins": pins})
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_MESSAGE")


BAD_BODIES = [b"", b"{", b"{}", b"[]", b'{"title": 1}', b'{"title": ""}', b'{"title": " \\n"}', b'{"title": "\xff"}']
BAD_BODIES += [b'{"title": "\\ud800"}', b'{"x": ' + b"[" * 100_000, b'{"title": "' + b"x" * 201 + b'"}']


@pytest.mark.parametrize("body", BAD_BODIES, ids=[repr(each[:20]) for each in BAD_BODIES])
async def test_bad_titles(make_app: MakeApp, filled: MemoryStore, body: bytes) -> None:
    async with client(make_app()) as http:
        answer = await http.patch("/api/conversations/c1", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_MESSAGE")


async def test_forgetting(make_app: MakeApp, filled: MemoryStore) -> None:
    async with client(make_app()) as http:
        gone = await http.delete("/api/conversations/c1")
        assert (gone.status_code, gone.content) == (204, b"")
        assert (await http.delete("/api/conversations/c1")).status_code == 404
        assert (await http.get("/api/conversations/c1")).status_code == 404
    assert await filled.load("c1", "local", 10) == []


async def test_somebody_else_s_is_not_there(make_app: MakeApp, filled: MemoryStore) -> None:
    async with client(make_app()) as http:
        for answer in (
            await http.get("/api/conversations/theirs"),
            await http.patch("/api/conversations/theirs", json={"title": "mine"}),
            await http.delete("/api/conversations/theirs"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert len(await filled.load("theirs", "somebody-else", 10)) == 1


async def test_each_key_has_its_own(make_app: MakeApp, filled: MemoryStore) -> None:
    await filled.append(turn("keyed", 1), owner_of_key("k"))
    async with client(make_app(api_key="k"), authorization="Bearer k") as http:
        listed = (await http.get("/api/conversations")).json()["conversations"]
    assert [each["id"] for each in listed] == ["keyed"]


@pytest.mark.parametrize("bad", ["a%20b", "a%0A", "%C3%A9", "a" * 129])
async def test_bad_ids(make_app: MakeApp, bad: str) -> None:
    async with client(make_app()) as http:
        answer = await http.get(f"/api/conversations/{bad}")
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


class Dark(MemoryStore):
    """A store that cannot be read at the moment."""

    @property
    def degraded(self) -> str | None:
        return "database is locked"


async def test_not_known_is_not_the_same_as_not_there(make_app: MakeApp) -> None:
    async with client(make_app(store=Dark())) as http:
        answer = await http.get("/api/conversations/c")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
