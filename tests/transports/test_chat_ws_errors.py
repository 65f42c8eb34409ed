"""`/ws/chat/stream`: what is refused, what fails, and how it is told. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from unittest import mock

import msgspec
import pytest

from kit import FakeModel, FakeVoice
from transports.chat import asked, complete, failure, path
from transports.wire import CHAT, App, a_server, virtual
from vivavoce.engines.base import ChatRequest, Delta
from vivavoce.errors import EngineBusy, EngineFailed, EngineTimeout, EngineUnavailable
from vivavoce.events import Info
from vivavoce.server.state import ServerState
from vivavoce.settings import Server, Settings, Stream

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


async def raw(server: App, query: str) -> Any:
    peer = await server.connect(f"{CHAT}?{query}" if query else CHAT)
    await peer.ended()
    await peer.task
    return peer


# --- the question ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", 400),
        ("message", 400),
        ("message=", 400),
        ("message=+%20%0A%09", 400),
        ("message=%00%01%7f", 400),
        ("Message=hello", 400),
        ("message=" + "x" * 8193, 400),
        ("message=" + "%F0%9F%A6%8A" * 8193, 400),
        ("message=one&message=two", 400),
        ("message=hi&language=en&language=en", 400),
        ("message=hi&conversation_id=a/b", 400),
        ("message=hi&conversation_id=" + "a" * 129, 400),
        ("message=hi&conversation_id=%00", 400),
        ("message=hi&language=../../etc", 400),
        ("message=hi&language=" + "e" * 36, 400),
        ("message=hi&voice=" + "v" * 129, 400),
        ("message=hi&voice=a%0Ab", 400),
        ("message=hi&audio=perhaps", 400),
        ("message=hi&language=klingon", 404),
        ("message=hi&language=xx_XX", 404),
        ("message=hi&language=fr_FR", 404),
        ("message=hi&flow=nobody", 404),
    ],
    ids=lambda part: part[:40] if isinstance(part, str) else None,
)
@virtual
async def test_what_cannot_be_answered_is_refused_over_the_socket(query: str, code: int) -> None:
    llm = FakeModel("never")
    async with a_server(llm=llm) as server:
        peer = await raw(server, query)
        assert failure(peer) == (code, 1008)
        assert peer.kinds() == ["error"]
        assert not llm.requests
        assert not len(server.state.sessions)


@virtual
async def test_an_unknown_language_is_told_where_the_voices_are() -> None:
    async with a_server() as server:
        (error,) = (await raw(server, "message=hi&language=de")).messages
    assert "de_DE" in error["error"]
    assert "/voices" in error["hint"]
    assert error["reason"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("message=hello&unknown=1&language=&conversation_id=&voice=&flow=&audio=", "hello"),
        ("message=++hello+there%0A", "hello there"),
        ("message=" + "x" * 8192, "x" * 8192),
        ("message=a%00b%1b%5B31m%0Ac", "a b [31m\nc"),
        ("message=%E3%81%93%F0%9F%A6%8A%20%D8%B3", "こ🦊 س"),
        ("message=%ff%fe%ED%A0%80!", "\ufffd\ufffd\ufffd\ufffd\ufffd!"),
        ("message=1%2B1%3D2%26x%3B%23", "1+1=2&x;#"),
        ("&&message=a=b&&", "a=b"),
        ("message=%7B%7B7*7%7D%7D%3C%7Csystem%7C%3E", "{{7*7}}<|system|>"),
        ("message=hi&audio=0", "hi"),
        ("message=hi&audio=TRUE", "hi"),
    ],
    ids=lambda part: part[:30],
)
@virtual
async def test_what_the_model_is_asked(query: str, asks: str) -> None:
    llm = FakeModel("Well.")
    async with a_server(llm=llm) as server:
        complete(await raw(server, query))
    assert [message.content for message in llm.requests[0].messages] == [asks]


@virtual
async def test_somebody_elses_conversation_does_not_exist() -> None:
    async with a_server() as server:
        await server.state.store.open()
        assert await server.state.store.claim("theirs", "somebody else")
        assert failure(await asked(server, conversation_id="theirs")) == (404, 1008)


# --- limits ---------------------------------------------------------------------------------------------------------


@virtual
async def test_turns_in_a_minute_are_counted() -> None:
    async with a_server(Settings(server=Server(turns_per_minute=2))) as server:
        for _ in range(2):
            complete(await asked(server))
        peer = await asked(server)
        assert failure(peer) == (429, 1008)
        assert 0 < peer.messages[0]["retry_after_s"] <= 60


@virtual
async def test_connections_in_a_minute_are_counted() -> None:
    async with a_server(Settings(server=Server(connections_per_minute=1))) as server:
        complete(await asked(server))
        peer = await asked(server)
        assert failure(peer) == (429, 1008)
        assert peer.messages[0]["reason"] == "RATE_LIMITED"
        assert 0 < peer.messages[0]["retry_after_s"] <= 60


@virtual
async def test_without_the_key_it_is_401() -> None:
    async with a_server(Settings(server=Server(api_key="k" * 16))) as server:
        refused = await asked(server)
        assert failure(refused) == (401, 1008)
        assert refused.messages[0]["reason"] == "UNAUTHORIZED"
        peer = await server.connect(path(), headers={"authorization": "Bearer " + "k" * 16})
        await peer.ended()
        complete(peer)


@virtual
async def test_a_full_server_says_so() -> None:
    async with a_server(Settings(server=Server(max_sessions=1)), llm=FakeModel(STORY, gap_s=0.1)) as server:
        first = await server.connect(path())
        await first.wait("token")
        second = await asked(server)
        assert failure(second) == (503, 1011)
        assert second.messages[0]["reason"] == "SESSION_LIMIT"
        assert second.messages[0]["retry_after_s"] > 0
        await first.task
        complete(first)
        complete(await asked(server))


@virtual
async def test_engines_that_do_not_come_up_are_not_waited_for_for_ever() -> None:
    async def never(state: ServerState) -> None:
        await asyncio.Event().wait()

    async with a_server() as server:
        with mock.patch.object(ServerState, "started", never):
            peer = await asked(server)
        assert failure(peer) == (503, 1011)


@virtual
async def test_a_server_that_stops_lets_answers_end_and_takes_no_more() -> None:
    async with a_server(llm=FakeModel(STORY, gap_s=0.1)) as server:
        first = await server.connect(path())
        await first.wait("token")
        drain = asyncio.create_task(server.state.drain())
        await asyncio.sleep(0)
        second = await asked(server)
        assert failure(second) == (503, 1011)
        assert second.messages[0]["reason"] == "SHUTTING_DOWN"
        await drain
        assert complete(first)["text"].strip() == STORY
        assert not first.of(Info.__struct_config__.tag)


@virtual
async def test_an_answer_that_outlasts_the_stop_is_cut_and_remembered() -> None:
    settings = Settings(server=Server(drain_s=1.0))
    async with a_server(settings, llm=FakeModel(STORY, gap_s=0.2)) as server:
        peer = await server.connect(path(conversation_id="c1"))
        await peer.wait("token")
        await server.state.drain()
        await peer.ended()
        assert failure(peer) == (503, 1012)
        (turn,) = await server.state.store.load("c1", "local", 10)
        assert turn.interrupted
        assert turn.assistant == peer.of("token")[-1]["text"].strip()


# --- the model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (EngineFailed("llm", "it broke"), 500),
        (EngineUnavailable("llm", "HTTP 401, the API key is refused", hint="set it"), 503),
        (EngineBusy("llm", "overloaded"), 503),
        (EngineTimeout("llm", "nothing came"), 504),
        (1e6, 504),
    ],
    ids=["failed", "unavailable", "busy", "timeout", "stalls"],
)
@pytest.mark.parametrize("begun", [False, True])
@virtual
async def test_a_model_that_fails(fault: Any, code: int, begun: bool) -> None:
    llm, loop = FakeModel([*(["Once ", "upon. "] if begun else []), fault]), asyncio.get_running_loop()
    async with a_server(llm=llm) as server:
        began = loop.time()
        peer = await asked(server, conversation_id="c1")
        assert failure(peer) == (code, 1011)
        assert loop.time() - began < 10.2
        assert len(peer.of("token")) == 2 * begun
        assert llm.streams == 0
        llm.answer = ["Fine."]
        complete(await asked(server, conversation_id="c1"))
        outcomes = [turn.outcome for turn in await server.state.store.load("c1", "local", 10)]
        assert outcomes == ["failed", "done"]


@virtual
async def test_a_turn_has_a_limit() -> None:
    settings = Settings(stream=Stream(turn_timeout_s=2))
    async with a_server(settings, llm=FakeModel("word " * 100, gap_s=0.1)) as server:
        peer = await asked(server, audio="false")
        assert failure(peer) == (504, 1011)
        assert 15 < len(peer.of("token")) < 25


class Defective(FakeModel):
    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        yield Delta("Once ")
        raise ZeroDivisionError


@virtual
async def test_a_defect_of_ours_is_500_and_leaves_the_server_standing(caplog: pytest.LogCaptureFixture) -> None:
    async with a_server(llm=Defective("")) as server:
        peer = await asked(server)
        assert failure(peer) == (500, 1011)
        assert "ZeroDivision" not in peer.messages[-1]["error"]
        with mock.patch.object(ServerState, "agent_for", side_effect=ZeroDivisionError):
            assert failure(await asked(server)) == (500, 1011)


@virtual
async def test_a_voice_that_is_gone_is_no_error() -> None:
    voice = FakeVoice(faults={"": EngineUnavailable("tts", "the worker is gone")})
    async with a_server(tts=voice) as server:
        assert "the worker is gone" in complete(await asked(server))["warning"]


def test_every_error_says_what_section_2_allows() -> None:
    from vivavoce.transports.chat_wire import Failure

    codes = {"BAD_MESSAGE", "NOT_FOUND", "RATE_LIMITED", "LLM_FAILED", "INTERNAL", "OVERLOADED", "LLM_TIMEOUT"}
    told = {code: Failure.of(code, "why") for code in codes}
    assert {failure.code for failure in told.values()} == {400, 404, 429, 500, 503, 504}
    assert all(failure.close_code == (1008 if failure.code < 500 else 1011) for failure in told.values())
    assert msgspec.json.decode(msgspec.json.encode(told["INTERNAL"]))["type"] == "error"
