"""What the routes and transports of one process share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from vivavoce.agent import Agent
from vivavoce.engines.registry import InstalledEngines
from vivavoce.events import Event, Info
from vivavoce.memory.base import ConversationStore, purge_daily
from vivavoce.observe.stall import LoopMonitor
from vivavoce.session.conversation import Conversations
from vivavoce.session.session import Observer
from vivavoce.session.sessions import Sessions
from vivavoce.settings import Settings

log = logging.getLogger(__name__)

AGENT_START_S = 60.0
"""What the agent does before its first session may take this long."""
AGENT_CLOSE_S = 10.0

ObserverFactory = Callable[[str], Observer]
"""Makes the observer of one session from its id."""


class ServerState:
    """Made by `app`, started and stopped with the server."""

    def __init__(
        self,
        settings: Settings,
        engines: InstalledEngines,
        store: ConversationStore,
        observers: Sequence[ObserverFactory] = (),
        agent: Agent | None = None,
    ) -> None:
        self.settings = settings
        self.agent = agent or Agent(client_instructions=True)
        """Who answers the sessions that name no flow."""
        self.agent_failure = ""
        """Why the agent could not start, for `/ready`; it answers all the same."""
        self.engines = engines
        self.store = store
        self.conversations = Conversations(store)
        self.sessions = Sessions(
            limit=settings.server.max_sessions,
            window_s=settings.stream.resume_window_s,
            clock=asyncio.get_running_loop().time,
            enabled=settings.stream.enabled,
        )
        self.loop_monitor = LoopMonitor(active=lambda: len(self.sessions) > 0)
        self.started_at = time.monotonic()
        self._observers = observers
        self._agent_started = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def observers(self, session_id: str) -> list[Callable[[Event, float], None]]:
        """Fresh observers for one session."""
        return [make(session_id) for make in self._observers]

    async def start(self) -> None:
        """Open the store; engines load beside the server, which answers `/ready` meanwhile."""
        await self.store.open()
        self.loop_monitor.start()
        retention = purge_daily(self.store, self.settings.memory.retention_days)
        self._tasks = [
            asyncio.create_task(self.engines.start(), name="engines start"),
            asyncio.create_task(self._start_agent(), name="agent start"),
            asyncio.create_task(retention, name="retention"),
        ]

    async def started(self) -> None:
        """Wait until the engines and the agent have started, or failed to: sessions begin here."""
        await self.engines.started()
        await self._agent_started.wait()

    async def _start_agent(self) -> None:
        try:
            async with asyncio.timeout(AGENT_START_S):
                await self.agent.start()
        except Exception as error:  # the agent's own code: whatever it does, the server answers
            self.agent_failure = str(error) or type(error).__name__
            log.exception("agent %s did not start", self.agent.name)
        self._agent_started.set()

    async def drain(self) -> None:
        """Say goodbye to every session: a notice, time to finish, then the close."""

        def notice(after_s: float) -> Info:
            return Info(message="the server is shutting down", retry_after_s=after_s)

        await self.sessions.drain(notice, self.settings.server.drain_s)

    async def stop(self) -> None:
        """Free everything. Sessions have ended before."""
        self.loop_monitor.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        try:
            async with asyncio.timeout(AGENT_CLOSE_S):
                await self.agent.close()
        except Exception:  # the agent's own code: the engines are closed all the same
            log.exception("agent %s did not close", self.agent.name)
        await self.engines.close()
        await self.store.close()
