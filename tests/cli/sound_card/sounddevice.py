"""A sound card for machines without one, in the place of the library of this name: the microphone hears the file
SOUND_IN (mono s16le), then silence; what the loudspeaker plays is appended to SOUND_OUT. Both in real time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any


class PortAudioError(Exception):
    pass


def query_devices(kind: str = "") -> dict[str, str]:
    return {"name": f"card of the tests, {kind}"}


class _Stream:
    def __init__(self, samplerate: int, channels: int, dtype: str, blocksize: int, callback: Any) -> None:
        assert (channels, dtype) == (1, "int16")
        self.blocksize = blocksize
        self.block_s = blocksize / samplerate
        self.callback = callback
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped.wait(max(due - time.monotonic(), 0)):
            self.block()
            due += self.block_s

    def block(self) -> None:
        raise NotImplementedError


class RawInputStream(_Stream):
    _at = 0

    def block(self) -> None:
        size = 2 * self.blocksize
        sound = Path(os.environ["SOUND_IN"]).read_bytes()[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        self.callback(memoryview(sound), self.blocksize, None, None)


class RawOutputStream(_Stream):
    def block(self) -> None:
        out = bytearray(2 * self.blocksize)
        self.callback(memoryview(out), self.blocksize, None, None)
        with Path(os.environ["SOUND_OUT"]).open("ab") as file:
            file.write(out)
