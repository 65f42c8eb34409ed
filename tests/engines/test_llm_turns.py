"""Every fault of a language model's server, as a client of a session sees it, and that the next turn works."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
import pytest

from engines.test_llm_choice import free_port
from engines.test_llm_servers import BOTH, PATHS, QUESTION, Engine, a_model, serving
from fake_llm import PIECES, FakeLLM, fake_llm
from kit import FakeModel, FakeVoice, a_session, run_virtually
from transports.wire import App, a_server
from vivavoce.engines.base import ChatModel, Speech
from vivavoce.engines.fallback import Fallback, Retrying
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.settings import Llm, Settings

FIRST_S, TOKEN_S, TOTAL_S = 1.2, 0.5, 2.5
BUDGET_S = 0.8
"""No attempt begins later."""
SLACK_S = 0.7
"""What a loaded machine may add."""
STORY = "".join(PIECES)
SETTINGS = Settings(llm=Llm(first_token_timeout_s=FIRST_S, token_timeout_s=TOKEN_S, timeout_s=TOTAL_S))
STALL_S = 0.05
"""The longest that one answer may keep the loop from all others."""


class QuickVoice(FakeVoice):
    """Says everything within a millisecond."""

    async def synthesize(self, phrase: str, voice: str) -> AsyncGenerator[Speech, None]:
        yield Speech(b"\x10\x00" * 8)


@asynccontextmanager
async def a_conversation(llm: ChatModel) -> AsyncIterator[App]:
    await llm.start() if isinstance(llm, Fallback) else None
    try:
        async with a_server(SETTINGS, llm=Unstarted(llm), tts=QuickVoice()) as server:
            yield server
    finally:
        await llm.close()


class Unstarted:
    """*llm* without its start, which would find out some faults before the turn does."""

    def __init__(self, llm: ChatModel) -> None:
        self.name, self.model, self.stream = llm.name, llm.model, llm.stream

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class Case(msgspec.Struct, frozen=True):
    outcome: str
    code: str | None = None
    attempts: int | None = 1
    """None: as time allows."""
    within_s: float = 0.3
    text: str | None = STORY
    """What the client is shown; None: not looked at."""


BEGUN = "".join(PIECES[:3])
GONE = Case("failed", "MODEL_LOAD_FAILED", text="")
DONE = Case("done")
CASES: dict[str, Case] = {
    "plain": DONE,
    "crlf": DONE,
    "nulls": DONE,
    "thinks": DONE,
    "usage": DONE,
    "bytes": Case("done", text="".join(PIECES[:4])),
    "invalid-utf8": Case("done", text="caf\ufffd\ufffd \ufffd noir"),
    "calls": Case("done", text="One moment. "),
    "slow-first": Case("done", within_s=0.6),
    "open": Case("done", within_s=0.5),
    "finish-open": Case("done", within_s=0.5),
    "deaf": Case("failed", "LLM_TIMEOUT", within_s=FIRST_S, text=""),
    "silent": Case("failed", "LLM_TIMEOUT", within_s=FIRST_S, text=""),
    "stall": Case("failed", "LLM_TIMEOUT", within_s=TOKEN_S, text=None),
    "alive": Case("failed", "LLM_TIMEOUT", within_s=TOTAL_S, text=None),
    "slow": Case("failed", "LLM_TIMEOUT", within_s=TOTAL_S, text=None),
    "400": Case("failed", "LLM_FAILED", text=""),
    "307": Case("failed", "LLM_FAILED", text=""),
    "401": GONE,
    "403": GONE,
    "404": GONE,
    "408": Case("failed", "LLM_FAILED", 3, BUDGET_S, ""),
    "500": Case("failed", "LLM_FAILED", 3, BUDGET_S, ""),
    "503": Case("failed", "OVERLOADED", 3, BUDGET_S, ""),
    "429": Case("failed", "OVERLOADED", 3, BUDGET_S, ""),
    "429-date": Case("failed", "OVERLOADED", None, BUDGET_S, ""),
    "429-long": Case("failed", "OVERLOADED", 1, text=""),
    "429-once": Case("done", attempts=2, within_s=BUDGET_S),
    "500-twice": Case("done", attempts=3, within_s=BUDGET_S),
    "empty": Case("failed", "LLM_FAILED", 3, BUDGET_S, ""),
    "error-first": Case("failed", "LLM_FAILED", text=""),
    "error": Case("failed", "LLM_FAILED", text=None),
    "garbage": Case("failed", "LLM_FAILED", text=None),
    "calls-many": Case("failed", "LLM_FAILED", text=None),
    "reset": Case("failed", "LLM_FAILED", text=None),
    "cut-in-a-character": Case("incomplete", text=None),
    "unfinished": Case("incomplete", text=None),
    "broken": Case("incomplete", text=None),
    "huge": Case("failed", "LLM_FAILED", text="first "),
    "long": Case("done", within_s=1.0, text=("first " + "x " * 10_000)[:20_000]),
    "endless": Case("done", within_s=TOTAL_S, text=None),
}


class Steps:
    """How long the loop was kept by one round of steps at most, in seconds of processor time.

    Without the garbage collector, whose time is that of all that the tests before have left.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._at = time.thread_time()
        self._next: asyncio.Handle | None = None

    def _step(self) -> None:
        now = time.thread_time()
        self.longest_s, self._at = max(self.longest_s, now - self._at), now
        self._next = asyncio.get_running_loop().call_soon(self._step)

    def __enter__(self) -> Steps:
        gc.disable()
        self._step()
        self.longest_s = 0.0
        return self

    def __exit__(self, *error: object) -> None:
        gc.enable()
        assert self._next is not None
        self._next.cancel()


