"""What voice activity detection costs: processor time per window of 32 ms, by the number of sessions.

    python benchmarks/vad.py

`network` is one call for that many rows; `sessions` the whole way, from audio in frames of 20 ms to the callbacks.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

from vivavoce.settings import limit_math_threads

limit_math_threads()  # as the server does; without it the figures from 8 rows on are two to five times as high

import numpy as np  # noqa: E402

from vivavoce.engines.vad.silero import WINDOW_BYTES, SileroDetector, _weights_path  # noqa: E402
from vivavoce.engines.vad.silero_network import CONTEXT, UNITS, WINDOW, SileroNetwork, read_weights  # noqa: E402

BATCHES = (1, 2, 4, 8, 16, 32, 64)
FRAME_BYTES = 640


def cost_us(work: Callable[[], int]) -> float:
    """Median processor time per window; *work* returns how many it judged."""
    costs = []
    for _ in range(7):
        began = time.process_time()
        windows = work()
        costs.append((time.process_time() - began) / windows * 1e6)
    return statistics.median(costs)


def network_cost_us(network: SileroNetwork, rows: int) -> float:
    samples = np.random.default_rng(1).normal(0, 0.1, (rows, CONTEXT + WINDOW)).astype(np.float32)

    def work() -> int:
        hidden = cell = np.zeros((rows, UNITS), np.float32)
        calls = max(40, 2000 // rows)
        for _ in range(calls):
            _, hidden, cell = network(samples, hidden, cell)
        return calls * rows

    return cost_us(work)


async def sessions_cost_us(sessions: int) -> float:
    """Every session sends 20 ms of noise, then the tick comes, and so on as fast as it goes."""
    detector = SileroDetector()
    await detector.start()
    windows = 0

    def on_window(_pcm: bytes, _probability: float) -> None:
        nonlocal windows
        windows += 1

    streams = [detector.open(on_window) for _ in range(sessions)]
    frames = np.random.default_rng(1).integers(-3000, 3000, (64, FRAME_BYTES // 2), np.int16)

    def work() -> int:
        before = windows
        for number in range(max(16, 4000 // sessions)):
            frame = frames[number % len(frames)].tobytes()
            for stream in streams:
                stream.feed(frame)
            detector._on_tick()
        return windows - before

    cost = cost_us(work)
    await detector.close()
    return cost


def main() -> None:
    network = SileroNetwork(read_weights(_weights_path()))
    budget = WINDOW_BYTES / 2 / 16000
    print("sessions  network us  sessions us  share of a core")
    for rows in BATCHES:
        whole = asyncio.run(sessions_cost_us(rows))
        print(f"{rows:8} {network_cost_us(network, rows):11.1f} {whole:12.1f} {whole * rows / 1e6 / budget:16.2%}")


if __name__ == "__main__":
    main()
