"""Speech by eSpeak NG: small, instant, a hundred languages, and the voice of a robot.

A child makes the whole phrase at once, a thousand times faster than it is spoken; so it is back before anything is
yielded, and a slow listener keeps no worker from other sessions.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence

from vivavoce.engines.base import Speech, Voice, Word
from vivavoce.engines.tts.espeak_voices import usable_voices
from vivavoce.engines.worker import Pool
from vivavoce.errors import EngineFailed, EngineUnavailable

PIECE_S = 0.2
WAIT_S = 5.0
"""How long a phrase may wait for a worker; each has one for a few milliseconds."""
PAUSES_S = {".!?…。！？": 0.2, ",;:–—、，；：": 0.1}
PAUSE_S = 0.03
"""eSpeak ends a text 7 ms after its last sound, whereas within a text it waits 0.3 s after a sentence and 0.16 s after
a comma. Phrases are spoken one by one, so the pause is added here: shorter, as the next phrase brings its own delay."""
_WORD = re.compile(r"\S+")
QUOTES = "\"'”’»)]"


class EspeakSynthesizer:
    """The `Synthesizer` of all sessions: `workers` processes, each lent to one phrase at a time."""

    name = "espeak"

    def __init__(self, *, workers: int = 2) -> None:
        """workers: two, so that one which hangs or died keeps nobody from speaking."""
        self._workers = workers
        self._pool = Pool("tts", "vivavoce.engines.tts.espeak_worker", size=workers)
        self._voices: dict[str, tuple[Voice, str]] = {}
        self._sample_rate = 22050

    @property
    def sample_rate(self) -> int:
        return self._sample_rate

    @property
    def voices(self) -> Sequence[Voice]:
        return [voice for voice, _ in self._voices.values()]

    async def start(self) -> None:
        self._sample_rate, listed = await self._pool.start()
        self._voices = usable_voices(listed, self._sample_rate)

    async def close(self) -> None:
        await self._pool.close()

    async def synthesize(self, phrase: str, voice: str) -> AsyncGenerator[Speech, None]:
        """See `Synthesizer`. Also raises EngineBusy. A phrase whose worker dies is given to another: nothing was
        yielded yet. All may have died at the same time, so only one death more makes it the phrase's fault."""
        if voice not in self._voices:
            raise EngineUnavailable("tts", f"there is no voice {voice!r}", hint="GET /voices lists them")
        if not any(map(str.isalnum, phrase)):
            return
        _, identifier = self._voices[voice]
        for attempt in range(self._workers + 1):
            try:
                pcm, marks = await self._speak(phrase, identifier)
                break
            except EngineFailed:
                if attempt == self._workers:
                    raise
        words = word_times(phrase, marks, round(len(pcm) / 2 / self._sample_rate * 1000))
        pcm += bytes(2 * round(pause_s(phrase) * self._sample_rate))
        size = 2 * round(PIECE_S * self._sample_rate)
        for at in range(0, len(pcm), size):
            yield Speech(pcm[at : at + size], words if at == 0 else ())

    async def _speak(self, text: str, identifier: str) -> tuple[bytes, list[list[int]]]:
        async with self._pool.lend(WAIT_S) as worker:
            worker.send("speak", text, identifier)
            match await worker.receive():
                case ["speech", pcm, marks]:
                    return pcm, marks
                case message:
                    raise EngineFailed("tts", str(message[1]))


def pause_s(text: str) -> float:
    """The pause that belongs behind *text*."""
    last = text.rstrip(QUOTES)[-1:]
    return next((pause for ends, pause in PAUSES_S.items() if last and last in ends), PAUSE_S)


def word_times(phrase: str, marks: Sequence[Sequence[int]], whole_ms: int) -> tuple[Word, ...]:
    """When each word of *phrase* (as `split` has them) is said.

    marks: (character of the phrase, milliseconds), ascending, where eSpeak began a word; it may see more or fewer words
    than there are. A word without a mark takes no time; any other lasts until the next.
    """
    words, begins = phrase.split(), [word.start() for word in _WORD.finditer(phrase)]
    starts: dict[int, int] = {}
    for character, ms in marks:
        starts.setdefault(max(0, bisect_right(begins, character) - 1), ms)
    times: list[Word] = []
    next_ms = whole_ms
    for number in range(len(words) - 1, -1, -1):
        start_ms = min(starts.get(number, next_ms), next_ms)
        times.append(Word(words[number], start_ms, next_ms))
        next_ms = start_ms
    return tuple(reversed(times))
