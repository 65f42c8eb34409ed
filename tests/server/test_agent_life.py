"""The agent starts beside the engines, and whatever it does, the server serves."""

from __future__ import annotations

import asyncio

from server.asgi import client
from transports.wire import a_server, virtual
from vivavoce.agent import Agent


class Slow(Agent):
    """Starts in five seconds, and notes what happens to it."""

    def __init__(self) -> None:
        super().__init__(name="slow")
        self.life: list[str] = []

    async def start(self) -> None:
        await asyncio.sleep(5.0)
        self.life.append("started")

    async def close(self) -> None:
        self.life.append("closed")


class Broken(Agent):
    async def start(self) -> None:
        raise OSError("the diary is locked")

    async def close(self) -> None:
        raise OSError("the diary is still locked")


class Stuck(Agent):
    async def start(self) -> None:
        await asyncio.Event().wait()


@virtual
async def test_sessions_begin_when_the_agent_has_started() -> None:
    agent = Slow()
    async with a_server(agent=agent) as server:
        began = asyncio.get_running_loop().time()
        peer = await server.connect()
        await peer.start()
        assert agent.life == ["started"]
        assert asyncio.get_running_loop().time() - began >= 4.0
    assert agent.life == ["started", "closed"]


@virtual
async def test_an_agent_that_cannot_start_is_named_and_answers() -> None:
    async with a_server(agent=Broken(name="desk")) as server:
        peer = await server.connect()
        await peer.start()
        assert (await peer.ask("hi"))["outcome"] == "done"
        async with client(server.asgi) as http:
            answer = await http.get("/ready")
        assert answer.status_code == 200
        assert answer.json()["agent"] == {"name": "desk", "ready": False, "detail": "the diary is locked"}


@virtual
async def test_an_agent_that_never_starts_does_not_keep_the_server_from_serving() -> None:
    async with a_server(agent=Stuck()) as server:
        peer = await server.connect()
        await peer.start()
        assert (await peer.ask("hi"))["outcome"] == "done"
