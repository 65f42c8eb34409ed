"""`vivavoce serve`."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from vivavoce.cli.options import with_settings
from vivavoce.settings import Loaded, Settings, limit_math_threads, secrets

if TYPE_CHECKING:
    from vivavoce.cli.serving import Server

log = logging.getLogger("vivavoce.serve")


@click.command()
@with_settings(
    host="server.host",
    port="server.port",
    log_format="log.format",
    log_level="log.level",
    reload="server.reload",
)
def command(loaded: Loaded) -> None:
    """Run the server: the page, the API and the voice agent.

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
    sock = listen(settings.server.host, settings.server.port)
    if settings.server.reload:
        _watch(settings, sock)
    else:
        serve(settings, sock)


def serve(settings: Settings, sock: socket.socket) -> None:
    """Serve on *sock* until a signal says stop."""
    from vivavoce.cli.serving import Server

    async def run() -> None:
        server = Server(settings)
        announcing = asyncio.create_task(announce(server, sock, settings), name="announce")
        try:
            await server.serve([sock])
        finally:
            announcing.cancel()
            await asyncio.wait({announcing})

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())


async def announce(server: Server, sock: socket.socket, settings: Settings) -> None:
    """Say where the page is as soon as it answers, and which engines are in force once they have loaded."""
    from vivavoce.cli.serving import page_address

    await server.ready.wait()
    for_people = settings.log.format == "console"
    if for_people:
        click.echo(f"vivavoce is at {page_address(sock)}")
    engines = server.state.engines
    await engines.started()
    settle_garbage()
    report = engines.report()
    in_force = ", ".join(f"{role}={row['name']}{'' if row['ready'] else ' (failed)'}" for role, row in report.items())
    log.info("[READY] address=%s, %s", page_address(sock), in_force)
    if for_people:
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


def _watch(settings: Settings, sock: socket.socket) -> None:
    """Serve in a child process, which is started anew whenever a source file has changed."""
    import uvicorn
    from uvicorn.supervisors import ChangeReload

    package = str(Path(__file__).parents[1])
    config = uvicorn.Config("vivavoce.app:create_app", reload=True, reload_dirs=[package], log_config=None)
    ChangeReload(config, target=functools.partial(_child, settings), sockets=[sock]).run()


def _child(settings: Settings, sockets: list[socket.socket]) -> None:
    from vivavoce.observe import logs

    logs.configure(settings.log, secrets(settings))
    serve(settings, sockets[0])
