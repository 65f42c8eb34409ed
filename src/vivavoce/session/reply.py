"""One assistant answer: tokens -> phrases -> speech, in order.

    model --Delta--> PhraseBuffer --phrase--> [<= pending] --> synthesis (<= parallel at once) --> voice out, in order
          (this task)                                          (a task each)                       (this group's owner)

Pulling gives the backpressure: a slow client holds up `play`, full phrases hold up the reading of the model, and that
holds up the model's connection. Cancelling `run` stops all of it; nothing is left running when it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

import msgspec

from vivavoce.core.playback import Playback
from vivavoce.engines.base import Delta, Speech, Usage
from vivavoce.errors import EngineError, EngineTimeout
from vivavoce.events import Error, Event, LLMToken, Outcome, Phrase, PhraseSpoken, ReplyText, TTSPhraseDone
from vivavoce.session.alarm import Alarm, ending
from vivavoce.session.speaker import Speaker
from vivavoce.text.phrases import PhraseBuffer


class ReplyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and counts; each is a setting."""

    first_token_s: float = 10.0
    token_s: float = 5.0
    llm_s: float = 30.0
    phrase_s: float = 10.0
    pending: int = 5
    """Phrases that may wait for synthesis."""
    parallel: int = 2
    """Syntheses at once."""
    max_characters: int = 20_000


class VoiceOut(Protocol):
    """How speech goes to the client: `wav_b64` or paced binary frames."""

    async def speak(self, seq: int, pcm: bytes) -> None:
        """Send audio of phrase *seq*; waits for a slow client, a held reply, an unconfirmed turn."""

    async def phrase_end(self, seq: int) -> None:
        """All audio of phrase *seq* was given."""


LONG_TOKEN = 1000
"""Characters that are cut into phrases at once: what a whole page takes would be missed by everybody's audio."""
SLACK_S = 0.001
"""Less than this is not waited for."""


class Gate:
    """Whether a reply may be heard: once it is confirmed, and while it is not held."""

    def __init__(self, *, confirmed: bool) -> None:
        self.confirmed = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        if confirmed:
            self.confirmed.set()

    def hold(self) -> None:
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    async def passable(self) -> None:
        """Wait until audio may go out."""
        await self.confirmed.wait()
        await self._flowing.wait()


class _Slot:
    """A phrase on its way through synthesis."""

    def __init__(self, seq: int, text: str, said: Sequence[str]) -> None:
        self.seq = seq
        self.text = text
        self.said = said
        self.pieces: asyncio.Queue[Speech | EngineError | None] = asyncio.Queue()


