"""What is remembered of conversations, and the Protocol of the places it is kept in.

A conversation belongs to the credential (`owner`) that first used it; to anybody else it does not exist. Nothing here
is ever joined to a path: an id is only compared and bound as a value.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import time
from typing import Protocol, TypeVar

import msgspec

from vivavoce.engines.base import Message
from vivavoce.errors import ServerBusy
from vivavoce.events import Outcome

log = logging.getLogger(__name__)

S = TypeVar("S", bound=msgspec.Struct)

TITLE_CHARS = 60
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_DAY_S = 86_400.0
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def is_conversation_id(text: str) -> bool:
    """Whether *text* is 1-128 characters of `[A-Za-z0-9._-]`, the grammar of every id that clients may choose."""
    return _ID.fullmatch(text) is not None


def new_conversation_id() -> str:
    """An id that cannot be guessed: 128 random bits."""
    return secrets.token_hex(16)


def one_line(text: str) -> str:
    """*text* without line breaks and control characters, single spaces between words."""
    return _UNPRINTABLE.sub(" ", text).strip()


def title_of(words: str | None) -> str:
    """A conversation's first title: the first words of *words*, on one line, at most TITLE_CHARS characters."""
    line = one_line(words or "")
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[: TITLE_CHARS - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > TITLE_CHARS // 2 else cut).rstrip() + "…"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn as it is remembered: what was said, and what was heard of the answer."""

    conversation_id: str
    turn_id: int
    """The session's own number, from 1; a later session of the same conversation counts anew."""
    user: str | None
    """None when the agent began the turn."""
    assistant: str
    interrupted: bool = False
    outcome: Outcome = "done"
    at: float
    """Unix seconds."""
    steps: tuple[Message, ...] = ()
    """What the assistant exchanged with tools before it answered: its calls, and their results."""
    language: str = "en"
    key: str = msgspec.field(default_factory=lambda: secrets.token_hex(8))
    """Names the turn within its conversation, for ever: what makes storing it twice harmless."""


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a conversation besides its turns."""

    pins: tuple[str, ...] = ()
    """What the user asked to be remembered, in their own words, oldest first."""
    summary: str = ""
    """What was said before the turns that a model is still shown, as a model has put it."""
    covers: str = ""
    """`key` of the latest turn that the summary tells of."""
    since: float = 0.0
    """`at` of the oldest turn that the summary tells of."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as lists show it."""

    id: str
    title: str
    updated: float
    """`at` of the turn stored last, in Unix seconds."""
    turns: int


def checked(turn: Turn) -> Turn:
    """*turn*, certain to be storable: one bad record would hold up all that wait behind it.

    Lone surrogates are replaced, as no UTF-8 file can hold them. Raises ValueError for a bad id, number or time.
    """
    if not is_conversation_id(turn.conversation_id):
        raise ValueError("a conversation id is 1-128 characters of [A-Za-z0-9._-]")
    if not math.isfinite(turn.at) or not 0 <= turn.turn_id < 1 << 31:
        raise ValueError("turn_id and at must be ordinary numbers")
    clean = _clean(turn, "user", "assistant", "language", "key")
    steps = tuple(_clean_step(step) for step in turn.steps)
    return msgspec.structs.replace(clean, steps=steps) if steps != turn.steps else clean


def checked_notes(notes: Notes) -> Notes:
    """*notes*, certain to be storable, as `checked` does it."""
    if not math.isfinite(notes.since):
        raise ValueError("since must be an ordinary number")
    clean = _clean(notes, "summary", "covers")
    return msgspec.structs.replace(clean, pins=tuple(map(_encodable, notes.pins)))


def _clean_step(step: Message) -> Message:
    calls = tuple(_clean(call, "id", "name", "arguments") for call in step.calls)
    clean = _clean(step, "content", "call_id")
    return msgspec.structs.replace(clean, calls=calls) if calls != step.calls else clean


def _clean(record: S, *names: str) -> S:
    """*record* with UTF-8 text in its fields *names*; the very same where there is nothing to clean."""
    texts = {name: text for name in names if (text := getattr(record, name)) is not None}
    clean = {name: _encodable(text) for name, text in texts.items()}
    return msgspec.structs.replace(record, **clean) if clean != texts else record


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


class ConversationStore(Protocol):
    """Keeps turns by conversation.

    Every method may be called from any task of one event loop between `open` and `close`. Cancelling a caller does not
    undo what it asked for.
    """

    @property
    def degraded(self) -> str | None:
        """Why turns are only in memory at the moment, or None while all is well. It heals by itself."""

    async def open(self) -> None:
        """Get ready. A store that cannot be reached opens degraded; SettingsError when it must not be touched."""

    async def close(self) -> None:
        """Store what waits, free all. Idempotent."""

    async def claim(self, conversation_id: str, owner: str) -> bool:
        """Whether *owner* may use the conversation; its first user comes to own it. False is told as a 404."""

    async def load(self, conversation_id: str, owner: str, limit: int) -> list[Turn]:
        """The latest *limit* turns, oldest first; none if the conversation is unknown or somebody else's."""

    async def append(self, turn: Turn, owner: str, notes: Notes | None = None) -> None:
        """Remember *turn*, and *notes* in place of those before; stored when this returns, whole or (on an error) not.

        A turn whose `key` is known replaces the one before, in its place: a retry doubles nothing, and a turn can be
        corrected. While the store is degraded it returns once the turn is kept in memory.

        Raises ClientError NOT_FOUND for somebody else's conversation, ValueError for a turn that cannot be stored,
        ServerBusy when even the memory set aside for an outage is full.
        """

    async def notes(self, conversation_id: str, owner: str) -> Notes:
        """What is kept besides the turns; empty if the conversation is unknown or somebody else's."""

    async def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
        """Keep *notes* in place of those before, which are then off the disk too; False if there is no such
        conversation. Raises ServerBusy while the store is degraded."""

    async def summary(self, conversation_id: str, owner: str) -> Summary | None:
        """The conversation's entry; None if there are no turns of it or it is somebody else's."""

    async def conversations(self, owner: str, limit: int, before: tuple[float, str] | None = None) -> list[Summary]:
        """The *owner*'s conversations with at least one turn, latest first, at most *limit*.

        before: (`updated`, `id`) of the last one already seen; an empty id skips all of that very moment.
        """

    async def rename(self, conversation_id: str, owner: str, title: str) -> bool:
        """Set the title; False if there is no such conversation. Raises ServerBusy while the store is degraded."""

    async def delete(self, conversation_id: str, owner: str) -> bool:
        """Forget the conversation, on disk too; False if there is none. Raises ServerBusy while degraded."""

    async def purge(self, older_than: float) -> int:
        """Forget turns from before *older_than* (Unix seconds), summaries that tell of such, and conversations that are
        then empty, with their pins.

        Returns how many turns. Raises ServerBusy while degraded.
        """


async def purge_daily(store: ConversationStore, retention_days: int, *, every_s: float = _DAY_S) -> None:
    """Enforce the retention now and every day, until cancelled. Zero days or less: keep for ever, return at once.

    The day is measured on the monotonic clock. When the wall clock has moved by a day more than that, it was set: the
    purge waits for another day rather than take a wrong date for the end of everything.
    """
    if retention_days <= 0:
        return
    loop = asyncio.get_running_loop()
    skew = time.time() - loop.time()
    while True:
        before, skew = skew, time.time() - loop.time()
        if abs(skew - before) < _DAY_S:
            try:
                if purged := await store.purge(time.time() - retention_days * _DAY_S):
                    log.info("retention: %d turns older than %d days forgotten", purged, retention_days)
            except ServerBusy as busy:
                log.warning("retention: put off until the next day: %s", busy)
        else:
            log.warning("retention: put off, the wall clock moved by %.0f s", skew - before)
        await asyncio.sleep(every_s)
