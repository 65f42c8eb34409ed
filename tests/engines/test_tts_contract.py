"""What every `Synthesizer` does. A new engine is one more entry in SYNTHESIZERS."""

import asyncio
import re
from array import array
from contextlib import aclosing

import pytest
import pytest_asyncio

from vivavoce.engines.base import pick_voice
from vivavoce.engines.tts.espeak import EspeakSynthesizer
from vivavoce.errors import EngineError
from vivavoce.session.speaker import Speaker

pytestmark = pytest.mark.asyncio(loop_scope="module")

SYNTHESIZERS = {"espeak": EspeakSynthesizer}
SENTENCE = "The quick brown fox jumps over the lazy dog."


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=SYNTHESIZERS)
async def synthesizer(request):
    synthesizer = SYNTHESIZERS[request.param]()
    await synthesizer.start()
    yield synthesizer
    await synthesizer.close()
    await synthesizer.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with pytest.raises(EngineError):
        await anext(synthesizer.synthesize(SENTENCE, synthesizer.voices[0].id))


def english(synthesizer):
    return pick_voice(synthesizer.voices, "en_US").id


async def spoken(synthesizer, phrase, voice=None):
    async with asyncio.timeout(10):
        speaker = Speaker(synthesizer, english(synthesizer) if voice is None else voice)
        said = speaker.read(phrase)
        return [] if said is None else [speech async for speech in speaker.synthesize(phrase, said)]


def pcm_of(pieces):
    return b"".join(piece.pcm for piece in pieces)


def seconds(synthesizer, pieces):
    return len(pcm_of(pieces)) / 2 / synthesizer.sample_rate


def loudness(pcm):
    samples = array("h", pcm)
    return (sum(sample * sample for sample in samples) / len(samples)) ** 0.5 if samples else 0.0


async def test_its_voices(synthesizer):
    voices = synthesizer.voices
    assert len({voice.id for voice in voices}) == len(voices) > 0
    for voice in voices:
        assert re.fullmatch(r"[a-z0-9]+([._-][A-Za-z0-9]+)*", voice.id), voice
        assert re.fullmatch(r"[a-z]{2,4}(_([A-Z]{2}|\d{3}))?", voice.language), voice
        assert voice.name == voice.name.strip() != ""
        assert (voice.engine, voice.sample_rate) == (synthesizer.name, synthesizer.sample_rate)


async def test_a_phrase_becomes_audio_of_a_plausible_length(synthesizer):
    pieces = await spoken(synthesizer, SENTENCE)
    assert 1.5 < seconds(synthesizer, pieces) < 6
    assert loudness(pcm_of(pieces)) > 500
    assert all(piece.pcm and len(piece.pcm) % 2 == 0 for piece in pieces)
    assert all(len(piece.pcm) <= synthesizer.sample_rate for piece in pieces)


async def test_the_words_come_first_and_are_the_phrase_s(synthesizer):
    for phrase in (SENTENCE, "  **Hello**, 😀 Dr. Smith: it's 3.14 -- ok?\n", "One"):
        first, *rest = await spoken(synthesizer, phrase)
        assert all(piece.words == () for piece in rest)
        if first.words:
            assert [word.text for word in first.words] == phrase.split()
            times = [at for word in first.words for at in (word.start_ms, word.end_ms)]
            assert times == sorted(times)
            assert 0 <= times[0] < times[-1] <= 1000 * seconds(synthesizer, [first, *rest]) + 1


@pytest.mark.parametrize("phrase", ["", "  ", "…", "?!", "🙂", "***", "---", "\x00\x01", "\ud83d"])
async def test_a_phrase_with_nothing_to_say_yields_nothing(synthesizer, phrase):
    assert await spoken(synthesizer, phrase) == []


async def test_text_is_data(synthesizer):
    plain = seconds(synthesizer, await spoken(synthesizer, "hello world"))
    for phrase in (
        "<speak>hello <break/>world</speak>",
        "[[hello]] world",
        "hello\x00\x1b world",
        "hello 🙂 world \ud83d",
        "`hello` __world__",
    ):
        assert seconds(synthesizer, await spoken(synthesizer, phrase)) == pytest.approx(plain, rel=0.2), phrase


async def test_a_long_phrase_is_spoken_whole(synthesizer):
    one = seconds(synthesizer, await spoken(synthesizer, SENTENCE))
    many = seconds(synthesizer, await spoken(synthesizer, f"{SENTENCE} " * 40))
    assert many > 0.85 * 40 * one


async def test_any_script_in_any_voice(synthesizer):
    for voice in (english(synthesizer), synthesizer.voices[-1].id):
        for phrase in ("Привет", "你好", "नमस्ते", "مرحبا", "Ünïcödé ﬁ Å", "\u202eabc", "x" * 500, "1e309 ∞ −5 €"):
            await spoken(synthesizer, phrase, voice)
    assert await spoken(synthesizer, SENTENCE)


async def test_an_unknown_voice_is_an_error(synthesizer):
    for voice in ("nobody", "", "../../etc/passwd", "en-us\x00", "en-us+f3"):
        with pytest.raises(EngineError):
            await spoken(synthesizer, SENTENCE, voice)


async def test_closing_it_early_leaves_the_engine_usable(synthesizer):
    voice = english(synthesizer)
    for _ in range(5):
        async with aclosing(synthesizer.synthesize(f"{SENTENCE} " * 10, voice)) as pieces:
            async for _ in pieces:
                break
        never_begun = synthesizer.synthesize(SENTENCE, voice)
        await never_begun.aclose()
    assert await spoken(synthesizer, SENTENCE)


async def test_a_cancelled_phrase_leaves_the_engine_usable(synthesizer):
    for wait_s in (0, 0.001, 0.01):
        task = asyncio.create_task(spoken(synthesizer, f"{SENTENCE} " * 100))
        await asyncio.wait({task}, timeout=wait_s)
        task.cancel()
        await asyncio.wait({task})
    expected = seconds(synthesizer, await spoken(synthesizer, SENTENCE))
    for _ in range(4):
        assert seconds(synthesizer, await spoken(synthesizer, SENTENCE)) == pytest.approx(expected, rel=0.1)


async def test_many_at_once_each_get_their_own(synthesizer):
    counts = [1, 5, 2, 8, 3, 1, 9, 4, 6, 2, 7, 1]
    alone = {count: seconds(synthesizer, await spoken(synthesizer, "seven " * count)) for count in set(counts)}
    together = await asyncio.gather(*[spoken(synthesizer, "seven " * count) for count in counts])
    for count, pieces in zip(counts, together, strict=True):
        assert seconds(synthesizer, pieces) == pytest.approx(alone[count], rel=0.1)


async def test_one_voice_is_always_as_loud(synthesizer):
    phrases = [SENTENCE, "Yes, of course.", "I can set a timer for ten minutes.", "What is your name?"]
    levels = [loudness(pcm_of(await spoken(synthesizer, phrase))) for phrase in phrases]
    assert max(levels) < 1.6 * min(levels)  # 4 dB


async def test_it_begins_and_ends_without_a_click(synthesizer):
    for phrase in (SENTENCE, "Stop", "Six cats.", "Ask"):
        samples = array("h", pcm_of(await spoken(synthesizer, phrase)))
        assert max(map(abs, samples[:10])) < 1500
        assert max(map(abs, samples[-synthesizer.sample_rate // 50 :])) < 50
