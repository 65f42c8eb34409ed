"""The child process that speaks with eSpeak NG: `python -m vivavoce.engines.tts.espeak_worker`.

A process of its own because the library keeps its voice, its settings and its callback in global variables, because a
fault in it ends the process, and because it is under the GPL-3 while the server is not.

    <- ["ready", rate, [[name, language tag, identifier], ...]]
    -> ["speak", text, identifier]
    <- ["speech", mono s16le, [[character, milliseconds], ...]]     where each word begins, in text and in time
    <- ["failed", reason]
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_int, c_short, c_size_t, c_ubyte, c_uint, c_void_p
from typing import Any

from vivavoce.engines.child import Abandoned, Line

# From speak_lib.h of eSpeak NG 1.52.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
POSITION_CHARACTER = 1
CHARS_UTF8 = 1  # and neither SSML nor phoneme input: text is data
EVENT_LIST_TERMINATED, EVENT_WORD = 0, 1
ABORT, GO_ON = 1, 0

LONGEST_S = 5 * 60


class _VoiceEntry(ctypes.Structure):
    _fields_ = (
        ("name", c_char_p),
        ("languages", c_char_p),  # a byte of priority before each
        ("identifier", c_char_p),
        ("gender", c_ubyte),
        ("age", c_ubyte),
        ("variant", c_ubyte),
        ("reserved", c_ubyte),
        ("score", c_int),
        ("spare", c_void_p),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),  # counts characters from 1
        ("length", c_int),
        ("audio_position", c_int),  # milliseconds
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


class Espeak:
    """The library, loaded and ready to speak. There can be one in a process. Raises OSError."""

    def __init__(self, library: str, data: str, line: Line) -> None:
        self._line = line
        self._library = ctypes.CDLL(library)
        self._library.espeak_ListVoices.restype = POINTER(POINTER(_VoiceEntry))
        self._library.espeak_Synth.argtypes = [c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, c_void_p, c_void_p]
        self.rate: int = self._library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, 0, os.fsencode(data), INITIALIZE_DONT_EXIT
        )
        if self.rate <= 0:
            raise OSError(f"eSpeak NG cannot use its data in {data}")
        self._callback = _Callback(self._take)  # the library does not keep it alive
        self._library.espeak_SetSynthCallback(self._callback)
        self._pcm = bytearray()
        self._marks: list[tuple[int, int]] = []
        self._abandoned = False

    def voices(self) -> Iterator[tuple[str, str, str]]:
        """(name, tag of its first language, identifier) of each voice, without variants."""
        entries = self._library.espeak_ListVoices(None)
        at = 0
        while entries[at]:
            entry = entries[at].contents
            yield entry.name.decode(), entry.languages[1:].decode(), entry.identifier.decode()
            at += 1

    def speak(self, text: str, identifier: str) -> tuple[bytes, list[tuple[int, int]]]:
        """The audio of *text* and where its words begin. Raises ValueError, or Abandoned when the parent gave up."""
        if self._library.espeak_SetVoiceByName(identifier.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {identifier!r}")
        self._pcm.clear()
        self._marks.clear()
        self._abandoned = False
        data = text.encode() + b"\0"
        failed = self._library.espeak_Synth(data, len(data), 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None)
        if self._abandoned:
            raise Abandoned
        if failed or self._too_long:
            raise ValueError("eSpeak NG could not speak the phrase" if failed else "the phrase is far too long")
        return bytes(self._pcm), self._marks

    @property
    def _too_long(self) -> bool:
        return len(self._pcm) > 2 * LONGEST_S * self.rate

    def _take(self, samples: Any, count: int, events: Any) -> int:
        """What the library calls every 60 ms of audio, while `espeak_Synth` runs; it swallows exceptions."""
        try:
            self._line.check()
        except Abandoned:
            self._abandoned = True
            return ABORT
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, 2 * count)
        at = 0
        while events[at].type != EVENT_LIST_TERMINATED:
            if events[at].type == EVENT_WORD:
                self._marks.append((events[at].text_position - 1, events[at].audio_position))
            at += 1
        return ABORT if self._too_long else GO_ON


def main() -> None:
    line = Line()
    try:
        import espeakng_loader

        espeak = Espeak(espeakng_loader.get_library_path(), espeakng_loader.get_data_path(), line)
    except (ImportError, OSError, RuntimeError) as error:
        line.refuse(f"eSpeak NG cannot be loaded: {error}", "pip install --force-reinstall espeakng-loader")

    def job(message: list[Any]) -> None:
        _, text, identifier = message
        try:
            pcm, marks = espeak.speak(text, identifier)
        except ValueError as error:
            line.send("failed", str(error))
        else:
            line.send("speech", pcm, marks)

    line.ready(espeak.rate, list(espeak.voices()))
    line.serve(job)


if __name__ == "__main__":
    main()
