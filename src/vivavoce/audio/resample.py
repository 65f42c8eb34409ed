"""From one sample rate to another: soxr's HQ filter, streaming or at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from vivavoce.audio.pcm import ByteAligner

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 192_000
_QUALITY = "HQ"
_CHUNK = 1 << 17  # bytes given to the filter at once, so that its buffers stay small


class StreamResampler:
    """Resamples one stream of PCM. Not thread-safe.

    The filter delays the audio by some milliseconds (`delay_s`), which `flush` gives out. An odd byte waits for its
    other half. Equal rates pass through.
    Raises ValueError for a rate outside 4,000-192,000 Hz.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        _check_rates(from_hz, to_hz)
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._aligner = ByteAligner()
        self._soxr = (
            None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=_QUALITY)
        )

    @property
    def delay_s(self) -> float:
        """Audio that was fed and has not come out yet."""
        return 0.0 if self._soxr is None else float(self._soxr.delay()) / self.to_hz

    def feed(self, pcm: bytes) -> bytes:
        """Append *pcm*, of any length; returns what is ready."""
        pcm = self._aligner.feed(pcm)
        if self._soxr is None or not pcm:
            return pcm
        if len(pcm) <= _CHUNK:
            return _rounded(self._soxr.resample_chunk(_floats(pcm)))
        parts = (_floats(pcm[at : at + _CHUNK]) for at in range(0, len(pcm), _CHUNK))
        return b"".join(_rounded(self._soxr.resample_chunk(part)) for part in parts)

    def flush(self) -> bytes:
        """The stream is over: returns the rest. The resampler is as new; an odd byte is dropped."""
        self._aligner.flush()
        if self._soxr is None:
            return b""
        rest = self._soxr.resample_chunk(np.empty(0, np.float32), last=True)
        self._soxr.clear()
        return _rounded(rest)


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """All of *pcm* at the other rate; an odd last byte is dropped. Raises ValueError as StreamResampler does."""
    stream = StreamResampler(from_hz, to_hz)
    return stream.feed(pcm) + stream.flush()


def _floats(pcm: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(pcm, "<i2").astype(np.float32)


def _rounded(samples: npt.NDArray[np.float32]) -> bytes:
    # soxr's own conversion to integers adds noise that differs from run to run: silence would not stay silent, and the
    # same recording would not give the same samples twice.
    np.rint(samples, out=samples)
    np.clip(samples, -32768, 32767, out=samples)
    return samples.astype("<i2").tobytes()


def _check_rates(*rates_hz: int) -> None:
    for rate_hz in rates_hz:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"{rate_hz} Hz is no sample rate between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz")
