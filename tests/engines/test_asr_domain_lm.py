from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vivavoce.assistant.spoken_domain import Grammar, drawn
from vivavoce.engines.asr import domain_lm, pocketsphinx_model
from vivavoce.engines.asr.domain_lm import END, START, Trigrams

WORDS = sorted([START, END, "turn", "on", "off", "the", "light", "lamp", "dog", "barks"])
HOME = [("turn on the light", 5), ("turn off the light", 3), ("turn on the lamp", 2)]
ZOO = [("the dog barks", 6), ("the dog", 2), ("turn the dog off", 1)]


def model_of(sentences: list[tuple[str, int]]) -> Trigrams:
    return domain_lm.count_domain(sentences, WORDS, discount=0.6)


def histories(model: Trigrams) -> list[tuple[int, int]]:
    return [(int(key) // model.size, int(key) % model.size) for key in model.keys2]


@pytest.mark.parametrize(
    "model",
    [model_of(HOME), model_of(ZOO), domain_lm.mix(model_of(HOME), model_of(ZOO), 0.3)],
    ids=["home", "zoo", "mixed"],
)
def test_probabilities_sum_to_one(model: Trigrams) -> None:
    size = model.size
    assert model.p1.sum() == pytest.approx(1)
    everything = np.arange(size)
    for a, b in histories(model):
        assert model.bigram(a * size + everything).sum() == pytest.approx(1, abs=1e-5)
        assert model.trigram((a * size + b) * size + everything).sum() == pytest.approx(1, abs=1e-5)


def probability(model: Trigrams, a: str, b: str, c: str) -> float:
    i, j, k = (model.words.index(word) for word in (a, b, c))
    return float(model.trigram(np.array([(i * model.size + j) * model.size + k]))[0])


def test_a_history_that_only_one_side_knows_stays_that_sides() -> None:
    home, zoo = model_of(HOME), model_of(ZOO)
    mixed = domain_lm.mix(home, zoo, 0.5)
    assert probability(mixed, "dog", "barks", END) == pytest.approx(probability(zoo, "dog", "barks", END), rel=0.1)
    assert probability(mixed, "turn", "on", "the") == pytest.approx(probability(home, "turn", "on", "the"), rel=0.1)
    between = sorted([probability(home, START, "the", "dog"), probability(zoo, START, "the", "dog")])
    assert between[0] <= probability(mixed, START, "the", "dog") <= between[1] * 1.01


def test_sentences_with_unknown_words_are_left_out() -> None:
    assert (model_of([*HOME, ("turn on the zyx", 9)]).p1 == model_of(HOME).p1).all()


def test_the_binary_form_comes_back_the_same(tmp_path: Path) -> None:
    mixed = domain_lm.mix(model_of(HOME), model_of(ZOO), 0.3)
    domain_lm.write_trie(mixed, tmp_path / "lm.bin")
    again = domain_lm.read_trie(tmp_path / "lm.bin")
    assert again.words == mixed.words
    assert (again.keys2 == mixed.keys2).all()
    assert (again.keys3 == mixed.keys3).all()
    for name in ("p1", "bo1", "p2", "bo2", "p3"):
        np.testing.assert_allclose(getattr(again, name), getattr(mixed, name), rtol=1e-3, atol=1e-20)


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    from pocketsphinx import Config, LogMath, NGramModel

    mixed = domain_lm.mix(model_of(HOME), model_of(ZOO), 0.3)
    domain_lm.write_trie(mixed, tmp_path / "lm.bin")
    library = NGramModel(Config(loglevel="FATAL"), LogMath(), str(tmp_path / "lm.bin"))
    assert library.size() == 3
    for a, b, c in [("turn", "on", "the"), ("the", "dog", "barks"), ("on", "the", "lamp"), ("off", "the", "dog")]:
        written = library.prob([c, b, a])  # newest word first
        assert np.log(probability(mixed, a, b, c)) / domain_lm.LOG_BASE == pytest.approx(written, abs=30)


def test_only_binary_trigrams_are_read(tmp_path: Path) -> None:
    (tmp_path / "lm").write_bytes(b"\\data\\\nngram 1=3\n")
    with pytest.raises(ValueError, match="not a binary trigram model"):
        domain_lm.read_trie(tmp_path / "lm")


@pytest.mark.parametrize("width", [1, 7, 16, 33, 57])
def test_bits_are_packed_and_unpacked(width: int) -> None:
    random = np.random.default_rng(width)
    values = random.integers(0, 1 << width, 1000)
    stride = max(width, 33)
    packed = np.zeros(1000 * stride // 8 + 16, np.uint8)
    domain_lm.pack(packed, values, stride, 3)
    assert (domain_lm.unpack(packed, 1000, stride, 3, width) == values).all()


def test_templates_unfold() -> None:
    grammar = Grammar("room = hall | big kitchen\n\n== lights 2\n(turn|switch) on [the] {room} light[s]\n")
    weight, templates = grammar.groups["lights"]
    assert weight == 2
    said = {" ".join(templates.draw().split()) for _ in range(200)}
    assert len(said) == 2 * 2 * 2 * 2
    assert "switch on big kitchen lights" in said
    assert "turn on the hall light" in said


def test_the_spoken_domain_is_broad_plain_and_always_the_same() -> None:
    sentences = list(drawn(20_000))
    assert sentences == list(drawn(20_000))
    assert sum(times for _, times in sentences) == pytest.approx(20_000, rel=0.01)
    assert len(sentences) > 10_000
    assert all(sentence == sentence.lower() and sentence == " ".join(sentence.split()) for sentence, _ in sentences)
    assert not {char for sentence, _ in sentences for char in sentence} - set("abcdefghijklmnopqrstuvwxyz' ")


def test_nearly_every_word_can_be_pronounced() -> None:
    dictionary = (pocketsphinx_model.bundled() / "cmudict-en-us.dict").read_text(encoding="utf-8")
    known = {line.split(" ", 1)[0] for line in dictionary.splitlines()} | set(pocketsphinx_model.EXTRA_WORDS)
    missing = {word for sentence, _ in drawn() for word in sentence.split()} - known
    assert len(missing) < 20, sorted(missing)
