"""From one sample rate to another: streaming with as little delay as a good filter allows, or all at once.

An own filter, not soxr's, for its delay: soxr's streams hold back 21 ms on average and 37 at most from 48 to 16 kHz,
64 and 115 from 8 to 16 (its blocks are those of a Fourier transform), and a listener waits for each of them. This
filter holds back 24 samples of the lower rate: 1.5 ms and 3 ms.

The filter is the textbook's: a sinc, windowed (Kaiser), with one row of weights for each place that an output sample
may have between two input samples (J. O. Smith, Digital Audio Resampling). It is true to 75 dB up to 0.8 of the lower
of the two bands, 3 dB down at 0.9, and lets nothing above 1.07 through but what is 75 dB down.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from vivavoce.audio.pcm import ByteAligner

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 192_000

_CROSSINGS = 24  # of the sinc's zeros, on either side
_BETA = 7.0  # of the window: 70 dB and more
_BAND = 0.92  # where the filter is half way down, of the lower of the two bands
_MOST_ROWS = 1024  # rates without a common divisor share rows; the ones in use need 640 at most
_CHUNK = 2048  # samples filtered at once, so that the windows stay small

Floats = npt.NDArray[np.float32]


class StreamResampler:
    """Resamples one stream of PCM. Not thread-safe.

    `flush` gives out what the filter holds back (`delay_s`); then there are as many samples as the ratio of the rates
    wants, rounded up. An odd byte waits for its other half. Equal rates pass through.
    Raises ValueError for a rate outside 4,000-192,000 Hz.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        _check_rates(from_hz, to_hz)
        self.from_hz = from_hz
        self.to_hz = to_hz
        divisor = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        self._rows = _filter(from_hz, to_hz)
        self._half = self._rows.shape[1] // 2
        self._aligner = ByteAligner()
        self._begin()

    def _begin(self) -> None:
        self._input: Floats = np.zeros(self._half - 1, np.float32)  # what later outputs still look at
        self._next = 0  # the place of the next output, in 1/up of an input sample

    @property
    def delay_s(self) -> float:
        """How much later a sound comes out than it was fed."""
        return 0.0 if self.from_hz == self.to_hz else self._half / self.from_hz

    def feed(self, pcm: bytes) -> bytes:
        """Append *pcm*, of any length; returns what is ready."""
        pcm = self._aligner.feed(pcm)
        if self.from_hz == self.to_hz or not pcm:
            return pcm
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        return b"".join(self._pass(samples[at : at + _CHUNK]) for at in range(0, len(samples), _CHUNK))

    def flush(self) -> bytes:
        """The stream is over: returns the rest. The resampler is as new; an odd byte is dropped."""
        self._aligner.flush()
        rest = b"" if self.from_hz == self.to_hz else self._pass(np.zeros(self._half, np.float32))
        self._begin()
        return rest

    def _pass(self, samples: Floats) -> bytes:
        """One step of the filter: every output for which all input is there."""
        width = 2 * self._half
        samples = np.concatenate((self._input, samples))
        complete = len(samples) - width + 1
        count = max(0, -((self._next - complete * self._up) // self._down))
        if count == 0:
            self._input = samples
            return b""
        # Overlapping views; sliding_window_view makes the same ones in 10 µs instead of 0.4.
        windows = np.ndarray((complete, width), np.float32, samples, strides=(4, 4))
        output = np.empty(count, np.float32)
        if self._up <= 8:  # outputs of the same row stand in line
            for first in range(min(self._up, count)):
                at, row = divmod(self._next + first * self._down, self._up)
                np.einsum("ow,w->o", windows[at :: self._down], self._rows[row], out=output[first :: self._up])
        else:
            places = self._next + self._down * np.arange(count)
            rows = self._rows[places % self._up * len(self._rows) // self._up]
            np.einsum("ow,ow->o", windows[places // self._up], rows, out=output)
        done, self._next = divmod(self._next + self._down * count, self._up)
        skipped = min(done, len(samples))
        self._next += (done - skipped) * self._up
        self._input = samples[skipped:]
        return _rounded(output)


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """All of *pcm* at the other rate; an odd last byte is dropped. Raises ValueError as StreamResampler does."""
    resampler = StreamResampler(from_hz, to_hz)
    return resampler.feed(pcm) + resampler.flush()


@functools.lru_cache(maxsize=16)
def _filter(from_hz: int, to_hz: int) -> Floats:
    """The weights: rows by place between two input samples, each over the input around it."""
    rows = min(to_hz // math.gcd(from_hz, to_hz), _MOST_ROWS)
    lower = min(from_hz, to_hz) / from_hz  # of the input's rate
    half = math.ceil(_CROSSINGS / lower)
    distance = np.arange(1 - half, half + 1)[None, :] - (np.arange(rows) / rows)[:, None]
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None)))
    weights = np.sinc(_BAND * lower * distance) * window
    normal: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normal


def _rounded(samples: Floats) -> bytes:
    np.rint(samples, out=samples)
    np.clip(samples, -32768, 32767, out=samples)
    return samples.astype("<i2").tobytes()


def _check_rates(*rates_hz: int) -> None:
    for rate_hz in rates_hz:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"{rate_hz} Hz is no sample rate between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz")
