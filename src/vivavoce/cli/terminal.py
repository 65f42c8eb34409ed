"""What `talk` and `chat` show and read at the terminal, and how they say that they have heard."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sys
import threading
from collections.abc import AsyncGenerator

import click

from vivavoce.audio import pcm, wav
from vivavoce.cli.client import VoiceClient
from vivavoce.events import Metrics, Played, ServerMessage, TTSChunk


async def lines(prompt: str) -> AsyncGenerator[str, None]:
    """The lines of standard input until its end; *prompt* is shown to people before each.

    A thread reads, with the plain system call: waiting in Python's own reader it would block the end of the process.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[str | None] = asyncio.Queue()

    def reader() -> None:
        rest = b""
        fd = sys.stdin.fileno()
        while data := os.read(fd, 4096):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                loop.call_soon_threadsafe(read.put_nowait, line.decode(errors="replace"))
        if rest:
            loop.call_soon_threadsafe(read.put_nowait, rest.decode(errors="replace"))
        loop.call_soon_threadsafe(read.put_nowait, None)

    threading.Thread(target=reader, name="standard input", daemon=True).start()
    while True:
        if sys.stdin.isatty():
            click.echo(prompt, nl=False, err=True)
        line = await read.get()
        if line is None:
            return
        yield line


class Unheard:
    """Tells the server at once that a phrase was heard, where nobody listens: its turn ends without waiting."""

    def __init__(self, client: VoiceClient) -> None:
        self._client = client
        self._phrase = (0, 0)
        self._ms = 0.0

    async def take(self, message: ServerMessage) -> None:
        """Report the audio of *message*, if it has any."""
        if isinstance(message, TTSChunk) and isinstance(message.turn_id, int):
            sound, rate_hz = wav.read(base64.b64decode(message.audio_b64))
            if self._phrase != (message.turn_id, message.seq):
                self._phrase, self._ms = (message.turn_id, message.seq), 0.0
            self._ms += 1000 * pcm.seconds(sound, rate_hz)
            await self._client.send(Played(turn_id=message.turn_id, seq=message.seq, ms=self._ms))


def latency_line(metrics: Metrics) -> str:
    """A turn's figures, those that it has."""

    def since(at_ms: float | None, from_ms: float | None) -> float | None:
        return None if at_ms is None or from_ms is None else at_ms - from_ms

    figures = {
        "voice to voice": metrics.voice_to_voice_ms,
        "final": since(metrics.t2_final_transcript_ms, metrics.end_of_speech_ms),
        "first token": since(metrics.t3_first_llm_token_ms, metrics.t2_final_transcript_ms or 0.0),
        "first audio": since(metrics.t4_first_tts_audio_ms, metrics.t3_first_llm_token_ms),
    }
    parts = [f"{name} {value:.0f} ms" for name, value in figures.items() if value is not None]
    if metrics.llm_tokens_per_s is not None:
        parts.append(f"{metrics.llm_tokens_per_s:.0f} tokens/s")
    return f"[turn {metrics.turn_id} {metrics.outcome}: {', '.join(parts) or f'{metrics.llm_tokens} tokens'}]"


class Transcript:
    """A conversation on the screen: the growing partial in its line, then the final, then the answer as it comes.

    Partials appear only where a line can be rewritten.
    """

    def __init__(self) -> None:
        self._rewrites = sys.stdout.isatty()
        self._width = 0  # of what stands in the open line
        self._answering = False

    def partial(self, text: str) -> None:
        """The speaker's words so far."""
        if self._rewrites:
            self._break()
            shown = f"you> {text} …"[-(shutil.get_terminal_size().columns - 1) :]
            click.echo("\r" + shown.ljust(self._width), nl=False)
            self._width = len(shown)

    def final(self, text: str) -> None:
        """What was said."""
        self._break()
        line = f"you> {text or '(nothing)'}"
        click.echo(("\r" if self._width else "") + line.ljust(self._width))
        self._width = 0

    def token(self, text: str) -> None:
        """A piece of the answer."""
        if not self._answering and not text:
            return
        if not self._answering:
            self._clear()
            click.echo("agent> ", nl=False)
            self._answering = True
        click.echo(text, nl=False)

    def note(self, text: str) -> None:
        """A remark, on standard error."""
        self._break()
        self._clear()
        click.echo(f"     {text}", err=True)

    def _break(self) -> None:
        if self._answering:
            click.echo()
            self._answering = False

    def _clear(self) -> None:
        if self._width:
            click.echo("\r" + " " * self._width + "\r", nl=False)
            self._width = 0
