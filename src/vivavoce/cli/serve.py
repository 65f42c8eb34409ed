"""`vivavoce serve`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from vivavoce.cli.options import with_settings
from vivavoce.settings import Loaded, Settings, limit_math_threads, secrets

if TYPE_CHECKING:
    from vivavoce.agent import Agent
    from vivavoce.cli.serving import Server

log = logging.getLogger("vivavoce.serve")


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@with_settings(
    host="server.host",
    port="server.port",
    log_format="log.format",
    log_level="log.level",
    reload="server.reload",
)
def command(loaded: Loaded, *, file: Path | None) -> None:
    """Run the server: the page, the API and the voice agent.

    FILE makes the agent: Python code with an `agent`, or a flow in YAML. Without one the language model answers.

    A first Ctrl+C lets running turns finish; a second one stops at once.
    """
    limit_math_threads()
    settings = loaded.settings
    from vivavoce.cli.serving import listen
    from vivavoce.engines.registry import chosen_names
    from vivavoce.observe import logs

    logs.configure(settings.log, secrets(settings))
    for warning in loaded.warnings:
        log.warning("[SETTINGS] %s", warning)
    chosen_names(settings)  # refuse an unknown engine before anything is opened
    if settings.server.reload:
        _watch(settings, file, listen(settings.server.host, settings.server.port))
    else:
        agent = _agent(file)
        serve(settings, listen(settings.server.host, settings.server.port), agent)


def _agent(file: Path | None) -> Agent | None:
    """The agent that was asked for. Raises Failed."""
    from vivavoce.cli.agent_files import load

    return load(file) if file is not None else None


def serve(settings: Settings, sock: socket.socket, agent: Agent | None = None) -> None:
    """Serve on *sock* until a signal says stop."""
    from vivavoce.cli.serving import Server

    async def run() -> None:
        server = Server(settings, agent=agent)
        announcing = asyncio.create_task(announce(server, sock, settings, own=agent is not None), name="announce")
        try:
            await server.serve([sock])
        finally:
            announcing.cancel()
            await asyncio.wait({announcing})

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())


async def announce(server: Server, sock: socket.socket, settings: Settings, *, own: bool) -> None:
    """Say where the page is as soon as it answers, and who and which engines answer once they have loaded.

    own: whether the agent is one that somebody wrote.
    """
    from vivavoce.cli.serving import page_address

    await server.ready.wait()
    for_people = settings.log.format == "console"
    if for_people:
        click.echo(f"vivavoce is at {page_address(sock)}")
    engines, agent, agents = server.state.engines, server.state.agent, server.state.agents
    await server.state.started()
    settle_garbage()
    report = engines.report()
    in_force = ", ".join(f"{role}={row['name']}{'' if row['ready'] else ' (failed)'}" for role, row in report.items())
    log.info("[READY] address=%s, agent=%s, %s", page_address(sock), agent.name, in_force)
    if for_people:
        failure = agents.failure(agent)
        if own or failure:
            click.echo(f"  agent: {agent.name}" + (f", which did not start: {failure}" if failure else ""))
        for role, row in report.items():
            click.echo(f"  {role}: {row['name']}" + ("" if row["ready"] else f", which does not work: {row['detail']}"))
    for hint in engines.hints():
        click.echo(f"  - {hint}") if for_people else log.info("[HINT] %s", hint)
    if for_people:
        click.echo("  How to get better ones: vivavoce doctor")


def settle_garbage() -> None:
    """Spare what lives as long as the process from every later collection: a full one takes 18 ms otherwise, in which
    nobody is heard. Only for a process of our own: what is frozen is never freed."""
    gc.collect()
    gc.freeze()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)


def _watch(settings: Settings, file: Path | None, sock: socket.socket) -> None:
    """Serve in a child process, which is started anew whenever a source file has changed: ours, or the agent's."""
    import uvicorn
    from uvicorn.supervisors.statreload import StatReload

    from vivavoce.cli.agent_files import check, sources

    if file is not None:
        check(file)

    class Watch(StatReload):
        def iter_py_files(self) -> Iterator[Path]:
            yield from super().iter_py_files()
            if file is not None:
                yield from sources(file.resolve())

        # The files' times are taken before the child reads them, so that what is written meanwhile counts as a change.

        def startup(self) -> None:
            self._take_times()
            super().startup()

        def restart(self) -> None:
            self._take_times()
            super(StatReload, self).restart()

        def _take_times(self) -> None:
            self.mtimes = {}
            for path in self.iter_py_files():
                with contextlib.suppress(OSError):  # gone meanwhile
                    self.mtimes[path] = path.stat().st_mtime

    package = str(Path(__file__).parents[1])
    config = uvicorn.Config("vivavoce.app:create_app", reload=True, reload_dirs=[package], log_config=None)
    Watch(config, target=functools.partial(_child, settings, file), sockets=[sock]).run()


def _child(settings: Settings, file: Path | None, sockets: list[socket.socket]) -> None:
    from vivavoce.cli import Failed
    from vivavoce.observe import logs

    logs.configure(settings.log, secrets(settings))
    try:
        agent = _agent(file)
    except Failed as failed:
        failed.show()  # and wait for the file to be mended
        raise SystemExit(1) from None
    serve(settings, sockets[0], agent)
