"""The `vivavoce` command: one file per verb, imported when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from vivavoce import __version__
from vivavoce.errors import SettingsError, VivavoceError

VERBS = {
    "serve": "Run the server.",
    "talk": "A spoken conversation in the terminal.",
    "chat": "A typed conversation with streamed answers.",
    "transcribe": "Write down recordings.",
    "say": "Speak a text.",
    "doctor": "What is installed, what is used, what could be better.",
    "flow": "Check, show and list conversation flows.",
    "config": "Show or check the configuration.",
}


class Failed(click.ClickException):
    """Ends the command with exit code 1: lines that say what is wrong, and one that says what to do."""

    def __init__(self, *lines: str, hint: str = "") -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.hint = hint

    def show(self, file: Any = None) -> None:  # noqa: ARG002 - errors go to standard error
        for line in self.lines:
            click.echo(f"Error: {line}", err=True)
        if self.hint:
            click.echo(f"Hint: {self.hint}", err=True)


class Verbs(click.Group):
    """Imports a verb when it is called, and turns every failure into one clear line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"vivavoce.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, KeyboardInterrupt):
            raise
        except Exception as error:  # the boundary to the person at the terminal
            if ctx.params["debug"]:
                raise
            raise _explained(error) from error


def _explained(error: Exception) -> Failed:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    match error:
        case click.ClickException():
            return Failed(error.format_message())
        case SettingsError():
            return Failed(*error.problems, hint="`vivavoce config show` lists every option and where it is set")
        case VivavoceError():
            return Failed(error.message, hint=error.hint)
    return Failed(f"{type(error).__name__}: {error}", hint="`vivavoce --debug ...` shows where it happened")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, "--version", "-V", message="%(version)s")
def main(debug: bool) -> None:
    """vivavoce: a self-hosted, realtime voice-agent server."""
