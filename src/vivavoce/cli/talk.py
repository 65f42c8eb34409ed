"""`vivavoce talk`: a spoken conversation in the terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from vivavoce.cli.options import with_settings
from vivavoce.settings import Loaded, limit_math_threads


@click.command()
@click.option("--url", default=None, help="The server's WebSocket. [ws://127.0.0.1:PORT/ws, else in-process]")
@click.option("--local", is_flag=True, help="Use an in-process server.")
@click.option("--agent", type=click.Path(path_type=Path), metavar="FILE",
              help="In-process, and the agent that FILE makes answers.")  # fmt: skip
@click.option("--wav", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
              help="Speak this recording instead of the microphone.")  # fmt: skip
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the answer as one WAV instead of playing it.")  # fmt: skip
@click.option("--text", "typed", metavar="TEXT", help="Say this typed text instead of the microphone.")
@click.option(
    "--turns", type=click.IntRange(min=1), default=None, help="With the microphone: end after so many answers."
)
@click.option("--half-duplex", is_flag=True, help="Do not listen while the agent speaks (no headphones).")
@click.option("--conversation", metavar="ID", default=None, help="Go on with a conversation.")
@click.option("--language", default=None, help="Such as en_US.")
@with_settings()
def command(
    loaded: Loaded, *, url: str | None, local: bool, agent: Path | None, wav: Path | None, save: Path | None,
    typed: str | None, turns: int | None, half_duplex: bool, conversation: str | None, language: str | None,
) -> None:  # fmt: skip
    """Talk with a running server, or with one inside this process.

    Speak at any time, also while the agent speaks: that interrupts it. Headphones help: a terminal cannot take the
    agent's voice out of what the microphone hears. Ctrl+C ends.
    """
    limit_math_threads()
    from vivavoce.cli.talking import Plan, talk

    plan = Plan(recording=wav, save=save, typed=typed, turns=turns, half_duplex=half_duplex)
    try:
        asyncio.run(talk(loaded, plan, url=url, conversation=conversation, language=language, local=local, agent=agent))
    except KeyboardInterrupt:
        if plan.has_end:
            raise
        click.echo(err=True)  # how a conversation by microphone ends
