"""WAV: our own header, everything others write, and everything else refused."""

from __future__ import annotations

import io
import struct
import tracemalloc
import wave

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vivavoce.audio import wav
from vivavoce.errors import ClientError

SAMPLES = [0, 1, -1, 256, -256, 32767, -32768, 12345]
PCM = np.array(SAMPLES, "<i2").tobytes()
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    return kind + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def fmt(coding: int = 1, channels: int = 1, rate_hz: int = 16_000, bits: int = 16, align: int | None = None) -> bytes:
    align = channels * ((bits + 7) // 8) if align is None else align
    return struct.pack("<HHIIHH", coding, channels, rate_hz, rate_hz * align & 0xFFFFFFFF, align & 0xFFFF, bits)


def extensible(coding: int, tail: bytes = GUID_TAIL, **options: int) -> bytes:
    return fmt(0xFFFE, **options) + struct.pack("<HHIH", 22, 16, 4, coding) + tail


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def samples(data: bytes) -> list[int]:
    return np.frombuffer(wav.read(data)[0], "<i2").tolist()


def test_what_is_encoded_is_a_whole_wav_file() -> None:
    data = wav.encode(PCM, 22_050)
    assert len(data) == 44 + len(PCM)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22_050)
        assert file.readframes(99) == PCM
    assert wav.read(data) == (PCM, 22_050)
    assert wav.read(wav.encode(b"", 8_000)) == (b"", 8_000)


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 44_100, 192_000])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_integers_of_all_widths_as_the_standard_library_writes_them(width: int, channels: int, rate_hz: int) -> None:
    upper = [sample >> 8 << 8 for sample in SAMPLES] if width == 1 else SAMPLES
    one = {
        1: lambda sample: bytes([(sample >> 8) + 128]),
        2: lambda sample: sample.to_bytes(2, "little", signed=True),
        3: lambda sample: b"\x7f" + sample.to_bytes(2, "little", signed=True),
        4: lambda sample: b"\xff\x01" + sample.to_bytes(2, "little", signed=True),
    }[width]
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate_hz)
        writer.writeframes(b"".join(one(sample) * channels for sample in SAMPLES))
    pcm, rate = wav.read(file.getvalue())
    assert rate == rate_hz
    assert np.frombuffer(pcm, "<i2").tolist() == upper


def test_floats_are_clipped_and_nan_is_silence() -> None:
    body = np.array([0.0, 1.0, -1.0, 0.5, np.nan, np.inf, -np.inf, 3e38], "<f4").tobytes()
    expected = [0, 32767, -32767, 16384, 0, 32767, -32767, 32767]
    assert samples(riff(chunk(b"fmt ", fmt(3, bits=32)), chunk(b"data", body))) == expected
    assert samples(riff(chunk(b"fmt ", extensible(3, bits=32)), chunk(b"data", body))) == expected
    assert samples(riff(chunk(b"fmt ", fmt(3, 2, bits=32)), chunk(b"data", body))) == [16384, -8192, 16384, 0]


def test_g711() -> None:
    assert samples(riff(chunk(b"fmt ", fmt(7, bits=8)), chunk(b"data", b"\x00\xff\x8f"))) == [-32124, 0, 16764]
    assert samples(riff(chunk(b"fmt ", fmt(6, bits=8)), chunk(b"data", b"\xd5\x55\xaa"))) == [8, -8, 32256]
    assert samples(riff(chunk(b"fmt ", extensible(7, channels=2, bits=8)), chunk(b"data", b"\x00\x80"))) == [0]


def test_channels_are_mixed() -> None:
    body = np.array([[100, 200], [32767, 32767], [-32768, -32768], [32767, -32768]], "<i2").tobytes()
    assert samples(riff(chunk(b"fmt ", fmt(channels=2)), chunk(b"data", body))) == [150, 32767, -32768, 0]


def test_bits_that_fill_no_byte_lie_at_the_top_of_their_bytes() -> None:
    body = b"".join(bytes([0x50]) + sample.to_bytes(2, "little", signed=True) for sample in SAMPLES)
    assert samples(riff(chunk(b"fmt ", fmt(bits=20)), chunk(b"data", body))) == SAMPLES


def test_other_chunks_are_skipped_with_their_padding() -> None:
    odd = chunk(b"LIST", b"odd")
    data = riff(odd, chunk(b"fmt ", fmt() + b"\0\0"), odd, chunk(b"data", PCM), odd)
    assert wav.read(data) == (PCM, 16_000)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
@pytest.mark.parametrize("file_size", [0, 0xFFFFFFFF])
def test_a_writer_that_could_not_go_back_to_the_sizes(size: int, file_size: int) -> None:
    data = riff(chunk(b"fmt ", fmt()), chunk(b"data", PCM, size), size=file_size)
    assert wav.read(data) == (PCM, 16_000)


def test_an_honest_zero_is_an_empty_recording() -> None:
    assert wav.read(riff(chunk(b"fmt ", fmt()), chunk(b"data", b""), chunk(b"LIST", b"abcd"))) == (b"", 16_000)


@pytest.mark.parametrize("missing", range(1, len(PCM) + 1))
def test_a_file_cut_short_gives_the_whole_frames_that_are_there(missing: int) -> None:
    data = riff(chunk(b"fmt ", fmt(channels=2)), chunk(b"data", PCM))[:-missing]
    assert len(wav.read(data)[0]) == (len(PCM) - missing) // 4 * 2


