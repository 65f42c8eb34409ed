"""Latency of spoken turns, interruptions, and what the server's loop does meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.figures import Figure
from benchmarks.processes import Server, server, settle
from benchmarks.talker import Clip, utterances
from benchmarks.turns import AudioOut, BargeIn, SpokenTurn, barge_in, spoken_turn
from vivavoce.core.endpointing import EndpointRules
from vivavoce.settings import Settings

Progress = Callable[[str], None]


def rules_of(settings: Settings) -> EndpointRules:
    """The endpointing rules of a server with these settings."""
    from vivavoce.session.options import Options

    return Options.default(settings).endpoint_rules(settings)


def latency(runs: int, progress: Progress, *, quick: bool = False) -> list[Figure]:
    """Each recording as a turn of its own, *runs* times, with both forms of audio."""
    rules = rules_of(Settings())
    clips = utterances(rules)[: 4 if quick else None]
    if not clips:
        raise LookupError("there is no real speech on this machine")
    turns: list[tuple[AudioOut, SpokenTurn]] = []
    loops: list[dict[str, Any]] = []
    forms: tuple[AudioOut, ...] = ("wav_b64", "pcm")
    with server() as running:
        _settled(running, clips[0], rules)
        for form, clip in itertools.product(forms, [clip for _ in range(runs) for clip in clips]):
            turn = asyncio.run(spoken_turn(running.url, clip, rules, form, whole=False))
            turns.append((form, turn))
            loops.append(running.get("/health")["loop"])
            progress(f"{form:8} {clip.name:32} {_shown(turn)}, loop {loops[-1]['own_ms']:.0f} ms")
    return [*_latency_figures(turns, rules), *_loop_figures(loops)]


def _settled(running: Server, clip: Clip, rules: EndpointRules) -> None:
    """Speak once, so that nothing is measured cold, and let the start leave the loop monitor's window."""
    asyncio.run(spoken_turn(running.url, clip, rules, "pcm", whole=False))
    settle(running.pid)
    health = running.get("/health")
    time.sleep(max(0.0, health["loop"]["window_s"] + 1 - health["uptime_s"]))


def _latency_figures(turns: list[tuple[AudioOut, SpokenTurn]], rules: EndpointRules) -> list[Figure]:
    all_turns = [turn for _, turn in turns]
    answered = [turn for turn in all_turns if turn.overhead_ms is not None]
    silence_ms = rules.silence_s * 1000
    note = f"{len(answered)} of {len(turns)} turns answered"
    figures = [
        Figure(
            "end of speech to first audio, past the silence", "ms", _over(answered), "p95", 120, note=note, plotted=True
        ),
        *(
            Figure(f"  with {form}", "ms", _over(turn for each, turn in turns if each == form), "p95")
            for form in ("wav_b64", "pcm")
        ),
        Figure("  endpoint decided", "ms", _past(silence_ms, (turn.endpoint_s for turn in answered)), "p95"),
        Figure("  final transcript", "ms", _past(silence_ms, (turn.final_s for turn in answered)), "p95"),
        Figure("  first token", "ms", _past(silence_ms, (turn.first_token_s for turn in answered)), "p95"),
    ]
    claimed = [turn.metrics["voice_to_voice_ms"] for turn in answered if turn.metrics.get("voice_to_voice_ms")]
    return [*figures, Figure("voice_to_voice_ms, as the server reports it", "ms", claimed, "p95")]


def _over(turns: Iterable[SpokenTurn]) -> list[float]:
    return [turn.overhead_ms for turn in turns if turn.overhead_ms is not None]


def _past(silence_ms: float, marks: Iterable[float | None]) -> list[float]:
    return [mark * 1000 - silence_ms for mark in marks if mark is not None]


def _loop_figures(loops: list[dict[str, Any]]) -> list[Figure]:
    note = "processor time of the loop's thread within the stall"
    return [
        Figure("loop stall in a turn, our own work", "ms", [loop["own_ms"] for loop in loops], "worst", 20, note),
        Figure("loop stall in a turn, the machine's included", "ms", [loop["late_ms"] for loop in loops], "worst"),
    ]


def _shown(turn: SpokenTurn) -> str:
    if turn.overhead_ms is None:
        return "no answer"
    parts = [("endpoint", turn.endpoint_s), ("final", turn.final_s), ("token", turn.first_token_s)]
    past = "  ".join(f"{name} {(at - turn.silence_s) * 1000:+5.0f}" for name, at in parts if at is not None)
    return f"{turn.overhead_ms:5.0f} ms past the silence ({past})"


def barge_ins(runs: int, progress: Progress, *, quick: bool = False) -> list[Figure]:
    """Each recording over a story, with both forms of audio."""
    rules = rules_of(Settings())
    clips = utterances(rules)[: 4 if quick else 10]
    if not clips:
        raise LookupError("there is no real speech on this machine")
    figures: list[Figure] = []
    with server() as running:
        for form in ("pcm", "wav_b64"):
            taken = _interruptions(running, [clip for _ in range(runs) for clip in clips], rules, form, progress)
            figures += _barge_in_figures(taken, form)
    return figures


def _interruptions(
    running: Server, clips: list[Clip], rules: EndpointRules, form: AudioOut, progress: Progress
) -> list[BargeIn]:
    taken = []
    for number, clip in enumerate(clips):
        after_s = 0.5 + number % 4 * 0.37  # at different places of the phrase
        one = asyncio.run(barge_in(running.url, clip, rules, form, after_s=after_s))
        taken.append(one)
        shown = ", ".join(
            f"{label} {value:.0f} ms"
            for label, value in (
                ("after hold", one.after_hold_ms),
                ("after it could be detected", one.after_detectable_ms),
                ("hold", one.hold_ms),
            )
            if value is not None
        )
        progress(f"{form:8} {clip.name:32} {one.outcome}: {shown}")
    return taken


def _barge_in_figures(taken: list[BargeIn], form: str) -> list[Figure]:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in Counter(one.outcome for one in taken).most_common())

    def values(name: str) -> list[float]:
        return [value for one in taken if (value := getattr(one, name)) is not None]

    last = "last audio message"
    return [
        Figure(f"barge-in ({form}): hold to {last}", "ms", values("after_hold_ms"), "p95", 30, outcomes),
        Figure(f"  detectable speech to {last}", "ms", values("after_detectable_ms"), "p95", 30, plotted=form == "pcm"),
        Figure("  detectable speech to hold", "ms", values("hold_ms"), "p95"),
        Figure("  first frame of speech to hold", "ms", values("raw_ms"), "p95"),
    ]
