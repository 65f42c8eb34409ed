"""The two ways speech reaches a client over a socket.

`wav_b64`: each piece a complete WAV in a JSON message, sent as it is made. `pcm`: binary frames with an 8-byte header,
paced so that the client never has more than `AHEAD_S` to play, which leaves nothing to recall at an interruption.
"""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Callable

from vivavoce.audio import wav
from vivavoce.events import FirstAudio, TTSChunk
from vivavoce.session.outbox import Outbox
from vivavoce.session.reply import Reply

FRAME_S = 0.02
AHEAD_S = 0.2
SLACK_S = 0.001
PATIENCE_S = 0.15
"""A voice that needs longer than this for a phrase has it sent in parts, as it is made."""
PART_S = 0.3
"""No part is shorter, but the last."""
HEADER = struct.Struct("<BBHI")
"""Type (1: PCM), flags (bit 0: last of its phrase), turn, phrase number."""
LAST = 1


class WavOut:
    """Base64 WAVs: for whoever does not ask for anything else."""

    def __init__(self, reply: Reply, outbox: Outbox, rate_hz: int, clock: Callable[[], float]) -> None:
        self._reply = reply
        self._outbox = outbox
        self._rate_hz = rate_hz
        self._clock = clock
        self._pcm = bytearray()
        self._since: float | None = None
        self._part = 0

    async def speak(self, seq: int, pcm: bytes) -> None:
        if self._since is None:
            self._since = self._clock()
        self._pcm += pcm
        if len(self._pcm) >= PART_S * self._rate_hz * 2 and self._clock() - self._since >= PATIENCE_S:
            self._part += 1
            await self._send(seq)

    async def phrase_end(self, seq: int) -> None:
        if self._pcm:
            self._part += self._part > 0
            await self._send(seq)
        self._since, self._part = None, 0

    async def _send(self, seq: int) -> None:
        await self._reply.gate.passable()
        await self._outbox.room()
        if self._reply.silenced:
            return
        pcm, self._pcm = bytes(self._pcm), bytearray()
        self._since = self._clock()
        if not self._reply.playback.audible:
            self._reply.emit(FirstAudio(turn_id=self._reply.number))
        self._reply.playback.sent(seq, len(pcm) / 2 / self._rate_hz, self._clock())
        audio = base64.b64encode(wav.encode(pcm, self._rate_hz)).decode()
        self._reply.emit(
            TTSChunk(seq=seq, audio_b64=audio, mime="audio/wav", part=self._part or None, turn_id=self._reply.number)
        )


class PcmOut:
    """Binary frames of 20 ms, at most `AHEAD_S` ahead of the listener."""

    def __init__(self, reply: Reply, outbox: Outbox, rate_hz: int, clock: Callable[[], float]) -> None:
        self._reply = reply
        self._outbox = outbox
        self._rate_hz = rate_hz
        self._clock = clock
        self._frame = int(rate_hz * FRAME_S) * 2
        self._pcm = bytearray()

    async def speak(self, seq: int, pcm: bytes) -> None:
        self._pcm += pcm
        at = 0
        while len(self._pcm) - at > self._frame:  # the last frame waits for its flag
            await self._send(seq, bytes(self._pcm[at : at + self._frame]), 0)
            at += self._frame
        del self._pcm[:at]

    async def phrase_end(self, seq: int) -> None:
        pcm, self._pcm = bytes(self._pcm), bytearray()
        await self._send(seq, pcm, LAST)

    async def _send(self, seq: int, pcm: bytes, flags: int) -> None:
        reply, seconds = self._reply, len(pcm) / 2 / self._rate_hz
        await reply.gate.passable()
        while (early_s := reply.playback.lead(self._clock()) + seconds - AHEAD_S) > SLACK_S:
            await asyncio.sleep(early_s)
            await reply.gate.passable()
        await self._outbox.room()
        if reply.silenced:
            return
        if not reply.playback.audible:
            reply.emit(FirstAudio(turn_id=reply.number))
        reply.playback.sent(seq, seconds, self._clock())
        header = HEADER.pack(1, flags, reply.number & 0xFFFF, seq)
        self._outbox.put_audio(reply.number, header + pcm, seconds)
