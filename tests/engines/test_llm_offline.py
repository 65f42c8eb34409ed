"""The offline chat model: the contract, and the effects of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.chat_model_contract import ChatModelContract, PlainHost, answer, request
from kit import FakeModel
from vivavoce.assistant.topics import STORIES
from vivavoce.engines.base import ChatModel, ChatRequest, Message, ToolCall
from vivavoce.engines.llm.offline import PIECE, OfflineChat


def a_clock() -> datetime:
    return datetime(2026, 11, 21, 15, 10, tzinfo=UTC)


class TestOffline(ChatModelContract):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        yield OfflineChat(clock=a_clock, chance=Random(1))


class TestOfflineSlowly(TestOffline):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        yield OfflineChat(clock=a_clock, chance=Random(1), token_gap_s=0.0001)


class TestFake(ChatModelContract):
    """The fake that other tests trust keeps the contract too."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        yield FakeModel("One two three four.", gap_s=0.0001)


class SessionTimers:
    """The timers of a session that never ring."""

    def __init__(self, *running: tuple[str, float]) -> None:
        self.running = list(running)

    def set(self, name: str, delay_s: float, announcement: str) -> None:
        assert announcement
        self.running.append((name, delay_s))

    def cancel(self, name: str | None = None) -> int:
        kept = [timer for timer in self.running if name is not None and timer[0] != name]
        cancelled, self.running = len(self.running) - len(kept), kept
        return cancelled

    def remaining(self) -> list[tuple[str, float]]:
        return sorted(self.running, key=lambda timer: timer[1])


class PendingHost:
    """A turn that becomes certain when the test says so."""

    def __init__(self, timers: SessionTimers) -> None:
        self.timers = timers
        self.asked = asyncio.Event()
        self.certain = asyncio.Event()

    async def confirmed(self) -> None:
        self.asked.set()
        await self.certain.wait()


def asking(text: str, host: PendingHost) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), host=host)


async def said(model: OfflineChat, asked: ChatRequest) -> str:
    return "".join([delta.text for delta in await answer(model, asked)])


async def test_a_timer_is_set_only_when_the_turn_is_certain() -> None:
    host = PendingHost(SessionTimers())
    reply = asyncio.create_task(said(OfflineChat(), asking("set a timer for five minutes", host)))
    await host.asked.wait()
    assert host.timers.running == []
    host.certain.set()
    assert await reply == "Timer set for five minutes."
    assert host.timers.running == [("five minute", 300.0)]


async def test_a_reply_dropped_before_the_turn_is_certain_has_no_effect() -> None:
    host = PendingHost(SessionTimers())
    reply = asyncio.create_task(said(OfflineChat(), asking("set a timer for five minutes", host)))
    await host.asked.wait()
    reply.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reply
    assert host.timers.running == []


async def test_an_effect_happens_before_the_first_word() -> None:
    host = PendingHost(SessionTimers())
    host.certain.set()
    async with aclosing(OfflineChat().stream(asking("set a timer for five minutes", host))) as deltas:
        assert (await anext(deltas)).text == "Timer"
    assert host.timers.running == [("five minute", 300.0)]


async def test_what_has_no_effect_waits_for_nothing() -> None:
    host = PendingHost(SessionTimers())
    assert await said(OfflineChat(clock=a_clock), asking("what time is it", host)) == (
        "It is ten past three in the afternoon."
    )
    assert not host.asked.is_set()


async def test_a_timer_that_rang_meanwhile_is_not_said_to_be_cancelled() -> None:
    host = PendingHost(SessionTimers(("pizza", 0.1)))
    reply = asyncio.create_task(said(OfflineChat(), asking("cancel the timer", host)))
    await host.asked.wait()
    host.timers.running.clear()
    host.certain.set()
    assert await reply == "No timer is running."


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cancel the pizza timer", [("tea", 60.0)]),
        ("cancel all timers", []),
        ("cancel the timer", [("tea", 60.0), ("pizza", 300.0)]),
    ],
)
async def test_timers_are_cancelled(text: str, left: list[tuple[str, float]]) -> None:
    host = PendingHost(SessionTimers(("tea", 60.0), ("pizza", 300.0)))
    host.certain.set()
    await answer(OfflineChat(), asking(text, host))
    assert host.timers.remaining() == left


async def test_memory_is_in_the_messages() -> None:
    model = OfflineChat()
    assert await said(model, request("my name is Alice", "Nice to meet you, Alice.", "what is my name")) == (
        "Your name is Alice."
    )
    assert await said(model, request("what is my name")) == "You haven't told me your name yet."


async def test_a_turn_that_another_model_began_is_answered_from_its_question() -> None:
    messages = (
        Message(role="user", content="what is two plus two"),
        Message(role="assistant", content="Let me see.", calls=(ToolCall(id="1", name="add"),)),
        Message(role="tool", content="4", call_id="1"),
    )
    answer = await said(OfflineChat(), ChatRequest(messages=messages, host=PlainHost()))
    assert "4" in answer or "four" in answer.lower()


async def test_an_interrupted_story_goes_on() -> None:
    heard = " ".join(STORIES[0].split()[:30])
    messages = (
        Message(role="system", content="my name is mallory"),
        Message(role="user", content="tell me a story"),
        Message(role="assistant", content=heard, interrupted=True),
        Message(role="user", content="go on"),
    )
    rest = await said(OfflineChat(), ChatRequest(messages=messages, host=PlainHost()))
    assert f"{heard} {rest}".lower() == STORIES[0].lower()


@pytest.mark.parametrize("messages", [(), (Message(role="assistant", content="Hello."),)])
async def test_nothing_asked_is_no_error(messages: tuple[Message, ...]) -> None:
    assert await said(OfflineChat(), ChatRequest(messages=messages, host=PlainHost())) == "Sorry, I didn't catch that."


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(PIECE.findall(text)) == text or not text.strip()


async def test_other_tasks_run_during_a_long_answer() -> None:
    ran = 0

    async def tick() -> None:
        nonlocal ran
        while True:
            ran += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await answer(OfflineChat(), request("tell me a story"))
    ticking.cancel()
    assert ran >= 5
