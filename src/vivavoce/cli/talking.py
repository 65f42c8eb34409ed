"""One spoken conversation: microphone or recording in, words on the screen, speech out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path

import click
import msgspec

from vivavoce.audio import pcm, wav
from vivavoce.cli import Failed
from vivavoce.cli.client import VoiceClient
from vivavoce.cli.devices import FRAME_S, Loudspeaker, device_name, microphone
from vivavoce.cli.session import session
from vivavoce.cli.terminal import Transcript, Unheard, latency_line
from vivavoce.events import (
    Cancel,
    Error,
    FinalTranscript,
    Hold,
    Info,
    Interrupted,
    LLMToken,
    Metrics,
    PartialTranscript,
    Played,
    Resume,
    ServerMessage,
    SpeechStarted,
    Start,
    Stop,
    Text,
    TTSChunk,
)
from vivavoce.settings import Loaded

RATE_HZ = 16_000
REPORT_S = 0.2
"""How often the server is told what was heard."""
PATIENCE_S = 1.5
"""Silence after a recording beyond the server's endpointing, before we say that it is over."""


class Plan(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    recording: Path | None = None
    save: Path | None = None
    typed: str | None = None
    turns: int | None = None
    half_duplex: bool = False

    @property
    def has_end(self) -> bool:
        """Whether the speaker's part is finite."""
        return self.recording is not None or self.typed is not None


async def talk(
    loaded: Loaded,
    plan: Plan,
    *,
    url: str | None,
    conversation: str | None,
    language: str | None,
    local: bool,
    agent: Path | None = None,
) -> None:
    """Hold the conversation. Raises Failed when it cannot be held, or a turn failed."""
    frames = await asyncio.to_thread(_read, plan.recording) if plan.recording else b""
    if plan.save is None:
        device_name("output")
    if not plan.has_end:
        device_name("input")
    start = Start(sample_rate=RATE_HZ, conversation_id=conversation, language=language)
    async with session(loaded, url, start, local=local, agent=agent) as client, AsyncExitStack() as stack:
        talking = Talking(client, plan)
        if talking.speaker is not None:
            stack.enter_context(talking.speaker.running())
        try:
            await talking.run(frames)
        except BaseException:
            await _give_up(client)
            raise
    if plan.save is not None:
        plan.save.write_bytes(wav.encode(bytes(talking.answer), talking.answer_rate_hz))
    if talking.failure:
        raise Failed(talking.failure)


def _read(recording: Path) -> bytes:
    """A recording of any rate and channels as mono s16le at RATE_HZ."""
    from vivavoce.audio.resample import resample

    sound, rate_hz = wav.read(recording.read_bytes())
    return resample(sound, rate_hz, RATE_HZ)


async def _give_up(client: VoiceClient) -> None:
    with suppress(Failed):  # it may have been the connection that failed
        await client.send(Cancel())


class Talking:
    """The state of one conversation, and its three tasks: sound out, messages in, reports of what was heard."""

    def __init__(self, client: VoiceClient, plan: Plan) -> None:
        self.client = client
        self.plan = plan
        self.speaker = Loudspeaker(client.info.output_sample_rate or 24_000) if plan.save is None else None
        self.answer = bytearray()
        self.answer_rate_hz = client.info.output_sample_rate or 24_000
        self.failure = ""
        self._shown = Transcript()
        self._unheard = Unheard(client)
        self._open: set[int] = set()  # turns under way
        self._ended = 0
        self._utterance = False  # somebody speaks, and the final has not come
        self._words = False
        self._moved = asyncio.Event()  # something that `_until` waits for may have changed
        self._turn_began = 0  # in the answer

    async def run(self, frames: bytes) -> None:
        """Speak, listen, and end as the plan says."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._receive(), name="talk receiver")]
            if self.speaker is not None:
                tasks.append(group.create_task(self._report(self.speaker), name="talk reports"))
            if not self.plan.has_end:
                tasks.append(group.create_task(self._listen(), name="talk microphone"))
                click.echo("Speak. Ctrl+C ends.", err=True)
                await self._until(lambda: self.plan.turns is not None and self._ended >= self.plan.turns)
            elif self.plan.typed is not None:
                await self.client.send(Text(text=self.plan.typed))
                await self._until(lambda: self._ended > 0)
            else:
                await self._speak(frames)
            for task in tasks:
                task.cancel()

    # --- sound out --------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async with microphone(RATE_HZ) as heard, aclosing(heard):
            async for frame in heard:
                deaf = self.plan.half_duplex and self.speaker is not None and not self.speaker.silent
                await self.client.send(bytes(len(frame)) if deaf else frame)

    async def _speak(self, frames: bytes) -> None:
        """Send the recording as fast as it was spoken, then silence until the server has noticed its end."""
        options = self.client.info.session or {}
        silence_s = options.get("vad_silence_ms", 700) / 1000 + PATIENCE_S
        pace = _Pace()
        async with aclosing(pace.frames(frames)) as recording:
            async for frame in recording:
                await self.client.send(frame)
        async with aclosing(pace.frames(pcm.silence(silence_s, RATE_HZ))) as silence:
            async for frame in silence:
                if not self._utterance and (self._open or self._ended):
                    break
                await self.client.send(frame)
            else:
                await self.client.send(Stop())
        await self._until(lambda: bool(self._ended) and not self._open and not self._utterance)
        if not self._words:
            raise Failed(f"no words were recognised in {self.plan.recording}")

    # --- messages in ------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        async with aclosing(self.client.messages()) as messages:
            async for message in messages:
                if self.speaker is None:
                    await self._unheard.take(message)
                self._hear(message)
                self._show(message)
                self._moved.set()
        raise Failed("the server closed the connection")

    def _hear(self, message: ServerMessage) -> None:
        """What *message* means for the sound."""
        match message:
            case TTSChunk(turn_id=int(turn)):
                sound, rate_hz = wav.read(base64.b64decode(message.audio_b64))
                if self.speaker is not None:
                    self.speaker.play(turn, message.seq, sound, rate_hz)
                else:
                    self.answer += sound
                    self.answer_rate_hz = rate_hz
            case Hold() if self.speaker is not None:
                self.speaker.hold()
            case Resume() if self.speaker is not None:
                self.speaker.resume()
            case Interrupted():
                if self.speaker is not None:
                    self.speaker.drop()
                del self.answer[self._turn_began :]
            case SpeechStarted():
                self._utterance = True
            case FinalTranscript():
                self._utterance = False
                self._words |= bool(message.text)

    def _show(self, message: ServerMessage) -> None:
        match message:
            case PartialTranscript(text=text):
                self._shown.partial(text)
            case FinalTranscript(revision=0, turn_id=int(turn)):
                self._open.add(turn)
                self._turn_began = len(self.answer)
                self._shown.final(message.text)
            case LLMToken():
                self._shown.token(message.text)
            case Interrupted():
                self._shown.note(f"interrupted ({message.reason}) after: {message.heard_text or 'nothing'}")
            case Info(retry_after_s=float()):
                self._shown.note(message.message)
            case Error():
                self.failure = f"{message.code}: {message.message}"
                self._shown.note(self.failure)
                if not message.recoverable or (self.plan.has_end and not isinstance(message.turn_id, int)):
                    raise Failed(self.failure, hint=message.hint or "")
            case Metrics():
                self._open.discard(message.turn_id or 0)
                self._ended += message.initiator != "agent"
                self._shown.note(latency_line(message))

    # --- what was heard ---------------------------------------------------------------------------------------------

    async def _report(self, speaker: Loudspeaker) -> None:
        reported = (0, 0, 0.0)
        while True:
            await asyncio.sleep(REPORT_S)
            heard = speaker.heard()
            if heard != reported:
                turn, seq, ms = reported = heard
                await self.client.send(Played(turn_id=turn, seq=seq, ms=ms))

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._moved.clear()
            await self._moved.wait()


class _Pace:
    """Cuts sound into frames and yields each when it would have been spoken."""

    def __init__(self) -> None:
        self._next_at = asyncio.get_running_loop().time()

    async def frames(self, sound: bytes) -> AsyncGenerator[bytes, None]:
        loop, size = asyncio.get_running_loop(), pcm.byte_count(FRAME_S, RATE_HZ)
        for at in range(0, len(sound), size):
            self._next_at += FRAME_S
            await asyncio.sleep(self._next_at - loop.time())
            yield sound[at : at + size]
