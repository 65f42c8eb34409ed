"""Where `talk` and `chat` find their session: a running server, or one inside this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import click
import msgspec

from vivavoce.agent import Agent
from vivavoce.cli import Failed
from vivavoce.cli.agent_files import load
from vivavoce.cli.client import NoServer, VoiceClient, connected
from vivavoce.events import Start
from vivavoce.observe import logs
from vivavoce.settings import Loaded, secrets


@asynccontextmanager
async def session(
    loaded: Loaded, url: str | None, start: Start, *, local: bool, agent: Path | None = None
) -> AsyncIterator[VoiceClient]:
    """A started session at *url*; without one, at the usual address, or in this process when nobody answers there, or
    where the agent of a file is to answer. Raises Failed."""
    if agent is not None and url is not None:
        raise Failed("--agent answers in this process, --url asks a server", hint="give one of them")
    own = load(agent) if agent is not None else None
    api_key = loaded.settings.server.api_key
    async with AsyncExitStack() as stack:
        client: VoiceClient | None = None
        if not local and own is None:
            try:
                client = await stack.enter_async_context(connected(url or _usual_url(loaded), start, api_key))
            except NoServer:
                if url is not None:
                    raise
                click.echo("No server is running here: answering in-process.", err=True)
        if client is None:
            address = await stack.enter_async_context(_own_server(loaded, own))
            client = await stack.enter_async_context(connected(address, start))
        yield client


def _usual_url(loaded: Loaded) -> str:
    return f"ws://127.0.0.1:{loaded.settings.server.port}/ws"


def _own_server(loaded: Loaded, agent: Agent | None) -> AbstractAsyncContextManager[str]:
    """A server in this process that logs only what is wrong, unless a level was asked for."""
    from vivavoce.cli.serving import in_process

    log = loaded.settings.log
    if loaded.origins["log.level"].kind == "default":
        log = msgspec.structs.replace(log, level="warning")
    logs.configure(log, secrets(loaded.settings))
    return in_process(loaded.settings, agent)
