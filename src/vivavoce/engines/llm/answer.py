"""An answer as it is read, whatever the server's dialect: text without reasoning, calls of tools, usage, its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing
from typing import Any, Protocol

from vivavoce.engines.base import Delta, Usage
from vivavoce.engines.llm.calls import Calls
from vivavoce.engines.llm.fields import Fields
from vivavoce.engines.upstream import Answer, Refusal, Upstream
from vivavoce.errors import EngineFailed
from vivavoce.text.thoughts import Thoughts

USAGE_S = 0.15
"""How long to wait behind the last word for what the answer cost."""


class Reading:
    """What is known of an answer. A dialect's reader is one, and adds `read`."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.begun = False
        """Whether there was any sign of an answer."""
        self.finish: str | None = None
        """Why it ended, once it has."""
        self.over = False
        """Whether nothing that matters can follow."""
        self.usage: Usage | None = None
        self.calls = Calls()
        self._said = False
        self._thoughts = Thoughts()

    def text(self, piece: object) -> str:
        """What of *piece* is the answer; anything but text is none."""
        text = self._thoughts.feed(piece) if isinstance(piece, str) else ""
        self._said = self._said or bool(text)
        return text

    def piece(self, text: str, *, sign: bool) -> Iterator[Delta]:
        """The delta of one piece. sign: whether it shows that the model is at work.

        Before the first sign nothing is yielded, as others may still answer; afterwards every piece counts as life.
        """
        self.begun = self.begun or sign
        if self.begun:
            yield Delta(text)

    def broken(self, words: str) -> EngineFailed:
        """The error of an answer in which the server says that it cannot go on."""
        why = self.upstream.hidden(words) or "an error without a message"
        return EngineFailed("llm", f"{self.upstream.place} broke off: {why}")

    def garbled(self, error: Exception) -> EngineFailed:
        return EngineFailed("llm", f"{self.upstream.place} sent what is no answer: {error}")

    def last(self) -> Delta:
        """The last delta; without `finish` when the stream just ended. Raises EngineFailed.

        Calls count whatever reason the server gives, since many give the wrong one or none; those that may have been
        cut off do not.
        """
        text = self._thoughts.flush()
        calls = self.calls.take(whole=self.finish in (None, "length", "content_filter"))
        finish = "tool_calls" if calls else self.finish
        if finish in ("tool_calls", "function_call") and not calls:
            if not self._said:
                raise EngineFailed("llm", f"{self.upstream.place}: the model called a tool without saying which")
            finish = "stop"
        return Delta(text, finish, calls, self.usage)


def usage(prompt: object, answer: object) -> Usage | None:
    """What a server counts; None where it counts nothing."""
    counts = [count if type(count) is int and count >= 0 else 0 for count in (prompt, answer)]
    return Usage(*counts) if any(counts) else None


class Reader(Protocol):
    """The dialect's side of `deltas`."""

    begun: bool
    finish: str | None
    over: bool

    def read(self, text: str) -> Iterator[Delta]:
        """The deltas of one event or line. Raises EngineFailed."""

    def last(self) -> Delta: ...


async def ask(
    upstream: Upstream,
    path: str,
    fields: Fields,
    model: str | None,
    body: Callable[[Collection[str]], dict[str, Any]],
    read: Callable[[Answer, dict[str, Any]], AsyncGenerator[Delta, None]],
) -> AsyncGenerator[Delta, None]:
    """Send a request, again without each field that *model* refuses, and yield what *read* makes of the answer.

    body: the request without those fields. Closing the generator closes the connection.
    Raises Refusal, EngineUnavailable, EngineFailed.
    """
    without = set(fields.refused(model))
    learned: list[tuple[str, Refusal]] = []
    while True:
        sent = body(without)
        try:
            async with upstream.stream("POST", path, sent) as answer:
                for name, why in learned:
                    fields.learn(model, name, why)
                async with aclosing(read(answer, sent)) as pieces:
                    async for delta in pieces:
                        yield delta
                return
        except Refusal as refusal:
            field = fields.blamed(refusal, sent)
            if field is None:
                raise
            without.add(field)
            learned.append((field, refusal))


async def deltas(
    answer: Answer, upstream: Upstream, decode: Callable[[bytes | None], Iterator[str]], reader: Reader
) -> AsyncGenerator[Delta, None]:
    """Read *answer* to its end.

    decode: bytes, and None for their end, to events or lines; a ValueError of it means that one was too long. Once the
    model has stopped, the answer ends within USAGE_S even if the server keeps its connection open.
    Raises EngineFailed.
    """
    clock, ends_at = asyncio.get_running_loop().time, None
    while not reader.over:
        if reader.finish is not None and ends_at is None:
            ends_at = clock() + USAGE_S
        try:
            async with asyncio.timeout_at(ends_at):
                data = await answer.next()
        except TimeoutError:
            break
        for text in _whole(decode, data, upstream):
            for delta in reader.read(text):
                yield delta
            if reader.over:
                break
        if data is None:
            break
    if not reader.begun and reader.finish is None:
        raise upstream.never_began()
    last = reader.last()
    answer.complete = last.finish is not None
    if last.finish is not None or last.text:
        yield last


def _whole(decode: Callable[[bytes | None], Iterator[str]], data: bytes | None, upstream: Upstream) -> Iterator[str]:
    try:
        yield from decode(data)
    except ValueError as error:
        raise EngineFailed("llm", f"{upstream.place} sent {error}") from error