@BOTH
@pytest.mark.parametrize("fault", CASES)
async def test_each_fault_ends_as_documented_and_the_next_turn_works(engine: Engine, fault: str) -> None:
    case, clock = CASES[fault], asyncio.get_running_loop().time
    async with fake_llm() as server:
        llm = Retrying(a_model(engine, server, fault), budget_s=BUDGET_S)
        async with a_conversation(llm) as app:
            peer = await app.connect()
            await peer.start()
            began = clock()
            metrics = await peer.ask("tell me a story")
            took_s = clock() - began
            assert metrics["outcome"] == case.outcome
            assert [error["code"] for error in peer.of("error")] == ([case.code] if case.code else [])
            assert all(error["recoverable"] for error in peer.of("error"))
            assert took_s < case.within_s + SLACK_S
            shown = "".join(message["text"] for message in peer.of("llm_token"))
            assert (
                shown == case.text if case.text is not None else shown.strip() in STORY or fault in ("endless", "slow")
            )
            asked = len(server.bodies(PATHS[engine]))
            assert asked == case.attempts if case.attempts else 1 <= asked <= 3
            await next_turn(server, peer)


async def next_turn(server: FakeLLM, peer: Any) -> None:
    """The next turn is answered whole, and nothing of the one before is said again."""
    server.instead = "plain"
    before = len(peer.of("llm_token"))
    assert (await peer.ask("and another"))["outcome"] == "done"
    assert "".join(message["text"] for message in peer.of("llm_token")[before:]) == STORY


@BOTH
@pytest.mark.parametrize("fault", ["401", "404", "500", "429-long", "empty", "error-first"])
async def test_what_never_began_is_answered_by_the_assistant(engine: Engine, fault: str) -> None:
    async with fake_llm() as server:
        retrying = Retrying(a_model(engine, server, fault), budget_s=BUDGET_S)
        async with a_conversation(Fallback(Unstarted(retrying), OfflineChat(), patience_s=0.9 * FIRST_S)) as app:
            peer = await app.connect()
            await peer.start()
            assert (await peer.ask("what is six times seven"))["outcome"] == "done"
            assert "42" in "".join(message["text"] for message in peer.of("llm_token"))
            assert peer.of("error") == []
            server.instead = "plain"
            assert (await peer.ask("and another"))["outcome"] == "done"
        await retrying.close()


