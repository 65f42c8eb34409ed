"""What every ConversationStore must do; each store's tests inherit these, and give an open `store` as a fixture."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vivavoce.engines.base import Message, ToolCall
from vivavoce.errors import ClientError
from vivavoce.memory.base import ConversationStore, Notes, Summary, Turn, title_of

ME, OTHER = "local", "somebody-else"


def turn(conversation: str = "c", number: int = 1, **fields: Any) -> Turn:
    """A turn to store; two of the same number differ in their key."""
    defaults: dict[str, Any] = {"user": f"question {number}", "assistant": f"answer {number}", "at": 1000.0 + number}
    return Turn(conversation_id=conversation, turn_id=number, **{**defaults, **fields})


STEPS = (
    Message(
        role="assistant", content="", calls=(ToolCall(id="call-1", name="weather", arguments='{"in": "Köln\x00"}'),)
    ),
    Message(role="tool", content="rain\n🙂", call_id="call-1"),
)
"""What a turn exchanges with a tool."""


class Model:
    """The contract as twenty lines of dictionaries, to hold a store against."""

    def __init__(self) -> None:
        self.owner: dict[str, str] = {}
        self.title: dict[str, str] = {}
        self.updated: dict[str, float] = {}
        self.turns: dict[str, dict[str, Turn]] = {}
        self.notes_of: dict[str, Notes] = {}

    def claim(self, id_: str, owner: str) -> bool:
        return self.owner.setdefault(id_, owner) == owner

    def append(self, turn: Turn, owner: str, notes: Notes | None = None) -> bool:
        id_ = turn.conversation_id
        if not self.claim(id_, owner):
            return False
        self.title[id_] = self.title.get(id_) or title_of(turn.user)
        self.turns.setdefault(id_, {})[turn.key] = turn
        self.updated[id_] = turn.at
        if notes is not None:
            self.notes_of[id_] = notes
        return True

    def notes(self, id_: str, owner: str) -> Notes:
        return self.notes_of.get(id_, Notes()) if self.mine(id_, owner) else Notes()

    def annotate(self, id_: str, owner: str, notes: Notes) -> bool:
        if mine := self.mine(id_, owner):
            self.notes_of[id_] = notes
        return mine

    def mine(self, id_: str, owner: str) -> bool:
        return self.owner.get(id_) == owner and bool(self.turns.get(id_))

    def load(self, id_: str, owner: str, limit: int) -> list[Turn]:
        return list(self.turns[id_].values())[-limit:] if self.mine(id_, owner) else []

    def conversations(self, owner: str) -> list[Summary]:
        listed = [
            Summary(id=id_, title=self.title[id_], updated=self.updated[id_], turns=len(turns))
            for id_, turns in self.turns.items()
            if self.mine(id_, owner)
        ]
        return sorted(listed, key=lambda entry: (entry.updated, entry.id), reverse=True)

    def rename(self, id_: str, owner: str, title: str) -> bool:
        if mine := self.mine(id_, owner):
            self.title[id_] = title
        return mine

    def delete(self, id_: str, owner: str) -> bool:
        if mine := self.mine(id_, owner):
            self.forget(id_)
        return mine

    def forget(self, id_: str) -> None:
        for table in (self.owner, self.title, self.updated, self.turns, self.notes_of):
            table.pop(id_, None)

    def purge(self, older_than: float) -> int:
        purged = 0
        for id_ in list(self.owner):
            turns = self.turns.get(id_, {})
            old = [key for key, turn in turns.items() if turn.at < older_than]
            purged += len(old)
            for key in old:
                del turns[key]
            notes = self.notes_of.get(id_, Notes())
            if notes.summary and notes.since < older_than:
                self.notes_of[id_] = Notes(pins=notes.pins)
            if not turns:
                self.forget(id_)
        return purged


ids = st.sampled_from(["a", "b", "c.1", "D_-"])
owners = st.sampled_from([ME, OTHER])
times = st.floats(0, 100, width=16)
words = st.text(max_size=90)
turns = st.builds(
    Turn,
    conversation_id=ids,
    turn_id=st.integers(0, 2**31 - 1),
    user=st.none() | words,
    assistant=words,
    interrupted=st.booleans(),
    outcome=st.sampled_from(["done", "interrupted", "failed", "incomplete"]),
    at=times,
    language=st.sampled_from(["en", "fr"]),
    steps=st.sampled_from([(), STEPS]),
    key=st.sampled_from(["k1", "k2", "k3", "k4", "k5", "k6"]),
)
notes = st.builds(
    Notes, pins=st.lists(words, max_size=2).map(tuple), summary=words, covers=st.sampled_from(["", "k1"]), since=times
)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), turns, owners),
        st.tuples(st.just("append"), turns, owners, st.none() | notes),
        st.tuples(st.just("annotate"), ids, owners, notes),
        st.tuples(st.just("claim"), ids, owners),
        st.tuples(st.just("load"), ids, owners, st.integers(1, 5)),
        st.tuples(st.just("list"), owners, st.integers(1, 5)),
        st.tuples(st.just("rename"), ids, owners, words),
        st.tuples(st.just("delete"), ids, owners),
        st.tuples(st.just("purge"), times),
    ),
    max_size=30,
)


async def play(store: ConversationStore, steps: list[tuple[Any, ...]]) -> None:
    """Do *steps* to the store and to the model, and compare every answer and the end."""
    model = Model()
    for name, *values in steps:
        match name:
            case "append":
                if model.append(msgspec.structs.replace(values[0]), *values[1:]):
                    await store.append(*values)
                else:
                    with pytest.raises(ClientError, match="no such conversation"):
                        await store.append(*values)
            case "list":
                assert await store.conversations(*values) == model.conversations(values[0])[: values[1]]
            case _:
                assert await getattr(store, name)(*values) == getattr(model, name)(*values), name
    for owner, id_ in itertools.product((ME, OTHER), ("a", "b", "c.1", "D_-")):
        assert await store.load(id_, owner, 100) == model.load(id_, owner, 100)
        assert await store.notes(id_, owner) == model.notes(id_, owner)
        expected = next((entry for entry in model.conversations(owner) if entry.id == id_), None)
        assert await store.summary(id_, owner) == expected


class StoreContract:
    """Inherited by the tests of each store."""

    async def test_what_is_appended_is_loaded_oldest_first(self, store: ConversationStore) -> None:
        stored = [
            turn(number=1, interrupted=True, outcome="interrupted", language="de"),
            turn(number=2, user=None),
            turn(number=3, user="Wörter \x00 🙂\n", assistant=""),
            turn(number=4, steps=STEPS),
        ]
        for each in stored:
            await store.append(each, ME)
        assert await store.load("c", ME, 10) == stored
        assert await store.load("c", ME, 3) == stored[1:]
        assert store.degraded is None

    async def test_unknown_conversations_are_empty(self, store: ConversationStore) -> None:
        assert await store.load("c", ME, 10) == []
        assert await store.summary("c", ME) is None
        assert await store.conversations(ME, 10) == []
        assert not await store.rename("c", ME, "x")
        assert not await store.delete("c", ME)

    async def test_the_first_user_owns_the_conversation(self, store: ConversationStore) -> None:
        assert await store.claim("c", ME)
        assert not await store.claim("c", OTHER)
        with pytest.raises(ClientError, match="no such conversation"):
            await store.append(turn(), OTHER)
        await store.append(turn(), ME)
        assert await store.load("c", OTHER, 10) == []
        assert await store.conversations(OTHER, 10) == []
        assert not await store.rename("c", OTHER, "mine now")
        assert not await store.delete("c", OTHER)
        assert [entry.title for entry in await store.conversations(ME, 10)] == ["question 1"]

    async def test_a_claim_alone_is_not_listed(self, store: ConversationStore) -> None:
        await store.claim("c", ME)
        assert await store.conversations(ME, 10) == []
        assert await store.summary("c", ME) is None

    async def test_the_same_turn_again_is_the_same_turn(self, store: ConversationStore) -> None:
        first, second = turn(number=1), turn(number=2)
        for each in (first, second, first):
            await store.append(each, ME)
        assert await store.load("c", ME, 10) == [first, second]

    async def test_a_turn_can_be_corrected_in_its_place(self, store: ConversationStore) -> None:
        first, second = turn(number=1), turn(number=2)
        corrected = msgspec.structs.replace(first, assistant="ans", interrupted=True)
        for each in (first, second, corrected):
            await store.append(each, ME)
        assert await store.load("c", ME, 10) == [corrected, second]

    async def test_two_sessions_may_count_alike(self, store: ConversationStore) -> None:
        earlier, later = turn(number=1), turn(number=1)
        await store.append(earlier, ME)
        await store.append(later, ME)
        assert await store.load("c", ME, 10) == [earlier, later]

    async def test_the_title_is_what_the_user_said_first(self, store: ConversationStore) -> None:
        await store.append(turn(number=1, user=None, assistant="Welcome!"), ME)
        await store.append(turn(number=2, user="  what's\nthe  weather? "), ME)
        await store.append(turn(number=3, user="thanks"), ME)
        assert await store.summary("c", ME) == Summary(id="c", title="what's the weather?", updated=1003.0, turns=3)
        assert await store.rename("c", ME, "Weather")
        await store.append(turn(number=4), ME)
        assert await store.summary("c", ME) == Summary(id="c", title="Weather", updated=1004.0, turns=4)

    async def test_pages_meet_without_gap_or_overlap(self, store: ConversationStore) -> None:
        for number in range(7):
            await store.append(turn(f"c{number}", number, at=float(number // 3)), ME)
        seen: list[Summary] = []
        before = None
        while page := await store.conversations(ME, 2, before):
            seen += page
            before = (page[-1].updated, page[-1].id)
        assert [entry.id for entry in seen] == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]
        assert [entry.id for entry in await store.conversations(ME, 9, (1.0, ""))] == ["c2", "c1", "c0"]

    async def test_notes_are_kept_with_the_conversation(self, store: ConversationStore) -> None:
        notes = Notes(pins=("my car is\x00 on level three", "🙂"), summary="They spoke of cars.", covers="k", since=5.0)
        assert await store.notes("c", ME) == Notes()
        await store.append(turn(number=1), ME, notes)
        await store.append(turn(number=2), ME)
        assert await store.notes("c", ME) == notes
        assert await store.notes("c", OTHER) == Notes()
        assert await store.annotate("c", ME, Notes(pins=("only this",)))
        assert await store.notes("c", ME) == Notes(pins=("only this",))
        assert await store.delete("c", ME)
        assert await store.notes("c", ME) == Notes()

    async def test_notes_need_a_conversation_of_one_s_own(self, store: ConversationStore) -> None:
        assert not await store.annotate("c", ME, Notes(pins=("lost",)))
        await store.claim("c", ME)
        assert not await store.annotate("c", ME, Notes(pins=("lost",)))
        await store.append(turn(), ME, Notes(pins=("mine",)))
        assert not await store.annotate("c", OTHER, Notes(pins=("theirs",)))
        with pytest.raises(ClientError):
            await store.append(turn(), OTHER, Notes(pins=("theirs",)))
        assert await store.notes("c", ME) == Notes(pins=("mine",))

    async def test_notes_that_cannot_be_stored(self, store: ConversationStore) -> None:
        with pytest.raises(ValueError, match="ordinary number"):
            await store.append(turn(), ME, Notes(since=float("inf")))
        await store.append(turn(), ME, Notes(pins=("\ud800",), summary="\udfff"))
        assert await store.notes("c", ME) == Notes(pins=("?",), summary="?")

    async def test_retention_takes_summaries_of_old_turns_and_leaves_pins(self, store: ConversationStore) -> None:
        for id_, since in (("old", 10.0), ("new", 30.0)):
            await store.append(turn(id_, at=40.0), ME, Notes(pins=("p",), summary="s", covers="k", since=since))
        assert await store.purge(30.0) == 0
        assert await store.notes("old", ME) == Notes(pins=("p",))
        assert await store.notes("new", ME) == Notes(pins=("p",), summary="s", covers="k", since=30.0)

    async def test_deleted_is_forgotten(self, store: ConversationStore) -> None:
        await store.append(turn("c"), ME)
        await store.append(turn("d"), ME)
        assert await store.delete("c", ME)
        assert await store.load("c", ME, 10) == []
        assert [entry.id for entry in await store.conversations(ME, 10)] == ["d"]
        assert await store.claim("c", OTHER)

    async def test_retention_takes_old_turns_and_empty_conversations(self, store: ConversationStore) -> None:
        await store.append(turn("old", 1, at=10.0), ME)
        kept = turn("both", 3, at=30.0)
        for each in (turn("both", 2, at=20.0), kept):
            await store.append(each, ME)
        assert await store.purge(30.0) == 2
        assert await store.load("both", ME, 10) == [kept]
        assert [entry.id for entry in await store.conversations(ME, 10)] == ["both"]

    @pytest.mark.parametrize(
        "bad", [{"conversation": "a b"}, {"conversation": ""}, {"at": float("nan")}, {"number": 2**63}, {"number": -1}]
    )
    async def test_what_cannot_be_stored_is_refused(self, store: ConversationStore, bad: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"conversation id|ordinary numbers"):
            await store.append(turn(**bad), ME)
        await store.append(turn(), ME)
        assert len(await store.load("c", ME, 10)) == 1

    async def test_half_a_character_does_not_stop_a_turn(self, store: ConversationStore) -> None:
        await store.append(turn(user="caf\ud800"), ME)
        assert [each.user for each in await store.load("c", ME, 10)] == ["caf?"]

    async def test_half_a_character_from_a_tool_does_not_stop_a_turn(self, store: ConversationStore) -> None:
        call = ToolCall(id="\ud800", name="n\ud800", arguments='"\ud800"')
        steps = (
            Message(role="assistant", content="", calls=(call,)),
            Message(role="tool", content="\udfff", call_id="\ud800"),
        )
        await store.append(turn(steps=steps), ME)
        (loaded,) = await store.load("c", ME, 10)
        assert loaded.steps == (
            Message(role="assistant", content="", calls=(ToolCall(id="?", name="n?", arguments='"?"'),)),
            Message(role="tool", content="?", call_id="?"),
        )

    async def test_many_at_once_keep_their_order(self, store: ConversationStore) -> None:
        many = [turn(number=number) for number in range(300)]
        await asyncio.gather(*(store.append(each, ME) for each in many))
        assert await store.load("c", ME, 1000) == many

    async def test_a_cancelled_caller_does_no_harm(self, store: ConversationStore) -> None:
        task = asyncio.create_task(store.append(turn(number=1), ME))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.append(turn(number=2), ME)
        assert [each.turn_id for each in await store.load("c", ME, 10)][-1] == 2


class StoreProperties:
    """Random walks; `fresh` makes an open store for each."""

    @given(steps=operations)
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_it_answers_like_the_model(self, steps: list[tuple[Any, ...]]) -> None:
        asyncio.run(self.walk(steps))

    async def walk(self, steps: list[tuple[Any, ...]]) -> None:
        raise NotImplementedError
