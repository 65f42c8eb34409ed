"""What text and audio cost on the way of a turn: run it alone on a quiet machine.

    python benchmarks/text_audio.py

Each line is the best of several rounds, so that what else runs on the machine disturbs it least.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import numpy as np

from vivavoce import PhraseBuffer, SentenceStreamBuffer
from vivavoce.audio import pcm, wav
from vivavoce.audio.resample import StreamResampler

ROUNDS = 7
TEXT = (
    "Well, the kettle is on the stove, and the tea will be ready in about 5 minutes. Dr. Smith takes milk; do you? "
    * 20
)
TOKENS = re.findall(r"\s?\w+|.", TEXT)


def best(run: Callable[[], object], times: int) -> float:
    """Seconds per piece of work, where *run* does *times* of them."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return min(took) / times


def phrases() -> None:
    buffer = PhraseBuffer()
    for token in TOKENS:
        buffer.feed(token, 0.0)


def sentences() -> None:
    buffer = SentenceStreamBuffer()
    for token in TOKENS:
        buffer.feed(token)


def noise(rate_hz: int, duration_s: float) -> bytes:
    return pcm.from_floats(np.random.default_rng(1).normal(0, 0.1, round(rate_hz * duration_s)))


def main() -> None:
    print(f"PhraseBuffer          {best(phrases, len(TOKENS)) * 1e9:8.0f} ns per token")
    print(f"SentenceStreamBuffer  {best(sentences, len(TOKENS)) * 1e9:8.0f} ns per token")
    for from_hz, to_hz in [(8_000, 16_000), (24_000, 16_000), (44_100, 16_000), (48_000, 16_000), (22_050, 24_000)]:
        stream, frame = StreamResampler(from_hz, to_hz), noise(from_hz, 0.02)
        cost = best(lambda stream=stream, frame=frame: [stream.feed(frame) for _ in range(200)], 200)  # type: ignore[misc]
        print(f"{from_hz:6} -> {to_hz} Hz     {cost * 1e6:8.1f} µs per 20 ms, {stream.delay_s * 1000:.1f} ms late")
    second = noise(22_050, 1.0)
    file, frame = wav.encode(second, 22_050), second[:882]
    encode_s = best(lambda: [wav.encode(second, 22_050) for _ in range(100)], 100)
    read_s = best(lambda: [wav.read(file) for _ in range(100)], 100)
    level_s = best(lambda: [pcm.level_dbfs(frame) for _ in range(100)], 100)
    print(f"wav.encode            {encode_s * 1e6:8.1f} µs per s")
    print(f"wav.read              {read_s * 1e6:8.1f} µs per s")
    print(f"level_dbfs            {level_s * 1e6:8.1f} µs per 20 ms")


if __name__ == "__main__":
    main()
