"""What sessions cost: memory and processor time of the server's processes, alone and with ten sessions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack

from benchmarks.conversation import Progress, rules_of
from benchmarks.figures import Figure
from benchmarks.processes import HAS_PROC, Memory, Server, cpu_s, memory, server, settle
from benchmarks.talker import Clip, Talker, talking, utterances
from vivavoce.settings import Settings

CYCLE_S = 12.0
"""An active session asks this often."""


def load(runs: int, progress: Progress, *, quick: bool = False) -> list[Figure]:  # noqa: ARG001 - takes minutes as it is
    """Idle sessions have an open, silent microphone; active ones ask, and listen to the whole answer."""
    if not HAS_PROC:
        raise LookupError("memory and processor time are read from /proc, which only Linux has")
    clips = utterances(rules_of(Settings()))[:6]
    if not clips:
        raise LookupError("there is no real speech on this machine")
    seconds = CYCLE_S if quick else 3 * CYCLE_S
    figures: list[Figure] = []
    with server() as running:
        figures += _memory_figures("at ready", memory(running.pid))
        settle(running.pid)  # the second worker of a pool starts after the first is ready
        figures += _memory_figures("at ready, all workers loaded", memory(running.pid))
        base = cpu_s(running.pid)
        time.sleep(seconds / 2)
        nobody = (cpu_s(running.pid) - base) / (seconds / 2) * 60
        figures.append(Figure("processor time per minute, nobody connected", "s", [nobody]))
        for sessions in (1, 10):
            figures += asyncio.run(_with_sessions(running, sessions, clips, seconds, progress))
    return figures


async def _with_sessions(
    running: Server, sessions: int, clips: list[Clip], seconds: float, progress: Progress
) -> list[Figure]:
    count = f"{sessions} session{'s' if sessions > 1 else ''}"
    minutes = seconds / 60 * sessions
    async with AsyncExitStack() as stack:
        talkers = [
            await stack.enter_async_context(talking(running.url, hurried=False, audio_out="pcm"))
            for _ in range(sessions)
        ]
        idle_s = await _cost_s(running, asyncio.sleep(seconds))
        resting = memory(running.pid)
        progress(f"{count} idle: {idle_s / minutes:.2f} s per session-minute")
        asked = [_ask(talker, clips, seconds, number, sessions) for number, talker in enumerate(talkers)]
        active_s = await _cost_s(running, asyncio.gather(*asked))
        held = memory(running.pid)
        turns = sum(one.type == "final_transcript" for talker in talkers for one in talker.arrivals)
        errors = sorted({one.body["code"] for talker in talkers for one in talker.arrivals if one.type == "error"})
        progress(f"{count} active: {active_s / minutes:.2f} s per session-minute, {turns} turns {' '.join(errors)}")
    note = f"{turns} turns in {minutes:.1f} session-minutes" + (f"; errors: {', '.join(errors)}" if errors else "")
    return [
        Figure(f"processor time per idle session-minute, {count}", "s", [idle_s / minutes]),
        Figure(f"processor time per active session-minute, {count}", "s", [active_s / minutes], note=note),
        *_memory_figures(f"with {count}, idle", resting),
        *_memory_figures(f"with {count}, after turns", held),
    ]


async def _cost_s(running: Server, work: Awaitable[object]) -> float:
    before = cpu_s(running.pid)
    await work
    return cpu_s(running.pid) - before


async def _ask(talker: Talker, clips: list[Clip], seconds: float, number: int, of: int) -> None:
    """Ask once a cycle; the sessions are spread evenly over it."""
    begin = len(talker.sent_at)
    ask_at = begin + round(CYCLE_S * 50 * number / of)
    end = begin + round(seconds * 50)
    asked = 0
    while ask_at < end - 50:
        await talker.spoke_until(ask_at)
        clip = clips[(number + asked) % len(clips)]
        talker.say(clip.pcm)
        asked += 1
        ask_at += round(CYCLE_S * 50)
    await talker.spoke_until(end)


def _memory_figures(when: str, held: Memory) -> list[Figure]:
    note = f"resident, shared pages counted per process: {held.resident:.0f} MB"
    return [Figure(f"memory of all processes {when}", "MB", [held.proportional], note=note)]
