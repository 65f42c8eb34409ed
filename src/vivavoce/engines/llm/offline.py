"""The `offline` chat model: vivavoce.assistant behind the ChatModel Protocol. It needs no model and no network."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from random import Random

from vivavoce.assistant.respond import respond
from vivavoce.assistant.skill import CancelTimer, Effect, Said, SetTimer, Turn
from vivavoce.engines.base import ChatRequest, Delta, Host, Timers

YIELD_EVERY = 8
"""Deltas between two turns of the event loop, so that a long answer delays nobody's audio."""

PIECE = re.compile(r"\s*\S+\s*$|\s*\S+")


def local_time() -> datetime:
    return datetime.now().astimezone()


class OfflineChat:
    """Answers by rules, word by word. It knows nothing but the conversation it is asked about."""

    name = "offline"
    answers_by_schema = False
    """Whoever asks for an object gets the failure of the model before this one instead of a sentence."""
    model = "built-in rules"

    def __init__(
        self, *, clock: Callable[[], datetime] = local_time, chance: Random | None = None, token_gap_s: float = 0.0
    ) -> None:
        """clock: the user's local time, with its zone. token_gap_s: a pause before each delta, for demonstrations."""
        self.clock = clock
        self.chance = chance or Random()
        self.token_gap_s = token_gap_s

    async def start(self) -> None:
        """Answer once, so that the first user does not wait for what is built on first use."""
        respond(Turn("warm up the tables", (), self.clock(), None, self.chance))

    async def close(self) -> None:
        """Nothing to free."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer a word at a time.

        An answer with effects waits until the turn is certain and is then made anew: a timer may have rung meanwhile.
        The effects happen before the first word, so that what is said of them is true.
        """
        answer = respond(self.turn(request))
        if answer.effects:
            await request.host.confirmed()
            answer = respond(self.turn(request))
            apply(answer.effects, request.host)
        pieces = PIECE.findall(answer.text)
        for count, piece in enumerate(pieces, 1):
            if self.token_gap_s or count % YIELD_EVERY == 0:
                await asyncio.sleep(self.token_gap_s)
            yield Delta(piece, "stop" if count == len(pieces) else None)

    def turn(self, request: ChatRequest) -> Turn:
        """The request as the assistant sees it, at this moment."""
        messages = list(request.messages)
        if messages and messages[-1].call_id:  # another model began this turn, and had tools work for it
            while messages and messages[-1].role != "user":
                messages.pop()
        said = [each for each in messages if each.role in ("user", "assistant") and each.content]
        asked = said.pop().content if said and said[-1].role == "user" else ""
        history = (
            *(Said("user", f"remember that {pin}") for pin in request.pins),
            *(Said("user" if each.role == "user" else "assistant", each.content, each.interrupted) for each in said),
        )
        timers = request.host.timers
        running = None if timers is None else tuple(timers.remaining())
        return Turn(asked, history, self.clock(), running, self.chance, request.language)


def apply(effects: tuple[Effect, ...], host: Host) -> None:
    """Do what the answer says was done."""
    timers: Timers | None = host.timers
    if timers is None:
        return
    for effect in effects:
        match effect:
            case SetTimer(name, delay_s, announcement):
                timers.set(name, delay_s, announcement)
            case CancelTimer(name):
                timers.cancel(name)
