"""What waits to be sent to one client, in order, bounded by waiting rather than by loss.

Control messages never wait. Speech waits in `room()` while the client is slow, and with it the model that makes it.
Only droppable messages (partials, debug) are skipped, and counted, when a client is slow.
A message takes its form as it is sent, so that what waits is small: our own JSON, or that of another `Dialect`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

import msgspec

from vivavoce.core.playback import Playback
from vivavoce.events import Debug, PartialTranscript, ServerMessage, TTSChunk

DROPPABLE = (PartialTranscript, Debug)
BEARABLE = 4
"""Times `bytes`: beyond that not even what the client asks for may be added, so nothing more is read of it."""


class OutboxLimits(msgspec.Struct, frozen=True, kw_only=True):
    threshold: int = 50
    """More waiting messages than this: the client is slow."""
    skip: int = 3
    """Then every skip-th droppable message is skipped."""
    bytes: int = 1 << 20
    seconds: float = 10.0
    """Audio that may wait."""
    replay_bytes: int = 1 << 20
    """JSON kept for a client that comes back."""


class Audio(msgspec.Struct, frozen=True, gc=False):
    """A binary frame of a turn."""

    turn: int
    data: bytes
    seconds: float


class Dialect(Protocol):
    """Another wire than ours: its messages have no numbers, and are not kept for a client that comes back."""

    def encode(self, message: ServerMessage) -> str | None:
        """The frame that tells *message*; None where it is not told. Called in order, as frames are sent."""

    def playback(self) -> Playback:
        """What its client has heard of a reply that begins now."""


class Outbox:
    """One client's outgoing queue. One writer iterates it; anybody on the loop puts."""

    def __init__(
        self,
        limits: OutboxLimits,
        *,
        only: tuple[type[ServerMessage], ...] = (ServerMessage,),
        dialect: Dialect | None = None,
    ) -> None:
        """only: what the client is told; the rest is not even queued."""
        self.limits = limits
        self.n = 0
        """Number of the last JSON message that was sent."""
        self.replay: deque[tuple[int, str]] = deque()
        """(n, JSON) of the last messages sent, at most `replay_bytes` of them."""
        self._only = only
        self._dialect = dialect
        self.dropped = 0
        self._replay_bytes = 0
        self._encoder = msgspec.json.Encoder()
        self._waiting: deque[ServerMessage | Audio | str] = deque()
        self._bytes = 0
        self._seconds = 0.0
        self._droppable = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._bearable = asyncio.Event()
        self._bearable.set()
        self._empty = asyncio.Event()
        self._sending = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, kind: type[ServerMessage]) -> bool:
        """Whether the client is told messages of *kind*."""
        return issubclass(kind, self._only)

    def playback(self) -> Playback:
        """What the client has heard of a reply that begins now."""
        return Playback() if self._dialect is None else self._dialect.playback()

    def put(self, message: ServerMessage) -> None:
        """Queue *message*; a droppable one may be skipped when the client is slow."""
        if not isinstance(message, self._only):
            return
        if isinstance(message, DROPPABLE) and len(self._waiting) > self.limits.threshold:
            self._droppable += 1
            if self._droppable % self.limits.skip == 0:
                self.dropped += 1
                return
        self._append(message, _weight(message), 0.0)

    def go_on(self, n: int, replay: deque[tuple[int, str]]) -> None:
        """Number and remember on from an earlier connection of the same session; before anything was sent."""
        self.n, self.replay = n, replay
        self._replay_bytes = sum(len(text) for _, text in replay)

    def put_text(self, text: str) -> None:
        """Queue JSON that was sent before, as it was."""
        self._append(text, len(text), 0.0)

    def put_audio(self, turn: int, data: bytes, seconds: float) -> None:
        """Queue a binary frame."""
        self._append(Audio(turn, data, seconds), len(data), seconds)

    async def room(self) -> None:
        """Wait until the client has taken enough of what was queued."""
        await self._room.wait()

    async def bearable(self) -> None:
        """Wait while answers to the client itself (pongs, errors) have piled up beyond measure."""
        await self._bearable.wait()

    def flush(self, turn: int) -> None:
        """Drop all audio of *turn* that was not sent yet."""
        kept = deque(item for item in self._waiting if not (isinstance(item, Audio | TTSChunk) and _turn(item) == turn))
        self._waiting = kept
        self._bytes = sum(_weight(item) for item in kept)
        self._seconds = sum(item.seconds for item in kept if isinstance(item, Audio))
        self._make_room()

    async def drained(self) -> None:
        """Wait until all that was queued has been sent: until the writer asks for more."""
        while self._waiting or self._sending:
            self._empty.clear()
            await self._empty.wait()

    def close(self) -> None:
        """No more is sent; what was not sent is kept for a client that comes back."""
        self._closed, self._sending = True, False
        for item in self._waiting:
            self._keep(item)
        self._waiting.clear()
        self._empty.set()
        self._room.set()
        self._bearable.set()
        self._arrived.set()

    async def next(self) -> str | bytes | None:
        """The next frame to send: text for JSON, bytes for audio; None once closed. The one before has been sent."""
        while True:
            self._sending = False
            while not self._waiting:
                if self._closed:
                    return None
                self._empty.set()
                self._arrived.clear()
                await self._arrived.wait()
            self._sending = True
            if (frame := self._take(self._waiting.popleft())) is not None:
                return frame

    def _take(self, item: ServerMessage | Audio | str) -> str | bytes | None:
        self._bytes -= _weight(item)
        if isinstance(item, Audio):
            self._seconds -= item.seconds
            self._make_room()
            return item.data
        self._make_room()
        return item if isinstance(item, str) else self._encode(item)

    def since(self, n: int) -> list[str] | None:
        """The JSON messages after number *n*, or None when some of them are gone."""
        if n > self.n or (n < self.n and (not self.replay or self.replay[0][0] > n + 1)):
            return None
        return [text for number, text in self.replay if number > n]

    def _append(self, item: ServerMessage | Audio | str, size: int, seconds: float) -> None:
        if self._closed:
            self._keep(item)
            return
        self._waiting.append(item)
        self._bytes += size
        self._seconds += seconds
        if self._bytes > self.limits.bytes or self._seconds > self.limits.seconds:
            self._room.clear()
        if self._bytes > BEARABLE * self.limits.bytes:
            self._bearable.clear()
        self._arrived.set()

    def _make_room(self) -> None:
        if self._bytes <= self.limits.bytes and self._seconds <= self.limits.seconds:
            self._room.set()
        if self._bytes <= BEARABLE * self.limits.bytes:
            self._bearable.set()

    def _keep(self, item: ServerMessage | Audio | str) -> None:
        """Number a message that will not be sent here, for a client that comes back."""
        if isinstance(item, ServerMessage) and self._dialect is None:
            self._encode(item)

    def _encode(self, message: ServerMessage) -> str | None:
        if self._dialect is not None:
            return self._dialect.encode(message)
        self.n += 1
        text = self._encoder.encode(msgspec.structs.replace(message, n=self.n)).decode()
        self.replay.append((self.n, text))
        self._replay_bytes += len(text)
        while self._replay_bytes > self.limits.replay_bytes:
            self._replay_bytes -= len(self.replay.popleft()[1])
        return text


def _weight(item: ServerMessage | Audio | str) -> int:
    """Bytes it will be on the wire, near enough: only speech weighs."""
    if isinstance(item, Audio):
        return len(item.data)
    if isinstance(item, str):
        return len(item)
    return len(item.audio_b64) if isinstance(item, TTSChunk) else 200


def _turn(item: Audio | TTSChunk) -> object:
    return item.turn if isinstance(item, Audio) else item.turn_id
