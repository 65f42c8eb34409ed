"""The recogniser's child process: PCM in, hypotheses out. Run by `pocketsphinx.PocketSphinxRecognizer`.

Accuracy hangs on the cepstral mean that is subtracted from the features: it is the channel's, not the words'. At the
start of an utterance the mean is a guess from its first half second. Whenever more audio gives another one, the audio
is decoded again from its start, several times faster than it was spoken. So there is always one *run* over all audio
so far, and the last run, begun in the speaker's first pause, knows the mean of the whole utterance.

Line: `begin` interval_s profile | `audio` pcm speech | `end` wait_s -> `partial` | `stable` | `final` | `revised`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pocketsphinx import Decoder

from vivavoce.engines.child import Line

RATE = 16000
SECOND = 2 * RATE  # bytes of audio
FRAME = SECOND // 100
CHUNK = SECOND // 10
FIRST_S = 0.65
"""Audio, lead included, from which a new session's first mean is taken."""
SECOND_S = 2.0
"""Audio at which the mean is taken again while the speaker speaks on."""
PAUSE_S = 0.2
"""Silence after which the utterance may well be over."""
TAIL_S = 0.3
"""Silence that is decoded after speech: word ends are quiet."""
PRIOR_FRAMES = 100.0
"""The weight of the library's own mean against a measured one."""
SESSION_FRAMES = 300.0
"""The greatest weight of what the session said before."""
NEAR = 2.0
"""Means no further apart than this (root mean square over the coefficients) are as good as each other."""
NOISE, DOUBTFUL = 0.1, 0.3
"""A single word less sure than `NOISE` is none: breaths and clicks become short words. Less sure than `DOUBTFUL`, it
must be a word that is said alone ("stop", but not "if")."""

Mean = list[float]


@dataclass(frozen=True)
class Profile:
    """A session's voice and channel: a cepstral mean, and the number of frames it was taken from."""

    mean: Mean
    frames: float

    def joined(self, mean: Mean, frames: float) -> Profile:
        """With another mean, weighted by its frames."""
        total = self.frames + frames
        joint = [(a * self.frames + b * frames) / total for a, b in zip(self.mean, mean, strict=True)]
        return Profile(joint, total)

    def limited(self, frames: float) -> Profile:
        """Counted as *frames* at most, so that what comes next moves it."""
        return Profile(self.mean, min(self.frames, frames))


@dataclass(frozen=True)
class Reading:
    """A hypothesis: its words, and how sure the search is (0..1) where the run was ended."""

    text: str
    confidence: float | None = None


class Ear:
    """Two decoders: one decodes words, one run at a time; a tiny one only reads off cepstral means."""

    def __init__(self, model: Path, folder: Path) -> None:
        hmm = str(model / "en-us")
        self._decoder = Decoder(
            hmm=hmm,
            lm=str(folder / "lm.bin"),
            dict=str(folder / "words.dict"),
            samprate=float(RATE),
            fwdflat=False,  # a third of the time for no better words (docs/engines.md)
            loglevel="FATAL",
        )
        self._meter = Decoder(hmm=hmm, lm=None, dict=str(folder / "one-word.dict"), keyphrase="zero", loglevel="FATAL")
        self._alone = frozenset((folder / "alone.txt").read_text(encoding="utf-8").splitlines())
        self._default = mean_of(self._decoder)
        self.running = False

    def measure(self, pcm: bytes, known: Profile | None) -> tuple[Profile, Profile]:
        """What *pcm* says of its channel: alone, and together with what is known already."""
        if len(pcm) < 10 * FRAME:
            return Profile(self._default, 0.0), known or Profile(self._default, 0.0)
        self._meter.reinit_feat()  # forgets the noise floor, and makes the mean that of this audio alone
        self._meter.start_utt()
        self._meter.process_raw(pcm, False, True)
        self._meter.end_utt()
        measured = Profile(mean_of(self._meter), len(pcm) / FRAME)
        # The library's own mean knows nothing of this recording's level, which is the first coefficient.
        known = known or Profile([measured.mean[0], *self._default[1:]], PRIOR_FRAMES)
        return measured, known.joined(measured.mean, measured.frames)

    def start(self, mean: Mean) -> None:
        """Begin a run in which *mean* is subtracted. Nothing of earlier audio is left in the decoder."""
        self.stop()
        self._decoder.reinit_feat()
        self._decoder.set_cmn(",".join(f"{value:.4f}" for value in mean))
        self._decoder.start_utt()
        self.running = True

    def feed(self, pcm: bytes) -> None:
        self._decoder.process_raw(pcm, False, False)

    def text(self) -> str:
        """The words so far."""
        hypothesis = self._decoder.hyp()
        return plain(hypothesis.hypstr) if hypothesis else ""

    def finish(self) -> Reading:
        """End the run, which searches its word graph once more."""
        self.stop()
        hypothesis = self._decoder.hyp()
        text = plain(hypothesis.hypstr) if hypothesis else ""
        if not text:
            return Reading("")
        words = len(text.split())
        confidence = float(hypothesis.prob) ** (1 / words)  # of the average word
        least = 0.0 if words > 1 else NOISE if text in self._alone else DOUBTFUL
        return Reading(text, confidence) if confidence >= least else Reading("")

    def stop(self) -> None:
        """End the run, if there is one."""
        if self.running:
            self.running = False
            self._decoder.end_utt()


