"""PCM, everywhere in the server mono, 16 bit signed little endian: lengths, levels, other codings turned into it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE_BYTES = 2
FLOOR_DBFS = -96.0
"""The level of digital silence, and the least that `level_dbfs` says."""


def seconds(pcm: bytes | int, rate_hz: int) -> float:
    """How long *pcm*, or that many bytes of it, lasts."""
    size = pcm if isinstance(pcm, int) else len(pcm)
    return size / (SAMPLE_BYTES * rate_hz)


def byte_count(duration_s: float, rate_hz: int) -> int:
    """The bytes of whole samples that last *duration_s*, rounded to the nearest."""
    return round(duration_s * rate_hz) * SAMPLE_BYTES


def silence(duration_s: float, rate_hz: int) -> bytes:
    """Digital silence."""
    return bytes(byte_count(duration_s, rate_hz))


def level_dbfs(pcm: bytes) -> float:
    """The root mean square of *pcm* in dB below full scale (a full-scale square wave is 0); FLOOR_DBFS for none."""
    samples = np.frombuffer(pcm, "<i2", count=len(pcm) // SAMPLE_BYTES).astype(np.float32)
    if not samples.size:
        return FLOOR_DBFS
    rms = math.sqrt(float(np.dot(samples, samples)) / samples.size)
    return max(FLOOR_DBFS, 20 * math.log10(max(rms, 1e-3) / 32768))


def from_floats(samples: npt.NDArray[np.floating[Any]]) -> bytes:
    """Samples of -1..1 as PCM; what lies beyond is clipped, NaN becomes silence."""
    clean = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    scaled: npt.NDArray[np.float32] = np.rint(np.clip(clean, -1.0, 1.0) * 32767.0)
    return scaled.astype("<i2").tobytes()


def _mulaw_table() -> npt.NDArray[np.int16]:
    """ITU-T G.711: all bits inverted; sign, 3 bits exponent, 4 bits mantissa, bias 33 of 14 bits."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((2 * mantissa + 33) << exponent) - 33) << 2
    return np.where(code & 0x80, -magnitude, magnitude).astype("<i2")


def _alaw_table() -> npt.NDArray[np.int16]:
    """ITU-T G.711: even bits inverted; sign, 3 bits exponent, 4 bits mantissa, of 13 bits."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, 2 * mantissa + 1, (2 * mantissa + 33) << np.maximum(exponent - 1, 0)) << 3
    return np.where(code & 0x80, magnitude, -magnitude).astype("<i2")


_MULAW = _mulaw_table()
_ALAW = _alaw_table()


def from_mulaw(data: bytes) -> bytes:
    """G.711 µ-law, one byte a sample, as PCM."""
    return _MULAW[np.frombuffer(data, np.uint8)].tobytes()


def from_alaw(data: bytes) -> bytes:
    """G.711 A-law, one byte a sample, as PCM."""
    return _ALAW[np.frombuffer(data, np.uint8)].tobytes()


class ByteAligner:
    """Makes whole samples of a stream that may be divided within one."""

    def __init__(self) -> None:
        self._odd = b""

    def feed(self, data: bytes) -> bytes:
        """The whole samples so far; an odd byte waits for the next call."""
        if self._odd:
            data = self._odd + data
        even = len(data) & ~1
        self._odd = data[even:]
        return data if even == len(data) else data[:even]

    def flush(self) -> None:
        """The stream is over or begins anew: forget the odd byte."""
        self._odd = b""
