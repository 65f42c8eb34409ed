"""From a phrase as it is shown to its speech: what is said of it, and when each shown word is.

Whatever synthesizer speaks, it is given text that can be spoken (`vivavoce.text.speakable`), and knows nothing of what
the client sees; here its words' times become those of the words that are shown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

import msgspec

from vivavoce.engines.base import Speech, Synthesizer, Word
from vivavoce.text.speakable import SpeakableStream, joined, spoken_words


class Speaker:
    """The voice of one reply."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        voice: str,
        prepare: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        """
        voice: a `Voice.id` of *synthesizer*. prepare: puts other words into the voice's mouth; None leaves them, and
        none at all leave the phrase unspoken.
        """
        self.synthesizer = synthesizer
        self._voice = voice
        self._prepare = prepare
        self._language = next((known.language for known in synthesizer.voices if known.id == voice), "")
        self._reader = SpeakableStream(self._language)

    def read(self, phrase: str) -> list[str] | None:
        """What is said for each word of *phrase*, the next of the reply; None where nothing is."""
        said = self._reader.feed(phrase)
        return said if joined(said) else None

    async def synthesize(self, phrase: str, said: Sequence[str]) -> AsyncGenerator[Speech, None]:
        """Speak *phrase* as `read` has read it; phrases may be spoken in any order, and at once.

        Raises what the synthesizer and `prepare` raise; closing it closes the synthesis.
        """
        prepared = None if self._prepare is None else await self._prepare(phrase)
        if prepared is not None:
            said = spoken_words(prepared, self._language)
        if not (text := joined(said)):
            return
        async with aclosing(self.synthesizer.synthesize(text, self._voice)) as pieces:
            async for speech in pieces:
                yield msgspec.structs.replace(speech, words=shown_words(phrase, said, speech.words))


def shown_words(phrase: str, said: Sequence[str], spoken: Sequence[Word]) -> tuple[Word, ...]:
    """When each word of *phrase* is said, from the times of the words that are *spoken*; none where they do not tell.

    A word that is not said takes no time: it comes when the word before it is over.
    """
    words, counts = phrase.split(), [len(text.split()) for text in said]
    if len(words) != len(counts) or len(spoken) != sum(counts):
        return ()
    times: list[Word] = []
    at, now_ms = 0, spoken[0].start_ms if spoken else 0
    for word, count in zip(words, counts, strict=True):
        start_ms, end_ms = now_ms, spoken[at + count - 1].end_ms if count else now_ms
        if count:
            start_ms = spoken[at].start_ms
        times.append(Word(word, start_ms, end_ms))
        at, now_ms = at + count, end_ms
    return tuple(times)
