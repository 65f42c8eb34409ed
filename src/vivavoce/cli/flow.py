"""`vivavoce flow`: check, show and list flows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from vivavoce.cli import Failed
from vivavoce.cli.options import with_settings
from vivavoce.settings import Loaded


@click.group()
def command() -> None:
    """Check, show and list conversation flows."""


@command.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> None:
    """Exit 1, with one line per problem, when a flow could not be used. Warnings are told, and no reason to fail."""
    from vivavoce.flows.errors import BadFlow
    from vivavoce.flows.model import read_file

    problems: list[str] = []
    for path in files:
        try:
            flow = read_file(path)
        except BadFlow as error:
            for each in error.problems:
                line = f"{path}:{each.line or 1}: {'warning: ' if each.warning else ''}{each}"
                problems.append(line) if not each.warning else click.echo(line, err=True)
            continue
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
            continue
        for each in flow.warnings:
            click.echo(f"{path}:{each.line or 1}: warning: {each}", err=True)
        listens = sum(node.waits for node in flow.nodes.values())
        click.echo(f"{path}: flow {flow.id} can be used: {len(flow.nodes)} nodes, {listens} of them listen")
    if problems:
        raise Failed(*problems)


@command.command()
@click.argument("flow", metavar="FILE|ID")
@with_settings()
def show(loaded: Loaded, flow: str) -> None:
    """A picture of a flow, as Mermaid text: a file's, or one of the folder of flows."""
    from vivavoce.flows.errors import BadFlow
    from vivavoce.flows.mermaid import mermaid
    from vivavoce.flows.model import read_file
    from vivavoce.flows.services import folder_of
    from vivavoce.flows.store import read_folder

    path = Path(flow)
    if path.suffix or path.exists():
        try:
            click.echo(mermaid(read_file(path)), nl=False)
        except BadFlow as error:
            raise Failed(
                *(f"{flow}:{each.line or 1}: {each}" for each in error.problems if not each.warning)
            ) from error
        except OSError as error:
            raise Failed(f"{flow}: {error.strerror or error}") from error
        return
    store = asyncio.run(read_folder(folder_of(loaded.settings)))
    found = store.get(flow)
    if found is None:
        raise Failed(f"there is no flow {flow!r}", hint="`vivavoce flow list` shows those there are")
    click.echo(mermaid(found), nl=False)


@command.command("list")
@with_settings()
def list_flows(loaded: Loaded) -> None:
    """The flows in the folder, and the files there that cannot be used."""
    from vivavoce.flows.services import folder_of
    from vivavoce.flows.store import read_folder

    folder = folder_of(loaded.settings)
    if folder is None:
        raise Failed("there is no folder of flows", hint="set VIVAVOCE_FLOWS__FOLDER")
    store = asyncio.run(read_folder(folder))
    for each in store.all():
        click.echo(f"{each.id:<24}  {len(each.nodes):>3} nodes  {each.name}")
    for broken in store.broken:
        for problem in broken.problems:
            click.echo(f"{folder / broken.file}:{problem.line or 1}: {problem}", err=True)
    if not store.all() and not store.broken:
        click.echo(f"There are no flows in {folder}.")
