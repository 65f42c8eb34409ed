"""eSpeak NG: its voices' names, its words' times, its pauses, and what happens when its process dies."""

import asyncio
import contextlib
import os
import signal
from array import array
from contextlib import asynccontextmanager

import pytest

from vivavoce.engines.base import Word, pick_voice
from vivavoce.engines.tts.espeak import EspeakSynthesizer, pause_s, word_times
from vivavoce.engines.tts.espeak_voices import language_of, usable_voices
from vivavoce.errors import EngineFailed, EngineUnavailable

SENTENCE = "How are you today?"


@pytest.fixture
async def synthesizer():
    synthesizer = EspeakSynthesizer()
    await synthesizer.start()
    yield synthesizer
    await synthesizer.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def pcm_of(synthesizer, phrase, voice="en-us"):
    async with asyncio.timeout(10):
        return b"".join([speech.pcm async for speech in synthesizer.synthesize(phrase, voice)])


async def test_every_voice_speaks(synthesizer):
    assert len(synthesizer.voices) > 130
    for voice in synthesizer.voices:
        pcm = await pcm_of(synthesizer, "abc 123", voice.id)
        samples = array("h", pcm)
        assert len(samples) > 0.3 * synthesizer.sample_rate, voice
        assert max(map(abs, samples)) > 3000, voice


async def test_the_voices_of_a_language(synthesizer):
    voices = synthesizer.voices
    for language, expected in {
        "en": "en-us",
        "en_US": "en-us",
        "en_GB": "en-gb",
        "en_AU": "en-us",
        "fr": "fr-fr",
        "fr_CH": "fr-ch",
        "de": "de",
        "zh": "cmn",
        "zh_HK": "yue",
        "pt_BR": "pt-br",
        "ca": "ca",
        "ru_RU": "ru",
    }.items():
        assert pick_voice(voices, language).id == expected
    assert pick_voice(voices, "tlh") is None
    assert pick_voice(voices, "en_US", "de").id == "de"
    assert pick_voice(voices, "en_US", "nobody").id == "en-us"


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en-us", "en_US"),
        ("fr-fr", "fr_FR"),
        ("cmn", "zh_CN"),
        ("cmn-latn-pinyin", "zh_CN"),
        ("yue", "zh_HK"),
        ("de", "de_DE"),
        ("es-419", "es_419"),
        ("en-029", "en_029"),
        ("en-gb-x-rp", "en_GB"),
        ("en-us-nyc", "en_US"),
        ("en-shaw", "en_GB"),
        ("vi-vn-x-south", "vi_VN"),
        ("fa-latn", "fa_IR"),
        ("ca-ba", "ca_ES"),
        ("ru-cl", "ru_RU"),
        ("ru-lv", "ru_LV"),
        ("chr-US-Qaaa-x-west", "chr_US"),
        ("eo", "eo"),
    ],
)
def test_tags_become_languages(tag, language):
    assert language_of(tag) == language


def test_voices_with_one_tag_get_different_names_and_those_without_a_dictionary_none():
    listed = [
        ("Cantonese", "yue", "sit/yue"),
        ("Cantonese (Jyutping)", "yue", "sit/yue-Latn-jyutping"),
        ("Faroese", "fo", "gmq/fo"),
        ("English (Great Britain)", "en-gb", "gmw/en"),
        ("English (America) ", "en-us", "gmw/en-US"),
    ]
    voices = usable_voices(listed, 22050)
    assert list(voices) == ["en-us", "en-gb", "yue", "yue-latn-jyutping"]
    assert voices["en-us"][0].name == "English (America)"
    assert voices["en-gb"][1] == "gmw/en"


@pytest.mark.parametrize(
    ("phrase", "marks", "expected"),
    [
        ("Hello there", [(0, 0), (6, 400)], [("Hello", 0, 400), ("there", 400, 1000)]),
        # several words seen in one, as in a number, and one word seen in none
        ("it is 3.14 , ok", [(0, 0), (3, 100), (6, 200), (8, 300), (13, 800)],
         [("it", 0, 100), ("is", 100, 200), ("3.14", 200, 800), (",", 800, 800), ("ok", 800, 1000)]),
        ("  so it   is", [(2, 0), (5, 300), (10, 700)], [("so", 0, 300), ("it", 300, 700), ("is", 700, 1000)]),
        # nonsense from below does no harm
        ("a b", [(0, 500), (2, 100)], [("a", 100, 100), ("b", 100, 1000)]),
        ("a b", [(-5, 0), (99, 5000)], [("a", 0, 1000), ("b", 1000, 1000)]),
        ("a b", [], [("a", 1000, 1000), ("b", 1000, 1000)]),
    ],
)  # fmt: skip
def test_word_times(phrase, marks, expected):
    assert word_times(phrase, marks, 1000) == tuple(Word(*word) for word in expected)