def mean_of(decoder: Decoder) -> Mean:
    return [float(value) for value in decoder.get_cmn(False).split(",") if value]


def plain(hypothesis: str) -> str:
    """Words alone, without the numbers of pronunciation variants."""
    return " ".join(word.partition("(")[0] for word in hypothesis.split())


def distance(a: Mean, b: Mean) -> float:
    return float((sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)) ** 0.5)


@dataclass
class Pace:
    """How long decoding takes, learnt from utterance to utterance of this process."""

    factor: float = 0.25
    """Seconds of work for a second of audio."""

    def learn(self, work_s: float, audio_s: float) -> None:
        self.factor += 0.05 * (work_s / audio_s - self.factor)


@dataclass
class Job:
    """One utterance, from `begin` to `final`."""

    line: Line
    ear: Ear
    pace: Pace
    interval_s: float
    profile: Profile | None
    """The session's, from earlier utterances."""

    pcm: bytearray = field(default_factory=bytearray)
    fed: int = 0
    """Bytes that the run has heard."""
    seen: int = 0
    """Bytes that any run has heard: while a new run catches up it has nothing new to say."""
    spoken: int = 0
    """Bytes up to the end of the last speech."""
    mean: Mean = field(default_factory=list)
    """What the run subtracts."""
    measured: Profile | None = None
    measured_at: int = 0
    """How much audio there was then."""
    whole: bool = False
    """Whether all speech so far was measured, and the run is right for it."""
    rough: Reading = Reading("")
    """The best reading should there be no time for a better one."""
    settled: Reading | None = None
    """The reading of all speech so far; its run is over."""
    idle: bool = True
    ended_at: float | None = None
    wait_s: float = 0.0
    hasty: bool = False
    """A rough final was said already."""
    said: str = ""
    said_at: float = float("-inf")
    busy_s: float = 0.0

    def run(self) -> None:
        """Work until the final is said. Raises Abandoned."""
        while self.ended_at is None or (self.settled is None and self.spoken):
            self.take()
            started = time.thread_time()
            self.idle = not (self.begin() or self.step() or self.renew() or self.settle())
            self.busy_s += time.thread_time() - started
            self.hurry()
        self.conclude(self.settled or Reading(""))

    def take(self) -> None:
        """Accept what has arrived; wait for it where there is nothing else to do."""
        self.line.check()
        while self.ended_at is None and (self.idle or self.line.waiting()):
            self.idle = False
            match self.line.receive():
                case ["audio", pcm, speech]:
                    self.pcm += pcm
                    if speech:
                        self.spoken = len(self.pcm)
                        self.settled, self.whole = None, False
                case ["end", wait_s]:
                    self.ended_at, self.wait_s = time.monotonic(), wait_s

    @property
    def goal(self) -> int:
        """Where the run stops hearing for now."""
        return min(len(self.pcm) // 2, self.spoken // 2 + int(TAIL_S * RATE)) * 2

    def silence(self, seconds: float) -> bool:
        """Has the speaker been silent for that long, or for good?"""
        return self.ended_at is not None or len(self.pcm) - self.spoken >= seconds * SECOND

    def begin(self) -> bool:
        """Begin a run where there is none: at the start, and when the speaker goes on after a reading was settled."""
        if self.ear.running or self.settled is not None or not self.spoken:
            return False
        if not self.mean:
            if self.profile:
                self.mean = self.profile.mean
            elif self.silence(PAUSE_S) or len(self.pcm) >= FIRST_S * SECOND:
                self.mean = self.estimate()
            else:
                return False
        self.ear.start(self.mean)
        self.fed = 0
        return True

    def step(self) -> bool:
        """Let the run hear the next piece; say a partial where it has heard everything."""
        if not self.ear.running or self.fed >= self.goal:
            return False
        piece = bytes(self.pcm[self.fed : min(self.fed + CHUNK, self.goal)])
        started = time.thread_time()
        self.ear.feed(piece)
        self.pace.learn(time.thread_time() - started, len(piece) / SECOND)
        self.fed += len(piece)
        if self.fed >= self.goal > self.seen:
            self.seen = self.fed
            text, now = self.ear.text(), time.monotonic()
            if text != self.said and text and now - self.said_at >= self.interval_s:
                self.said, self.said_at = text, now
                self.say("partial", Reading(text))
        return True

    def renew(self) -> bool:
        """Decode anew where more audio shows that the run subtracts the wrong mean."""
        paused = self.silence(PAUSE_S)
        grown = self.measured_at < SECOND_S * SECOND <= len(self.pcm)
        if not self.ear.running or not (grown or (paused and not self.whole)):
            return False
        mean = self.estimate()
        self.whole = paused
        if distance(mean, self.mean) > NEAR:
            self.rough = self.ear.finish()
            self.mean = mean
            self.ear.start(mean)
            self.fed = 0
        return True

    def settle(self) -> bool:
        """End the run when the speaker has paused: its reading is as good as it gets."""
        if not self.ear.running or not self.silence(TAIL_S):
            return False
        self.settled = self.rough = self.ear.finish()
        if self.ended_at is None:
            self.say("stable", self.settled)
        return True

    def estimate(self) -> Mean:
        """Measure all audio so far."""
        known = self.profile.limited(SESSION_FRAMES) if self.profile else None
        self.measured_at = len(self.pcm)
        self.measured, joint = self.ear.measure(bytes(self.pcm[: self.goal]), known)
        return joint.mean

    def hurry(self) -> None:
        """Where the best final would take too long, say what there is."""
        if self.ended_at is None or self.hasty or self.settled is not None or not self.spoken:
            return
        left = self.goal - self.fed + (0 if self.whole else self.goal)
        if left / SECOND * self.pace.factor > self.wait_s - (time.monotonic() - self.ended_at):
            self.hasty = True
            caught_up = self.ear.running and self.fed >= self.seen
            self.say("final", Reading(self.ear.text()) if caught_up else self.rough, more=True)

    def conclude(self, reading: Reading) -> None:
        if self.measured and self.measured.frames and reading.text:
            known = self.profile or Profile(self.measured.mean, 0.0)
            self.profile = known.limited(SESSION_FRAMES).joined(self.measured.mean, self.measured.frames)
        self.say("revised" if self.hasty else "final", reading)

    def say(self, kind: str, reading: Reading, *, more: bool = False) -> None:
        profile = [self.profile.mean, self.profile.frames] if self.profile and kind in {"final", "revised"} else None
        self.line.send(kind, reading.text, reading.confidence, self.busy_s, more, profile)


def main(model: str, folder: str) -> None:
    line = Line()
    try:
        ear = Ear(Path(model), Path(folder))
    except RuntimeError as error:
        line.refuse(f"PocketSphinx cannot load its model: {error}", f"delete {folder}; it is made again at the start")
    pace = Pace()

    def job(message: list[object]) -> None:
        match message:
            case ["begin", float() | int() as interval_s, profile]:
                known = Profile(*profile) if isinstance(profile, list) else None
                try:
                    Job(line, ear, pace, float(interval_s), known).run()
                finally:
                    ear.stop()

    line.ready()
    line.serve(job)


if __name__ == "__main__":
    main(*sys.argv[1:])