class Reply:
    """One answer. Make it, then await `run` in a task; cancel the task to interrupt."""

    def __init__(
        self,
        number: int,
        *,
        speaker: Speaker | None,
        phrases: PhraseBuffer,
        limits: ReplyLimits,
        emit: Callable[[Event], None],
        clock: Callable[[], float],
        confirmed: bool = True,
        playback: Playback | None = None,
    ) -> None:
        self.number = number
        self.text = ""
        """The answer as far as the model has written it."""
        self.playback = playback or Playback()
        self.gate = Gate(confirmed=confirmed)
        self.error: EngineError | None = None
        """Why it failed, if it did."""
        self.moved = asyncio.Event()
        """To be set when `playback` has news: a report, a hold, a resume."""
        self.speaker = speaker
        """Who speaks the phrases to come; None: nobody."""
        self._phrases = phrases
        self._limits = limits
        self._emit_now = emit
        self._clock = clock
        self._unheard: list[Event] = []  # what a reply that is not confirmed would have sent
        self._when_confirmed: list[Callable[[], None]] = []
        self._slots: asyncio.Queue[_Slot | None] = asyncio.Queue()
        self._taken = asyncio.Event()  # a phrase left the queue
        self._parallel = asyncio.Semaphore(limits.parallel)
        self._seq = 0
        self._tokens = 0
        self._usage: Usage | None = None
        self._first_token_at = self._last_token_at = 0.0
        self._complete = False
        self._silenced = False
        self._unsaid = ""  # what is shown since the last phrase, with nothing to say in it

    def emit(self, event: Event) -> bool:
        """Send *event*, or keep it until the reply is confirmed. False once silenced."""
        if self._silenced:
            return False
        if self.gate.confirmed.is_set():
            self._emit_now(event)
        else:
            self._unheard.append(event)
        return True

    @property
    def silenced(self) -> bool:
        return self._silenced

    def silence(self) -> None:
        """From now on nothing of this reply reaches the client, whatever its tasks still do until they are joined."""
        self._silenced = True
        self.gate.hold()

    def confirm(self) -> None:
        """The turn is certain: what was held back goes out."""
        self.gate.confirmed.set()
        for event in self._unheard:
            self._emit_now(event)
        self._unheard.clear()
        for call in self._when_confirmed:
            call()
        self._when_confirmed.clear()

    def when_confirmed(self, call: Callable[[], None]) -> None:
        """Call *call* once the turn is certain; never, if it is discarded."""
        if self.gate.confirmed.is_set():
            call()
        else:
            self._when_confirmed.append(call)

    async def run(self, deltas: AsyncGenerator[Delta, None], out: VoiceOut) -> Outcome:
        """Answer, and wait until the listener has heard it. Cancelling stops at once.

        Returns `done`, `incomplete` (the model's stream ended early) or `failed` (`error` says why).
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(deltas, group), name=f"reply {self.number} model")
            await self._play(out)
            await self.gate.confirmed.wait()
            await self._played_out()
        if self.error is not None:
            return "failed"
        return "done" if self._complete else "incomplete"

    async def _read(self, deltas: AsyncGenerator[Delta, None], group: asyncio.TaskGroup) -> None:
        """Model -> tokens to the client, phrases to synthesis."""
        loop = asyncio.get_running_loop()
        began = asked = self._clock()
        left_s = self._limits.llm_s
        deadline = asyncio.timeout(None)
        patience = ending(deadline)
        late = Alarm(lambda: self._say_late(group))
        try:
            async with aclosing(deltas), deadline:
                patience.set(loop.time() + self._limits.first_token_s)
                async for delta in deltas:
                    patience.set(None)  # what follows waits for the client, not for the model
                    late.set(None)
                    left_s -= self._clock() - asked
                    await self._cut(self._take(delta), group)
                    await self._room()
                    if self._complete:
                        break
                    late.set(self._phrases.deadline)
                    asked = self._clock()
                    patience.set(loop.time() + min(self._limits.token_s, max(left_s, 0.0)))
        except TimeoutError:
            if not deadline.expired():
                raise  # the agent's own code ran out of its own time
            self.error = EngineTimeout("llm", "the language model did not answer in time")
        except EngineError as error:
            self.error = error
        finally:
            patience.cancel()
            late.cancel()
        for phrase in self._phrases.flush():
            self._say(phrase, group)
        if self.error is None:
            self.emit(LLMToken(text="", done=True, turn_id=self.number))
        seconds = self._clock() - began
        self.emit(
            ReplyText(
                turn_id=self.number,
                text=self.text,
                tokens=self._tokens,
                seconds=seconds,
                span_s=self._last_token_at - self._first_token_at,
                prompt_tokens=None if self._usage is None else self._usage.prompt_tokens,
                answer_tokens=None if self._usage is None else self._usage.answer_tokens,
            )
        )
        self._slots.put_nowait(None)

    async def _cut(self, text: str, group: asyncio.TaskGroup) -> None:
        """Have the phrases spoken that *text* completes. One that is too long for a token lets others run between."""
        for at in range(0, len(text), LONG_TOKEN):
            if at:
                await asyncio.sleep(0)
            for phrase in self._phrases.feed(text[at : at + LONG_TOKEN], self._clock()):
                await self._room()
                self._say(phrase, group)

    def _take(self, delta: Delta) -> str:
        """Show a delta; returns what of it is shown."""
        if (used := delta.usage) is not None:
            before = self._usage or Usage()
            self._usage = Usage(before.prompt_tokens + used.prompt_tokens, before.answer_tokens + used.answer_tokens)
        room = self._limits.max_characters - len(self.text)
        self._complete = delta.finish is not None or len(delta.text) > room
        text = delta.text[:room].encode("utf-8", "replace").decode()  # half a character cannot be sent
        if not text:
            return ""
        self._last_token_at = self._clock()
        if not self._tokens:
            self._first_token_at = self._last_token_at
        self._tokens += 1
        self.text += text
        self.emit(LLMToken(text=text, turn_id=self.number))
        return text

    def _say_late(self, group: asyncio.TaskGroup) -> None:
        """Speak what has waited too long for a boundary, even while the model is silent."""
        for phrase in self._phrases.tick(self._clock()):
            self._say(phrase, group)

    async def _room(self) -> None:
        """Wait while too many phrases are pending."""
        while self._slots.qsize() >= self._limits.pending:
            self._taken.clear()
            await self._taken.wait()

    def _say(self, text: str, group: asyncio.TaskGroup) -> None:
        """Queue one phrase, and have it synthesized."""
        if self.speaker is None:
            return
        if (said := self.speaker.read(text)) is None:
            self._unsaid += text
            return
        self._seq += 1
        slot = _Slot(self._seq, text, said)
        self.playback.phrase(slot.seq, text, self._unsaid)
        self._unsaid = ""
        self._slots.put_nowait(slot)
        group.create_task(self._make(slot, self.speaker), name=f"reply {self.number} phrase {slot.seq}")

    async def _make(self, slot: _Slot, speaker: Speaker) -> None:
        """Synthesize one phrase into its slot. Of a reply that is not confirmed only the first is made."""
        if slot.seq > 1:
            await self.gate.confirmed.wait()
        seconds = 0.0
        async with self._parallel:
            began = self._clock()
            try:
                async with (
                    asyncio.timeout(self._limits.phrase_s),
                    aclosing(speaker.synthesize(slot.text, slot.said)) as pieces,
                ):
                    async for speech in pieces:
                        made_s = len(speech.pcm) / 2 / speaker.synthesizer.sample_rate
                        middles = [(word.start_ms + word.end_ms) / 2000 for word in speech.words]
                        self.playback.made(slot.seq, made_s, middles)
                        seconds += made_s
                        slot.pieces.put_nowait(speech)
            except TimeoutError:
                slot.pieces.put_nowait(EngineTimeout("tts", f"phrase {slot.seq} was not spoken in time"))
            except EngineError as error:
                slot.pieces.put_nowait(error)
        slot.pieces.put_nowait(None)
        busy_s = self._clock() - began
        self.emit(PhraseSpoken(turn_id=self.number, seq=slot.seq, audio_s=seconds, busy_s=busy_s))

    async def _play(self, out: VoiceOut) -> None:
        """Speech out, phrase after phrase; a phrase that fails is reported and skipped."""
        failures: list[EngineError] = []
        while (slot := await self._slots.get()) is not None:
            self._taken.set()
            await self.gate.passable()
            spoken = False
            while (piece := await slot.pieces.get()) is not None:
                if isinstance(piece, EngineError):
                    if not failures:  # said without a turn, since the turn goes on
                        self.emit(Error(code=piece.code, message=piece.message))
                    failures.append(piece)
                    continue
                if not spoken:
                    spoken = True
                    words = tuple((word.text, word.start_ms, word.end_ms) for word in piece.words)
                    self.emit(Phrase(seq=slot.seq, text=slot.text, words=words or msgspec.UNSET, turn_id=self.number))
                await out.speak(slot.seq, piece.pcm)
            if spoken:
                await out.phrase_end(slot.seq)
                self.emit(TTSPhraseDone(seq=slot.seq, turn_id=self.number))
        if failures and not self.playback.audible and self.error is None:
            self.error = failures[-1]

    async def _played_out(self) -> None:
        """Wait until the listener has heard what was sent: by report, or by its playing time."""
        while True:
            left_s = self.playback.ends_at(self._clock()) - self._clock()
            if left_s <= SLACK_S and not self.playback.held:
                return
            self.moved.clear()
            try:
                async with asyncio.timeout(None if self.playback.held else left_s):
                    await self.moved.wait()
            except TimeoutError:
                pass
