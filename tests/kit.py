"""What the tests share: fake engines, a virtual-time event loop, a client of a session.

Fakes stand in where a test is about the session's own rules; every engine is also tested for real in tests/engines.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from vivavoce import events
from vivavoce.agent import Agent
from vivavoce.engines.base import (
    AudioFrame,
    ChatRequest,
    Delta,
    Engines,
    Hearing,
    Speech,
    Transcript,
    Voice,
)
from vivavoce.errors import EngineError
from vivavoce.memory.base import ConversationStore
from vivavoce.memory.volatile import MemoryStore
from vivavoce.session.agents import Agents
from vivavoce.session.conversation import Conversations
from vivavoce.session.outbox import Outbox, OutboxLimits
from vivavoce.session.session import Session
from vivavoce.settings import Settings

T = TypeVar("T")
RATE = 16_000
WINDOW = 512
WINDOW_S = WINDOW / RATE

# --- virtual time ---------------------------------------------------------------------------------------------------


class _Instant(selectors.SelectSelector):
    """Waits for nothing: when nothing is ready, time jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: VirtualLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and self.loop is not None:
            if timeout is None:
                raise RuntimeError("every task waits for something that never comes")
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual, and which runs ready task steps in an order drawn from a seed."""

    def __init__(self, seed: int | None = None) -> None:
        selector = _Instant()
        super().__init__(selector)
        selector.loop = self
        self.now = 1000.0
        self._draw = random.Random(seed) if seed is not None else None

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if self._draw is not None and len(self._ready) > 1:  # type: ignore[attr-defined]
            steps = list(self._ready)  # type: ignore[attr-defined]
            self._draw.shuffle(steps)
            self._ready.clear()  # type: ignore[attr-defined]
            self._ready.extend(steps)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run_virtually(main: Coroutine[Any, Any, T], *, seed: int | None = None) -> T:
    """Run *main* to its end in virtual time; nothing may be left over."""
    loop = VirtualLoop(seed)
    try:
        result = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        assert not left, f"left running: {left}"
        return result
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


# --- fake engines ---------------------------------------------------------------------------------------------------

SPEECH = b"\x01\x00" * WINDOW
SILENCE = b"\x00\x00" * WINDOW


class _Fake:
    def __init__(self) -> None:
        self.streams = 0
        """Streams that were started and not closed."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class FakeDetector(_Fake):
    """A window of non-zero samples is speech; judged at once."""

    name = "fake"
    sample_rate = RATE
    window = WINDOW

    def open(self, on_window: Callable[[bytes, float], None]) -> FakeVadStream:  # type: ignore[override]
        return FakeVadStream(on_window)


class FakeVadStream:
    def __init__(self, on_window: Callable[[bytes, float], None]) -> None:
        self._on_window = on_window
        self._rest = b""
        self.closed = False

    def feed(self, pcm: bytes) -> None:
        self._rest += pcm
        while len(self._rest) >= 2 * WINDOW and not self.closed:
            window, self._rest = self._rest[: 2 * WINDOW], self._rest[2 * WINDOW :]
            self._on_window(window, 0.9 if any(window) else 0.05)

    def flush(self) -> None: ...

    def reset(self) -> None:
        self._rest = b""

    def close(self) -> None:
        self.closed = True


class FakeRecognizer(_Fake):
    """Hears the words of `script`, one more for each *words_per_s* of speech; the next utterance the next text."""

    name = "fake"
    sample_rate = RATE
    languages: Sequence[str] = ("en",)

    def __init__(
        self, script: Sequence[str | EngineError], *, final_delay_s: float = 0.05, stable: bool = True
    ) -> None:
        super().__init__()
        self.script = list(script)
        self.final_delay_s = final_delay_s
        self.stable = stable
        self.fail_late = False
        """Whether an error comes after the utterance, rather than at its first frame."""
        self.heard = 0

    async def transcribe(self, frames: AsyncIterator[AudioFrame], hearing: Hearing) -> AsyncGenerator[Transcript, None]:
        text = self.script[min(self.heard, len(self.script) - 1)]
        self.heard += 1
        self.streams += 1
        try:
            words = text.split() if isinstance(text, str) else []
            spoken_s, silent_s, shown = 0.0, 0.0, 0
            async for frame in frames:
                if isinstance(text, EngineError) and not self.fail_late:
                    raise text
                spoken_s += WINDOW_S * frame.speech
                silent_s = 0.0 if frame.speech else silent_s + WINDOW_S
                due = min(len(words), int(spoken_s / 0.3))
                if due > shown:
                    shown = due
                    yield Transcript(text=" ".join(words[:shown]))
                if self.stable and words and WINDOW_S * 9.5 <= silent_s < WINDOW_S * 10.5:
                    yield Transcript(text=" ".join(words), kind="stable")
            await asyncio.sleep(self.final_delay_s)
            if isinstance(text, EngineError):
                raise text
            yield Transcript(text=" ".join(words), kind="final", busy_s=0.1)
        finally:
            self.streams -= 1


