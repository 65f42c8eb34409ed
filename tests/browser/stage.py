"""A real server and a real Chromium, whose microphone is a WAV file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import wave
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright

import speech

START_S = 40.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`vivavoce serve` on a port of its own, which it keeps when it is started again."""

    def __init__(self, folder: Path, agent: Path | None = None, **environment: str) -> None:
        """agent: the file that `serve` is given."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._folder = folder
        self._arguments = [] if agent is None else [str(agent)]
        self._environment = {**os.environ, "VIVAVOCE_DATA_DIR": str(folder), **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        return [sys.executable, "-m", "vivavoce", "serve", *self._arguments, "--port", str(self.port)]

    def start(self) -> None:
        """Start, and wait until the engines are ready."""
        log = (self._folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            self.command(), cwd=self._folder, env=self._environment, stdout=log, stderr=subprocess.STDOUT
        )
        log.close()
        deadline = time.monotonic() + START_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not become ready:\n{self.log[-3000:]}")
            time.sleep(0.1)  # between two questions to another process

    @property
    def log(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")

    def kill(self) -> None:
        """End it without a word, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:  # not there yet, or 503
            return False


class Screen:
    """Opens pages; each has a browser of its own, so that each hears its own recording from the beginning."""

    def __init__(self, playwright: Playwright, executable: str, folder: Path) -> None:
        self._playwright = playwright
        self._executable = executable
        self._folder = folder
        self._browsers: list[Browser] = []
        self.complaints: list[str] = []
        """What the browser's console says of errors."""

    def open(
        self,
        url: str,
        *,
        microphone: bytes = b"",
        rate: int = 16000,
        allowed: bool = True,
        arguments: tuple[str, ...] = (),
        **context: Any,
    ) -> Page:
        """A page at *url*. microphone: mono s16le, played once from when the page opens it; silence follows."""
        flags = ["--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream", *arguments]
        flags.append(f"--use-file-for-fake-audio-capture={self._wav(microphone, rate)}%noloop")
        browser = self._playwright.chromium.launch(executable_path=self._executable, args=flags)
        self._browsers.append(browser)
        visit = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
        if allowed:
            visit.grant_permissions(["microphone", "clipboard-read", "clipboard-write"])
        page = visit.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.set_default_timeout(20_000)
        page.goto(url)
        return page

    def close(self) -> None:
        for browser in self._browsers:
            browser.close()

    def _wav(self, pcm: bytes, rate: int) -> Path:
        path = self._folder / f"microphone{len(self._browsers)}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(pcm or bytes(rate * 2))
        return path


def padded(clip: speech.Clip, lead_s: float = 1.0, tail_s: float = 1.5) -> bytes:
    """The clip between two silences."""
    return bytes(2 * int(clip.rate * lead_s)) + clip.pcm + bytes(2 * int(clip.rate * tail_s))
