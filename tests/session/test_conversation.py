"""The memory of one conversation: what is shown of it, what is pinned, and what is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import FakeModel, a_session, run_virtually
from vivavoce import events
from vivavoce.agent import Agent
from vivavoce.core.context import CUT, PER_MESSAGE, tokens
from vivavoce.engines.base import Message, ToolCall
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.errors import ServerBusy
from vivavoce.memory.base import Notes, Turn
from vivavoce.memory.volatile import MemoryStore
from vivavoce.session.conversation import (
    LEAST_ROOM,
    REMEMBERED_TURNS,
    RESULT_TOKENS,
    Conversation,
    Conversations,
    room_for,
    size,
)
from vivavoce.settings import Llm, Memory, Settings
from vivavoce.text.notes import MOST_PINS, PIN_CHARS, note


def turn(number: int, user: str | None = None, assistant: str | None = None, **fields: Any) -> Turn:
    user, assistant = user or f"question {number}", f"answer {number}" if assistant is None else assistant
    given = {"conversation_id": "c", "turn_id": number, "at": float(number), "key": f"k{number}"}
    return Turn(**{**given, "user": user, "assistant": assistant, **fields})


def of(*turns: Turn, notes: Notes | None = None) -> Conversation:
    return Conversation("c", "me", MemoryStore(), turns, notes)


def called(number: int, result: str = "sunny") -> tuple[Message, ...]:
    call = ToolCall(id=f"call-{number}", name="weather", arguments='{"in": "Rome"}')
    return (
        Message(role="assistant", content="", calls=(call,)),
        Message(role="tool", content=result, call_id=call.id),
    )


def taken(messages: tuple[Message, ...]) -> int:
    return sum(map(size, messages))


# --- what fits ------------------------------------------------------------------------------------------------------

any_turns = st.lists(
    st.builds(
        lambda user, assistant, steps, cut: (user, assistant, steps, cut),
        st.none() | st.text(min_size=1, max_size=120),
        st.text(max_size=300),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=25,
)


@given(any_turns, st.text(max_size=2500), st.integers(LEAST_ROOM, 3000), st.lists(st.text(max_size=400), max_size=6))
def test_a_request_never_takes_more_than_its_room(said: list[Any], heard: str, room: int, pins: list[str]) -> None:
    turns = [
        Turn(
            conversation_id="c", turn_id=number, user=user, assistant=assistant, at=1.0, interrupted=cut,
            steps=tuple(step for each in range(steps) for step in called(10 * number + each)),
        )
        for number, (user, assistant, steps, cut) in enumerate(said)
    ]  # fmt: skip
    conversation = of(*turns, notes=Notes(summary="s " * 300))
    for pin in pins:
        conversation.pin(pin)
    shown = conversation.context(heard, room)
    assert taken(shown.messages) + tokens(note(shown.pins, shown.summary)) <= room
    *past, last = shown.messages
    assert last.role == "user"
    assert last.content == heard or (CUT in last.content and heard.startswith(last.content.partition(CUT)[0]))
    everything = conversation.messages
    assert past == everything[len(everything) - len(past) :], "the newest, in their order"
    assert len(past) in {sum(len(each.messages) for each in conversation.turns) - cut for cut in starts(conversation)}
    calls = {call.id for message in past for call in message.calls}
    assert calls == {message.call_id for message in past if message.role == "tool"}
    assert shown == conversation.context(heard, room), "the same again"
    assert shown.pins == conversation.notes.pins[len(conversation.notes.pins) - len(shown.pins) :]


def starts(conversation: Conversation) -> list[int]:
    """Messages before each turn, and in all."""
    sums = [0]
    for each in conversation.turns:
        sums.append(sums[-1] + len(each.messages))
    return sums


def test_whole_turns_fall_out_at_the_old_end() -> None:
    conversation = of(*(turn(number, steps=called(number)) for number in range(100)))
    each = conversation.turns[50].tokens
    shown = conversation.context("and now?", 10 * each + size(Message(role="user", content="and now?")))
    assert [m.content for m in shown.messages if m.role == "user"] == [f"question {n}" for n in range(90, 100)] + [
        "and now?"
    ]
    one_less = conversation.context("and now?", 10 * each)
    assert len(one_less.messages) == len(shown.messages) - 4


def test_the_last_words_are_kept_however_little_room_there_is() -> None:
    conversation = of(turn(1))
    for room in (-5000, 0, LEAST_ROOM):
        assert conversation.context("what did I say", room).messages[-1].content == "what did I say"
    long = conversation.context(f"translate this: {'lorem ipsum ' * 900} into French", 400)
    (only,) = long.messages
    assert only.content.startswith("translate this: ")
    assert only.content.endswith(" into French")
    assert size(only) <= 400


def test_what_was_exchanged_in_this_turn_follows_it_and_has_its_room() -> None:
    conversation = of(*(turn(number) for number in range(50)))
    steps = called(99, "x" * 900)
    shown = conversation.context("weather?", 800, steps)
    assert shown.messages[-3:] == (Message(role="user", content="weather?"), *steps)
    assert taken(shown.messages) <= 800
    assert len(shown.messages) > 3


def test_a_turn_that_the_agent_begins_has_no_words_of_the_user() -> None:
    assert [m.role for m in of(turn(1)).context(None, 1000).messages] == ["user", "assistant"]


def test_an_old_result_of_a_tool_is_shortened() -> None:
    conversation = of(turn(1, steps=called(1, "9" * 16_000)))
    result = conversation.messages[2]
    assert result.call_id == "call-1"
    assert RESULT_TOKENS - 10 <= tokens(result.content) <= RESULT_TOKENS


def test_half_a_character_can_be_sent() -> None:
    conversation = of(turn(1, user="caf\ud800"))
    assert [m.content for m in conversation.context("x\udfff", 1000).messages] == ["caf?", "answer 1", "x?"]


def test_what_is_set_aside() -> None:
    def weather(town: str) -> str:
        "The weather in a town."
        return town

    settings = Settings(memory=Memory(max_tokens=2000), llm=Llm(max_tokens=300))
    model = FakeModel("hi")
    plain = room_for(settings, Agent(), "Be brief.", model)
    assert plain == 2000 - 300 - tokens("Be brief.") - PER_MESSAGE
    with_tools = room_for(settings, Agent(tools=[weather]), "Be brief.", model)
    assert with_tools is not None
    assert plain - 500 - 200 < with_tools < plain - 500 - 20
    assert room_for(settings, Agent(max_tokens=1000), "Be brief.", model) == plain - 700
    assert room_for(settings, Agent(), "Be brief.", OfflineChat()) is None


def test_the_offline_model_is_shown_all_there_is() -> None:
    conversation = of(*(turn(number, "word " * 500) for number in range(50)))
    assert len(conversation.context("and?", None).messages) == 101


def test_a_long_conversation_is_fitted_quickly_and_counted_once() -> None:
    conversation = of(*(turn(number, "what is this about " * 3, "a fine thing it is " * 8) for number in range(200)))
    took = []
    for _ in range(20):
        began = time.perf_counter()
        conversation.context("and what is that", 3700)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.000_6


def test_no_more_turns_are_held_than_are_loaded() -> None:
    conversation = of(*(turn(number) for number in range(REMEMBERED_TURNS)))
    conversation.remember(turn(1000))
    assert len(conversation.turns) == REMEMBERED_TURNS
    assert conversation.messages[-1].content == "answer 1000"
    assert conversation.messages[0].content == "question 1"


# --- pins -----------------------------------------------------------------------------------------------------------


def test_pins_are_bounded_and_on_one_line() -> None:
    conversation = of()
    conversation.pin("  a\x00b\nc  ")
    conversation.pin(" \n ")
    assert conversation.notes.pins == ("a b c",)
    for number in range(MOST_PINS + 10):
        conversation.pin(f"{number} " + "x" * 2000)
    assert len(conversation.notes.pins) == MOST_PINS
    assert max(map(len, conversation.notes.pins)) == PIN_CHARS
    assert conversation.notes.pins[-1].startswith(f"{MOST_PINS + 9} ")


def test_a_pin_replaces_what_it_corrects_and_can_be_taken_off() -> None:
    conversation = of()
    for text in ("my car is red", "tea is at five", "my car is blue"):
        conversation.pin(text)
    assert conversation.notes.pins == ("tea is at five", "my car is blue")
    assert conversation.unpin("tea is at five")
    assert not conversation.unpin("tea is at five")
    assert conversation.notes.pins == ("my car is blue",)
    assert conversation.unpin()
    assert not conversation.unpin()


def test_what_the_user_asks_to_remember_is_pinned_unless_it_is_taken_back() -> None:
    conversation = of()
    conversation.remember(turn(1, "please remember that my car is on level 3"))
    conversation.remember(turn(2, "remember that I hate tea", "", outcome="interrupted"))  # cancelled
    conversation.remember(turn(3, "remember that I like jazz", "", outcome="interrupted", interrupted=True))
    conversation.remember(turn(4, "remember that I swim", "", outcome="failed"))
    assert conversation.notes.pins == ("my car is on level 3", "I like jazz", "I swim")
    conversation.remember(turn(5, "forget everything"))
    assert conversation.notes.pins == ()


def test_pins_reach_the_model_and_survive() -> None:
    async def scenario() -> None:
        store, llm = MemoryStore(), FakeModel("Noted.")

        class Kept(MemoryStore):
            async def close(self) -> None:
                pass

        store = Kept()
        async with a_session(llm=llm, store=store) as client:
            client.session.type("remember that my car is on level 3")
            await client.wait("metrics")
            assert (await store.notes("c1", "tester")).pins == ("my car is on level 3",), "with its turn"
            client.session.view.pin("likes jazz")
            assert client.session.view.pins == ("my car is on level 3", "likes jazz")
        assert (await store.notes("c1", "tester")).pins[1:] == ("likes jazz",), "at the latest when all have left"
        async with a_session(llm=llm, store=store) as client:
            client.session.type("where is my car")
            await client.wait("metrics")
            assert client.session.view.unpin()
        assert llm.requests[-1].pins == ("my car is on level 3", "likes jazz")
        assert (await store.notes("c1", "tester")).pins == ()

    run_virtually(scenario())


def test_the_offline_assistant_knows_a_pin_whose_turn_is_gone() -> None:
    async def scenario() -> None:
        store, llm = MemoryStore(), OfflineChat()
        llm.streams = 0  # type: ignore[attr-defined]
        await store.append(turn(1, conversation_id="c1"), "tester", Notes(pins=("my car is on level 3",)))
        async with a_session(llm=llm, store=store) as client:
            client.session.type("where is my car")
            await client.wait("metrics")
            said = "".join(m["text"] for m in client.of("llm_token"))
        assert "level 3" in said

    run_virtually(scenario())


async def test_notes_that_cannot_be_stored_now_are_stored_with_the_next_turn() -> None:
    class Busy(MemoryStore):
        busy = True

        async def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
            if self.busy:
                raise ServerBusy("OVERLOADED", "locked")
            return await super().annotate(conversation_id, owner, notes)

    store = Busy()
    async with Conversations(store).enter("c", "me") as conversation:
        assert conversation is not None
        await conversation.store(turn(1))
        conversation.pin("my car is red")
        await conversation.save()
        assert await store.notes("c", "me") == Notes()
        await conversation.store(turn(2))
        assert (await store.notes("c", "me")).pins == ("my car is red",)
        conversation.pin("my dog is old")
        store.busy = False
        await conversation.save()
        assert len((await store.notes("c", "me")).pins) == 2


# --- forgetting -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def entered(store: MemoryStore) -> AsyncIterator[tuple[Conversations, Conversation]]:
    conversations = Conversations(store)
    async with conversations.enter("c", "me") as conversation:
        assert conversation is not None
        yield conversations, conversation


async def test_a_deletion_leaves_whoever_is_there_without_a_past() -> None:
    store = MemoryStore()
    await store.append(turn(1), "me", Notes(pins=("p",), summary="s", covers="k1"))
    async with entered(store) as (conversations, conversation):
        assert not await conversations.delete("c", "somebody else")
        assert len(conversation.messages) == 2
        assert await conversations.delete("c", "me")
        assert conversation.messages == []
        assert conversation.notes == Notes()
        conversation.remember(turn(2))
        await conversation.store(turn(2))
        assert [each.turn_id for each in await store.load("c", "me", 10)] == [2]
        assert await store.notes("c", "me") == Notes()
    assert await store.notes("c", "me") == Notes()


async def test_a_turn_stored_while_it_is_deleted_brings_nothing_back() -> None:
    class Slow(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.deleting, self.go_on = asyncio.Event(), asyncio.Event()

        async def delete(self, conversation_id: str, owner: str) -> bool:
            deleted = await super().delete(conversation_id, owner)
            self.deleting.set()
            await self.go_on.wait()
            return deleted

    store = Slow()
    await store.append(turn(1), "me")
    async with entered(store) as (conversations, conversation):
        conversation.pin("my car is red")
        deletion = asyncio.create_task(conversations.delete("c", "me"))
        await store.deleting.wait()
        conversation.remember(turn(2))
        await conversation.store(turn(2))
        store.go_on.set()
        assert await deletion
    assert [each.turn_id for each in await store.load("c", "me", 10)] == [2]
    assert await store.notes("c", "me") == Notes()


async def test_a_turn_stored_while_pins_are_replaced_brings_none_back() -> None:
    class Slow(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.replaced, self.go_on = asyncio.Event(), asyncio.Event()

        async def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
            done = await super().annotate(conversation_id, owner, notes)
            self.replaced.set()
            await self.go_on.wait()
            return done

    store = Slow()
    await store.append(turn(1), "me", Notes(pins=("my car is red",)))
    async with entered(store) as (conversations, conversation):
        change = asyncio.create_task(conversations.pin("c", "me", ["tea is at five"]))
        await store.replaced.wait()
        conversation.pin("my dog is old")
        await conversation.store(turn(2))
        store.go_on.set()
        assert await change
        assert conversation.notes.pins == ("tea is at five", "my dog is old")
    assert (await store.notes("c", "me")).pins == ("tea is at five", "my dog is old")


@pytest.mark.parametrize("how", ["busy", "unknown"])
async def test_pins_that_could_not_be_replaced_are_as_they_were(how: str) -> None:
    class Failing(MemoryStore):
        async def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
            if how == "busy":
                raise ServerBusy("OVERLOADED", "locked")
            return False

    store = Failing()
    await store.append(turn(1), "me", Notes(pins=("my car is red",)))
    async with entered(store) as (conversations, conversation):
        if how == "busy":
            with pytest.raises(ServerBusy):
                await conversations.pin("c", "me", [])
        else:
            assert not await conversations.pin("c", "me", [])
        assert conversation.notes.pins == ("my car is red",)


@pytest.mark.parametrize("how", ["busy", "unknown"])
async def test_what_could_not_be_deleted_is_not_forgotten(how: str) -> None:
    class Failing(MemoryStore):
        async def delete(self, conversation_id: str, owner: str) -> bool:
            if how == "busy":
                raise ServerBusy("OVERLOADED", "locked")
            return False

    store = Failing()
    await store.append(turn(1), "me", Notes(pins=("p",), summary="s", covers="k0"))
    async with entered(store) as (conversations, conversation):
        before, notes = conversation.messages, conversation.notes
        if how == "busy":
            with pytest.raises(ServerBusy):
                await conversations.delete("c", "me")
        else:
            assert not await conversations.delete("c", "me")
        assert (conversation.messages, conversation.notes) == (before, notes)


async def test_one_who_comes_while_the_last_one_leaves_finds_the_same_conversation() -> None:
    class Slow(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.saving, self.go_on = asyncio.Event(), asyncio.Event()

        async def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
            self.saving.set()
            await self.go_on.wait()
            return await super().annotate(conversation_id, owner, notes)

    store = Slow()
    await store.append(turn(1), "me")
    conversations = Conversations(store)

    async def first() -> Conversation:
        async with conversations.enter("c", "me") as conversation:
            assert conversation is not None
            conversation.pin("my car is red")
            return conversation

    leaving = asyncio.create_task(first())
    await store.saving.wait()
    async with conversations.enter("c", "me") as second:
        store.go_on.set()
        assert await leaving is second
        async with conversations.enter("c", "me") as third:
            assert third is second
    async with conversations.enter("c", "me") as later:
        assert later is not second
        assert later is not None
        assert later.notes.pins == ("my car is red",)


def test_a_long_conversation_in_a_session_stays_within_its_budget() -> None:
    async def scenario() -> None:
        settings = Settings(memory=Memory(max_tokens=600), llm=Llm(max_tokens=50, instructions="Be brief."))
        llm = FakeModel("A fine answer it is.", gap_s=0.0)
        start = events.Start(language="xx")
        async with a_session(llm=llm, settings=settings, start=start) as client:
            for number in range(1, 60):
                client.session.type(f"question {number}")
                await client.wait("metrics", number)
        sizes = [taken(request.messages) + tokens(request.instructions) for request in llm.requests]
        assert max(sizes) <= 600 - 150
        assert min(sizes[40:]) > 380, "what room there is is used"
        assert llm.requests[-1].messages[-1].content == "question 59"
        assert llm.requests[-1].messages[-3].content == "question 58"

    run_virtually(scenario())
