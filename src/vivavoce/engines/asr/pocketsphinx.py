"""PocketSphinx: the embedded recogniser. English, no download, true partials, in worker processes."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from vivavoce.engines.asr import pocketsphinx_model
from vivavoce.engines.base import AudioFrame, Hearing, Transcript
from vivavoce.engines.worker import Pool, Worker
from vivavoce.errors import EngineUnavailable

log = logging.getLogger(__name__)

WORKER = "vivavoce.engines.asr.pocketsphinx_worker"
LEND_S = 1.0
"""How long an utterance waits for a worker; its frames wait with it."""
BUILD_S = 60.0
LATE_S = 0.25
"""The worker keeps the final's time limit itself; when it is late by this much, it has no say any more."""
PROFILE = "pocketsphinx"
"""Our key in `Hearing.adaptation`."""


class PocketSphinxRecognizer:
    """A pool of worker processes, each lent for one utterance.

    `workers` is the number of utterances that can be open at once; each takes about 100 MB.
    """

    name = "pocketsphinx"
    sample_rate = 16000
    languages: Sequence[str] = ("en",)

    def __init__(self, *, workers: int, cache_dir: Path) -> None:
        self._workers = workers
        self._cache_dir = cache_dir
        self._pool: Pool | None = None

    async def start(self) -> None:
        """Make the language model where it is not cached yet, and start the workers; the first one is warm then."""
        if self._pool is not None:
            return
        model = pocketsphinx_model.bundled()
        folder = pocketsphinx_model.folder_of(self._cache_dir)
        if not folder.is_dir():
            await self._build()
        pool = Pool("asr", WORKER, str(model), str(folder), size=self._workers)
        await pool.start()
        self._pool = pool

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @property
    def pids(self) -> set[int]:
        """The worker processes that run."""
        return self._pool.pids if self._pool else set()

    async def transcribe(self, frames: AsyncIterator[AudioFrame], hearing: Hearing) -> AsyncGenerator[Transcript, None]:
        """See `Recognizer`. A `stable` comes 0.3 s into a pause at the earliest, while the speaker may yet go on."""
        if self._pool is None:
            raise EngineUnavailable("asr", "the recogniser is not running")
        async with self._pool.lend(LEND_S) as worker:
            worker.send("begin", hearing.partial_interval_s, hearing.adaptation.get(PROFILE))
            feeding = asyncio.create_task(_feed(worker, frames, hearing))
            try:
                async for transcript in _read(worker, feeding, hearing):
                    yield transcript
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)

    async def _build(self) -> None:
        """In a process of its own: it takes some seconds of arithmetic and some hundred megabytes."""
        log.info("making the recogniser's language model, once for this release")
        started = time.monotonic()
        command = [sys.executable, "-P", "-m", pocketsphinx_model.__name__, str(self._cache_dir)]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(BUILD_S):
                _, complaint = await process.communicate()
        except TimeoutError:
            raise EngineUnavailable("asr", f"the language model was not made within {BUILD_S:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            reason = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise EngineUnavailable("asr", f"the language model cannot be made: {reason}")
        log.info("made the language model in %.1f s", time.monotonic() - started)


async def _feed(worker: Worker, frames: AsyncIterator[AudioFrame], hearing: Hearing) -> None:
    async for frame in frames:
        worker.send("audio", frame.pcm, frame.speech)
        await worker.drain()
    worker.send("end", hearing.final_wait_s)


async def _read(worker: Worker, feeding: asyncio.Task[None], hearing: Hearing) -> AsyncGenerator[Transcript, None]:
    """What the worker says, up to its last word on the utterance."""
    best = Transcript(text="")
    final: Transcript | None = None
    last = False
    while not last:
        try:
            message = await _next(worker, feeding, None if final else hearing)
        except TimeoutError:
            final = Transcript(text=best.text, kind="final", confidence=best.confidence, busy_s=best.busy_s)
            yield final
            continue
        kind, text, confidence, busy_s, more, profile = message
        if profile:
            hearing.adaptation[PROFILE] = profile
        last = kind == "revised" or (kind == "final" and not more)
        if final is None:
            best = Transcript(text=text, kind=kind, confidence=confidence, busy_s=busy_s)
            final = best if kind == "final" else None
            yield best
        elif last and text != final.text:
            yield Transcript(text=text, kind="final", revision=1, confidence=confidence, busy_s=busy_s)


async def _next(worker: Worker, feeding: asyncio.Task[None], hearing: Hearing | None) -> list[Any]:
    """The worker's next message. Raises TimeoutError where it is late for the final that *hearing* wants after the
    frames' end, and whatever broke the frames."""
    receiving = asyncio.create_task(worker.receive())
    try:
        await asyncio.wait({receiving, feeding}, return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            feeding.result()
            async with asyncio.timeout(hearing.final_wait_s + LATE_S if hearing else None):
                await asyncio.wait({receiving})
        return receiving.result()
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
