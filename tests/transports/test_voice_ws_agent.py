"""An agent behind `/ws`: what its client sees of it, and what outlives a lost socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from kit import FakeModel
from transports.wire import a_server, virtual
from vivavoce.agent import Agent, AgentSession, Asked
from vivavoce.engines.base import Delta

GREETING = "Hello, bicycle shop."


@virtual
async def test_the_agent_greets_after_the_start_and_only_once() -> None:
    async with a_server(agent=Agent(greeting=GREETING)) as server:
        peer = await server.connect()
        await peer.start()
        await peer.wait("metrics")
        assert peer.messages[0]["type"] == "info"
        assert peer.messages[1]["type"] == "llm_token"
        assert {m.get("initiator") for m in peer.messages[1:] if m["type"] != "decision"} == {"agent"}
        await peer.speak(1.0)
        await peer.hush(1.0)
        await peer.wait("metrics", 2)
        await peer.start()
        await peer.ask("hello")
        assert [m["text"] for m in peer.of("phrase")].count(GREETING) == 1


@virtual
async def test_a_client_is_told_that_its_instructions_do_not_count() -> None:
    llm = FakeModel("Yes.")
    async with a_server(agent=Agent("Be an agent.", name="clerk"), llm=llm) as server:
        peer = await server.connect()
        warning = "clerk has instructions of its own: yours are not used"
        assert (await peer.start(instructions="Be a pirate."))["warning"] == warning
        await peer.send("update", instructions="Be a pirate, now.")
        assert (await peer.wait("info", 2))["warning"] == warning
        await peer.send("update", vad_silence_ms=500)
        assert (await peer.wait("info", 3)).get("warning") is None
        await peer.ask("hello")
    assert llm.requests[0].instructions == "Be an agent."


@virtual
async def test_who_answers_and_what_they_noted_outlive_a_lost_socket() -> None:
    async def to_the_office(session: AgentSession, text: str) -> None:
        session.userdata["said"] = [*session.userdata.get("said", []), text]
        if "office" in text:
            session.hand_off(office)

    office = Agent("the office", name="office", on_user_turn=to_the_office)
    llm = FakeModel("Yes.")
    async with a_server(agent=Agent("the shop", greeting=GREETING, on_user_turn=to_the_office), llm=llm) as server:
        peer = await server.connect()
        info = await peer.start()
        await peer.wait("metrics")
        await peer.ask("the office please")
        await peer.vanish()
        again = await server.connect()
        resumed = await again.start(session_id=info["session_id"], last_n=peer.messages[-1]["n"])
        assert resumed["resumed"] is True
        await again.ask("thank you")
        session = server.state.sessions.connections[0].session
        assert session is not None
        assert session.view.userdata["said"] == ["the office please", "thank you"]
        assert not [m for m in again.of("phrase") if m["text"] == GREETING], "no second greeting"
        other = await server.connect()
        await other.start()
        await other.wait("metrics")
        await other.ask("hello")
    assert [request.instructions for request in llm.requests] == ["the shop", "the office", "the shop"]


class OwnModel(FakeModel):
    def __init__(self) -> None:
        super().__init__("My own words.")
        self.life: list[str] = []

    async def start(self) -> None:
        self.life.append("start")

    async def close(self) -> None:
        self.life.append("close")


@virtual
async def test_whoever_was_handed_a_session_is_started_once_and_closed_with_the_server() -> None:
    own, never = OwnModel(), OwnModel()
    specialist, idle = Agent(model=own), Agent(model=never)

    async def hand_over(session: AgentSession, text: str) -> None:
        session.hand_off(specialist)

    async with a_server(agent=Agent(on_user_turn=hand_over)) as server:
        for _ in range(2):
            peer = await server.connect()
            await peer.start()
            await peer.ask("hello")
            await peer.ask("again")
            assert peer.of("phrase")[-1]["text"].strip() == "My own words."
        assert own.life == ["start"]
    assert own.life == ["start", "close"]
    assert never.life == []
    assert idle.needs_start


@virtual
async def test_text_that_utf8_cannot_say_breaks_nothing() -> None:
    class Torn(Agent):
        async def respond(self, asked: Asked) -> AsyncGenerator[Delta, None]:
            asked.session.say("half a \ud83d again")
            yield Delta("half a \ud83d")
            yield Delta(" smile.", finish="stop")

    async with a_server(agent=Torn()) as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("hello")
        await peer.wait("metrics", 2)
        assert "".join(m["text"] for m in peer.of("llm_token", turn=1)) == "half a ? smile."


@virtual
async def test_the_configuration_and_the_readiness_name_the_agent() -> None:
    from server.asgi import client

    async with a_server(agent=Agent(name="shop")) as server, client(server.asgi) as web:
        assert (await web.get("/api/stream_config")).json()["agent"] == "shop"
        assert (await web.get("/ready")).json()["agent"]["name"] == "shop"


@pytest.mark.parametrize("mode", ["hands_free", "asr_only"])
def test_a_writer_down_is_not_greeted(mode: str) -> None:
    @virtual
    async def scenario() -> None:
        async with a_server(agent=Agent(greeting=GREETING)) as server:
            peer = await server.connect()
            await peer.start(mode=mode)
            await peer.hush(3.0)
            assert bool(peer.of("phrase")) == (mode == "hands_free")

    scenario()
