"""The recogniser's child process: PCM in, hypotheses out. Run by `pocketsphinx.PocketSphinxRecognizer`.

Accuracy hangs on the cepstral mean that is subtracted from the features: it is the channel's, not the words'. At the
start of an utterance the mean is a guess from its first half second. Whenever more audio gives another one, the audio
is decoded again from its start, several times faster than it was spoken. So there is always one *run* over all audio
so far, and the last run, begun in the speaker's first pause, knows the mean of the whole utterance. Measuring early and
often makes that last run rarely necessary: it is skipped where the mean has hardly moved.

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
GROWTH = 1.5
"""The mean is taken again whenever the audio has become longer by this factor."""
PAUSE_S = 0.13
"""Silence after which the utterance may well be over."""
TAIL_S = 0.3
"""Silence that is decoded after speech: word ends are quiet."""
PRIOR_FRAMES = 100.0
"""The weight of the library's own mean against a measured one."""
FOREIGN, FOREIGN_FRAMES = 15.0, 100
"""A mean of so many frames that lies further from the library's own than this is another kind of channel's, a
telephone's say: the library's then counts for nothing."""
SESSION_FRAMES = 300.0
"""The greatest weight of what the session said before."""
NEAR = 2.0
"""Means no further apart than this (root mean square over the coefficients) are as good as each other."""
LEAST_SURE, LEAST_SURE_ALONE, LEAST_SURE_SINGLE = 0.03, 0.25, 0.5
"""Readings less sure than this are none, for breaths, clicks and rooms become short words: several words, a word that
is said alone ("stop"), and another single word ("if", to which noise comes with up to 0.4)."""
CONFIRM_S = 0.1
"""A first word is said once it has stood for so much speech: a click is over by then. A word that is said alone need
not be followed by speech."""

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
            # Less work for as good words or better (docs/engines.md): no second search, at most so many states a
            # frame, and a longer look ahead.
            fwdflat=False,
            maxhmmpf=3000,
            pl_window=10,
            loglevel="FATAL",
        )
        # What it hears does not matter, so it scores as little as can be: every tenth frame, one density each.
        self._meter = Decoder(
            hmm=hmm,
            lm=None,
            dict=str(folder / "one-word.dict"),
            keyphrase="zero",
            ds=10,
            topn=1,
            loglevel="FATAL",
        )
        self.alone = frozenset((folder / "alone.txt").read_text(encoding="utf-8").splitlines())
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
        if known is None:
            # The library's own mean knows nothing of this recording's level, which is the first coefficient.
            usual = [measured.mean[0], *self._default[1:]]
            if measured.frames >= FOREIGN_FRAMES and distance(usual, measured.mean) > FOREIGN:
                return measured, measured
            known = Profile(usual, PRIOR_FRAMES)
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

    def guess(self) -> Reading:
        """The words so far, where nobody asks how sure they are: a single one must be a word that is said alone."""
        text = self.text()
        return Reading(text if " " in text or text in self.alone else "")

    def finish(self) -> Reading:
        """End the run, which searches its word graph once more."""
        self.stop()
        hypothesis = self._decoder.hyp()
        text = plain(hypothesis.hypstr) if hypothesis else ""
        if not text:
            return Reading("")
        words = len(text.split())
        confidence = float(hypothesis.prob) ** (1 / words)  # of the average word
        least = LEAST_SURE if words > 1 else LEAST_SURE_ALONE if text in self.alone else LEAST_SURE_SINGLE
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
    """How long work takes, learnt in this process; in real time, so that a loaded machine counts as a slow one."""

    step: float = 0.25
    """Seconds for a second of audio."""
    finish: float = 0.02
    """Seconds at the end of a run, for a second of its audio."""

    def learn_step(self, took_s: float, audio_s: float) -> None:
        self.step += 0.05 * (took_s / audio_s - self.step)

    def learn_finish(self, took_s: float, audio_s: float) -> None:
        self.finish += 0.3 * (took_s / audio_s - self.finish)


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
    word: str = ""
    """The single word that the run has heard so far, if it has heard one."""
    word_at: tuple[int, int] = (0, 0)
    """What the run had heard then, and how much of it was speech."""
    said: str = ""
    said_at: float = float("-inf")
    busy_s: float = 0.0

    def run(self) -> None:
        """Work until the final is said. Raises Abandoned."""
        while self.ended_at is None or (self.settled is None and self.spoken):
            self.take()
            started = time.thread_time()
            self.idle = not (self.begin() or self.renew() or self.step() or self.settle())
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
        started = time.monotonic()
        self.ear.feed(piece)
        self.pace.learn_step(time.monotonic() - started, len(piece) / SECOND)
        self.fed += len(piece)
        if self.fed >= self.goal > self.seen:
            self.seen = self.fed
            text, now = self.ear.text(), time.monotonic()
            if text != self.said and self.credible(text) and now - self.said_at >= self.interval_s:
                self.said, self.said_at = text, now
                self.say("partial", Reading(text))
        return True

    def credible(self, text: str) -> bool:
        """Whether *text* is said as a partial. A single word may come of a noise, so it must stand for a while."""
        if not text or " " in text:
            return bool(text)
        now = self.fed, min(self.fed, self.spoken)
        if text != self.word:
            self.word, self.word_at = text, now
        alone = text in self.ear.alone
        heard, before = (now[0], self.word_at[0]) if alone else (now[1], self.word_at[1])
        return heard - before >= CONFIRM_S * SECOND

    def renew(self) -> bool:
        """Decode anew where more audio shows that the run subtracts the wrong mean."""
        paused = self.silence(PAUSE_S)
        grown = len(self.pcm) >= max(FIRST_S * SECOND, GROWTH * self.measured_at)
        if not self.ear.running or not (grown or (paused and not self.whole)):
            return False
        mean = self.estimate()
        self.whole = paused
        if distance(mean, self.mean) > NEAR:
            if self.fed >= self.seen:
                self.rough = self.finish() if self.ended_at is None else self.ear.guess()
            self.mean = mean
            self.ear.start(mean)
            self.fed = 0
        return True

    def settle(self) -> bool:
        """End the run when the speaker has paused: its reading is as good as it gets."""
        if not self.ear.running or not self.silence(TAIL_S):
            return False
        self.settled = self.rough = self.finish()
        if self.ended_at is None:
            self.say("stable", self.settled)
        return True

    def finish(self) -> Reading:
        started = time.monotonic()
        reading = self.ear.finish()
        self.pace.learn_finish(time.monotonic() - started, max(self.fed, FRAME) / SECOND)
        return reading

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
        audio_s, left_s = self.goal / SECOND, (self.goal - self.fed) / SECOND
        if not self.whole:
            left_s = audio_s  # a run from the start may be needed
        work_s = left_s * self.pace.step + audio_s * self.pace.finish
        if work_s > self.wait_s - (time.monotonic() - self.ended_at):
            self.hasty = True
            caught_up = self.ear.running and self.fed >= self.seen
            self.say("final", self.ear.guess() if caught_up else self.rough, more=True)

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
