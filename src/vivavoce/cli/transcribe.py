"""`vivavoce transcribe`: recordings to text."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vivavoce.cli import Failed
from vivavoce.cli.options import with_settings
from vivavoce.settings import Loaded, limit_math_threads

if TYPE_CHECKING:
    from vivavoce.cli.transcribing import Recording

LONG_S = 20.0
"""Recordings that together last longer have a progress bar."""


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...",
                type=click.Path(path_type=Path, exists=True, dir_okay=False))  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file, with the times of its segments.")
@with_settings(engine="asr.engine", model="asr.model", language="tts.language")
def command(loaded: Loaded, *, files: tuple[Path, ...], as_json: bool) -> None:
    """Write down what is said in WAV recordings of any rate and channels."""
    limit_math_threads()
    asyncio.run(_transcribe(loaded, files, as_json=as_json))


async def _transcribe(loaded: Loaded, files: tuple[Path, ...], *, as_json: bool) -> None:
    from vivavoce.cli.engines import started
    from vivavoce.cli.transcribing import Recording, transcribed
    from vivavoce.errors import ClientError

    recordings: list[Recording] = []
    unreadable: list[str] = []
    for path in files:
        try:
            recordings.append(await asyncio.to_thread(Recording.read, path))
        except ClientError as error:
            unreadable.append(f"{path}: {error.message}")
    if recordings:
        async with started(loaded, "vad") as vad, started(loaded, "asr") as asr:
            total_s = sum(recording.seconds for recording in recordings)
            hidden = total_s < LONG_S or not sys.stderr.isatty()
            with click.progressbar(length=round(total_s * 10), file=sys.stderr, hidden=hidden) as bar:
                for recording in recordings:
                    result = await transcribed(recording, vad, asr, loaded.settings, _advance(bar))
                    _print(result, as_json=as_json, named=len(files) > 1)
    if unreadable:
        raise Failed(*unreadable, hint="convert it first, such as: ffmpeg -i IN -ac 1 -ar 16000 OUT.wav")


def _advance(bar: Any) -> Callable[[float], None]:
    return lambda seconds: bar.update(round(seconds * 10))


def _print(result: dict[str, Any], *, as_json: bool, named: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        click.echo(f"{result['file']}: {result['text']}" if named else result["text"])
