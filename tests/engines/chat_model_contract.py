"""What every chat model keeps, whatever is behind it.

An engine joins by subclassing in its own test file:

    class TestMyModel(ChatModelContract):
        @asynccontextmanager
        async def serving(self): yield MyModel(...)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import pytest

from vivavoce.engines.base import ChatModel, ChatRequest, Delta, Message, Timers


class PlainHost:
    """A host without timers, whose turn is certain."""

    timers: Timers | None = None

    async def confirmed(self) -> None: ...


def request(*texts: str) -> ChatRequest:
    """A conversation of the user's and the model's messages in turn, the user's first and last."""
    messages = [Message(role=("user", "assistant")[place % 2], content=text) for place, text in enumerate(texts)]
    return ChatRequest(messages=tuple(messages), host=PlainHost())


async def answer(model: ChatModel, asked: ChatRequest) -> list[Delta]:
    async with aclosing(model.stream(asked)) as deltas:
        return [delta async for delta in deltas]


class ChatModelContract:
    """The tests; `question` may be any that the model answers at some length, always in the same words."""

    question = "tell me a story"

    def serving(self) -> AbstractAsyncContextManager[ChatModel]:
        """A model that is not started yet, and all that it needs to answer."""
        raise NotImplementedError

    @asynccontextmanager
    async def started(self) -> AsyncIterator[ChatModel]:
        """A started model; afterwards it is closed, twice, and has left no task behind."""
        before = asyncio.all_tasks()
        async with self.serving() as model:
            await model.start()
            yield model
            await model.close()
            await model.close()
        assert asyncio.all_tasks() <= before

    async def test_it_has_names(self) -> None:
        async with self.started() as model:
            assert model.name
            assert model.model

    async def test_it_answers_in_pieces_and_says_why_it_stopped(self) -> None:
        async with self.started() as model:
            deltas = await answer(model, request(self.question))
        assert len(deltas) > 2
        assert "".join(delta.text for delta in deltas).strip()
        assert deltas[-1].finish == "stop"
        assert all(delta.finish is None for delta in deltas[:-1])

    async def test_it_takes_a_long_conversation(self) -> None:
        async with self.started() as model:
            assert await answer(model, request(*["hello", "Hello!"] * 50, self.question))

    async def test_closing_early_leaves_it_usable(self) -> None:
        async with self.started() as model:
            whole = await answer(model, request(self.question))
            for count in (0, 1, 2):
                stream = model.stream(request(self.question))
                assert [await anext(stream) for _ in range(count)] == whole[:count]
                await stream.aclose()
                await stream.aclose()
            assert await answer(model, request(self.question)) == whole

    async def test_cancelling_the_reader_leaves_it_usable(self) -> None:
        async with self.started() as model:
            whole = await answer(model, request(self.question))
            begun = asyncio.Event()

            async def read() -> None:
                async with aclosing(model.stream(request(self.question))) as deltas:
                    async for _ in deltas:
                        begun.set()
                        await asyncio.Event().wait()

            reader = asyncio.create_task(read())
            await begun.wait()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            assert await answer(model, request(self.question)) == whole

    async def test_streams_do_not_mix(self) -> None:
        async with self.started() as model:
            alone = await answer(model, request(self.question))
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(answer(model, request(self.question))) for _ in range(10)]
            assert all(task.result() == alone for task in tasks)
