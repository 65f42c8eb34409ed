"""Spoken turns against a real server: their marks, in order and complete, and what a client sees of them.

    python tests/stream/test_latency_harness.py [--url ws://127.0.0.1:8000/ws] [--clip NAME]…

Alone it prints a table, of a server of its own or of the one at --url; as a test it watches what must hold on any
machine, however slow: presence, order, and agreement of the server's marks with the client's.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    from vivavoce.settings import limit_math_threads

    sys.path.insert(0, str(Path(__file__).parents[2]))
    limit_math_threads()  # before numpy is imported, as the server does

from benchmarks.conversation import rules_of
from benchmarks.talker import Clip, utterances
from benchmarks.turns import SpokenTurn, spoken_turn

from vivavoce.cli.serving import in_process
from vivavoce.core.endpointing import EndpointRules
from vivavoce.settings import Settings

RULES: EndpointRules = rules_of(Settings())
NAMES = ("ps_goforward", "librivox_ss_0880", "s2p_en_what_time_is_it")
"""The first two are there wherever the package index can be reached."""
MARKS = ("t0_ms", "t1_first_partial_ms", "t2_final_transcript_ms", "t3_first_llm_token_ms", "t4_first_tts_audio_ms")
TOLERANCE_MS = 500.0
"""Between a client's marks and the server's: the way between them, on a machine that is busy with other tests."""


def clips() -> list[Clip]:
    """Those of `NAMES` that are on this machine; any others if there are none of them."""
    found = utterances(RULES)
    return [clip for clip in found if clip.name in NAMES] or found[:3]


@pytest.fixture(scope="module")
def turns() -> dict[str, SpokenTurn]:
    """One whole turn for each recording, in sessions of their own."""
    if not clips():
        pytest.skip("there is no real speech on this machine, and none could be downloaded")

    async def speak() -> dict[str, SpokenTurn]:
        async with in_process(Settings()) as url:
            return {clip.name: await spoken_turn(url, clip, RULES, "wav_b64", whole=True) for clip in clips()}

    return asyncio.run(speak())


def test_every_turn_is_answered_and_ends_with_its_metrics(turns: dict[str, SpokenTurn]) -> None:
    for name, turn in turns.items():
        kinds = [arrival.type for arrival in turn.arrivals if arrival.turn == turn.metrics.get("turn_id")]
        assert kinds.count("metrics") == 1, name
        assert kinds[-1] == "metrics", name
        assert turn.metrics["outcome"] == "done", name
        assert kinds.count("tts_complete") == 1, name


def test_a_clients_messages_come_in_the_order_of_a_turn(turns: dict[str, SpokenTurn]) -> None:
    order = ("speech_started", "speech_stopped", "final_transcript", "llm_token", "phrase", "tts_chunk", "tts_complete")
    for name, turn in turns.items():
        kinds = [arrival.type for arrival in turn.arrivals]
        first = [kinds.index(kind) for kind in order]
        assert first == sorted(first), f"{name}: {list(zip(order, first, strict=True))}"
        numbers = [arrival.body["n"] for arrival in turn.arrivals]
        assert numbers == list(range(1, len(numbers) + 1)), name


def test_all_marks_are_there_and_in_order(turns: dict[str, SpokenTurn]) -> None:
    for name, turn in turns.items():
        marks = [turn.metrics[mark] for mark in MARKS if mark != "t1_first_partial_ms"]
        assert None not in marks, f"{name}: {turn.metrics}"
        assert marks[0] == 0.0, name
        assert marks == sorted(marks), f"{name}: {turn.metrics}"
        partial = turn.metrics["t1_first_partial_ms"]
        assert partial is not None, name
        assert 0.0 < partial <= turn.metrics["t2_final_transcript_ms"], name
        end = turn.metrics["end_of_speech_ms"]
        assert 0.0 < end <= turn.metrics["t2_final_transcript_ms"], name


def test_voice_to_voice_is_what_lies_between_its_marks(turns: dict[str, SpokenTurn]) -> None:
    for name, turn in turns.items():
        between = turn.metrics["t4_first_tts_audio_ms"] - turn.metrics["end_of_speech_ms"]
        assert turn.metrics["voice_to_voice_ms"] == pytest.approx(between, abs=0.2), name
        assert turn.metrics["voice_to_voice_ms"] >= RULES.silence_s * 1000 - TOLERANCE_MS, name


def test_the_marks_agree_with_the_clients_clock(turns: dict[str, SpokenTurn]) -> None:
    for name, turn in turns.items():
        assert turn.first_audio_s is not None
        assert turn.final_s is not None
        assert turn.first_token_s is not None
        seen = {
            "t2_final_transcript_ms": turn.final_s,
            "t3_first_llm_token_ms": turn.first_token_s,
            "t4_first_tts_audio_ms": turn.first_audio_s,
        }
        for mark, seconds in seen.items():
            told = turn.metrics[mark] - turn.metrics["end_of_speech_ms"]
            assert told == pytest.approx(seconds * 1000, abs=TOLERANCE_MS), f"{name}: {mark}"
        assert turn.metrics["end_of_speech_ms"] == pytest.approx(turn.speech_s * 1000, abs=TOLERANCE_MS), name


def test_nothing_took_unreasonably_long(turns: dict[str, SpokenTurn]) -> None:
    for name, turn in turns.items():
        assert turn.overhead_ms is not None
        assert turn.overhead_ms < 3000, name
        for ratio in ("asr_rtf", "tts_rtf"):
            assert 0.0 < turn.metrics[ratio] < 5.0, f"{name}: {ratio}"
        assert turn.metrics["phrases"] >= 1, name
        assert turn.metrics["llm_tokens"] >= 1, name


async def _measure(url: str, wanted: list[str]) -> None:
    columns = ("recording", "partial", "end", "final", "token", "audio", "v2v", "client", "asr rtf", "tts rtf")
    print("ms from the first audio of the utterance; v2v and client from the end of speech, silence included\n")
    print(f"{columns[0]:32}" + "".join(f"{column:>9}" for column in columns[1:]))
    for clip in [clip for clip in utterances(RULES) if not wanted or clip.name in wanted]:
        turn = await spoken_turn(url, clip, RULES, "wav_b64", whole=True)
        if turn.first_audio_s is None:
            print(f"{clip.name:32}  no answer")
            continue
        keys = (MARKS[1], "end_of_speech_ms", *MARKS[2:], "voice_to_voice_ms")
        cells = [_cell(turn.metrics.get(key)) for key in keys] + [_cell(turn.first_audio_s * 1000)]
        cells += [f"{turn.metrics.get(key) or 0:.3f}" for key in ("asr_rtf", "tts_rtf")]
        print(f"{clip.name:32}" + "".join(f"{cell:>9}" for cell in cells), flush=True)


def _cell(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.0f}"


async def main() -> None:
    parser = argparse.ArgumentParser(description="Spoken turns, and when what came.")
    parser.add_argument("--url", help="a running server's /ws; without it one is started in this process")
    parser.add_argument("--clip", action="append", default=[], help="only this recording")
    arguments = parser.parse_args()
    if arguments.url:
        await _measure(arguments.url, arguments.clip)
        return
    async with in_process(Settings()) as url:
        await _measure(url, arguments.clip)


if __name__ == "__main__":
    asyncio.run(main())
