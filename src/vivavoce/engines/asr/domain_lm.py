"""Builds the embedded recogniser's language model: the bundled general one, biased towards what assistants are asked.

Both are back-off trigrams. The domain model is counted over the assistant's own sentences; the general one is read from
the library's binary trie. They are mixed per history h: P(w|h) = a(h) D(w|h) + (1 - a(h)) G(w|h), with a(h) the
posterior a D(h) / (a D(h) + (1 - a) G(h)), so that histories only general text has stay general. All of it is numpy
over sorted keys; the result is written in the same trie format, which loads at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAGIC = b"Trie Language Model"
LOG_BASE = float(np.log(1.0001))  # the trie stores logarithms to the library's base
QUANT = 16  # bits of a quantised probability or back-off weight
START, END = "<s>", "</s>"
NEVER = 1e-30


@dataclass
class Trigrams:
    """A back-off trigram model. Keys are `(w1 * size + w2) * size + w3`, sorted; probabilities are linear."""

    words: list[str]
    p1: Floats
    bo1: Floats
    keys2: Ints
    p2: Floats
    bo2: Floats
    keys3: Ints
    p3: Floats

    @property
    def size(self) -> int:
        return len(self.words)

    def bigram(self, keys: Ints) -> Floats:
        """P(w2 | w1) for keys of bigrams, whether listed or backed off."""
        index, found = locate(self.keys2, keys)
        backed_off = self.bo1[keys // self.size] * self.p1[keys % self.size]
        return np.where(found, self.p2[index], backed_off)

    def trigram(self, keys: Ints) -> Floats:
        """P(w3 | w1 w2) for keys of trigrams, whether listed or backed off."""
        index, found = locate(self.keys3, keys)
        history, listed = locate(self.keys2, keys // self.size)
        weight = np.where(listed, self.bo2[history], 1.0)
        backed_off = weight * self.bigram(keys % (self.size * self.size))
        return np.where(found, self.p3[index], backed_off)


def locate(keys: Ints, wanted: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Where each wanted key lies in the sorted *keys*, and whether it is there."""
    index = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return index, keys[index] == wanted


def union(a: Ints, b: Ints) -> Ints:
    """The distinct keys of both, sorted. `np.union1d` hashes them, which takes forty times as long."""
    keys: Ints = np.sort(np.concatenate([a, b]))
    distinct: Ints = keys[np.diff(keys, prepend=-1) != 0]
    return distinct


# --- the library's binary trie --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """Bit widths of the packed records. A trigram w1 w2 w3 hangs below w3, then w2: the nodes are read backwards."""

    one: int
    two: int
    three: int
    """How many n-grams of each order."""

    @property
    def word(self) -> int:
        return self.one.bit_length()

    @property
    def link(self) -> int:
        return self.three.bit_length()

    @property
    def middle(self) -> int:
        return self.word + 2 * QUANT + self.link

    @property
    def leaf(self) -> int:
        return self.word + QUANT

    def bytes_of(self, count: int, width: int) -> int:
        return ((1 + count) * width + 7) // 8 + 8


UNIGRAM = np.dtype([("prob", "<f4"), ("bo", "<f4"), ("next", "<u4")])


def read_trie(path: Path) -> Trigrams:
    """Read a trigram model in the library's binary format. Raises ValueError for any other file."""
    data = path.read_bytes()
    if not data.startswith(MAGIC) or data[len(MAGIC)] != 3:
        raise ValueError(f"{path.name} is not a binary trigram model")
    reader = Reader(data, len(MAGIC) + 1)
    layout = Layout(*reader.take("<u4", 3).tolist())
    one = layout.one
    reader.take("<u4", 1)  # the kind of quantisation: there is only one
    prob2, back2, prob3 = (linear(reader.take("<f4", 1 << QUANT)) for _ in range(3))
    unigrams = reader.take(UNIGRAM, one + 1)
    middle = reader.take("u1", layout.bytes_of(layout.two, layout.middle))
    leaves = reader.take("u1", layout.bytes_of(layout.three, layout.leaf))
    length = int(reader.take("<u4", 1)[0])
    words = reader.take("u1", length).tobytes().decode().split("\0")[:one]

    # The header may promise more n-grams than there are: the links say how many.
    last2 = parents(unigrams["next"].astype(np.int64))
    two = len(last2)
    first2 = unpack(middle, two, layout.middle, 0, layout.word)
    below2 = parents(unpack(middle, two + 1, layout.middle, layout.word + 2 * QUANT, layout.link))
    three = len(below2)
    first3 = unpack(leaves, three, layout.leaf, 0, layout.word)
    keys2 = first2 * one + last2
    keys3 = first3 * (one * one) + keys2[below2]
    order2, order3 = np.argsort(keys2), np.argsort(keys3)
    return Trigrams(
        words=words,
        p1=linear(unigrams["prob"][:one]),
        bo1=linear(unigrams["bo"][:one]),
        keys2=keys2[order2],
        p2=prob2[unpack(middle, two, layout.middle, layout.word + QUANT, QUANT)][order2],
        bo2=back2[unpack(middle, two, layout.middle, layout.word, QUANT)][order2],
        keys3=keys3[order3],
        p3=prob3[unpack(leaves, three, layout.leaf, layout.word, QUANT)][order3],
    )


