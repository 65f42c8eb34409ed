"""Trying again, and letting another model answer: in virtual time on fakes, then against a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from random import Random

import msgspec
import pytest

from engines.chat_model_contract import ChatModelContract, answer, request
from fake_llm import PIECES, FakeLLM, fake_llm
from kit import FakeModel, run_virtually
from vivavoce.core.retry import Backoff, Breaker
from vivavoce.engines.base import ChatModel
from vivavoce.engines.fallback import Fallback, Retrying
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.engines.llm.openai import OpenAIChat
from vivavoce.errors import EngineError, EngineFailed, EngineUnavailable

QUESTION = request("tell me a story")


def failure(*, transient: bool = True, retry_after_s: float = 0.0) -> EngineFailed:
    error = EngineFailed("llm", "it broke")
    error.transient, error.retry_after_s = transient, retry_after_s
    return error


class Scripted(FakeModel):
    """Answers the next of *answers* each time, then the last for ever; `start` raises what is in `refusals`."""

    def __init__(self, name: str, *answers: Sequence[str | float | EngineError] | str) -> None:
        super().__init__("")
        self.name = name
        self.answers = list(answers)
        self.refusals: list[EngineError] = []
        self.started: list[float] = []

    async def start(self) -> None:
        self.started.append(asyncio.get_running_loop().time())
        if self.refusals:
            raise self.refusals.pop(0)

    def stream(self, asked):  # type: ignore[no-untyped-def]
        words = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.answer = [word + " " for word in words.split()] if isinstance(words, str) else list(words)
        return super().stream(asked)


async def said(model: ChatModel) -> str:
    return "".join(delta.text for delta in await answer(model, QUESTION)).strip()


def retrying(model: ChatModel, *, budget_s: float = 5.0) -> Retrying:
    return Retrying(model, budget_s=budget_s, backoff=Backoff(first_s=0.2, jitter=0.0), chance=Random(1))


# --- trying again ----------------------------------------------------------------------------------------------------


class TestRetryingContract(ChatModelContract):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        yield Retrying(FakeModel("One two three four.", gap_s=0.0001))


def test_three_attempts_with_longer_waits(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        model = Scripted("a", [failure()], [failure()], "Well then.")
        assert await said(retrying(model)) == "Well then."
        assert len(model.requests) == 3
        assert loop.time() - began == pytest.approx(0.2 + 0.4 + 2 * model.gap_s, abs=0.001)

    with caplog.at_level(logging.WARNING):
        run_virtually(main())
    assert [record.getMessage() for record in caplog.records] == [
        "[LLM-RETRY] attempt 2 in 0.2 s: it broke",
        "[LLM-RETRY] attempt 3 in 0.4 s: it broke",
    ]


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([[failure()]], 3),
        ([[failure(transient=False)]], 1),
        ([[failure(), "never"], [failure(transient=False)]], 2),
        ([["Well ", failure()]], 1),
        ([["", failure()]], 1),
        ([[failure(retry_after_s=6.0)]], 1),
        ([[failure(retry_after_s=2.0)]], 3),
        ([[failure(retry_after_s=3.0)]], 2),
        ([[3.0, failure()]], 2),
    ],
    ids=[
        "no more than three", "not what is refused for good", "nor after that", "nothing that has begun",
        "not even a sign of life", "not past the budget", "within it", "as often as it allows", "slow failures too",
    ],
)  # fmt: skip
def test_when_to_give_up(answers: list[list[str | float | EngineError]], asked: int) -> None:
    async def main() -> None:
        began = asyncio.get_running_loop().time()
        model = Scripted("a", *answers)
        with pytest.raises(EngineFailed, match="it broke"):
            await said(retrying(model))
        assert len(model.requests) == asked
        assert asyncio.get_running_loop().time() - began < 6.5

    run_virtually(main())


def test_cancelling_while_it_waits_ends_it() -> None:
    async def main() -> None:
        model = Scripted("a", [failure()])
        task = asyncio.create_task(said(retrying(model)))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(10.0)
        assert len(model.requests) == 1

    run_virtually(main())


# --- letting another answer ------------------------------------------------------------------------------------------


class TestFallbackContract(ChatModelContract):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        yield Fallback(FakeModel("One two three four.", gap_s=0.0001), FakeModel("never"))


class TestSecondContract(ChatModelContract):
    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatModel]:
        first = Scripted("dead", [failure()])
        first.refusals = [EngineUnavailable("llm", "connection refused")]
        yield Fallback(first, FakeModel("One two three four.", gap_s=0.0001))


@asynccontextmanager
async def pair(first: Scripted, **more: float) -> AsyncIterator[Fallback]:
    """A started fallback from *first* to a model that says `second`."""
    model = Fallback(first, Scripted("b", "second"), breaker=Breaker(rest_s=5.0, most_s=60.0), **more)
    await model.start()
    try:
        yield model
    finally:
        await model.close()


def test_the_second_answers_only_what_the_first_could_not_begin() -> None:
    async def main() -> None:
        first = Scripted("a", "first", [failure(transient=False)], "first again", ["some", failure()], "and again")
        async with pair(first) as model:
            assert (model.name, model.failure) == ("a", None)
            assert [await said(model) for _ in range(3)] == ["first", "second", "first again"]
            with pytest.raises(EngineFailed):
                await said(model)
            assert await said(model) == "and again"
            assert model.failure is None

    run_virtually(main())


def test_a_dead_first_costs_no_turn_any_time(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = Scripted("a", [3.0, EngineUnavailable("llm", "connection refused")])
        first.refusals = [EngineUnavailable("llm", "connection refused")]
        async with pair(first) as model:
            first.refusals = [EngineUnavailable("llm", "still refused")] * 1000
            for _ in range(100):
                asked = loop.time()
                assert await said(model) == "second"
                assert loop.time() - asked < 0.1
                await asyncio.sleep(3.0)
            assert first.requests == []
            assert (model.name, model.model) == ("b", "fake-1")
            assert model.failure is not None
            assert model.failure.message == "still refused"
            looks = [round(at - first.started[0]) for at in first.started]
            assert looks == [0, 5, 15, 35, 75, 135, 195, 255]

    with caplog.at_level(logging.WARNING):
        run_virtually(main())
    assert not caplog.records, "whoever started it says so, once"


def test_a_first_that_works_again_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        first = Scripted("a", [failure()], "first")
        async with pair(first) as model:
            assert await said(model) == "second"
            assert (await said(model), model.name) == ("second", "b")
            await asyncio.sleep(5.1)
            assert (model.name, model.failure) == ("a", None)
            assert await said(model) == "first"

    with caplog.at_level(logging.INFO):
        run_virtually(main())
    assert [r.getMessage() for r in caplog.records] == [
        "[LLM-FALLBACK] b answers: a: it broke",
        "[LLM-FALLBACK] a answers again",
    ]


def test_a_first_that_starts_but_never_answers_is_asked_less_and_less() -> None:
    async def main() -> None:
        first = Scripted("a", [failure()])
        async with pair(first) as model:
            for _ in range(300):
                assert await said(model) == "second"
                await asyncio.sleep(1.0)
            assert 5 <= len(first.requests) <= 9

    run_virtually(main())


def test_a_first_that_leaves_its_callers_waiting_is_left_alone() -> None:
    async def main() -> None:
        async with pair(Scripted("a", [1000.0]), patience_s=9.0) as model:
            for limit_s, name in ((8.0, "a"), (10.0, "b")):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(limit_s):
                        await said(model)
                assert model.name == name, "a short wait may be a change of mind"
            assert model.failure is not None
            assert model.failure.message == "no answer within 10 s"
            assert await said(model) == "second"

    run_virtually(main())


def test_it_rests_as_long_as_the_first_asks() -> None:
    async def main() -> None:
        first = Scripted("a", [failure(retry_after_s=50.0)], "first")
        async with pair(first) as model:
            assert await said(model) == "second"
            await asyncio.sleep(49.0)
            assert await said(model) == "second"
            await asyncio.sleep(2.0)
            assert await said(model) == "first"

    run_virtually(main())


def test_a_defect_of_the_first_does_not_end_the_looking(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Scripted):
        async def start(self) -> None:
            await super().start()
            if len(self.started) == 2:
                raise ZeroDivisionError

    async def main() -> None:
        async with pair(Broken("a", [failure()], "first")) as model:
            assert await said(model) == "second"
            await asyncio.sleep(20.0)
            assert await said(model) == "first"

    run_virtually(main())
    assert "a could not be started" in caplog.text


def test_a_first_that_breaks_while_it_starts_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Scripted):
        async def start(self) -> None:
            await super().start()
            raise ZeroDivisionError

    async def main() -> None:
        async with pair(Broken("a", "first")) as model:
            assert await said(model) == "second"
            assert "broke" in str(model.failure)

    run_virtually(main())
    assert "a broke while it started" in caplog.text


def test_the_third_answers_when_two_cannot() -> None:
    async def main() -> None:
        models = [Scripted("a", [failure()], "first"), Scripted("b", [failure()], "second"), Scripted("c", "third")]
        model = Fallback(*models)
        await model.start()
        assert [await said(model) for _ in range(2)] == ["third", "third"]
        assert model.name == "c"
        await asyncio.sleep(60.0)  # both have rested
        assert await said(model) == "first"
        assert model.name == "a"
        await model.close()

    run_virtually(main())


@pytest.mark.parametrize(("second", "answered"), [(Scripted("b", "{}"), True), (OfflineChat(), False)])
def test_an_answer_by_a_schema_comes_from_who_can_give_it(second: ChatModel, *, answered: bool) -> None:
    asked = msgspec.structs.replace(QUESTION, answer_schema={"type": "object"})

    async def main() -> None:
        model = Fallback(Scripted("a", [failure()]), second)
        await model.start()
        for _ in range(2):  # once asked, once left alone
            if answered:
                assert (await answer(model, asked))[0].text.strip() == "{}"
            else:
                with pytest.raises(EngineFailed, match="it broke"):
                    await answer(model, asked)
        await model.close()

    run_virtually(main())


def test_both_out_of_order() -> None:
    async def main() -> None:
        model = Fallback(Scripted("a", [failure()]), Scripted("b", [EngineFailed("llm", "me neither")]))
        await model.start()
        with pytest.raises(EngineFailed, match="me neither"):
            await said(model)
        await model.close()

    run_virtually(main())


# --- a server --------------------------------------------------------------------------------------------------------


class Noticed(OpenAIChat):
    """Says when it could be started."""

    def __init__(self, server: FakeLLM, model: str) -> None:
        super().__init__(base_url=server.openai_url, model=model)
        self.works = asyncio.Event()

    async def start(self) -> None:
        self.works.clear()
        await super().start()
        self.works.set()


@asynccontextmanager
async def guarded(server: FakeLLM, model: str, *, rest_s: float = 5.0) -> AsyncIterator[Fallback]:
    first = Retrying(Noticed(server, model), backoff=Backoff(first_s=0.01))
    fallback = Fallback(first, FakeModel("I can not."), breaker=Breaker(rest_s=rest_s, most_s=rest_s))
    await fallback.start()
    try:
        yield fallback
    finally:
        await fallback.close()


@pytest.mark.parametrize(("model", "requests"), [("500-twice", 3), ("429-once", 2), ("plain", 1)])
async def test_a_server_that_recovers_in_time(model: str, requests: int) -> None:
    async with fake_llm() as server, guarded(server, model) as chat:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await said(chat) == "".join(PIECES).strip()
        assert len(server.bodies("/v1/chat/completions")) == requests
        if model == "429-once":
            assert loop.time() - began >= 0.2, "as it asked"


@pytest.mark.parametrize(
    ("model", "requests"), [("401", 1), ("404", 1), ("400", 1), ("500", 3), ("429-long", 1), ("empty", 3)]
)
async def test_a_server_that_does_not(model: str, requests: int) -> None:
    async with fake_llm() as server, guarded(server, model) as chat:
        assert await said(chat) == "I can not."
        assert len(server.bodies("/v1/chat/completions")) == requests
        assert (chat.failure is None) is (model == "400")


async def test_what_was_begun_is_never_said_again() -> None:
    async with fake_llm() as server:
        for model in ("error", "reset", "huge"):
            async with guarded(server, model) as chat, aclosing(chat.stream(QUESTION)) as deltas:
                assert (await anext(deltas)).text in ("Well, ", "first ")
                with pytest.raises(EngineFailed):
                    assert [delta async for delta in deltas] == []
            assert [body["model"] for body in server.bodies("/v1/chat/completions")].count(model) == 1


async def test_a_server_that_dies_and_comes_back() -> None:
    async with fake_llm() as server, guarded(server, "plain", rest_s=0.3) as chat:
        assert await said(chat) == "".join(PIECES).strip()
        await server.close()
        assert await said(chat) == "I can not."
        assert chat.failure is not None
        assert "connection refused" in chat.failure.message
        first = chat.first.inner  # type: ignore[attr-defined]
        first.works.clear()
        await server.open()
        await first.works.wait()
        assert chat.failure is None
        assert await said(chat) == "".join(PIECES).strip()
