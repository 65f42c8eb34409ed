"""`vivavoce say`: speech to a WAV or the loudspeaker."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from vivavoce.cli import Failed
from vivavoce.cli.options import with_settings
from vivavoce.settings import Loaded, limit_math_threads

if TYPE_CHECKING:
    from vivavoce.engines.base import Synthesizer

DEVICE_S = 0.3
"""Sound that the device itself may hold."""


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(allow_dash=True), metavar="FILE",
              help="Write a WAV here, - for standard output, instead of playing.")  # fmt: skip
@with_settings(voice="tts.voice", language="tts.language", engine="tts.engine")
def command(loaded: Loaded, *, text: tuple[str, ...], output: str | None) -> None:
    """Speak TEXT; with - as TEXT, what standard input says."""
    limit_math_threads()
    words = " ".join(text)
    if words == "-":
        words = sys.stdin.read()
    asyncio.run(_say(loaded, words, output))


async def _say(loaded: Loaded, text: str, output: str | None) -> None:
    from vivavoce.audio import wav
    from vivavoce.cli.devices import device_name
    from vivavoce.cli.engines import started

    if output is None:
        device_name("output")  # before the work, not after it
    async with started(loaded, "tts") as tts:
        sound = await _synthesized(loaded, tts, text)
    if not sound:
        raise Failed("there is nothing to say in this text")
    if output is None:
        await _play(sound, tts.sample_rate)
    else:
        with click.open_file(output, "wb") as file:
            file.write(wav.encode(sound, tts.sample_rate))


async def _synthesized(loaded: Loaded, tts: Synthesizer, text: str) -> bytes:
    """All of *text*, sentence by sentence, in the voice that was asked for."""
    from vivavoce.engines.base import pick_voice
    from vivavoce.session.options import normal_language
    from vivavoce.session.speaker import Speaker
    from vivavoce.text.sentences import stream_with_sentences

    options = loaded.settings.tts
    language = normal_language(options.language)
    voice = pick_voice(tts.voices, language, options.voice)
    if options.voice and options.voice not in {known.id for known in tts.voices}:
        known = ", ".join(known.id for known in tts.voices if known.language == language)
        raise Failed(f"{tts.name} has no voice {options.voice!r}", hint=f"its voices for {language}: {known or 'none'}")
    if voice is None:
        known = ", ".join(sorted({known.language for known in tts.voices}))
        raise Failed(f"{tts.name} has no voice for {options.language}", hint=f"it speaks: {known}")
    sound = bytearray()

    speaker = Speaker(tts, voice.id)

    async def speak(sentence: str) -> None:
        if (said := speaker.read(sentence)) is None:
            return
        async with aclosing(speaker.synthesize(sentence, said)) as pieces:
            async for piece in pieces:
                sound.extend(piece.pcm)

    await stream_with_sentences([text], speak)
    return bytes(sound)


async def _play(sound: bytes, rate_hz: int) -> None:
    from vivavoce.audio import pcm
    from vivavoce.cli.devices import Loudspeaker

    speaker = Loudspeaker(rate_hz)
    speaker.play(1, 1, sound, rate_hz)
    with speaker.running():
        await asyncio.sleep(pcm.seconds(sound, rate_hz) + DEVICE_S)
