"""Resampling: as long as it should be, the same over any division, and true to the signal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.audio.resample import StreamResampler, resample

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])


def tone(rate_hz: int, seconds: float, hz: float = 440.0) -> bytes:
    return (12_000 * np.sin(np.arange(int(rate_hz * seconds)) * 2 * np.pi * hz / rate_hz)).astype("<i2").tobytes()


@given(RATES, RATES, st.lists(st.integers(0, 20_001), max_size=12))
@settings(max_examples=100, deadline=None)
def test_the_division_into_chunks_does_not_matter(from_hz: int, to_hz: int, sizes: list[int]) -> None:
    pcm = tone(from_hz, 0.2)
    pcm = (pcm * (sum(sizes) // len(pcm) + 1))[: sum(sizes)]
    stream, at, parts = StreamResampler(from_hz, to_hz), 0, []
    for size in sizes:
        parts.append(stream.feed(pcm[at : at + size]))
        at += size
        assert 0 <= stream.delay_s < 0.15
    parts.append(stream.flush())
    result = b"".join(parts)
    assert abs(len(result) / 2 - len(pcm) // 2 * to_hz / from_hz) <= 1
    once = StreamResampler(from_hz, to_hz)
    assert once.feed(pcm) + once.flush() == result


@pytest.mark.parametrize("from_hz", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_stays_the_same_tone(from_hz: int) -> None:
    expected = np.frombuffer(tone(16_000, 1.0), "<i2").astype(int)
    stream = StreamResampler(from_hz, 16_000)
    streamed = stream.feed(tone(from_hz, 1.0)) + stream.flush()
    for result in (streamed, resample(tone(from_hz, 1.0), from_hz, 16_000)):
        error = np.frombuffer(result, "<i2").astype(int) - expected
        assert np.abs(error[400:-400]).max() < 12  # -60 dB; the edges ring


def test_what_the_lower_rate_cannot_hold_is_filtered_out() -> None:
    result = np.frombuffer(resample(tone(48_000, 1.0, hz=11_000), 48_000, 16_000), "<i2").astype(int)
    assert np.abs(result[400:-400]).max() <= 2


def test_equal_rates_pass_through() -> None:
    stream = StreamResampler(16_000, 16_000)
    assert stream.feed(b"abc") == b"ab"
    assert stream.feed(b"d") == b"cd"
    assert stream.delay_s == 0.0
    assert stream.flush() == b""
    assert resample(b"abc", 16_000, 16_000) == b"ab"


def test_after_flush_the_resampler_is_as_new() -> None:
    stream = StreamResampler(48_000, 16_000)
    first = stream.feed(tone(48_000, 0.5) + b"x") + stream.flush()
    second = stream.feed(tone(48_000, 0.5)) + stream.flush()
    assert len(first) == 16_000
    assert first == second


def test_silence_stays_silent() -> None:
    assert resample(bytes(96_000), 48_000, 16_000) == bytes(32_000)


def test_what_swings_beyond_full_scale_is_clipped() -> None:
    square = (np.sign(np.sin(np.arange(8_000) * 0.11)) * 32767).astype("<i2")
    result = np.frombuffer(resample(square.tobytes(), 8_000, 16_000), "<i2").astype(int)
    assert (result.max(), result.min()) == (32767, -32768)
    assert np.abs(np.diff(result)).max() < 60_000, "nothing wraps around"


def test_nothing_stays_nothing() -> None:
    assert resample(b"", 8_000, 16_000) == resample(b"x", 8_000, 16_000) == b""
    stream = StreamResampler(8_000, 16_000)
    assert stream.feed(b"") == stream.feed(b"x") == stream.flush() == b""


def test_a_long_chunk_is_resampled_in_pieces() -> None:
    stream = StreamResampler(48_000, 16_000)
    pcm = tone(48_000, 10.0)
    assert len(stream.feed(pcm) + stream.flush()) == len(pcm) // 3


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 16_000), (16_000, -1), (3_999, 16_000), (16_000, 192_001)])
def test_absurd_rates_are_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match="no sample rate"):
        StreamResampler(from_hz, to_hz)
    with pytest.raises(ValueError, match="no sample rate"):
        resample(b"", from_hz, to_hz)
