"""What a megabyte of text costs on its way to the voice: into phrases and sentences, and into what is said.

Processor time, since other programs do not belong to it. A megabyte is more than ten hours of speech.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from benchmarks.figures import Figure
from vivavoce import PhraseBuffer, SentenceStreamBuffer
from vivavoce.text.speakable import SpeakableStream

MEGABYTE = 1_000_000
PROSE = "Well, the kettle is on the stove, and the tea will be ready in about 5 minutes. Dr. Smith takes milk; do you? "
RICH = "**So** 5 km cost $3.50 at 14:05 on 2026-11-21, says https://x.org/a & others, in all likelihood, I think.\n"
CHINESE = "水壶在炉子上，茶大约五分钟后就好了。史密斯医生要加牛奶；你呢？"
HOSTILE = {"no spaces": "x", "stops": ".", "commas": ", ", "lines": "\n", "quotes": '"', "digits": "1 "}


def text(*, quick: bool = False) -> list[Figure]:
    """Each figure is the median of several runs, all of them in seconds for 1 MB of UTF-8."""
    prose, chinese, rich = megabyte(PROSE), megabyte(CHINESE), megabyte(RICH)
    spoken = PhraseBuffer().feed(prose, 0.0)
    works: list[tuple[str, Callable[[], None], float | None]] = [
        ("phrases of prose, in one delta", partial(phrases, prose, len(prose)), 1.0),
        ("phrases of prose, by 4 characters", partial(phrases, prose, 4), 1.0),
        ("phrases of prose, by character", partial(phrases, prose, 1), 1.0),
        ("phrases of Chinese, by character", partial(phrases, chinese, 1), 1.0),
        *(
            (f"phrases of {name}, in one delta", partial(phrases, megabyte(part), MEGABYTE), 1.0)
            for name, part in HOSTILE.items()
        ),
        ("sentences of prose, by 4 characters", partial(sentences, prose), 1.0),
        ("speakable prose, at once", partial(said, [prose]), 1.0),
        ("speakable prose, by phrase", partial(said, spoken), 1.0),
        ("speakable, 6 expressions a line", partial(said, [rich]), None),
    ]
    return [
        Figure(f"1 MB: {name}", "s", [seconds(work) for _ in range(1 if quick else 5)], target=target)
        for name, work, target in works
    ]


def megabyte(part: str) -> str:
    return part * (MEGABYTE // len(part.encode()) + 1)


def seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def phrases(whole: str, size: int) -> None:
    buffer = PhraseBuffer()
    for at in range(0, len(whole), size):
        buffer.feed(whole[at : at + size], 0.0)
    buffer.flush()


def sentences(whole: str) -> None:
    buffer = SentenceStreamBuffer()
    for at in range(0, len(whole), 4):
        buffer.feed(whole[at : at + 4])


def said(parts: list[str]) -> None:
    reader = SpeakableStream("en_US")
    for part in parts:
        reader.feed(part)
