"""What stands in the place of an engine that could not be loaded: every use of it says why."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from vivavoce.engines.base import AudioFrame, ChatRequest, Delta, Hearing, Speech, Transcript, Voice
from vivavoce.errors import EngineError


class _Missing:
    def __init__(self, name: str, failure: EngineError) -> None:
        self.name = name
        self.failure = failure

    async def start(self) -> None:
        raise self.failure

    async def close(self) -> None:
        """Nothing to free."""


class MissingDetector(_Missing):
    """No voice activity is ever detected: typed turns still work."""

    sample_rate = 16_000
    window = 512

    def open(self, on_window: Callable[[bytes, float], None]) -> _DeafStream:  # noqa: ARG002
        return _DeafStream()


class _DeafStream:
    def feed(self, pcm: bytes) -> None: ...

    def flush(self) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


class MissingRecognizer(_Missing):
    sample_rate = 16_000
    languages: Sequence[str] = ("*",)

    async def transcribe(
        self,
        frames: AsyncIterator[AudioFrame],  # noqa: ARG002
        hearing: Hearing,  # noqa: ARG002
    ) -> AsyncGenerator[Transcript, None]:
        raise self.failure
        yield


class MissingModel(_Missing):
    model = ""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:  # noqa: ARG002
        raise self.failure
        yield


class MissingSynthesizer(_Missing):
    sample_rate = 22_050
    voices: Sequence[Voice] = ()

    async def synthesize(self, phrase: str, voice: str) -> AsyncGenerator[Speech, None]:  # noqa: ARG002
        raise self.failure
        yield
