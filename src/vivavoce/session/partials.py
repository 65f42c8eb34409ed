"""Partial transcripts, shown no more often than the client asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vivavoce.events import PartialTranscript


class Partials:
    """Sends at most one partial in `interval_s`; of those that come too soon the latest follows when its time has come.

    Dropping them instead would halve the rate of a recogniser that keeps the interval itself, give or take a few
    milliseconds.
    """

    def __init__(self, emit: Callable[[PartialTranscript], None]) -> None:
        self.interval_s = 1.0
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._next_at = self._loop.time()
        self._waiting: tuple[str, str] | None = None  # utterance, text
        self._timer: asyncio.TimerHandle | None = None

    def show(self, utterance: str, text: str) -> None:
        """The transcript of *utterance* is *text* now."""
        self._waiting = utterance, text
        if self._timer is not None:
            return
        if self._loop.time() >= self._next_at:
            self._send()
        else:
            self._timer = self._loop.call_at(self._next_at, self._send)

    def drop(self, utterance: str | None = None) -> None:
        """No more partials of *utterance* (or of any): its final is there, or it is forgotten."""
        if self._waiting is None or utterance not in (None, self._waiting[0]):
            return
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        self._timer = None
        if self._waiting is not None:
            (_, text), self._waiting = self._waiting, None
            self._next_at = self._loop.time() + self.interval_s
            self._emit(PartialTranscript(text=text))
