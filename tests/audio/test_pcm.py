"""PCM: levels, lengths, G.711, whole samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.audio import pcm


def test_lengths() -> None:
    assert pcm.seconds(bytes(32_000), 16_000) == pcm.seconds(32_000, 16_000) == 1.0
    assert pcm.byte_count(0.02, 22_050) == 882
    assert pcm.silence(0.01, 8_000) == bytes(160)


def test_levels() -> None:
    square = np.tile(np.array([32767, -32768], "<i2"), 500).tobytes()
    sine = (32767 * np.sin(np.arange(1600) * 2 * np.pi / 16)).astype("<i2").tobytes()
    assert pcm.level_dbfs(square) == pytest.approx(0.0, abs=0.001)
    assert pcm.level_dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert pcm.level_dbfs(np.full(9, 328, "<i2").tobytes() + b"x") == pytest.approx(-40.0, abs=0.02)
    assert pcm.level_dbfs(b"") == pcm.level_dbfs(b"x") == pcm.level_dbfs(bytes(100)) == pcm.FLOOR_DBFS


def test_floats_are_clipped_and_nan_is_silence() -> None:
    floats = np.array([0, 1, -1, 2, -2, np.nan, np.inf, -np.inf, 0.5])
    assert np.frombuffer(pcm.from_floats(floats), "<i2").tolist() == [
        *[0, 32767, -32767, 32767, -32767, 0, 32767, -32767, 16384]
    ]


def test_mulaw_is_that_of_g711() -> None:
    """Values of the standard's table, for 16 bits."""
    codes = bytes([0x00, 0x0F, 0x10, 0x70, 0x7E, 0x7F, 0x80, 0x8F, 0xF0, 0xFE, 0xFF])
    expected = [-32124, -16764, -15996, -120, -8, 0, 32124, 16764, 120, 8, 0]
    assert np.frombuffer(pcm.from_mulaw(codes), "<i2").tolist() == expected


def test_alaw_is_that_of_g711() -> None:
    codes = bytes([0x00, 0x2A, 0x55, 0x54, 0x80, 0xAA, 0xD5, 0xD4, 0xC5])
    expected = [-5504, -32256, -8, -24, 5504, 32256, 8, 24, 264]
    assert np.frombuffer(pcm.from_alaw(codes), "<i2").tolist() == expected


def test_both_laws_are_odd_and_grow_with_their_codes() -> None:
    codes = bytes(range(256))
    mulaw = np.frombuffer(pcm.from_mulaw(codes), "<i2").astype(int)
    alaw = np.frombuffer(pcm.from_alaw(bytes(code ^ 0x55 for code in codes)), "<i2").astype(int)
    assert (mulaw[:128] == -mulaw[128:]).all()
    assert (np.diff(mulaw[:128]) > 0).all()
    assert (alaw[:128] == -alaw[128:]).all()
    assert (np.diff(alaw[128:]) > 0).all()


@given(st.lists(st.binary(max_size=5)))
def test_the_aligner_gives_whole_samples(chunks: list[bytes]) -> None:
    aligner = pcm.ByteAligner()
    given_out = [aligner.feed(chunk) for chunk in chunks]
    assert all(len(samples) % 2 == 0 for samples in given_out)
    everything = b"".join(chunks)
    assert b"".join(given_out) == everything[: len(everything) & ~1]
    aligner.flush()
    assert aligner.feed(b"ab") == b"ab"
