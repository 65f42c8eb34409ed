"""What a server's settings give to its flows."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from vivavoce.agent import Agent
from vivavoce.commands.agent import FlowCommands
from vivavoce.flows.fetch import Fetcher
from vivavoce.flows.node import Deadlines, Services
from vivavoce.settings import Settings


def services_of(settings: Settings, agent: Agent) -> Services:
    """What the nodes may use under *settings*: *agent*'s tools and commands, the servers that are allowed."""
    flows, llm = settings.flows, settings.llm
    return Services(
        fetcher=Fetcher(flows.http_allow, private=flows.http_private),
        tools=agent.toolbox,
        commands=FlowCommands(agent, settings),
        variables=dict(each.split("=", 1) for each in flows.variables),
        deadlines=Deadlines(llm.first_token_timeout_s, llm.token_timeout_s, llm.timeout_s),
    )


def folder_of(settings: Settings) -> Path | None:
    """Where flows are kept; None where nothing may be written to disk."""
    if settings.flows.folder is not None:
        return Path(settings.flows.folder).expanduser()
    if not settings.memory.persist:
        return None
    data = settings.memory.data_dir or platformdirs.user_data_dir("vivavoce", appauthor=False)
    return Path(data).expanduser() / "flows"
