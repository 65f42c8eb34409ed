"""What every `VoiceActivityDetector` does. A new engine is one more entry in DETECTORS."""

import asyncio
import contextlib

import pytest

import speech
from vivavoce.engines.vad.silero import SileroDetector
from vivavoce.errors import EngineUnavailable

DETECTORS = {
    "silero": SileroDetector,
    "silero without a tick": lambda: SileroDetector(tick_s=0),
}


@pytest.fixture(params=DETECTORS)
async def detector(request):
    detector = DETECTORS[request.param]()
    await detector.start()
    yield detector
    await detector.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Heard:
    """Collects what a stream says, and lets a test wait for it."""

    def __init__(self, detector):
        self.windows = []
        self.news = asyncio.Event()
        self.stream = detector.open(self)

    def __call__(self, pcm, probability):
        self.windows.append((pcm, probability))
        self.news.set()

    async def until(self, count):
        async with asyncio.timeout(10):
            while len(self.windows) < count:
                self.news.clear()
                await self.news.wait()

    @property
    def pcm(self):
        return b"".join(pcm for pcm, _ in self.windows)

    @property
    def probabilities(self):
        return [probability for _, probability in self.windows]


def some_speech(detector, windows=40):
    clip = speech.clip("librivox_ss_0880")
    assert clip.rate == detector.sample_rate
    return clip.pcm[: windows * detector.window * 2]


def of_one_feed(detector, pcm):
    heard = Heard(detector)
    heard.stream.feed(pcm)
    heard.stream.flush()
    heard.stream.close()
    return heard


async def test_each_window_is_judged_once_and_in_order(detector):
    pcm = some_speech(detector)
    heard = Heard(detector)
    heard.stream.feed(pcm)
    await heard.until(40)
    assert heard.pcm == pcm
    assert {len(window) for window, _ in heard.windows} == {detector.window * 2}
    assert all(0 <= probability <= 1 for probability in heard.probabilities)


async def test_nothing_is_judged_before_the_window_is_whole(detector):
    heard = Heard(detector)
    heard.stream.feed(b"")
    heard.stream.feed(bytes(detector.window * 2 - 2))
    heard.stream.flush()
    assert heard.windows == []
    heard.stream.feed(bytes(2))
    await heard.until(1)


@pytest.mark.parametrize("size", [2, 33, 640, 1024, 1026, 10240])
async def test_where_the_audio_is_cut_does_not_matter(detector, size):
    pcm = some_speech(detector, 20)
    whole = of_one_feed(detector, pcm)
    heard = Heard(detector)
    for at in range(0, len(pcm), size):
        heard.stream.feed(pcm[at : at + size])
    await heard.until(20)
    assert heard.pcm == pcm
    assert heard.probabilities == pytest.approx(whole.probabilities, abs=1e-5)


async def test_flush_judges_before_it_returns_and_the_tick_then_finds_nothing(detector):
    heard = Heard(detector)
    heard.stream.feed(some_speech(detector, 3) + bytes(10))
    heard.stream.flush()
    assert len(heard.windows) == 3
    heard.stream.feed(bytes(detector.window * 2 - 10))
    await heard.until(4)
    assert len(heard.windows) == 4


async def test_speech_is_told_from_silence(detector):
    silence = of_one_feed(detector, bytes(detector.window * 2 * 30))
    talk = of_one_feed(detector, some_speech(detector, 90))
    assert max(silence.probabilities) < 0.1
    assert sum(probability > 0.5 for probability in talk.probabilities) > 40


async def test_reset_forgets_everything(detector):
    pcm = some_speech(detector, 30)
    fresh = of_one_feed(detector, pcm)
    heard = Heard(detector)
    heard.stream.feed(pcm + pcm[:100])
    heard.stream.flush()
    heard.stream.reset()
    heard.stream.feed(pcm)
    heard.stream.flush()
    assert heard.probabilities[30:] == pytest.approx(fresh.probabilities, abs=1e-6)
    heard.stream.feed(pcm)
    heard.stream.reset()
    heard.stream.flush()
    assert len(heard.windows) == 60


async def test_streams_do_not_hear_each_other(detector):
    pcm = some_speech(detector, 90)
    parts = [pcm[n * 7000 : n * 7000 + 20480] for n in range(10)]
    alone = [of_one_feed(detector, part).probabilities for part in parts]
    together = [Heard(detector) for _ in parts]
    for at in range(0, 20480, 640):
        for heard, part in zip(together, parts, strict=True):
            heard.stream.feed(part[at : at + 640])
        await asyncio.sleep(0)
    for heard, part, probabilities in zip(together, parts, alone, strict=True):
        await heard.until(20)
        assert heard.pcm == part
        assert heard.probabilities == pytest.approx(probabilities, abs=1e-5)


async def test_a_closed_stream_is_silent_and_its_place_clean(detector):
    pcm = some_speech(detector, 20)
    first = of_one_feed(detector, pcm)
    heard = Heard(detector)
    heard.stream.feed(pcm)
    heard.stream.close()
    heard.stream.close()
    heard.stream.feed(pcm)
    heard.stream.flush()
    heard.stream.reset()
    again = Heard(detector)
    again.stream.feed(pcm)
    await again.until(20)
    assert heard.windows == []
    assert again.probabilities == pytest.approx(first.probabilities, abs=1e-6)


async def test_a_callback_may_close_reset_feed_and_open(detector):
    window = some_speech(detector, 1)
    calls, opened, done = [], [], asyncio.Event()

    def after(pcm, probability):
        calls.append("opened")
        done.set()

    bystander = Heard(detector)

    def closes(pcm, probability):
        calls.append("closes")
        streams[0].close()
        opened.append(detector.open(after))
        opened[0].feed(window)

    def resets(pcm, probability):
        calls.append("resets")
        streams[1].reset()

    def feeds(pcm, probability):
        calls.append("feeds")
        if calls.count("feeds") < 3:
            streams[2].feed(window)
            streams[2].flush()

    streams = [detector.open(callback) for callback in (closes, resets, feeds)]
    for stream in streams:
        stream.feed(window * 2)
    bystander.stream.feed(window * 2)
    await bystander.until(2)
    await done.wait()
    assert sorted(calls) == ["closes", "feeds", "feeds", "feeds", "feeds", "opened", "resets"]


async def test_a_failing_callback_harms_no_other_stream(detector, caplog):
    def fails(pcm, probability):
        raise ZeroDivisionError("a fault of this session")

    failing = detector.open(fails)
    others = [Heard(detector) for _ in range(3)]
    failing.feed(bytes(detector.window * 4))
    for heard in others:
        heard.stream.feed(bytes(detector.window * 4))
    for heard in others:
        await heard.until(2)
    assert "a fault of this session" in caplog.text


async def test_many_come_and_go(detector):
    pcm = some_speech(detector, 2)
    expected = of_one_feed(detector, pcm).probabilities
    for round_ in range(4):
        crowd = [Heard(detector) for _ in range(70 + round_)]
        for heard in crowd:
            heard.stream.feed(pcm)
        for heard in crowd:
            await heard.until(2)
            assert heard.probabilities == pytest.approx(expected, abs=1e-5)
            heard.stream.close()


async def test_closing_the_detector_silences_its_streams(detector):
    heard = Heard(detector)
    heard.stream.feed(some_speech(detector, 5))
    await detector.close()
    await detector.close()
    heard.stream.flush()
    heard.stream.close()
    with pytest.raises(EngineUnavailable):
        detector.open(heard)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await heard.until(1)
    assert heard.windows == []
