"""What every recogniser keeps, whatever is behind it.

An engine joins by subclassing in its own test file:

    class TestMyRecognizer(RecognizerContract):
        @asynccontextmanager
        async def serving(self): yield MyRecognizer(...)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import speech
from vivavoce.engines.base import AudioFrame, Hearing, Recognizer, Transcript

WINDOW = 1024  # bytes: 32 ms at 16 kHz, as the voice activity detector cuts them


def frames_of(pcm: bytes, *, speech: bool = True, size: int = WINDOW) -> list[AudioFrame]:
    return [AudioFrame(pcm[i : i + size], speech) for i in range(0, len(pcm), size)]


def silence(seconds: float) -> list[AudioFrame]:
    return frames_of(bytes(2 * round(16000 * seconds)), speech=False)


async def stream(frames: Iterable[AudioFrame]) -> AsyncIterator[AudioFrame]:
    for frame in frames:
        yield frame


async def hear(
    recognizer: Recognizer, frames: Iterable[AudioFrame], hearing: Hearing | None = None
) -> list[Transcript]:
    """All transcripts of one utterance, in a session of its own."""
    return await transcribed(recognizer, stream(frames), hearing or Hearing(partial_interval_s=0.0, final_wait_s=20.0))


async def transcribed(recognizer: Recognizer, frames: AsyncIterator[AudioFrame], hearing: Hearing) -> list[Transcript]:
    async with aclosing(recognizer.transcribe(frames, hearing)) as transcripts:
        return [transcript async for transcript in transcripts]


class RecognizerContract:
    """The tests; engines that really hear get real speech."""

    def serving(self) -> AbstractAsyncContextManager[Recognizer]:
        """A recogniser that is not started yet."""
        raise NotImplementedError

    @asynccontextmanager
    async def started(self) -> AsyncGenerator[Recognizer, None]:
        """A started recogniser; afterwards it is closed, twice, and has left no task behind."""
        before = asyncio.all_tasks()
        async with self.serving() as recognizer:
            await recognizer.start()
            yield recognizer
            await recognizer.close()
            await recognizer.close()
        assert asyncio.all_tasks() <= before

    async def test_it_says_what_it_takes(self) -> None:
        async with self.serving() as recognizer:
            assert recognizer.name
            assert recognizer.sample_rate in range(8000, 48001)
            assert all(len(language) == 2 or language == "*" for language in recognizer.languages)
            assert recognizer.languages

    async def test_one_final_ends_the_utterance(self) -> None:
        clip = speech.clip("ps_goforward")
        async with self.started() as recognizer:
            heard = await hear(recognizer, frames_of(clip.pcm))
        kinds = [transcript.kind for transcript in heard]
        assert kinds.count("final") == 1
        assert kinds[-1] == "final"
        assert heard[-1].text
        assert heard[-1].busy_s > 0
        assert heard[-1].confidence is None or 0 <= heard[-1].confidence <= 1
        assert all(transcript.text == transcript.text.strip() for transcript in heard)
        assert all(transcript.revision == 0 for transcript in heard)

    async def test_frames_may_have_any_size(self) -> None:
        clip = speech.clip("ps_goforward")
        async with self.started() as recognizer:
            texts = {(await hear(recognizer, frames_of(clip.pcm, size=size)))[-1].text for size in (320, 5120, 32000)}
        assert len(texts) == 1

    async def test_nothing_said_is_an_empty_final(self) -> None:
        async with self.started() as recognizer:
            for frames in ([], silence(0.01), frames_of(bytes(32000)), silence(1.5)):
                heard = await hear(recognizer, frames)
                assert [(transcript.kind, transcript.text) for transcript in heard] == [("final", "")]

    async def test_two_utterances_at_once_do_not_mix(self) -> None:
        one, other = speech.clip("ps_goforward"), speech.clip("librivox_ss_0880")
        async with self.started() as recognizer:
            alone = [(await hear(recognizer, frames_of(clip.pcm)))[-1].text for clip in (one, other)]
            both = await asyncio.gather(*(hear(recognizer, frames_of(clip.pcm)) for clip in (one, other)))
        assert [heard[-1].text for heard in both] == alone

    async def test_an_abandoned_utterance_leaves_nothing(self) -> None:
        clip = speech.clip("ps_goforward")
        async with self.started() as recognizer:
            expected = (await hear(recognizer, frames_of(clip.pcm)))[-1].text
            for _ in range(3):
                reading = asyncio.create_task(hear(recognizer, self.endless(frames_of(clip.pcm))))
                done, _ = await asyncio.wait({reading}, timeout=0.05)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                assert not done
            assert (await hear(recognizer, frames_of(clip.pcm)))[-1].text == expected

    async def test_a_reader_may_stop_after_any_transcript(self) -> None:
        clip = speech.clip("ps_goforward")
        async with self.started() as recognizer:
            hearing = Hearing(partial_interval_s=0.0, final_wait_s=20.0)
            async with aclosing(recognizer.transcribe(stream(frames_of(clip.pcm)), hearing)) as transcripts:
                async for _ in transcripts:
                    break
            assert (await hear(recognizer, frames_of(clip.pcm)))[-1].text

    def endless(self, frames: list[AudioFrame]) -> Iterable[AudioFrame]:
        while True:
            yield from frames
