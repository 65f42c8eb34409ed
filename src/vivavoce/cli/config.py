"""`vivavoce config`: what is in force and where each value comes from."""

from __future__ import annotations

import json

import click

from vivavoce.cli.options import with_settings
from vivavoce.cli.reference import dotenv_example, markdown_table
from vivavoce.settings import OPTIONS, Loaded, schema


@click.group()
def command() -> None:
    """Show or check the configuration."""


@command.command()
@with_settings()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(loaded: Loaded, *, as_json: bool) -> None:
    """Each value with its origin; secrets as `set` or `unset`."""
    rows = {}
    for path, option in OPTIONS.items():
        value = getattr(getattr(loaded.settings, option.section), option.name)
        rows[path] = (value, option.format(value), loaded.origins[path])
    if as_json:
        document = {
            path: {"value": OPTIONS[path].shown(value), "origin": str(origin)}
            for path, (value, text, origin) in rows.items()
        }
        click.echo(json.dumps(document, indent=2))
        return
    width = max(map(len, rows))
    for path, (_, text, origin) in rows.items():
        shown = text if len(text) <= 48 else f"{text[:47]}…"
        click.echo(f"{path:<{width}}  {shown or '-':<48}  {origin}".rstrip())


@command.command()
@with_settings()
def check(loaded: Loaded) -> None:
    """Exit 1, with one line per problem, when the server could not start with it."""
    from vivavoce.engines.registry import chosen_names

    chosen_names(loaded.settings)
    changed = sum(origin.kind != "default" for origin in loaded.origins.values())
    click.echo(f"The configuration can be used: {changed} of {len(OPTIONS)} options are not at their default.")


@command.command("schema")
def print_schema() -> None:
    """The JSON schema of the YAML file."""
    click.echo(json.dumps(schema(), indent=2))


@command.command()
def example() -> None:
    """A `.env` file with every variable and its default."""
    click.echo(dotenv_example(), nl=False)


@command.command()
def reference() -> None:
    """The table of docs/configuration.md."""
    click.echo(markdown_table(), nl=False)
