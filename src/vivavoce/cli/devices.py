"""The microphone and the loudspeaker of this machine, through PortAudio."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from vivavoce.audio.resample import StreamResampler
from vivavoce.cli import Failed

FRAME_S = 0.02
MAX_WAITING = 500
"""Microphone frames (10 s) that may wait for a slow connection; older ones are dropped."""


def portaudio() -> Any:
    """The sounddevice module. Raises Failed with what to install."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the module is there, the library it loads is not
        hint = "install PortAudio (Debian: apt-get install libportaudio2), or use --wav FILE and --save FILE"
        raise Failed("no microphone or loudspeaker: PortAudio is not installed", hint=hint) from error
    return sounddevice


def device_name(kind: str) -> str:
    """The default device, `input` or `output`. Raises Failed when there is none."""
    sounddevice = portaudio()
    try:
        return str(sounddevice.query_devices(kind=kind)["name"])
    except (sounddevice.PortAudioError, ValueError) as error:
        what, instead = ("microphone", "--wav FILE") if kind == "input" else ("loudspeaker", "--save FILE or -o FILE")
        raise Failed(
            f"no {what} was found", hint=f"plug one in and choose it in the system, or use {instead}"
        ) from error


@asynccontextmanager
async def microphone(rate_hz: int) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """Frames of mono s16le at *rate_hz*, as they are heard. Raises Failed when there is no microphone."""
    device_name("input")
    sounddevice = portaudio()
    loop = asyncio.get_running_loop()
    frames: asyncio.Queue[bytes] = asyncio.Queue()

    def take(frame: bytes) -> None:
        if frames.qsize() >= MAX_WAITING:
            frames.get_nowait()
        frames.put_nowait(frame)

    def callback(data: Any, _frames: int, _time: Any, _status: Any) -> None:  # in PortAudio's thread
        loop.call_soon_threadsafe(take, bytes(data))

    async def heard() -> AsyncGenerator[bytes, None]:
        while True:
            yield await frames.get()

    blocksize = round(rate_hz * FRAME_S)
    with _opened(sounddevice, sounddevice.RawInputStream, rate_hz, blocksize, callback, "microphone"):
        yield heard()


class Loudspeaker:
    """Plays the phrases of turns one after the other; knows what has been heard. Use it on the event loop."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._waiting: deque[tuple[int, int, bytes]] = deque()  # turn, phrase, sound
        self._at = 0  # bytes of the first one that were played
        self._heard: dict[tuple[int, int], int] = {}  # bytes of each phrase
        self._last = (0, 0)
        self._held = False
        self._lock = threading.Lock()
        self._resamplers: dict[int, StreamResampler] = {}

    @property
    def silent(self) -> bool:
        """Whether nothing waits to be played."""
        with self._lock:
            return not self._waiting

    def play(self, turn: int, phrase: int, sound: bytes, rate_hz: int) -> None:
        """Append mono s16le of any rate."""
        resampler = self._resamplers.setdefault(rate_hz, StreamResampler(rate_hz, self.rate_hz))
        sound = resampler.feed(sound) + resampler.flush()
        with self._lock:
            self._waiting.append((turn, phrase, sound))

    def hold(self) -> None:
        """Pause at once."""
        self._held = True

    def resume(self) -> None:
        """Go on."""
        self._held = False

    def drop(self) -> None:
        """Forget all that was not played."""
        with self._lock:
            self._waiting.clear()
            self._at = 0
            self._held = False

    def heard(self) -> tuple[int, int, float]:
        """The turn and phrase that was heard last, and how many milliseconds of it; zeros before the first."""
        with self._lock:
            turn, phrase = self._last
            return turn, phrase, 1000 * self._heard.get(self._last, 0) / 2 / self.rate_hz

    def fill(self, out: Any) -> None:
        """Put the next sound into the buffer *out*; silence where there is none. Called in PortAudio's thread."""
        size, done = len(out), 0
        with self._lock:
            while done < size and self._waiting and not self._held:
                turn, phrase, sound = self._waiting[0]
                part = sound[self._at : self._at + size - done]
                out[done : done + len(part)] = part
                done += len(part)
                self._at += len(part)
                if self._last != (turn, phrase):
                    self._heard = {key: value for key, value in self._heard.items() if key[0] == turn}
                    self._last = (turn, phrase)
                self._heard[self._last] = self._heard.get(self._last, 0) + len(part)
                if self._at >= len(sound):
                    self._waiting.popleft()
                    self._at = 0
        out[done:] = bytes(size - done)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the device open. Raises Failed when there is none."""
        device_name("output")
        sounddevice = portaudio()

        def callback(out: Any, _frames: int, _time: Any, _status: Any) -> None:
            self.fill(memoryview(out).cast("B"))

        blocksize = round(self.rate_hz * FRAME_S)
        with _opened(sounddevice, sounddevice.RawOutputStream, self.rate_hz, blocksize, callback, "loudspeaker"):
            yield


@contextmanager
def _opened(sounddevice: Any, stream: Any, rate_hz: int, blocksize: int, callback: Any, what: str) -> Iterator[None]:
    try:
        device = stream(samplerate=rate_hz, channels=1, dtype="int16", blocksize=blocksize, callback=callback)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise Failed(f"the {what} cannot be opened: {error}", hint="`vivavoce doctor` lists the devices") from error
    with device:
        yield