@BOTH
@pytest.mark.parametrize("address", ["refused", "dns"])
async def test_nobody_there(engine: Engine, address: str) -> None:
    async with fake_llm() as server:
        real = server.port
        host = "127.0.0.1" if address == "refused" else "nobody.invalid"
        base = f"http://{host}:{free_port()}" + ("/v1" if engine.name == "openai" else "")
        chat = engine(base_url=base, model="plain", connect_s=3.0)
        async with a_conversation(Retrying(chat, budget_s=BUDGET_S)) as app:
            peer = await app.connect()
            await peer.start()
            for turn in (1, 2):
                assert (await peer.ask("tell me a story"))["outcome"] == "failed"
                (error,) = peer.of("error", turn=turn)
                assert error["code"] == "MODEL_LOAD_FAILED"
                assert error["hint"]
        assert server.port == real
        assert server.requests == []


@BOTH
@pytest.mark.parametrize("fault", ["huge", "long", "endless"])
async def test_a_flood_does_not_keep_the_loop(engine: Engine, fault: str, record_property: Any) -> None:
    async with fake_llm() as server, a_conversation(Retrying(a_model(engine, server, fault))) as app:
        peer = await app.connect()
        await peer.start()
        await next_turn(server, peer)  # what is loaded for the first turn is not looked at
        server.instead = None
        with Steps() as steps:
            await peer.ask("tell me a story")
        record_property("longest_ms", round(1000 * steps.longest_s, 1))
        assert steps.longest_s < STALL_S
        await next_turn(server, peer)


@BOTH
async def test_cancelling_twenty_times(engine: Engine, record_property: Any) -> None:
    """From the cancellation to the end of the connection, as the server sees it."""
    clock = asyncio.get_running_loop().time
    took_ms = []
    async with serving(engine, "stall") as (chat, server):

        async def read() -> None:
            async with aclosing(chat.stream(QUESTION)) as deltas:
                async for _ in deltas:
                    begun.set()

        begun = asyncio.Event()
        for _ in range(20):
            server.closed.clear()
            begun.clear()
            reader = asyncio.create_task(read())
            await begun.wait()
            left_at = clock()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            await server.closed.wait()
            took_ms.append(1000 * ((server.connections[-1].closed_at or 0.0) - left_at))
    took_ms.sort()
    record_property("close_ms", {"median": round(took_ms[10], 2), "worst": round(took_ms[-1], 2)})
    assert took_ms[-1] < 50


# --- signs of life, in virtual time ----------------------------------------------------------------------------------


async def outcome(*answer: str | float) -> tuple[str, list[str], float]:
    """Outcome, error codes and seconds of a turn whose model does this, with the limits of the defaults."""
    clock = asyncio.get_running_loop().time
    model = FakeModel(answer, gap_s=0.0)
    async with a_session(llm=model) as client:
        began = clock()
        client.session.type("tell me a story")
        metrics = await client.wait("metrics")
        return metrics["outcome"], [error["code"] for error in client.of("error")], clock() - began


def test_an_empty_delta_is_a_sign_of_life() -> None:
    assert run_virtually(outcome(9.0, "", 4.5, "", 4.5, "", 4.5, "Well."))[0] == "done"


@pytest.mark.parametrize(
    ("answer", "limit_s"),
    [((10.5, "Well."), 10.0), (("Well, ", 5.5, "yes."), 5.0), (("", 5.5, "Well."), 5.0), ((4.0, "") * 50, 30.0)],
    ids=["first token", "between tokens", "after a sign of life", "in all"],
)
def test_each_limit_ends_the_turn(answer: tuple[str | float, ...], limit_s: float) -> None:
    ended, codes, took_s = run_virtually(outcome(*answer))
    assert (ended, codes) == ("failed", ["LLM_TIMEOUT"])
    assert limit_s <= took_s < limit_s + 1.5  # and what was said is played to its end