def test_a_long_file_is_decoded_in_blocks() -> None:
    body = np.arange(300_000, dtype="<i4") << 12
    expected = (body >> 16).astype("<i2").tobytes()
    assert wav.read(riff(chunk(b"fmt ", fmt(bits=32)), chunk(b"data", body.tobytes())))[0] == expected


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a WAV"),
        (b"RIFF", "not a WAV"),
        (b"ID3\x04" + bytes(100), "not a WAV"),
        (b"RIFF\0\0\0\0AVI " + bytes(100), "not a WAV"),
        (riff(), "before its samples"),
        (riff(chunk(b"fmt ", fmt())), "before its samples"),
        (riff(chunk(b"fmt ", fmt(), 0xFFFFFFFF), chunk(b"data", PCM)), "before its samples"),
        (riff(chunk(b"data", PCM), chunk(b"fmt ", fmt())), "before their format"),
        (riff(chunk(b"fmt ", fmt()[:-1]), chunk(b"data", PCM)), "cut short"),
        (riff(chunk(b"fmt ", fmt(0x55)), chunk(b"data", PCM)), "MP3"),
        (riff(chunk(b"fmt ", fmt(0x1234)), chunk(b"data", PCM)), "0x1234"),
        (riff(chunk(b"fmt ", extensible(2)), chunk(b"data", PCM)), "ADPCM"),
        (riff(chunk(b"fmt ", extensible(1)[:30]), chunk(b"data", PCM)), "extended format"),
        (riff(chunk(b"fmt ", extensible(1, bytes(14))), chunk(b"data", PCM)), "extended format"),
        (riff(chunk(b"fmt ", fmt(channels=0)), chunk(b"data", PCM)), "0 channels"),
        (riff(chunk(b"fmt ", fmt(channels=9)), chunk(b"data", PCM)), "9 channels"),
        (riff(chunk(b"fmt ", fmt(rate_hz=3_999)), chunk(b"data", PCM)), "3999 Hz"),
        (riff(chunk(b"fmt ", fmt(rate_hz=192_001)), chunk(b"data", PCM)), "192001 Hz"),
        (riff(chunk(b"fmt ", fmt(bits=0)), chunk(b"data", PCM)), "0 bits"),
        (riff(chunk(b"fmt ", fmt(bits=64)), chunk(b"data", PCM)), "64 bits"),
        (riff(chunk(b"fmt ", fmt(3, bits=64)), chunk(b"data", PCM)), "64 bits"),
        (riff(chunk(b"fmt ", fmt(7, bits=16)), chunk(b"data", PCM)), "16 bits"),
        (riff(chunk(b"fmt ", fmt(align=3)), chunk(b"data", PCM)), "frames of 3 bytes"),
        (riff(chunk(b"fmt ", fmt(align=0)), chunk(b"data", PCM)), "frames of 0 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(data: bytes, says: str) -> None:
    with pytest.raises(ClientError, match=says) as refusal:
        wav.read(data)
    assert refusal.value.code == "BAD_AUDIO"


def test_a_header_that_lies_costs_no_memory() -> None:
    data = riff(chunk(b"fmt ", fmt(channels=8, bits=32)), chunk(b"data", PCM, 0xFFFFFFF0), size=0xFFFFFFFF)
    tracemalloc.start()
    try:
        wav.read(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


HEADERS = st.builds(
    fmt,
    st.sampled_from([1, 3, 6, 7, 0xFFFE, 2]),
    st.integers(0, 9),
    st.sampled_from([0, 3_999, 4_000, 16_000, 192_000, 192_001, 0xFFFFFFFF]),
    st.sampled_from([0, 1, 8, 12, 16, 24, 32, 33, 0xFFFF]),
    st.one_of(st.none(), st.integers(0, 40)),
) | st.sampled_from([extensible(coding, bits=bits) for coding in (1, 3, 7) for bits in (8, 16, 24, 32)])
CHUNKS = st.lists(
    st.builds(
        chunk,
        st.sampled_from([b"fmt ", b"data", b"LIST"]),
        HEADERS | st.binary(max_size=70),
        st.one_of(st.none(), st.sampled_from([0, 1, 15, 16, 40, 0x7FFFFFFF, 0xFFFFFFFF])),
    ),
    max_size=4,
)


@given(
    st.builds(lambda header, rest: riff(chunk(b"fmt ", header), *rest), HEADERS, CHUNKS)
    | st.builds(lambda chunks: riff(*chunks), CHUNKS)
    | st.binary(max_size=100)
    | st.builds(lambda at, byte: wav.encode(PCM, 16_000)[:at] + byte + wav.encode(PCM, 16_000)[at + 1 :],
                st.integers(0, 59), st.binary(max_size=2))
)  # fmt: skip
@settings(max_examples=500, deadline=None)
@example(riff(chunk(b"fmt ", fmt(3, bits=32)), chunk(b"data", b"\x01\x00\xa0\x7f" * 3)))  # a signalling NaN
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        pcm, rate_hz = wav.read(data)
    except ClientError as refusal:
        refused = refusal
    else:
        assert len(pcm) % 2 == 0
        assert len(pcm) <= 2 * len(data)
        assert 4_000 <= rate_hz <= 192_000
        return
    assert refused.code == "BAD_AUDIO"
    assert refused.message.endswith(".")
