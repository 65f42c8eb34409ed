"""The agents of a process: each is started once, before its first turn, and all are closed together."""

from __future__ import annotations

import asyncio
import logging

from vivavoce.agent import Agent

log = logging.getLogger(__name__)

START_S = 60.0
"""What an agent does before its first session may take this long."""
CLOSE_S = 10.0


class _Start:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.failure = ""
        self.task = asyncio.create_task(self._run(), name=f"start of {agent.name}")

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(START_S):
                await self.agent.start()
        except Exception as error:  # the agent's own code: whatever it does, the server answers
            self.failure = str(error) or type(error).__name__
            log.exception("agent %s did not start", self.agent.name)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.agent.close()
        except Exception:  # the agent's own code: the others are closed all the same
            log.exception("agent %s did not close", self.agent.name)


class Agents:
    """Starts agents when they are needed. Methods belong to one event loop."""

    def __init__(self) -> None:
        self._starts: dict[int, _Start] = {}  # by `id`: an agent need not be hashable

    def begin(self, agent: Agent) -> None:
        """Start *agent*, unless that was done. One that has nothing to start is not kept: it may be a session's own."""
        if agent.needs_start and id(agent) not in self._starts:
            self._starts[id(agent)] = _Start(agent)

    async def ready(self, agent: Agent) -> None:
        """Wait until *agent* has started, or failed to: it answers all the same."""
        self.begin(agent)
        if (start := self._starts.get(id(agent))) is not None:
            await asyncio.wait([start.task])

    def failure(self, agent: Agent) -> str:
        """Why *agent* could not start; empty if it could."""
        start = self._starts.get(id(agent))
        return start.failure if start is not None else ""

    async def close(self) -> None:
        """Close all that were started. Idempotent."""
        starts, self._starts = list(self._starts.values()), {}
        await asyncio.gather(*(start.close() for start in starts))
