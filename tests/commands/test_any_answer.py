"""Whatever a model writes and whenever it stops: nothing unknown is meant, nothing is lost, nothing is left."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.home import ENTITIES, catalog
from kit import FakeModel, a_session, run_virtually
from vivavoce.commands import CHAT, Call, Command, CommandAgent, Commands, StreamLimits, process_command
from vivavoce.errors import EngineFailed

BROKEN = EngineFailed("llm", "broke")
SAID = ("turn on the kitchen light", "set a timer for ten minutes", "hello there", "turn on the moon", "", "x " * 300)
PARTS = (
    '{"intent": ', '"HassTurnOn"', '"Unlock"', '"OpenTheSafe"', '"chat"', ', "entities": ', '{"name": "kitchen light"}',
    '{"name": "front door"}', '{"name": "moon", "area": 5}', '[{"slot": "name", "value": "fan"}]',
    ', "confidence": 0.7', ', "confidence": 1e99', ', "response": ', '"Turning on the kitchen light."',
    '"Done, 🦊 done. ', "}", "}}", "```json\n", "Sure. ", "\\ud83e", '"', ",", "[", "null", "words " * 30,
)  # fmt: skip
LIMITS = StreamLimits(first_token_s=1.0, token_s=0.5, total_s=5.0, max_characters=2000)


@settings(max_examples=150, deadline=None)
@given(
    said=st.sampled_from(SAID),
    parts=st.lists(st.sampled_from(PARTS), max_size=12),
    size=st.integers(1, 40),
    end=st.sampled_from(["stop", "length", None, "breaks", "stalls"]),
)
def test_any_answer(said: str, parts: list[str], size: int, end: str | None) -> None:
    answer = "".join(parts)
    pieces: list[Any] = [answer[at : at + size] for at in range(0, len(answer), size)]
    pieces += [BROKEN] if end == "breaks" else [60.0] if end == "stalls" else []
    model = FakeModel(pieces, gap_s=0.001)
    model.finish = end

    async def run() -> None:
        async with asyncio.timeout(20), process_command(said, model, catalog(), limits=LIMITS) as result:
            screen = [text async for text in result.visual]
            phrases = [phrase async for phrase in result.phrases]
            command = await result.command()
        assert "".join(screen) == "".join(phrases) == result.said
        assert_known(command)
        assert (command.source == "fallback") == result.timings.fallback
        assert model.streams == 0

    run_virtually(run())


def assert_known(command: Command) -> None:
    """What may be carried out is known, to the letter."""
    assert 0 <= command.confidence <= 1
    if command.intent != CHAT and not command.problem:
        known = catalog().default.check(command.intent, command.entities)
        assert json.dumps(known) == json.dumps(command.entities)


@pytest.mark.parametrize("seed", range(25))
def test_any_schedule_of_a_session(seed: int) -> None:
    """Questions, interruptions and breaks in any order: each turn ends once, and no command is done twice or after."""
    draw = random.Random(seed)
    done: list[str] = []
    commands = Commands()

    @commands.on("HassTurnOn", "HassTurnOff")
    async def switch(call: Call, name: str | None = None, area: str | None = None, domain: str | None = None) -> None:
        await asyncio.sleep(draw.random() * 0.05)
        done.append(call.command.text)

    agent = CommandAgent(commands, ENTITIES)
    agent.load()
    whole = (
        '{"intent": "HassTurnOn", "entities": {"name": "fan"}, "confidence": 1, "response": "Turning on the fan now."}'
    )
    pieces: list[Any] = [whole[at : at + 5] for at in range(0, len(whole), 5)]
    if draw.random() < 0.4:
        pieces.insert(draw.randrange(len(pieces)), draw.choice([BROKEN, 3.0]))

    async def run() -> None:
        model = FakeModel(pieces, gap_s=draw.choice([0.0, 0.01, 0.05]))
        async with a_session(llm=model, agent=agent) as client:
            for turn in range(4):
                client.session.type(f"turn on the fan {turn}" if draw.random() < 0.5 else "turn on the fan")
                await asyncio.sleep(draw.random() * 2)
                if draw.random() < 0.4:
                    client.session.cancel()
            await client.session.quiet()
        ends = [message["turn_id"] for message in client.of("metrics")]
        assert len(ends) == len(set(ends)) == 4
        assert len(done) <= 4
        assert len(client.of("command")) <= len(done)

    run_virtually(run(), seed=seed)
