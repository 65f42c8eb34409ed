"""Who may come back: bounded in number, in size and in time."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from kit import run_virtually
from vivavoce.agent import Agent
from vivavoce.session import sessions
from vivavoce.session.options import Options
from vivavoce.session.sessions import Sessions
from vivavoce.settings import Settings


def lost(name: str, size: int = 10) -> Any:
    """As much of a session as parking looks at."""
    replay = deque([(1, "x" * size)])
    outbox, conversation = SimpleNamespace(n=1, replay=replay), SimpleNamespace(id="c")
    return SimpleNamespace(
        id=name,
        outbox=outbox,
        conversation=conversation,
        options=Options.default(Settings()),
        agent=Agent(),
        view=SimpleNamespace(userdata={}),
        last_turn=3,
    )


def make() -> Sessions:
    return Sessions(limit=1, window_s=30.0, clock=asyncio.get_running_loop().time)


def test_a_parked_session_is_taken_once_and_only_by_its_owner() -> None:
    async def scenario() -> None:
        parking = make()
        parking.park(lost("a"), "me")
        assert await parking.resume("a", "somebody else") is None
        parked = await parking.resume("a", "me")
        assert parked is not None
        assert parked.turn == 3
        assert await parking.resume("a", "me") is None

    run_virtually(scenario())


def test_the_window_closes_by_itself() -> None:
    async def scenario() -> None:
        parking = make()
        parking.park(lost("a"), "me")
        await asyncio.sleep(29.0)
        assert parking.parked == 1
        await asyncio.sleep(2.0)
        assert parking.parked == 0, "and nobody had to ask"

    run_virtually(scenario())


def test_the_oldest_go_when_there_are_too_many_or_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(sessions, "MAX_PARKED", 3)
        monkeypatch.setattr(sessions, "MAX_PARKED_CHARACTERS", 100)
        parking = make()
        for name in "abcd":
            parking.park(lost(name), "me")
        assert await parking.resume("a", "me") is None
        assert await parking.resume("b", "me") is not None
        parking.park(lost("big", 90), "me")
        assert await parking.resume("c", "me") is None
        assert await parking.resume("big", "me") is not None

    run_virtually(scenario())