def write_trie(model: Trigrams, path: Path) -> None:
    """Write *model* in the library's binary format."""
    size = model.size
    layout = Layout(size, len(model.keys2), len(model.keys3))
    first2, last2 = model.keys2 // size, model.keys2 % size
    order2 = np.argsort(last2 * size + first2)
    first3, rest3 = model.keys3 // (size * size), model.keys3 % (size * size)
    # The rank of each trigram's last two words among the bigrams as they are written.
    rank = np.empty(len(order2), np.int64)
    rank[order2] = np.arange(len(order2))
    parent3 = rank[locate(model.keys2, rest3)[0]]
    order3 = np.argsort(parent3 * size + first3)

    unigrams = np.zeros(size + 1, UNIGRAM)
    unigrams["prob"][:size], unigrams["bo"][:size] = logarithm(model.p1), logarithm(model.bo1)
    unigrams["next"] = np.searchsorted(last2[order2], np.arange(size + 1))
    (table_p2, code_p2), (table_b2, code_b2), (table_p3, code_p3) = (
        quantise(logarithm(values)) for values in (model.p2, model.bo2, model.p3)
    )
    links = np.searchsorted(parent3[order3], np.arange(len(order2) + 1))
    middle = np.zeros(layout.bytes_of(len(order2), layout.middle), np.uint8)
    pack(middle, first2[order2], layout.middle, 0)
    pack(middle, (code_p2 << QUANT | code_b2)[order2], layout.middle, layout.word)
    pack(middle, links, layout.middle, layout.word + 2 * QUANT)
    leaves = np.zeros(layout.bytes_of(len(order3), layout.leaf), np.uint8)
    pack(leaves, (code_p3[order3] << layout.word) | first3[order3], layout.leaf, 0)
    names = b"".join(word.encode() + b"\0" for word in model.words)
    with path.open("wb") as file:
        file.write(MAGIC + b"\x03" + np.array([layout.one, layout.two, layout.three, 1], "<u4").tobytes())
        for part in (table_p2, table_b2, table_p3, unigrams, middle, leaves):
            file.write(part.tobytes())
        file.write(np.array([len(names)], "<u4").tobytes() + names)