class FakeModel(_Fake):
    """Answers *answer* word by word; an EngineError in the list is raised there, a number is waited for."""

    name = "fake"
    model = "fake-1"

    def __init__(self, answer: Sequence[str | float | EngineError] | str, *, gap_s: float = 0.02) -> None:
        super().__init__()
        self.answer = [word + " " for word in answer.split()] if isinstance(answer, str) else list(answer)
        self.gap_s = gap_s
        self.requests: list[ChatRequest] = []
        self.finish: str | None = "stop"

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        self.streams += 1
        try:
            for piece in self.answer:
                if isinstance(piece, EngineError):
                    raise piece
                await asyncio.sleep(piece if isinstance(piece, float) else self.gap_s)
                if isinstance(piece, str):
                    yield Delta(piece)
            if self.finish:
                yield Delta("", finish=self.finish)
        finally:
            self.streams -= 1


class FakeVoice(_Fake):
    """Speaks 50 ms a character; phrases that hold a key of `faults` fail or hang."""

    name = "fake"
    sample_rate = 8000
    voices = (Voice(id="fake", language="en_US", name="Fake", engine="fake", sample_rate=8000),)

    def __init__(self, *, delay_s: float = 0.01, faults: dict[str, EngineError | float] | None = None) -> None:
        super().__init__()
        self.delay_s = delay_s
        self.faults = faults or {}
        self.spoken: list[str] = []

    async def synthesize(self, phrase: str, voice: str) -> AsyncGenerator[Speech, None]:
        self.streams += 1
        try:
            await asyncio.sleep(self.delay_s)
            for word, fault in self.faults.items():
                if word in phrase:
                    if isinstance(fault, EngineError):
                        raise fault
                    await asyncio.sleep(fault)
            self.spoken.append(phrase)
            yield Speech(b"\x10\x00" * (400 * len(phrase.strip())))
        finally:
            self.streams -= 1


# --- a session with a client ----------------------------------------------------------------------------------------


class Client:
    """A client of a session in the same process: speaks, and keeps what it is sent."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.messages: list[dict[str, Any]] = []
        self.audio: list[bytes] = []
        self._news = asyncio.Event()

    async def read(self) -> None:
        import msgspec

        while (frame := await self.session.outbox.next()) is not None:
            if isinstance(frame, str):
                self.messages.append(msgspec.json.decode(frame))
            else:
                self.audio.append(frame)
            self._news.set()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    async def wait(self, kind: str, count: int = 1, within_s: float = 120.0) -> dict[str, Any]:
        """The *count*-th message of a kind."""
        async with asyncio.timeout(within_s):
            while len(self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(kind)[count - 1]

    async def speak(self, seconds: float) -> None:
        """Speech in real time, a window at a time."""
        await self._send(SPEECH, seconds)

    async def hush(self, seconds: float) -> None:
        await self._send(SILENCE, seconds)

    async def _send(self, window: bytes, seconds: float) -> None:
        for _ in range(round(seconds / WINDOW_S)):
            self.session.hear(window)
            await asyncio.sleep(WINDOW_S)


@asynccontextmanager
async def a_session(
    *,
    asr: Any = None,
    llm: Any = None,
    tts: Any = None,
    settings: Settings | None = None,
    start: events.Start | None = None,
    store: ConversationStore | None = None,
    conversation_id: str = "c1",
    agent: Agent | None = None,
) -> AsyncIterator[Client]:
    """A running session on fakes, started and opened, with a client that reads."""
    settings = settings or Settings()
    engines = Engines(
        vad=FakeDetector(),
        asr=asr or FakeRecognizer(["hello there"]),
        llm=llm or FakeModel("Well, hello to you. It is a fine day."),
        tts=tts or FakeVoice(),
    )
    store = store or MemoryStore()
    await store.open()
    async with Conversations(store).enter(conversation_id, "tester") as conversation:
        assert conversation is not None
        agents = Agents()
        session = Session("s1", engines, settings, conversation, Outbox(OutboxLimits()), agent=agent, agents=agents)
        client = Client(session)
        reader = asyncio.create_task(client.read())
        try:
            async with session.running("test"):
                session.start(start or events.Start())
                session.open()
                yield client
            await session.outbox.drained()
        finally:
            await agents.close()
            session.outbox.close()
            await reader
            await store.close()
    for engine in (engines.asr, engines.llm, engines.tts):
        assert engine.streams == 0, f"{engine} has an open stream"  # type: ignore[attr-defined]


Scenario = Callable[[], Awaitable[None]]