async def test_the_times_of_words_are_where_they_sound(synthesizer):
    """A comma makes a silence, which belongs to the word before it."""
    [first, *rest] = [speech async for speech in synthesizer.synthesize("Stop, then go", "en-us")]
    samples = array("h", first.pcm + b"".join(speech.pcm for speech in rest))
    start_ms = first.words[1].start_ms
    rate = synthesizer.sample_rate
    before = samples[int((start_ms / 1000 - 0.05) * rate) : int((start_ms / 1000 - 0.01) * rate)]
    after = samples[int(start_ms / 1000 * rate) : int((start_ms / 1000 + 0.1) * rate)]
    assert max(map(abs, before)) < 500
    assert max(map(abs, after)) > 2000


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("Yes.", 0.2),
        ("Really?!", 0.2),
        ('He said "yes."', 0.2),
        ("是。", 0.2),
        ("well,", 0.1),
        ("so (then):", 0.1),
        ("and then", 0.03),
        ("", 0.03),
    ],
)
def test_a_phrase_ends_in_the_pause_of_its_punctuation(text, pause):
    assert pause_s(text) == pause


async def test_the_pause_is_silence_behind_the_speech(synthesizer):
    for phrase, pause in (("Yes.", 0.2), ("Yes,", 0.1), ("Yes", 0.03)):
        samples = array("h", await pcm_of(synthesizer, phrase))
        sounding = max(at for at, sample in enumerate(samples) if abs(sample) > 200)
        assert pause < (len(samples) - sounding) / synthesizer.sample_rate < pause + 0.04


def killing(pool, kills):
    """Like `pool.lend`, but the first *kills* workers die as soon as they have their phrase."""
    lend = pool.lend

    @asynccontextmanager
    async def lend_and_kill(wait_s):
        nonlocal kills
        async with lend(wait_s) as worker:
            if kills:
                kills -= 1
                os.kill(worker.pid, signal.SIGKILL)
            yield worker

    return lend_and_kill


async def test_a_phrase_comes_in_pieces_of_a_fifth_of_a_second(synthesizer):
    pieces = [speech.pcm async for speech in synthesizer.synthesize(SENTENCE, "en-us")]
    assert {len(pcm) for pcm in pieces[:-1]} == {2 * synthesizer.sample_rate // 5}
    assert 0 < len(pieces[-1]) <= len(pieces[0])


@pytest.mark.parametrize("kills", [1, 2])
async def test_a_phrase_whose_worker_died_is_spoken_by_another(synthesizer, monkeypatch, kills):
    monkeypatch.setattr(synthesizer._pool, "lend", killing(synthesizer._pool, kills))
    assert len(await pcm_of(synthesizer, SENTENCE)) > 20_000


async def test_a_phrase_that_kills_its_workers_fails_and_the_next_one_works(synthesizer, monkeypatch):
    monkeypatch.setattr(synthesizer._pool, "lend", killing(synthesizer._pool, 3))
    with pytest.raises(EngineFailed) as caught:
        await pcm_of(synthesizer, SENTENCE)
    assert caught.value.code == "TTS_FAILED"
    assert len(await pcm_of(synthesizer, SENTENCE)) > 20_000


async def test_a_worker_that_hangs_is_replaced_after_the_caller_s_deadline(synthesizer):
    frozen = [worker.pid for worker in synthesizer._pool._live]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pcm_of(synthesizer, SENTENCE)
        assert len(await pcm_of_with_patience(synthesizer)) > 20_000
    finally:
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def pcm_of_with_patience(synthesizer):
    """With every worker frozen, each costs its borrower a deadline before it is replaced."""
    for _ in range(20):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                return await pcm_of(synthesizer, SENTENCE)
    raise AssertionError("it never spoke again")


async def test_a_phrase_of_an_hour_is_refused_and_the_engine_lives(synthesizer, monkeypatch):
    with pytest.raises(EngineFailed, match="too long"):
        await pcm_of(synthesizer, "seven " * 5000)
    assert len(await pcm_of(synthesizer, SENTENCE)) > 20_000
    assert synthesizer._pool.restarts == 0


async def test_without_the_library_it_is_unavailable(monkeypatch, tmp_path):
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError('no such library')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    synthesizer = EspeakSynthesizer()
    with pytest.raises(EngineUnavailable, match="no such library") as caught:
        await synthesizer.start()
    assert "espeakng-loader" in caught.value.hint
    assert list(synthesizer.voices) == []
    await synthesizer.close()


async def test_a_library_that_finds_no_data_does_not_start(monkeypatch, tmp_path):
    import espeakng_loader

    (tmp_path / "espeakng_loader.py").write_text(
        f"def get_library_path(): return {espeakng_loader.get_library_path()!r}\n"
        f"def get_data_path(): return {str(tmp_path)!r}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineUnavailable):
        await EspeakSynthesizer().start()
