"""What the routes and transports of one process share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from vivavoce.agent import Agent
from vivavoce.engines.registry import InstalledEngines
from vivavoce.errors import ClientError
from vivavoce.events import Event, Info
from vivavoce.flows.agent import FlowAgent
from vivavoce.flows.services import folder_of, services_of
from vivavoce.flows.sessions import FlowSessions
from vivavoce.flows.store import FlowStore
from vivavoce.memory.base import ConversationStore, purge_daily
from vivavoce.observe.stall import LoopMonitor
from vivavoce.session.agents import Agents
from vivavoce.session.conversation import Conversations
from vivavoce.session.session import Observer
from vivavoce.session.sessions import Sessions
from vivavoce.settings import Settings
from vivavoce.tools.mcp import configured_server

log = logging.getLogger("vivavoce.flows")

ObserverFactory = Callable[[str], Observer]
"""Makes the observer of one session from its id."""


def configured_agent(settings: Settings) -> Agent:
    """Who answers where no agent was written: the model, as the settings say."""
    own = settings.agent
    return Agent(
        greeting=own.greeting,
        still_there_s=own.still_there_s,
        still_there=own.still_there,
        still_there_times=own.still_there_times,
        client_instructions=True,
        tools=[configured_server(entry) for entry in settings.tools.mcp],
    )


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
        self.agent = agent or configured_agent(settings)
        """Who answers the sessions that name no flow."""
        self._default_flow = settings.flows.default if agent is None else None
        self.agent.configure(settings)
        services = services_of(settings, self.agent)
        own = [self.agent.flow] if isinstance(self.agent, FlowAgent) else []
        self.flows = FlowStore(folder_of(settings), services, own)
        self.flow_sessions = FlowSessions(
            services,
            limit=settings.flows.max_sessions,
            idle_s=settings.flows.session_idle_s,
            turn_s=settings.stream.turn_timeout_s,
            window_s=settings.stream.resume_window_s,
            clock=asyncio.get_running_loop().time,
        )
        """The clients of flows over HTTP."""
        self.agents = Agents()
        """That one, and those it hands sessions to."""
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
        self._tasks: list[asyncio.Task[None]] = []

    def observers(self, session_id: str) -> list[Callable[[Event, float], None]]:
        """Fresh observers for one session."""
        return [make(session_id) for make in self._observers]

    def agent_for(self, flow: str | None) -> Agent:
        """Who answers a session that names *flow*. Raises ClientError NOT_FOUND where there is no such flow."""
        name = self._default_flow if flow is None else flow
        if name is not None and (agent := self.flows.agent(name)) is not None:
            return agent
        if flow is None:
            return self.agent
        raise ClientError("NOT_FOUND", f"there is no flow {flow[:80]!r}", hint="GET /api/flows lists them")

    async def start(self) -> None:
        """Open the store; engines load beside the server, which answers `/ready` meanwhile."""
        await self.store.open()
        self.loop_monitor.start()
        self.agents.begin(self.agent)
        await self.flows.open()
        if self._default_flow is not None and self.flows.get(self._default_flow) is None:
            log.warning(
                "[FLOW] flows.default: there is no flow %s yet; the agent without a flow answers", self._default_flow
            )
        retention = purge_daily(self.store, self.settings.memory.retention_days)
        self._tasks = [
            asyncio.create_task(self.engines.start(), name="engines start"),
            asyncio.create_task(retention, name="retention"),
            asyncio.create_task(self.flows.watch(), name="flows watch"),
        ]

    async def started(self) -> None:
        """Wait until the engines and the agent have started, or failed to: sessions begin here."""
        await self.engines.started()
        await self.agents.ready(self.agent)

    async def drain(self) -> None:
        """Say goodbye to every session: a notice, time to finish, then the close."""

        def notice(after_s: float) -> Info:
            return Info(message="the server is shutting down", retry_after_s=after_s)

        async with asyncio.TaskGroup() as group:
            group.create_task(self.sessions.drain(notice, self.settings.server.drain_s))
            group.create_task(self._drain_flows())

    async def _drain_flows(self) -> None:
        """Let the answers of flows finish, then stop those that have not. New ones are refused from the drain on."""
        try:
            async with asyncio.timeout(self.settings.server.drain_s):
                await self.flow_sessions.quiet()
        except TimeoutError:
            await self.flow_sessions.close()

    async def stop(self) -> None:
        """Free everything. Sessions have ended before."""
        self.loop_monitor.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.flow_sessions.close()
        await self.agents.close()
        await self.engines.close()
        await self.store.close()
