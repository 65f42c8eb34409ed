"""WAV files: a header for our own speech, and a careful reader for what others send.

The reader looks at the whole header before it decodes anything. Sizes in the header only ever shorten what is read, so
that memory follows the bytes that are really there: at most the input, twice over as PCM, and one block of floats.

    RIFF <size> WAVE   { <id> <size> <body> [pad to even] }*      fmt must come before data; other chunks are skipped
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vivavoce.audio.pcm import SAMPLE_BYTES, from_alaw, from_floats, from_mulaw
from vivavoce.audio.resample import MAX_RATE_HZ, MIN_RATE_HZ
from vivavoce.errors import ClientError

MAX_CHANNELS = 8
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
# The last 14 bytes of the SubFormat GUID that stands for a plain format tag (Microsoft, ksmedia.h).
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_WIDTHS = {_PCM: (1, 2, 3, 4), _FLOAT: (4,), _ALAW: (1,), _MULAW: (1,)}
_NAMES = {2: "ADPCM", 0x11: "IMA ADPCM", 0x31: "GSM", 0x50: "MPEG", 0x55: "MP3", 0xFF: "AAC"}
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_FORMAT = struct.Struct("<HHIIHH")
_CHUNK = struct.Struct("<4sI")
_BLOCK_FRAMES = 1 << 16


class Format(NamedTuple):
    """How the samples of a file are coded."""

    coding: int
    channels: int
    rate_hz: int
    width: int
    """Bytes per sample of one channel."""


def encode(pcm: bytes, rate_hz: int) -> bytes:
    """A complete WAV file of mono s16le *pcm*."""
    size = len(pcm)
    header = _HEADER.pack(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, _PCM, 1, rate_hz, 2 * rate_hz, 2, 16, b"data", size)
    return header + pcm


def read(data: bytes) -> tuple[bytes, int]:
    """The audio of a WAV file as mono s16le, and its rate in Hz. Channels are mixed; a cut file gives what is there.

    Raises ClientError BAD_AUDIO for anything but 8 to 32 bit integers, 32 bit floats, µ-law and A-law, of 1 to 8
    channels and 4,000 to 192,000 Hz; nothing was decoded then.
    """
    fmt, start, end = _find(data)
    frame = fmt.channels * fmt.width
    end -= (end - start) % frame
    if fmt == (_PCM, 1, fmt.rate_hz, SAMPLE_BYTES):
        return data[start:end], fmt.rate_hz
    step = _BLOCK_FRAMES * frame
    blocks = (data[at : min(at + step, end)] for at in range(start, end, step))
    return b"".join(_decode(block, fmt) for block in blocks), fmt.rate_hz


def _find(data: bytes) -> tuple[Format, int, int]:
    """The format, and where the samples begin and end."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _bad("This is not a WAV file.")
    # A size of 0 is honest only in a file whose own size is right, too; else its writer could not go back.
    complete = int.from_bytes(data[4:8], "little") + 8 == len(data)
    fmt: Format | None = None
    at = 12
    while at + _CHUNK.size <= len(data):
        kind, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if kind == b"fmt ":
            fmt = _format(data[at : at + min(size, 40)])
        elif kind == b"data":
            if fmt is None:
                raise _bad("The WAV file has its samples before their format.")
            streamed = size == 0xFFFFFFFF or (size == 0 and not complete)
            return fmt, at, len(data) if streamed else min(at + size, len(data))
        at += size + size % 2
    raise _bad("The WAV file ends before its samples begin.")


def _format(body: bytes) -> Format:
    if len(body) < _FORMAT.size:
        raise _bad("The WAV file's format is cut short.")
    coding, channels, rate_hz, _, align, bits = _FORMAT.unpack_from(body)
    if coding == _EXTENSIBLE:
        if len(body) < 40 or body[26:40] != _GUID_TAIL:
            raise _bad("The WAV file's extended format is unknown.")
        coding = int.from_bytes(body[24:26], "little")
    if coding not in _WIDTHS:
        name = _NAMES.get(coding, f"{coding:#06x}")
        raise _bad(f"The WAV file is coded as {name}; send PCM, 32 bit floats, µ-law or A-law.")
    if not 1 <= channels <= MAX_CHANNELS:
        raise _bad(f"The WAV file has {channels} channels; 1 to {MAX_CHANNELS} can be used.")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise _bad(f"The WAV file has {rate_hz} Hz; {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz can be used.")
    width = (bits + 7) // 8
    if width not in _WIDTHS[coding] or align != channels * width:
        raise _bad(f"The WAV file has samples of {bits} bits in frames of {align} bytes, which cannot be read.")
    return Format(coding, channels, rate_hz, width)


def _bad(message: str) -> ClientError:
    return ClientError("BAD_AUDIO", message)


def _decode(block: bytes, fmt: Format) -> bytes:
    """Whole frames as mono s16le."""
    if fmt.coding == _FLOAT:
        floats = np.nan_to_num(np.frombuffer(block, "<f4"), nan=0.0, posinf=1.0, neginf=-1.0)
        return from_floats(np.clip(floats, -1.0, 1.0).reshape(-1, fmt.channels).mean(axis=1))
    samples = _integers(block, fmt)
    if fmt.channels == 1:
        return samples.tobytes()
    mixed = samples.reshape(-1, fmt.channels).sum(axis=1, dtype=np.int32)
    mono: npt.NDArray[np.int16] = np.rint(mixed / fmt.channels).astype("<i2")
    return mono.tobytes()


def _integers(block: bytes, fmt: Format) -> npt.NDArray[np.int16]:
    """The upper 16 bits of each sample."""
    if fmt.coding == _ALAW:
        block = from_alaw(block)
    elif fmt.coding == _MULAW:
        block = from_mulaw(block)
    elif fmt.width == 1:  # the only unsigned one
        return ((np.frombuffer(block, np.uint8).astype(np.int16) - 128) << 8).astype("<i2")
    elif fmt.width > SAMPLE_BYTES:
        block = np.frombuffer(block, np.uint8).reshape(-1, fmt.width)[:, -SAMPLE_BYTES:].tobytes()
    return np.frombuffer(block, "<i2")
