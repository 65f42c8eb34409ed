"""Resampling: as long as it should be, the same over any division, soon, and true to the signal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vivavoce.audio.resample import StreamResampler, resample

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])


def tone(rate_hz: int, seconds: float, hz: float = 440.0) -> bytes:
    return (12_000 * np.sin(np.arange(int(rate_hz * seconds)) * 2 * np.pi * hz / rate_hz)).astype("<i2").tobytes()


def streamed(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    stream = StreamResampler(from_hz, to_hz)
    return stream.feed(pcm) + stream.flush()


def values(pcm: bytes) -> npt.NDArray[np.int_]:
    return np.frombuffer(pcm, "<i2").astype(int)


@given(RATES, RATES, st.lists(st.integers(0, 20_001), max_size=12))
@settings(max_examples=100, deadline=None)
@example(8_000, 16_000, [1, 1, 2, 3, 5, 8])
@example(192_000, 4_000, [1, 2, 3_000, 2])
@example(47_999, 16_001, [2, 960, 5_000])
@example(16_001, 47_999, [2, 960, 5_000])
@example(4_000, 192_000, [100, 1])
def test_the_division_into_chunks_does_not_matter(from_hz: int, to_hz: int, sizes: list[int]) -> None:
    pcm = tone(from_hz, 0.2)
    pcm = (pcm * (sum(sizes) // len(pcm) + 1))[: sum(sizes)]
    stream, at, parts = StreamResampler(from_hz, to_hz), 0, []
    for size in sizes:
        parts.append(stream.feed(pcm[at : at + size]))
        at += size
        behind_s = at // 2 / from_hz - len(b"".join(parts)) / 2 / to_hz
        assert behind_s <= stream.delay_s + 1e-9
    result = b"".join([*parts, stream.flush()])
    assert 0 <= len(result) // 2 - len(pcm) // 2 * to_hz / from_hz < 1
    assert streamed(pcm, from_hz, to_hz) == result


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "delay_ms"),
    [(8_000, 16_000, 3.0), (48_000, 16_000, 1.5), (22_050, 16_000, 1.55), (22_050, 48_000, 1.1), (16_000, 16_000, 0)],
)
def test_the_delay_is_short(from_hz: int, to_hz: int, delay_ms: float) -> None:
    assert StreamResampler(from_hz, to_hz).delay_s * 1000 == pytest.approx(delay_ms, abs=0.02)


@pytest.mark.parametrize("to_hz", [16_000, 24_000, 48_000])
@pytest.mark.parametrize("from_hz", [8_000, 22_050, 44_100, 48_000, 47_999])
@pytest.mark.parametrize("hz", [300, 1_000, 3_000])
def test_a_tone_stays_the_same_tone(from_hz: int, to_hz: int, hz: float) -> None:
    expected = values(tone(to_hz, 1.0, hz))
    for result in (streamed(tone(from_hz, 1.0, hz), from_hz, to_hz), resample(tone(from_hz, 1.0, hz), from_hz, to_hz)):
        assert len(result) // 2 == pytest.approx(to_hz, abs=1)
        error = values(result)[:to_hz] - expected[: len(result) // 2]
        assert np.abs(error[2_000:-2_000]).max() < 15, "that is -58 dB of the tone, rounding twice included"


@pytest.mark.parametrize(("from_hz", "hz"), [(48_000, 8_800), (44_100, 11_000), (24_000, 9_500), (48_000, 20_000)])
def test_what_the_lower_rate_cannot_hold_is_filtered_out(from_hz: int, hz: float) -> None:
    for result in (
        streamed(tone(from_hz, 1.0, hz), from_hz, 16_000),
        resample(tone(from_hz, 1.0, hz), from_hz, 16_000),
    ):
        assert np.abs(values(result)[1_000:-1_000]).max() <= 6, "that is -66 dB of the tone"


def test_equal_rates_pass_through() -> None:
    stream = StreamResampler(16_000, 16_000)
    assert stream.feed(b"abc") == b"ab"
    assert stream.feed(b"d") == b"cd"
    assert stream.flush() == b""
    assert resample(b"abc", 16_000, 16_000) == b"ab"


def test_after_flush_the_resampler_is_as_new() -> None:
    stream = StreamResampler(48_000, 16_000)
    first = stream.feed(tone(48_000, 0.5) + b"x") + stream.flush()
    second = stream.feed(tone(48_000, 0.5)) + stream.flush()
    assert len(first) == 16_000
    assert first == second


def test_silence_stays_silent() -> None:
    assert resample(bytes(96_000), 48_000, 16_000) == bytes(32_000) == streamed(bytes(96_000), 48_000, 16_000)


@pytest.mark.parametrize("convert", [resample, streamed])
def test_what_swings_beyond_full_scale_is_clipped(convert) -> None:
    square = (np.sign(np.sin(np.arange(8_000) * 0.11)) * 32767).astype("<i2")
    result = values(convert(square.tobytes(), 8_000, 16_000))
    assert (result.max(), result.min()) == (32767, -32768)
    assert np.abs(np.diff(result)).max() < 60_000, "nothing wraps around"


def test_nothing_stays_nothing() -> None:
    assert resample(b"", 8_000, 16_000) == resample(b"x", 8_000, 16_000) == b""
    stream = StreamResampler(8_000, 16_000)
    assert stream.feed(b"") == stream.feed(b"x") == stream.flush() == b""


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 16_000), (16_000, -1), (3_999, 16_000), (16_000, 192_001)])
def test_absurd_rates_are_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match="no sample rate"):
        StreamResampler(from_hz, to_hz)
    with pytest.raises(ValueError, match="no sample rate"):
        resample(b"", from_hz, to_hz)
