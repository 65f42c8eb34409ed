"""Chat over WebSocket: what we add to the model's tokens, how soon speech begins, how many tokens pass in a second.

Three processes: the language model (`timed_llm`, which knows when it sent each token), the server, and this one, which
is all its clients. Both clocks are the machine's monotonic one.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from websockets.asyncio.client import connect

from benchmarks.conversation import Progress
from benchmarks.figures import Figure
from benchmarks.processes import Server, cpu_s, free_port, server, stop
from benchmarks.timed_llm import token
from vivavoce.text.phrases import PhraseBuffer
from vivavoce.transports.chat_ws import PHRASE

CHATS = 50
RATE = 160.0
"""Tokens a second of one fast stream; 150 are promised."""
STREAMS = 34
"""So many of those are 5,000 tokens a second and more."""


@dataclass
class Answer:
    """What one chat was sent, and when."""

    sent: list[float] = field(default_factory=list)
    """When the model sent each token."""
    tokens: list[float] = field(default_factory=list)
    """When each arrived here."""
    audio: list[float] = field(default_factory=list)
    asked_at: float = 0.0
    text: str = ""

    @property
    def overheads_ms(self) -> list[float]:
        return [(there - here) * 1000 for here, there in zip(self.sent, self.tokens, strict=True)]

    @property
    def rate(self) -> float:
        return (len(self.tokens) - 1) / (self.tokens[-1] - self.tokens[0])


def chat(runs: int, progress: Progress, *, quick: bool = False) -> list[Figure]:
    """The figures of `/ws/chat/stream`."""
    seconds = 3.0 if quick else 6.0
    with timed_llm() as llm_port:
        model = {"LLM_BASE_URL": f"http://127.0.0.1:{llm_port}/v1", "LLM_PROVIDER": "openai", "LOG_LEVEL": "warning"}
        with server(**model, VIVAVOCE_SERVER__MAX_SESSIONS="500", VIVAVOCE_MEMORY__PERSIST="false") as running:
            bench = Bench(running, llm_port, progress)
            figures = asyncio.run(bench.figures(seconds, 10 * max(runs, 2)))
    with server(LLM_PROVIDER="offline", LOG_LEVEL="warning", VIVAVOCE_MEMORY__PERSIST="false") as running:
        figures += asyncio.run(offline(running, 10 * max(runs, 2)))
    return figures


class Bench:
    """The clients of one server and its model."""

    def __init__(self, running: Server, llm_port: int, progress: Progress) -> None:
        self._running = running
        self._llm = f"http://127.0.0.1:{llm_port}"
        self._progress = progress
        self._asked = 0

    async def figures(self, seconds: float, times: int) -> list[Figure]:
        await self._ask(20, 0.0, audio=True)  # everything is loaded and warm
        found = [await self._overhead(seconds, 20.0, audio=False), await self._overhead(seconds, 4.0, audio=True)]
        found += await self._first_audio(times)
        return found + await self._throughput(seconds)

    async def _overhead(self, seconds: float, rate: float, *, audio: bool) -> Figure:
        before = cpu_s(self._running.pid)
        answers = await self._many(CHATS, round(seconds * rate), rate, audio=audio)
        used = (cpu_s(self._running.pid) - before) / seconds
        samples = [ms for answer in answers for ms in answer.overheads_ms]
        what = "with speech" if audio else "text only"
        note = f"{rate:g} tokens/s each; the server's processes use {used:.2f} cores"
        return self._shown(
            Figure(f"model's byte to client's token, {CHATS} chats, {what}", "ms", samples, "p95", 3.0, note)
        )

    async def _first_audio(self, times: int) -> list[Figure]:
        """From the token that completes the first phrase to its first `audio_chunk`, one chat at a time."""
        done_at = completes()
        answers = [await self._ask(40, 40.0, audio=True) for _ in range(times)]
        phrase = [(answer.audio[0] - answer.sent[done_at]) * 1000 for answer in answers]
        note = f"token {done_at + 1} completes the phrase"
        return [
            self._shown(Figure("phrase complete to first audio_chunk", "ms", phrase, "p95", 15.0, note, plotted=True))
        ]

    async def _throughput(self, seconds: float) -> list[Figure]:
        """One stream at its rate, many at theirs, and answers that are there at once."""
        alone = await self._ask(round(seconds * RATE), RATE, audio=True)
        began, before = time.perf_counter(), cpu_s(self._running.pid)
        answers = await self._many(STREAMS, round(seconds * RATE), RATE, audio=False)
        used = (cpu_s(self._running.pid) - before) / (time.perf_counter() - began)
        total = sum(answer.rate for answer in answers)
        lag = [ms for answer in answers for ms in answer.overheads_ms]
        began = time.perf_counter()
        burst = await self._many(20, 600, 0.0, audio=False)
        most = sum(len(answer.tokens) for answer in burst) / (time.perf_counter() - began)
        began = time.perf_counter()
        spoken = await self._many(20, 150, 0.0, audio=True)
        aloud = sum(len(answer.tokens) for answer in spoken) / (time.perf_counter() - began)
        return [
            self._shown(_rate("one stream, with speech", 150, alone.rate)),
            self._shown(Figure("  its tokens behind the model's", "ms", alone.overheads_ms, "p95")),
            self._shown(_rate(f"{STREAMS} streams, text only", 5000, total, f"{used:.2f} cores")),
            self._shown(Figure("  their tokens behind the model's", "ms", lag, "p95")),
            self._shown(_rate("20 answers of 600 tokens, all at once", 5000, most)),
            self._shown(Figure("20 answers of 150 tokens, all at once, with speech", "tokens/s", [aloud])),
        ]

    def _shown(self, figure: Figure) -> Figure:
        self._progress(f"{figure.name}: {figure.value:.2f} {figure.unit} {figure.note}")
        return figure

    async def _many(self, chats: int, count: int, rate: float, *, audio: bool) -> list[Answer]:
        """That many at once, begun within a second; with no rate, at the same moment."""

        async def one(number: int) -> Answer:
            await asyncio.sleep(number / chats if rate else 0.0)
            return await self._ask(count, rate, audio=audio)

        return list(await asyncio.gather(*map(one, range(chats))))

    async def _ask(self, count: int, rate: float, *, audio: bool) -> Answer:
        self._asked += 1
        name = f"q{self._asked}"
        answer = await ask(self._running, f"{name} {count} {rate:g}", audio=audio)
        answer.sent = await asyncio.to_thread(self._moments, name)
        return answer

    def _moments(self, name: str) -> list[float]:
        with urllib.request.urlopen(f"{self._llm}/sent/{name}", timeout=10) as reply:
            sent: list[float] = json.load(reply)["sent"]
            return sent


def _rate(what: str, tokens: int, rate: float, note: str = "") -> Figure:
    """A rate, as the time that so many tokens take."""
    note = f"{rate:.0f} tokens/s" + (f"; {note}" if note else "")
    return Figure(f"time for {tokens} tokens: {what}", "s", [tokens / rate], target=1.0, note=note)


async def ask(running: Server, message: str, *, audio: bool = True) -> Answer:
    """One chat, to its end. Raises AssertionError for an answer that is not complete."""
    query = urlencode({"message": message, "audio": str(audio).lower()})
    answer = Answer(asked_at=time.perf_counter())
    async with connect(f"{running.url}/chat/stream?{query}", compression=None, max_size=None, proxy=None) as socket:
        while True:
            frame = await socket.recv(decode=False)
            now = time.perf_counter()
            if frame.startswith(b'{"type":"token"'):
                answer.tokens.append(now)
            elif frame.startswith(b'{"type":"audio_chunk"'):
                answer.audio.append(now)
            elif b'"complete"' in frame or frame.startswith(b'{"type":"error"'):
                last = json.loads(frame)
                assert last["type"] == "status", last
                answer.text = last["text"]
                return answer


def completes() -> int:
    """Which token of the model's completes the first phrase."""
    buffer, at = PhraseBuffer(max_phrase_length=PHRASE), 0
    while not buffer.feed(token(at), 0.0):
        at += 1
    return at


async def offline(running: Server, times: int) -> list[Figure]:
    """From the first byte of the connection to the first token, of the model that is always there."""
    await ask(running, "what is twelve times seven")
    first_ms, audio_ms = [], []
    for at in range(times):
        answer = await ask(running, f"what is {at} times seven")
        first_ms.append((answer.tokens[0] - answer.asked_at) * 1000)
        audio_ms.append((answer.audio[0] - answer.asked_at) * 1000)
    return [
        Figure("connect to first token, offline model", "ms", first_ms, "p95", 50.0, plotted=True),
        Figure("connect to first audio_chunk, offline model", "ms", audio_ms, "p95", plotted=True),
    ]


@contextmanager
def timed_llm() -> Iterator[int]:
    """The model's process; its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.timed_llm", str(port)])
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5):
                    break
            except OSError:
                time.sleep(0.02)
        yield port
    finally:
        stop(process)
