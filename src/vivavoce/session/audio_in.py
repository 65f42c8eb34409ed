"""A client's audio, as it comes, to what the detector and the recogniser want: mono s16le at 16 kHz."""

from __future__ import annotations

from vivavoce.audio.pcm import ByteAligner, from_mulaw
from vivavoce.audio.resample import StreamResampler
from vivavoce.errors import ClientError

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
MAX_FRAME_S = 2.0
"""A binary message may hold this much audio; more is refused."""


def check_rate(rate_hz: int) -> None:
    """Raises ClientError for a rate that cannot be resampled well."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise ClientError("BAD_SAMPLE_RATE", f"sample_rate must be {MIN_RATE_HZ} to {MAX_RATE_HZ}, not {rate_hz}")


class AudioIn:
    """Decodes, carries the odd byte, resamples. One per `start`."""

    def __init__(self, rate_hz: int, encoding: str, to_hz: int) -> None:
        check_rate(rate_hz)
        self.rate_hz = rate_hz
        self.max_bytes = int(rate_hz * MAX_FRAME_S) * (1 if encoding == "mulaw" else 2)
        self._mulaw = encoding == "mulaw"
        self._aligner = ByteAligner()
        self._resampler = StreamResampler(rate_hz, to_hz)

    def feed(self, data: bytes) -> bytes:
        """The audio that *data* completes."""
        pcm = from_mulaw(data) if self._mulaw else self._aligner.feed(data)
        return self._resampler.feed(pcm) if pcm else b""

    def seconds(self, data: bytes) -> float:
        """How long *data* lasts."""
        return len(data) / (1 if self._mulaw else 2) / self.rate_hz
