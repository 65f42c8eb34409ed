"""From a stream of deltas to whole sentences: the calm way to speak a text. `phrases` is the quick one."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from vivavoce.text.stops import CLOSING, STOPS, WIDE_STOPS, Doubt, doubt_about

# Runs that cannot hold the end of a sentence, and single characters that may.
_PIECES = re.compile(rf"[^\s{re.escape(''.join(WIDE_STOPS | CLOSING))}]+|.", re.DOTALL)
_LONGEST_WORD = 64  # what is looked at before a stop; addresses may be longer


class SentenceStreamBuffer:
    """Cuts a growing text into sentences; joined, they are the text.

    A sentence ends at `.`, `!` or `?` (and the quotes that close there) as soon as white space follows, and at a blank
    line. One shorter than *min_sentence_length* characters is joined with the next. The white space between two
    sentences leads the later one. The cuts do not depend on how the text was divided into deltas.
    """

    def __init__(self, min_sentence_length: int = 20) -> None:
        self.min_sentence_length = min_sentence_length
        self._reset()

    def _reset(self) -> None:
        self._visible: list[str] = []  # up to the last visible character
        self._gap: list[str] = []  # the white space since
        self._length = 0  # of _visible, without leading white space
        self._word = ""  # the end of the word that is being written
        self._opens_line = True  # no word stands before it in its line
        self._newlines = 0
        self._wide = False  # a stop of a script without white space has just come
        self._doubt: Doubt | None = None

    def feed(self, delta: str | None) -> list[str]:
        """Append *delta* (None and empty ones are ignored); returns the sentences that it completed."""
        sentences: list[str] = []
        for piece in _PIECES.findall(delta or ""):
            if piece.isspace():
                self._space(piece, sentences)
            else:
                self._text(piece, sentences)
        return sentences

    def flush(self) -> str | None:
        """The text is over: returns what is left of it, or None. The buffer is as new."""
        rest = "".join(self._visible + self._gap)
        self._reset()
        return rest or None

    def _space(self, space: str, sentences: list[str]) -> None:
        first = not self._gap
        self._gap.append(space)
        self._newlines += space == "\n"
        if self._newlines == 2 or (first and (self._wide or self._at_stop())):
            self._end(sentences)

    def _text(self, piece: str, sentences: list[str]) -> None:
        ended = self._wide and piece not in CLOSING and piece not in WIDE_STOPS
        if ended or (self._doubt is not None and not self._doubt.goes_on(piece[0])):
            self._end(sentences)
        if self._gap or not self._visible:
            self._word = ""
            self._opens_line = bool(self._newlines) or not self._visible
        if self._visible:
            self._length += len(self._gap)
        self._visible += self._gap
        self._visible.append(piece)
        self._length += len(piece)
        self._gap.clear()
        self._word = (self._word + piece)[-_LONGEST_WORD:]
        self._wide = piece in WIDE_STOPS or (self._wide and piece in CLOSING)
        self._newlines = 0
        self._doubt = None

    def _at_stop(self) -> bool:
        """Whether the word before this white space ends a sentence; sets the doubt that the next text settles."""
        word = self._word.rstrip("".join(CLOSING))
        if not word or word[-1] not in STOPS:
            return False
        doubt = doubt_about(word[-1], word[:-1].lstrip("\"'“‘«‹„([{*_`"), opens_item=self._opens_line)
        if doubt in (None, Doubt.GLUED):
            return True
        self._doubt = doubt
        return False

    def _end(self, sentences: list[str]) -> None:
        """End the sentence at its last visible character, unless it is too short to stand alone."""
        if self._length < max(self.min_sentence_length, 1):
            return
        sentences.append("".join(self._visible))
        self._visible.clear()
        self._length = 0


async def stream_with_sentences(
    tokens: AsyncIterable[str | None] | Iterable[str | None],
    speak: Callable[[str], Awaitable[Any] | Any],
    min_sentence_length: int = 20,
) -> str:
    """Speak a stream of tokens sentence by sentence as it comes; returns the whole text.

    speak: called with one sentence after another; if it returns an awaitable, the next token is read after that.
    What it raises ends the stream. However it ends, an async generator given as *tokens* is closed.
    """
    buffer = SentenceStreamBuffer(min_sentence_length)
    text: list[str] = []

    async def say(sentence: str) -> None:
        if inspect.isawaitable(spoken := speak(sentence)):
            await spoken

    async with aclosing(_each(tokens)) as each:
        async for token in each:
            text.append(token or "")
            for sentence in buffer.feed(token):
                await say(sentence)
    if (rest := buffer.flush()) is not None and not rest.isspace():
        await say(rest)
    return "".join(text)


async def _each(tokens: AsyncIterable[str | None] | Iterable[str | None]) -> AsyncGenerator[str | None, None]:
    if not isinstance(tokens, AsyncIterable):
        for token in tokens:
            yield token
    elif isinstance(tokens, AsyncGenerator):
        async with aclosing(tokens):
            async for token in tokens:
                yield token
    else:
        async for token in tokens:
            yield token
