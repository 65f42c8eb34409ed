"""What of a reply the listener has heard. Pure: every method is told `now`.

A client that reports `played` is believed, as far as audio was sent to it. Without any report, heard is the smaller of
the audio sent and the time since the first of it was sent. The word at the cut comes from the voice's word times where
it gives them, else in proportion to characters; a word counts as heard from its middle on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_WORD = re.compile(r"\s*\S+")
SETTLE_S = 1.0
"""How long past the estimated end to wait for a client that has reported before."""
TAIL_S = 0.06
"""A report this close to the end of the audio counts as the end."""


class _Phrase:
    __slots__ = ("before", "made_s", "middles_s", "sent_s", "text")

    def __init__(self, text: str, before: str) -> None:
        self.text = text
        self.before = before
        self.middles_s: Sequence[float] = ()
        self.made_s = 0.0
        self.sent_s = 0.0


class Playback:
    """The listener's side of one reply, as far as the server can know it."""

    def __init__(self) -> None:
        self._phrases: dict[int, _Phrase] = {}
        self._sent_s = 0.0
        self._first_at: float | None = None
        self._ends_at = 0.0  # when all that was sent will have been played, at the earliest
        self._held_at: float | None = None
        self._reported_s: float | None = None

    @property
    def audible(self) -> bool:
        """Whether any audio was sent."""
        return self._first_at is not None

    @property
    def held(self) -> bool:
        """Whether the client was told to pause."""
        return self._held_at is not None

    @property
    def sent_s(self) -> float:
        return self._sent_s

    def phrase(self, seq: int, text: str, before: str = "") -> None:
        """Phrase *seq* (1, 2, …) says *text*; called before anything else about it.

        before: what is shown ahead of it and not said, such as code; it counts as heard with the first word.
        """
        self._phrases[seq] = _Phrase(text, before)

    def made(self, seq: int, seconds: float, middles_s: Sequence[float] = ()) -> None:
        """The voice has made *seconds* more of phrase *seq*; *middles_s*: the middle of each word, where it knows."""
        phrase = self._phrases[seq]
        phrase.made_s += seconds
        if middles_s:
            phrase.middles_s = middles_s

    def sent(self, seq: int, seconds: float, now: float) -> None:
        """*seconds* of phrase *seq* went out."""
        if self._first_at is None:
            self._first_at = now
        self._phrases[seq].sent_s += seconds
        self._sent_s += seconds
        self._ends_at = max(self._ends_at, now) + seconds

    def hold(self, now: float) -> None:
        """The client was told to pause."""
        if self._held_at is None:
            self._held_at = now

    def resume(self, now: float) -> None:
        if self._held_at is not None:
            if self._ends_at > self._held_at:
                self._ends_at += now - self._held_at
            self._held_at = None

    def played(self, seq: int, ms: float) -> None:
        """The listener has heard *ms* of phrase *seq* and all before it. Reports only ever move forward."""
        phrase = self._phrases.get(seq)
        if phrase is None:
            return
        before = sum(other.sent_s for number, other in self._phrases.items() if number < seq)
        heard_s = before + min(max(ms / 1000.0, 0.0), phrase.sent_s)
        self._reported_s = max(self._reported_s or 0.0, heard_s)

    def lead(self, now: float) -> float:
        """Seconds of audio that the client still has to play, at most."""
        return max(0.0, self._ends_at - (now if self._held_at is None else self._held_at))

    def ends_at(self, now: float) -> float:
        """When the listener will have heard all that was sent: in the past if that is so already."""
        if self._first_at is None:
            return now
        if self._reported_s is None:
            return self._ends_at
        return now if self._reported_s >= self._sent_s - TAIL_S else self._ends_at + SETTLE_S

    def heard_s(self, now: float) -> float:
        """Seconds of the reply that were heard."""
        if self._first_at is None:
            return 0.0
        if self._reported_s is not None:
            return self._reported_s
        return min(self._sent_s, now - self._first_at)

    def heard_text(self, now: float) -> str:
        """The reply as far as it was heard, cut at a word."""
        left_s = self.heard_s(now)
        heard: list[str] = []
        for _, phrase in sorted(self._phrases.items()):
            whole_s = max(phrase.made_s, phrase.sent_s)
            if left_s < whole_s - TAIL_S:
                if begun := _cut(phrase, left_s / whole_s, left_s):
                    heard.append(phrase.before + begun)
                break
            if whole_s:
                heard.append(phrase.before + phrase.text)
            left_s -= whole_s
        return "".join(heard).strip()


class Reading(Playback):
    """Of a client that shows the answer: what it was shown is what was taken in, whenever it plays the speech."""

    def __init__(self, shown: Callable[[], str]) -> None:
        """shown: the answer as far as it was sent."""
        super().__init__()
        self._shown = shown

    def ends_at(self, now: float) -> float:
        return now

    def heard_text(self, now: float) -> str:  # noqa: ARG002
        return self._shown().strip()


def _cut(phrase: _Phrase, share: float, heard_s: float) -> str:
    """The words of *phrase* whose middle lies before *heard_s*, or before *share* of its characters."""
    words: list[str] = _WORD.findall(phrase.text)
    if len(words) == len(phrase.middles_s):
        return "".join(word for word, middle in zip(words, phrase.middles_s, strict=True) if middle <= heard_s)
    limit, kept, at = share * len(phrase.text), "", 0
    for word in words:
        if at + len(word) / 2 > limit:
            break
        kept += word
        at += len(word)
    return kept
