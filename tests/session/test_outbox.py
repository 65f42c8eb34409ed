"""Bounded by waiting, not by loss; numbered as it is sent; remembered for who comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from kit import run_virtually
from vivavoce.core.playback import Playback, Reading
from vivavoce.events import (
    Error,
    FinalTranscript,
    Info,
    Interrupted,
    LLMToken,
    PartialTranscript,
    ServerMessage,
    TTSChunk,
)
from vivavoce.session.outbox import Outbox, OutboxLimits


def chunk(turn: int, size: int = 10) -> TTSChunk:
    return TTSChunk(seq=1, audio_b64="x" * size, mime="audio/wav", turn_id=turn)


async def sent(outbox: Outbox) -> list[dict[str, Any] | bytes]:
    """Everything that waits, as the client gets it."""
    frames = [await outbox.next() for _ in range(len(outbox))]
    return [msgspec.json.decode(frame) if isinstance(frame, str) else frame or b"" for frame in frames]


def test_messages_are_numbered_in_the_order_of_sending() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits())
        outbox.put(Info(message="a"))
        outbox.put_audio(1, b"audio", 0.1)
        outbox.put(Info(message="b"))
        assert await sent(outbox) == [
            {"type": "info", "message": "a", "n": 1},
            b"audio",
            {"type": "info", "message": "b", "n": 2},
        ]

    run_virtually(scenario())


def test_a_flush_drops_the_audio_of_a_turn_and_nothing_else() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits(seconds=1.0))
        outbox.put_audio(1, b"old", 5.0)
        outbox.put(chunk(1))
        outbox.put(LLMToken(text="kept", turn_id=1))
        outbox.put_audio(2, b"new", 0.1)
        outbox.flush(1)
        async with asyncio.timeout(1):
            await outbox.room()
        outbox.put(Interrupted(reason="user_speech", heard_text="", turn_id=1))
        kinds = [frame if isinstance(frame, bytes) else frame["type"] for frame in await sent(outbox)]
        assert kinds == ["llm_token", b"new", "interrupted"]

    run_virtually(scenario())


def test_a_slow_client_loses_every_third_droppable_message_only() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits(threshold=10, skip=3))
        for at in range(10):
            outbox.put(PartialTranscript(text=str(at)))
        for at in range(10, 31):
            outbox.put(PartialTranscript(text=str(at)))
            outbox.put(FinalTranscript(text=str(at), id="u"))
        texts = [m["text"] for m in await sent(outbox) if isinstance(m, dict) and m["type"] == "partial_transcript"]
        finals = 21
        assert outbox.dropped == 20 // 3
        assert len(texts) == 31 - outbox.dropped
        assert "0" in texts
        assert finals == 21

    run_virtually(scenario())


@pytest.mark.parametrize("limits", [OutboxLimits(bytes=1000), OutboxLimits(seconds=1.0)])
def test_speech_waits_for_a_slow_client(limits: OutboxLimits) -> None:
    async def scenario() -> None:
        outbox = Outbox(limits)
        order: list[str] = []

        async def speak() -> None:
            for at in range(4):
                await outbox.room()
                outbox.put_audio(1, b"x" * 600, 0.6)
                order.append(f"put {at}")

        speaking = asyncio.create_task(speak())
        await asyncio.sleep(1)
        assert order == ["put 0", "put 1"]
        await outbox.next()
        await asyncio.sleep(1)
        assert order == ["put 0", "put 1", "put 2"]
        outbox.close()
        await speaking
        assert await outbox.next() is None

    run_virtually(scenario())


def test_a_closed_outbox_remembers_what_was_not_sent() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits())
        outbox.put(Info(message="sent"))
        await outbox.next()
        outbox.put(Info(message="waits"))
        outbox.put_audio(1, b"lost", 1.0)
        outbox.close()
        outbox.put(Info(message="late"))
        outbox.put_audio(1, b"lost", 1.0)
        assert outbox.n == 3
        missed = outbox.since(1)
        assert missed is not None
        assert [msgspec.json.decode(text)["message"] for text in missed] == ["waits", "late"]
        assert outbox.since(3) == []
        assert outbox.since(4) is None, "more than was ever sent"

    run_virtually(scenario())


def test_what_is_remembered_is_bounded() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits(replay_bytes=200))
        for at in range(20):
            outbox.put(Info(message=str(at)))
            await outbox.next()
        assert sum(len(text) for _, text in outbox.replay) <= 200
        assert outbox.since(19) is not None
        assert outbox.since(1) is None

    run_virtually(scenario())


def test_a_later_connection_goes_on_with_the_numbers() -> None:
    async def scenario() -> None:
        first = Outbox(OutboxLimits())
        for at in range(3):
            first.put(Info(message=str(at)))
            await first.next()
        first.close()
        second = Outbox(OutboxLimits())
        second.go_on(first.n, first.replay)
        for text in second.since(1) or []:
            second.put_text(text)
        second.put(Info(message="resumed"))
        assert [m["n"] for m in await sent(second) if isinstance(m, dict)] == [2, 3, 4]

    run_virtually(scenario())


def test_a_dialect_may_leave_messages_out() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits(), only=(Info,))
        outbox.put(LLMToken(text="no"))
        outbox.put(Info(message="yes"))
        assert [m["type"] for m in await sent(outbox) if isinstance(m, dict)] == ["info"]
        assert issubclass(Info, ServerMessage)

    run_virtually(scenario())


def test_drained_waits_for_the_writer() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits())
        outbox.put(Info(message="a"))
        waiting = asyncio.create_task(outbox.drained())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await outbox.next()
        reader = asyncio.create_task(outbox.next())
        await waiting
        outbox.close()
        assert await reader is None

    run_virtually(scenario())


def test_what_is_sent_again_weighs_what_it_is() -> None:
    """Else the bound would be off by all that a client missed."""

    async def scenario() -> None:
        outbox = Outbox(OutboxLimits(bytes=1000))
        outbox.put_text("x" * 900)
        await outbox.next()
        outbox.put(chunk(1, 1001))
        room = asyncio.create_task(outbox.room())
        await asyncio.sleep(0.1)
        assert not room.done()
        await outbox.next()
        await room

    run_virtually(scenario())


class Shouting:
    """A wire of one kind of message."""

    def encode(self, message: ServerMessage) -> str | None:
        return message.message.upper() if isinstance(message, Info) else None

    def playback(self) -> Playback:
        return Reading(lambda: "shown")


def test_a_dialect_has_its_own_forms_and_nothing_is_kept_for_it() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits(), only=(Info, Error), dialect=Shouting())
        assert outbox.takes(Info)
        assert not outbox.takes(TTSChunk)
        assert outbox.playback().heard_text(0.0) == "shown"
        assert isinstance(Outbox(OutboxLimits()).playback(), Playback)
        for message in (Error(code="X", message="not told"), LLMToken(text="nor this"), Info(message="one")):
            outbox.put(message)
        outbox.put_text("as it is")
        assert [await outbox.next(), await outbox.next()] == ["ONE", "as it is"]
        outbox.put(Info(message="too late"))
        outbox.close()
        assert (outbox.n, list(outbox.replay)) == (0, [])
        assert await outbox.next() is None

    run_virtually(scenario())


def test_drained_means_sent_not_only_taken() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits())
        await outbox.drained()
        outbox.put(Info(message="one"))
        waiting = asyncio.create_task(outbox.drained())
        await outbox.next()  # taken, and being sent
        await asyncio.sleep(1)
        assert not waiting.done()
        following = asyncio.create_task(outbox.next())
        await waiting
        outbox.close()
        assert await following is None

    run_virtually(scenario())


def test_a_frame_that_is_never_sent_does_not_hold_up_the_end() -> None:
    async def scenario() -> None:
        outbox = Outbox(OutboxLimits())
        outbox.put(Info(message="one"))
        await outbox.next()
        waiting = asyncio.create_task(outbox.drained())
        await asyncio.sleep(0)
        outbox.close()
        await waiting

    run_virtually(scenario())
