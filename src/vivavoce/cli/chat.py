"""`vivavoce chat`: a typed conversation with streamed answers."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vivavoce.cli import Failed
from vivavoce.cli.options import with_settings
from vivavoce.settings import Loaded, limit_math_threads

if TYPE_CHECKING:
    from vivavoce.cli.client import VoiceClient
    from vivavoce.events import ServerMessage


@click.command()
@click.argument("message", nargs=-1)
@click.option("--url", default=None, help="The server's WebSocket. [ws://127.0.0.1:PORT/ws, else in-process]")
@click.option("--local", is_flag=True, help="Use an in-process server.")
@click.option("--agent", type=click.Path(path_type=Path), metavar="FILE",
              help="In-process, and the agent that FILE makes answers.")  # fmt: skip
@click.option("--conversation", metavar="ID", default=None, help="Go on with a conversation.")
@click.option("--language", default=None, help="Such as en_US.")
@with_settings()
def command(
    loaded: Loaded, *, message: tuple[str, ...], url: str | None, local: bool, agent: Path | None,
    conversation: str | None, language: str | None,
) -> None:  # fmt: skip
    """Type, and read the answer as it is made. With MESSAGE: one question, one answer.

    Ends with an empty end of input (Ctrl+D).
    """
    limit_math_threads()
    asyncio.run(_chat(loaded, " ".join(message), url, conversation, language, local=local, agent=agent))


async def _chat(
    loaded: Loaded,
    message: str,
    url: str | None,
    conversation: str | None,
    language: str | None,
    *,
    local: bool,
    agent: Path | None,
) -> None:
    from vivavoce.cli.session import session
    from vivavoce.cli.terminal import lines
    from vivavoce.events import Start

    start = Start(conversation_id=conversation, language=language)
    async with session(loaded, url, start, local=local, agent=agent) as client, asyncio.TaskGroup() as group:
        view = View(client)
        receiving = group.create_task(view.run(), name="chat view")
        if client.info.warning:
            click.echo(f"Warning: {client.info.warning}", err=True)
        if message:
            await view.ask(message)
        else:
            if sys.stdin.isatty():
                click.echo("Type something; Ctrl+D ends.", err=True)
            async with aclosing(lines("you> ")) as typed:
                async for line in typed:
                    if line.strip():
                        await view.ask(line.strip())
        receiving.cancel()


class View:
    """Shows what the server sends, and knows when the answer to what was typed is complete."""

    def __init__(self, client: VoiceClient) -> None:
        self._client = client
        self._answered: asyncio.Future[str] | None = None  # why it failed, or nothing
        self._failure = ""

    async def ask(self, text: str) -> None:
        """Send *text* as a typed turn and wait for the end of the answer. Raises Failed when it failed."""
        from vivavoce.events import Text

        self._answered = asyncio.get_running_loop().create_future()
        await self._client.send(Text(text=text))
        failure = await self._answered
        if failure:
            raise Failed(failure)

    async def run(self) -> None:
        """Show messages until cancelled. Raises Failed when the server ends the connection."""
        from vivavoce.cli.terminal import Unheard

        unheard = Unheard(self._client)
        async with aclosing(self._client.messages()) as messages:
            async for message in messages:
                await unheard.take(message)
                self._show(message)
        raise Failed("the server closed the connection")

    def _show(self, message: ServerMessage) -> None:
        from vivavoce.cli.terminal import latency_line
        from vivavoce.events import Error, Info, LLMToken, Metrics, Phrase

        match message:
            case Phrase(initiator="agent"):
                click.echo(f"[agent] {message.text}")
            case Info(retry_after_s=float()):
                click.echo(f"[server] {message.message}", err=True)
            case LLMToken() if message.initiator != "agent":  # its own turns are shown as phrases
                click.echo(message.text, nl=False)
            case Error(code="MODEL_LOAD_FAILED", turn_id=turn) if not isinstance(turn, int):
                click.echo(f"Warning: {message.message}", err=True)  # of the recogniser; typed turns work
            case Error():
                self._failure = f"{message.code}: {message.message}" + (f" ({message.hint})" if message.hint else "")
                if not isinstance(message.turn_id, int):
                    self._end_answer()
            case Metrics() if message.initiator != "agent":
                click.echo()
                click.echo(latency_line(message), err=True)
                self._end_answer()

    def _end_answer(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(self._failure)
        self._failure = ""