class Reader:
    """Takes typed arrays off a byte string, one after the other."""

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self._offset = offset

    def take(self, dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
        array = np.frombuffer(self._data, dtype, count, self._offset)
        self._offset += array.nbytes
        return array


def linear(logarithms: npt.NDArray[np.generic]) -> Floats:
    return np.exp(logarithms.astype(np.float64) * LOG_BASE)


def logarithm(values: Floats) -> npt.NDArray[np.float32]:
    return (np.log(np.maximum(values, NEVER)) / LOG_BASE).astype("<f4")


def parents(starts: Ints) -> Ints:
    """For nodes whose children begin at *starts* (one more than there are nodes): the node of each child."""
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def unpack(packed: npt.NDArray[np.generic], count: int, stride: int, offset: int, width: int) -> Ints:
    """Read *count* little-endian fields of *width* bits (at most 57), *stride* bits apart.

    *packed*: bytes, at least eight more than the fields need.
    """
    position = np.arange(count, dtype=np.int64) * stride + offset
    eights: npt.NDArray[np.uint64] = np.ndarray(len(packed) - 7, "<u8", packed.data, strides=(1,))  # at every byte
    value = eights[position >> 3] >> (position & 7).astype(np.uint64)
    fields: Ints = (value & np.uint64((1 << width) - 1)).astype(np.int64)
    return fields


def pack(packed: npt.NDArray[np.uint8], values: Ints, stride: int, offset: int) -> None:
    """Write fields the way `unpack` reads them; *packed* holds zeros there. Fields have at most 57 bits."""
    position = np.arange(len(values), dtype=np.int64) * stride + offset
    shifted = values.astype(np.uint64) << (position & 7).astype(np.uint64)
    for byte in range(8):
        part = ((shifted >> np.uint64(8 * byte)) & np.uint64(255)).astype(np.uint8)
        # Fields that share a byte lie at least a stride apart, so even and odd ones never collide.
        for parity in (0, 1):
            packed[(position[parity::2] >> 3) + byte] |= part[parity::2]


def quantise(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], Ints]:
    """A table of 2**16 values, and for each of *values* the nearest one's index."""
    order = np.argsort(values)
    ordered = values[order]
    edges = np.linspace(0, len(ordered), (1 << QUANT) + 1).astype(np.int64)
    table = ordered[np.minimum((edges[:-1] + edges[1:]) // 2, len(ordered) - 1)]
    right = np.clip(np.searchsorted(table, ordered), 1, len(table) - 1)
    nearer_left = ordered - table[right - 1] < table[right] - ordered
    codes = np.empty(len(values), np.int64)
    codes[order] = np.where(nearer_left, right - 1, right)
    return table.astype("<f4"), codes


# --- counting and mixing --------------------------------------------------------------------------------------------


def count_domain(sentences: Iterable[tuple[str, int]], words: list[str], *, discount: float) -> Trigrams:
    """An interpolated trigram model with absolute discounting; sentences with a word outside *words* are left out."""
    size = len(words)
    index = {word: i for i, word in enumerate(words)}
    spoken: list[int] = []
    lengths: list[int] = []
    weights: list[int] = []
    for sentence, times in sentences:
        try:
            ids = [index[START], *(index[word] for word in sentence.split()), index[END]]
        except KeyError:
            continue
        spoken += ids
        lengths.append(len(ids))
        weights.append(times)
    word = np.array(spoken, np.int64)
    weight = np.repeat(np.array(weights, np.float64), lengths)
    place = np.arange(len(word)) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # of each word in its sentence
    second, third = np.flatnonzero(place >= 1), np.flatnonzero(place >= 2)
    ids1, n1 = counted(word[second], weight[second])
    keys2, n2 = counted(word[second - 1] * size + word[second], weight[second])
    keys3, n3 = counted((word[third - 2] * size + word[third - 1]) * size + word[third], weight[third])

    p1 = np.zeros(size)
    p1[ids1] = n1 / n1.sum()
    history2 = keys2 // size
    sum2, kinds2 = np.bincount(history2, n2, size), np.bincount(history2, minlength=size)
    bo1 = np.where(sum2 > 0, discount * kinds2 / np.maximum(sum2, NEVER), 1.0)
    p2 = np.maximum(n2 - discount, 0) / sum2[history2] + bo1[history2] * p1[keys2 % size]
    history3 = np.searchsorted(keys2, keys3 // size)
    sum3, kinds3 = np.bincount(history3, n3, len(keys2)), np.bincount(history3, minlength=len(keys2))
    bo2 = np.where(sum3 > 0, discount * kinds3 / np.maximum(sum3, NEVER), 1.0)
    lower = p2[np.searchsorted(keys2, keys3 % (size * size))]
    p3 = np.maximum(n3 - discount, 0) / sum3[history3] + bo2[history3] * lower
    return Trigrams(words, p1, bo1, keys2, p2, bo2, keys3, p3)


def counted(keys: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """The distinct keys, sorted, and the sum of each one's weights."""
    order = np.argsort(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], np.add.reduceat(weights[order], starts)


def restrict(model: Trigrams, words: list[str]) -> Trigrams:
    """The model over another vocabulary: n-grams with a word outside it are dropped, missing words never occur."""
    size, old = len(words), model.size
    place = {word: i for i, word in enumerate(words)}
    new = np.array([place.get(word, -1) for word in model.words], np.int64)
    p1, bo1 = np.zeros(size), np.ones(size)
    kept = new >= 0
    p1[new[kept]], bo1[new[kept]] = model.p1[kept], model.bo1[kept]
    a, b = new[model.keys2 // old], new[model.keys2 % old]
    keep2 = (a >= 0) & (b >= 0)
    keys2 = (a * size + b)[keep2]
    c, d, e = new[model.keys3 // (old * old)], new[model.keys3 // old % old], new[model.keys3 % old]
    keep3 = (c >= 0) & (d >= 0) & (e >= 0)
    keys3 = ((c * size + d) * size + e)[keep3]
    order2, order3 = np.argsort(keys2), np.argsort(keys3)
    return Trigrams(
        words, p1, bo1,
        keys2[order2], model.p2[keep2][order2], model.bo2[keep2][order2],
        keys3[order3], model.p3[keep3][order3],
    )  # fmt: skip


def mix(domain: Trigrams, general: Trigrams, share: float) -> Trigrams:
    """The mixture of two models over one vocabulary; *share* is the domain's prior."""
    size = domain.size
    start = domain.words.index(START)

    def posterior(d: Floats, g: Floats) -> Floats:
        d, g = share * d, (1 - share) * g
        return d / np.maximum(d + g, NEVER)

    d1, g1 = domain.p1.copy(), general.p1.copy()
    d1[start] = g1[start] = 1.0  # every sentence has one: its history favours neither
    p1 = share * domain.p1 + (1 - share) * general.p1
    weight1 = posterior(d1, g1)

    keys2 = union(domain.keys2, general.keys2)
    keys3 = union(domain.keys3, general.keys3)
    history, within = keys2 // size, locate(keys2, keys3 // size)[0]
    suffix = locate(keys2, keys3 % (size * size))[0]
    d2, d3 = spread(domain, keys2, keys3, within, suffix)
    g2, g3 = spread(general, keys2, keys3, within, suffix)
    p2 = weight1[history] * d2 + (1 - weight1[history]) * g2
    weight2 = posterior(d1[history] * d2, g1[history] * g2)
    p3 = weight2[within] * d3 + (1 - weight2[within]) * g3

    bo1 = back_off(history, p2, p1[keys2 % size], size)
    bo2 = back_off(within, p3, p2[suffix], len(keys2))
    return Trigrams(domain.words, p1, bo1, keys2, p2, bo2, keys3, p3)


def spread(model: Trigrams, keys2: Ints, keys3: Ints, within: Ints, suffix: Ints) -> tuple[Floats, Floats]:
    """The model's probabilities of *keys2* and *keys3*, which hold all of its own; backed off where it lacks them.

    within, suffix: the place among *keys2* of the first and of the last two words of each of *keys3*.
    """
    place2 = np.searchsorted(keys2, model.keys2)
    p2 = model.bo1[keys2 // model.size] * model.p1[keys2 % model.size]
    p2[place2] = model.p2
    bo2 = np.ones(len(keys2))
    bo2[place2] = model.bo2
    p3 = bo2[within] * p2[suffix]
    p3[np.searchsorted(keys3, model.keys3)] = model.p3
    return p2, p3


def back_off(history: Ints, p: Floats, lower: Floats, count: int) -> Floats:
    """The weights that make each history's probabilities sum to one."""
    left = 1 - np.bincount(history, p, count)
    lower_left = 1 - np.bincount(history, lower, count)
    return np.where(lower_left > 1e-6, np.clip(left, 1e-6, 1) / np.maximum(lower_left, 1e-6), 1.0)


def build(
    sentences: Iterable[tuple[str, int]],
    general: Trigrams,
    dictionary: Iterator[str],
    *,
    share: float = 0.05,
    discount: float = 0.7,
    vocabulary: int = 40_000,
) -> Trigrams:
    """The biased model: the words of *sentences* and the *vocabulary* most frequent general ones, all pronounceable."""
    known = {*dictionary, START, END}
    listed = list(sentences)
    spoken = {word for sentence, _ in listed for word in sentence.split()} & known
    frequent = [general.words[i] for i in np.argsort(-general.p1)]
    common = [word for word in frequent if word in known][:vocabulary]
    words = sorted({*spoken, *common, START, END})
    domain = count_domain(listed, words, discount=discount)
    return mix(domain, restrict(general, words), share)
