"""A client that talks in real time and notes when everything was sent and came.

What the server should have noticed is known from the same audio: `judge` passes it through the server's own detector
and endpointing rules, without a clock.
"""

from __future__ import annotations

import asyncio
import functools
import random
import struct
import sys
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from vivavoce.core.endpointing import Endpoint, Endpointer, EndpointRules, SpeechStarted, UtteranceEnded
from vivavoce.engines.vad.silero import _weights_path
from vivavoce.engines.vad.silero_network import CONTEXT, UNITS, WINDOW, SileroNetwork, read_weights

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import speech

RATE = 16_000
FRAME_S = 0.02
FRAME = int(RATE * FRAME_S)
HEADER = struct.Struct("<BBHI")
Clip = speech.Clip


@dataclass(frozen=True)
class Arrival:
    """What came, and when on the loop's clock."""

    at_s: float
    type: str
    """The message's type, or `audio` for a binary frame."""
    turn: int | None
    body: dict[str, Any]

    @property
    def is_audio(self) -> bool:
        return self.type in ("audio", "tts_chunk")


class Talker:
    """One connection with an open microphone: what is not said is (almost) silence."""

    def __init__(self, socket: ClientConnection, *, hurried: bool) -> None:
        """hurried: report each phrase as heard when it has come, so that a turn ends before it was played."""
        self.arrivals: list[Arrival] = []
        self.sent_at: list[float] = []
        """When each frame of 20 ms was sent."""
        self._socket = socket
        self._hurried = hurried
        self._frames: list[bytes] = []
        self._to_say: list[bytes] = []
        self._news = asyncio.Event()
        self._sent = asyncio.Event()

    async def send(self, **message: Any) -> None:
        await self._socket.send(msgspec.json.encode(message).decode())

    def say(self, pcm: bytes) -> int:
        """Speak from the next frame on; returns that frame's number."""
        first = len(self._frames) + len(self._to_say)
        self._to_say += [pcm[at : at + FRAME * 2].ljust(FRAME * 2, b"\0") for at in range(0, len(pcm), FRAME * 2)]
        return first

    async def until(
        self, wanted: Callable[[Arrival], bool], *, after: int = 0, timeout_s: float = 15.0
    ) -> Arrival | None:
        """The first arrival, from number *after* on, that is wanted; None when it does not come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    for arrival in self.arrivals[after:]:
                        if wanted(arrival):
                            return arrival
                    after = len(self.arrivals)
                    self._news.clear()
                    await self._news.wait()
        return None

    async def spoke_until(self, frame: int) -> None:
        """Wait until that many frames were sent."""
        while len(self.sent_at) < frame:
            self._sent.clear()
            await self._sent.wait()

    @property
    def heard(self) -> bytes:
        """All audio sent so far."""
        return b"".join(self._frames)

    def sent(self, audio_s: float) -> float:
        """When the frame with the last sample before *audio_s* of our audio was sent."""
        return self.sent_at[min(len(self.sent_at), max(1, -(-round(audio_s * RATE) // FRAME))) - 1]

    async def microphone(self) -> None:
        """Send a frame every 20 ms, on a schedule of its own: late ones do not delay those after them."""
        loop, hiss = asyncio.get_running_loop(), _hiss()
        began = loop.time()
        while True:
            frame = self._to_say.pop(0) if self._to_say else hiss[len(self._frames) % len(hiss)]
            self._frames.append(frame)
            self.sent_at.append(loop.time())
            await self._socket.send(frame)
            self._sent.set()
            await asyncio.sleep(began + len(self._frames) * FRAME_S - loop.time())

    async def receive(self) -> None:
        """Note what comes, until the connection ends."""
        loop = asyncio.get_running_loop()
        async for data in self._socket:
            at_s = loop.time()
            if isinstance(data, bytes):
                _, flags, turn, seq = HEADER.unpack_from(data)
                self.arrivals.append(Arrival(at_s, "audio", turn, {"seq": seq, "flags": flags, "bytes": len(data) - 8}))
            else:
                body = msgspec.json.decode(data)
                self.arrivals.append(Arrival(at_s, body["type"], body.get("turn_id"), body))
                if self._hurried and body["type"] == "tts_chunk":
                    await self._play(body)
            self._news.set()

    async def _play(self, chunk: dict[str, Any]) -> None:
        """Report a phrase as heard, however long it is: the server believes no more than it has sent."""
        with suppress(ConnectionClosed):
            await self.send(type="played", turn_id=chunk["turn_id"], seq=chunk["seq"], ms=600_000)


@asynccontextmanager
async def talking(url: str, *, hurried: bool = True, **start: Any) -> AsyncIterator[Talker]:
    """A started session with an open microphone."""
    async with connect(url, compression=None, max_size=1 << 24, proxy=None) as socket:
        talker = Talker(socket, hurried=hurried)
        receiving = asyncio.create_task(talker.receive())
        sending: asyncio.Task[None] | None = None
        try:
            await talker.send(type="start", sample_rate=RATE, **start)
            if await talker.until(lambda arrival: arrival.type == "info") is None:
                raise RuntimeError(f"{url} does not answer `start`")
            sending = asyncio.create_task(talker.microphone())
            yield talker
        finally:
            tasks = [task for task in (receiving, sending) if task is not None]
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
                    raise outcome


def judge(pcm: bytes, rules: EndpointRules) -> list[tuple[float, Endpoint]]:
    """What the endpointing rules find in *pcm* (16 kHz), each with the seconds of audio that had to be heard for it."""
    network = _network()
    hidden = cell = np.zeros((1, UNITS), np.float32)
    samples = np.zeros((1, CONTEXT + WINDOW), np.float32)
    endpointer = Endpointer(rules, window_s=WINDOW / RATE)
    found: list[tuple[float, Endpoint]] = []
    for at in range(0, len(pcm) // 2 - WINDOW + 1, WINDOW):
        samples[:, :CONTEXT] = samples[:, -CONTEXT:].copy()
        samples[:, CONTEXT:] = np.frombuffer(pcm, "<i2", WINDOW, at * 2).astype(np.float32) / 32768
        probability, hidden, cell = network(samples, hidden, cell)
        found += [(endpointer.heard_s, endpoint) for endpoint in endpointer.hear(float(probability[0]), 0.0)]
    return found


def first_start(found: list[tuple[float, Endpoint]], from_s: float = 0.0) -> tuple[float, SpeechStarted] | None:
    """The first utterance that opens at *from_s* or later."""
    return next(((at, one) for at, one in found if isinstance(one, SpeechStarted) and one.at_s >= from_s), None)


def last_end(found: list[tuple[float, Endpoint]]) -> UtteranceEnded | None:
    """The last utterance that ended."""
    return next((one for _, one in reversed(found) if isinstance(one, UtteranceEnded)), None)


@functools.cache
def utterances(rules: EndpointRules, limit_s: float = 5.0) -> list[Clip]:
    """English recordings of one utterance each, at 16 kHz, the shortest first."""
    chosen = []
    for clip in speech.clips().values():
        if clip.language == "en" and clip.rate == RATE and clip.text and clip.seconds <= limit_s:
            padded = bytes(RATE) + clip.pcm + bytes(RATE * 4)
            kinds = [type(one) for _, one in judge(padded, rules)]
            if kinds.count(UtteranceEnded) == 1:
                chosen.append(clip)
    return sorted(chosen, key=lambda clip: clip.seconds)


@functools.cache
def _network() -> SileroNetwork:
    return SileroNetwork(read_weights(_weights_path()))


@functools.cache
def _hiss() -> list[bytes]:
    """A second of a quiet room: real microphones never send zeros."""
    drawn = random.Random(1)
    return [array("h", (round(drawn.gauss(0, 4)) for _ in range(FRAME))).tobytes() for _ in range(50)]
