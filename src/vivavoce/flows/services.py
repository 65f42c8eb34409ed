"""What a server's settings give to its flows."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from vivavoce.flows.fetch import Fetcher
from vivavoce.flows.node import CommandParser, Deadlines, Services
from vivavoce.settings import Settings
from vivavoce.tools.toolbox import Toolbox


def services_of(settings: Settings, *, tools: Toolbox | None = None, commands: CommandParser | None = None) -> Services:
    """What the nodes may use under *settings*."""
    flows, llm = settings.flows, settings.llm
    return Services(
        fetcher=Fetcher(flows.http_allow, private=flows.http_private),
        tools=tools or Toolbox(),
        commands=commands,
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
