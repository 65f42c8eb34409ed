"""From a client's audio to endpoints and transcripts.

    audio -> voice activity (batched over all sessions) -> Endpointer -> the session's turn rules
                                  +-> frames of the open utterance -> Recognizer -> transcripts -> the session

Audio is forwarded by direct calls; the only task is one per utterance, which reads the recogniser.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Protocol

import msgspec

from vivavoce.core.endpointing import Endpoint, Endpointer
from vivavoce.engines.base import AudioFrame, Hearing, Recognizer, Transcript, VoiceActivityDetector
from vivavoce.errors import EngineBusy, EngineError, EngineFailed, EngineTimeout

MAX_UTTERANCES = 4
"""Of one session, at once."""
LEAD_S = 0.4
"""Audio before the detected start that belongs to the utterance: onsets are quiet."""


class Listener(Protocol):
    """Who is told; all calls are made on the event loop and must not block."""

    def on_endpoint(self, endpoint: Endpoint) -> None: ...

    def on_transcript(self, utterance: Utterance, transcript: Transcript) -> None: ...

    def on_recognizer_error(self, utterance: Utterance, error: EngineError) -> None: ...


class Utterance:
    """One utterance being recognised. Frames are kept, so that a second worker can take over from a dead one."""

    def __init__(self, id: str, previous: Utterance | None, hearing: Hearing, now: float) -> None:
        self.id = id
        self.hearing = hearing
        self.speech_s = 0.0
        self.paused = False
        self.shown = ""
        """The partial transcript that the client saw last."""
        self.done = asyncio.Event()
        """Set when the final transcript was delivered."""
        self._previous = previous
        self.early_s = 0.0
        """How much sooner than it was spoken its audio came: a file that is sent at once is still to be decoded."""
        self._opened_at = now
        self._heard_s = 0.0
        self._frames: list[AudioFrame] = []
        self._ended = False
        self._news = asyncio.Event()
        self.deadline: asyncio.Timeout | None = None

    @property
    def ended(self) -> bool:
        return self._ended

    def put(self, frame: AudioFrame) -> None:
        self._frames.append(frame)
        self._news.set()

    def hear(self, frame: AudioFrame, seconds: float) -> None:
        """Audio since the utterance was opened."""
        self._heard_s += seconds
        self.put(frame)

    def finish(self, now: float) -> None:
        """The audio is over. The final may take longer where it came early."""
        self.early_s = max(0.0, self._heard_s - (now - self._opened_at))
        self.hearing.final_wait_s += self.early_s
        self.end()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """All frames from the first; waits for more until the utterance has ended."""
        at = 0
        while True:
            while at < len(self._frames):
                at += 1
                yield self._frames[at - 1]
            if self._ended:
                return
            self._news.clear()
            await self._news.wait()

    async def turn_of_final(self) -> None:
        """Finals are delivered in the order of the utterances."""
        if self._previous is not None:
            await self._previous.done.wait()
            self._previous = None


class Listening:
    """The ears of one session."""

    def __init__(
        self,
        vad: VoiceActivityDetector,
        recognizer: Recognizer,
        endpointer: Endpointer,
        listener: Listener,
        *,
        clock: Callable[[], float],
        timeout_s: float = 10.0,
    ) -> None:
        self.endpointer = endpointer
        self.hearing = Hearing()
        """Applies to the next utterance; `adaptation` lives as long as the session."""
        self.final_wait_s = self.hearing.final_wait_s
        """How long the final of the utterance that ends next may take, before the best so far is given."""
        self.closed = False
        self.last_speech_at = 0.0
        """When the last window of speech arrived, on *clock*."""
        self._recognizer = recognizer
        self._listener = listener
        self._clock = clock
        self._timeout_s = timeout_s
        self._lead: deque[bytes] = deque(maxlen=1 + round(LEAD_S * vad.sample_rate / vad.window))
        self._current: Utterance | None = None
        self._latest: Utterance | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stream = vad.open(self._on_window)

    @property
    def open_utterances(self) -> int:
        """How many are being recognised."""
        return len(self._tasks)

    async def room(self) -> None:
        """Wait while too many utterances are being recognised."""
        while len(self._tasks) > MAX_UTTERANCES:
            await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)

    def hear(self, pcm: bytes) -> None:
        """Audio at the detector's rate."""
        self._stream.feed(pcm)

    def catch_up(self) -> None:
        """Judge all audio that has arrived, before a `stop` is acted on."""
        self._stream.flush()

    def open(self, id: str, group: asyncio.TaskGroup) -> None:
        """Begin to recognise an utterance, from a little before now."""
        previous = self._latest if self._latest and not self._latest.done.is_set() else None
        # Its own copy, for its own wait; what the engine adapts is the session's.
        utterance = Utterance(id, previous, msgspec.structs.replace(self.hearing), self._clock())
        for pcm in self._lead:
            utterance.put(AudioFrame(pcm, speech=True))
        self._current = self._latest = utterance
        task = group.create_task(self._recognize(utterance), name=f"recognize {id}")
        self._tasks[id] = task
        task.add_done_callback(lambda _: self._tasks.pop(id, None))

    def finish(self, id: str) -> None:
        """No more frames for the utterance; its final follows within the timeout, at its best in `final_wait_s`."""
        utterance, self._current = self._current, None
        if utterance is None or utterance.id != id:
            return
        utterance.hearing.final_wait_s = self.final_wait_s
        utterance.finish(self._clock())
        if utterance.deadline is not None:
            utterance.deadline.reschedule(asyncio.get_running_loop().time() + self._timeout_s + utterance.early_s)

    def drop(self) -> None:
        """Abandon all utterances; nothing of them is reported."""
        self.endpointer.drop()
        self._current = self._latest = None
        for task in list(self._tasks.values()):
            task.cancel()
        self._tasks.clear()

    def close(self) -> None:
        """Abandon everything and take no more audio. Idempotent."""
        self.closed = True
        self.drop()
        self._stream.close()

    def _on_window(self, pcm: bytes, probability: float) -> None:
        now = self._clock()
        self._lead.append(pcm)
        before = self._current
        for endpoint in self.endpointer.hear(probability, now):
            self._listener.on_endpoint(endpoint)
        speech = self.endpointer.is_speech
        if self.endpointer.certainly_speech:
            self.last_speech_at = now
        if self._current is not None:
            self._current.speech_s = self.endpointer.speech_s
            self._current.paused = not speech
            if self._current is before:  # an utterance opened just now has this window in its lead already
                self._current.hear(AudioFrame(pcm, speech), self.endpointer.window_s)

    async def _recognize(self, utterance: Utterance) -> None:
        """Read the recogniser; where it breaks, or none is free, another one hears the utterance from its start."""
        try:
            try:
                await self._read(utterance)
            except (EngineFailed, EngineBusy):
                await self._read(utterance)
        except EngineError as error:
            await utterance.turn_of_final()
            self._listener.on_recognizer_error(utterance, error)
        finally:
            utterance.done.set()

    async def _read(self, utterance: Utterance) -> None:
        try:
            async with (
                asyncio.timeout(self._timeout_s + utterance.early_s if utterance.ended else None) as utterance.deadline,
                aclosing(self._recognizer.transcribe(utterance.frames(), utterance.hearing)) as transcripts,
            ):
                async for transcript in transcripts:
                    if transcript.kind == "final":
                        await utterance.turn_of_final()
                        utterance.end()  # a recogniser may also decide that it has heard enough
                    self._listener.on_transcript(utterance, transcript)
                    if transcript.kind == "final":
                        utterance.done.set()
        except TimeoutError as error:
            raise EngineTimeout("asr", f"no transcript within {self._timeout_s:g} s") from error
        if not utterance.done.is_set():
            raise EngineFailed("asr", "the recogniser ended without a final transcript")
