"""One spoken turn, one interruption: what is measured of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.talker import RATE, Arrival, Clip, Talker, first_start, judge, last_end, talking
from vivavoce.core.endpointing import EndpointRules, SpeechStarted
from vivavoce.engines.vad.silero_network import WINDOW

AudioOut = Literal["wav_b64", "pcm"]
LEAD = bytes(2 * RATE // 2)
"""Half a second before anybody speaks."""
AFTER_HOLD_S = 0.4
"""Audio that comes within this after a hold would have been heard."""


@dataclass(frozen=True)
class SpokenTurn:
    """The marks of one turn, in seconds on one clock, counted from the end of speech."""

    clip: str
    silence_s: float
    first_audio_s: float | None
    """None: no answer came."""
    endpoint_s: float | None
    final_s: float | None
    first_token_s: float | None
    speech_s: float
    """From the first to the last frame of speech."""
    metrics: dict[str, Any]
    arrivals: Sequence[Arrival]

    @property
    def overhead_ms(self) -> float | None:
        """What we add to the silence that was asked for."""
        return None if self.first_audio_s is None else (self.first_audio_s - self.silence_s) * 1000


@dataclass(frozen=True)
class BargeIn:
    """One interruption."""

    clip: str
    outcome: str
    """`interrupted`, `resume` (no word was recognised), or `missed`."""
    after_hold_ms: float | None
    """From the arrival of `hold` to that of the last audio message; 0 when none came after it."""
    after_detectable_ms: float | None
    """From the sending of the frame that lets the rules detect speech to the last audio message; 0 likewise."""
    hold_ms: float | None
    """From the sending of that frame to the arrival of `hold`."""
    raw_ms: float | None
    """From the sending of the first frame of speech to the arrival of `hold`."""


async def spoken_turn(url: str, clip: Clip, rules: EndpointRules, audio_out: AudioOut, *, whole: bool) -> SpokenTurn:
    """Say *clip* in a new session and wait for the answer: all of it if *whole*, else its first sound."""
    silence_ms = round(rules.silence_s * 1000)
    async with talking(url, audio_out=audio_out, vad_silence_ms=silence_ms) as talker:
        said = talker.say(LEAD + clip.pcm) + -(-len(LEAD + clip.pcm) // (RATE // 50 * 2))
        await talker.spoke_until(said)
        first = await talker.until(lambda arrival: arrival.is_audio, timeout_s=rules.silence_s + 4)
        if first is not None and not whole:
            await talker.send(type="cancel")
        done = await talker.until(lambda arrival: arrival.type == "metrics") if first is not None else None
        return _measured(talker, clip, rules, done)


def _measured(talker: Talker, clip: Clip, rules: EndpointRules, done: Arrival | None) -> SpokenTurn:
    found = judge(talker.heard, rules)
    started, ended = first_start(found), last_end(found)
    end_s = talker.sent(ended.at_s) if ended is not None else None

    def since(kind: str) -> float | None:
        at = next((one for one in talker.arrivals if (one.type == kind or (one.is_audio and kind == "audio"))), None)
        return None if at is None or end_s is None else at.at_s - end_s

    decisions = (one for one in talker.arrivals if one.type == "decision" and one.body["what"] == "endpoint")
    endpoint = next(decisions, None)
    return SpokenTurn(
        clip=clip.name,
        silence_s=rules.silence_s,
        first_audio_s=since("audio"),
        endpoint_s=None if endpoint is None or end_s is None else endpoint.at_s - end_s,
        final_s=since("final_transcript"),
        first_token_s=since("llm_token"),
        speech_s=ended.at_s - started[1].at_s if ended is not None and started is not None else 0.0,
        metrics=done.body if done is not None else {},
        arrivals=talker.arrivals,
    )


async def barge_in(url: str, clip: Clip, rules: EndpointRules, audio_out: AudioOut, *, after_s: float) -> BargeIn:
    """Ask for a story, and say *clip* over it *after_s* after its first sound.

    Nothing is reported as played, so the server counts what was sent as being played in real time.
    """
    async with talking(url, hurried=False, audio_out=audio_out) as talker:
        await talker.send(type="text", text="tell me a story")
        first = await talker.until(lambda arrival: arrival.is_audio)
        if first is None:
            return BargeIn(clip.name, "missed", None, None, None, None)
        await talker.spoke_until(len(talker.sent_at) + round(after_s * 50))
        from_s = talker.say(clip.pcm) / 50
        hold = await talker.until(lambda one: one.type == "hold", timeout_s=clip.seconds + 3)
        if hold is None:
            return BargeIn(clip.name, "missed", None, None, None, None)
        at = talker.arrivals.index(hold)
        ended = await talker.until(lambda one: one.type in ("interrupted", "resume"), after=at, timeout_s=5)
        await talker.spoke_until(len(talker.sent_at) + round(AFTER_HOLD_S * 50))
        return _interruption(talker, clip, from_s, hold, ended, judge(talker.heard, rules))


def _interruption(
    talker: Talker,
    clip: Clip,
    from_s: float,
    hold: Arrival,
    ended: Arrival | None,
    found: Sequence[tuple[float, Any]],
) -> BargeIn:
    resumed_at = ended.at_s if ended is not None and ended.type == "resume" else float("inf")
    heard = [one.at_s for one in talker.arrivals if one.is_audio and one.turn == hold.turn and one.at_s < resumed_at]
    last_s = max(heard)
    known = next(((at, one) for at, one in found if isinstance(one, SpeechStarted) and one.at_s >= from_s - 0.1), None)
    detectable = talker.sent(known[0]) if known is not None else None
    return BargeIn(
        clip=clip.name,
        outcome=ended.type if ended is not None else "missed",
        after_hold_ms=max(0.0, last_s - hold.at_s) * 1000,
        after_detectable_ms=None if detectable is None else max(0.0, last_s - detectable) * 1000,
        hold_ms=None if detectable is None else (hold.at_s - detectable) * 1000,
        raw_ms=None if known is None else (hold.at_s - talker.sent(known[1].at_s + WINDOW / RATE)) * 1000,
    )
