"""Law G on seeded schedules: whatever a client does, whatever breaks, in whatever order the tasks run.

Each seed draws a client's behaviour, the engines' faults, and the order of ready task steps on a virtual-time loop.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from kit import Client, FakeModel, FakeRecognizer, FakeVoice, a_session, run_virtually
from vivavoce import events
from vivavoce.agent import Agent, AgentSession, NoReply
from vivavoce.errors import EngineError, EngineFailed, EngineTimeout, EngineUnavailable
from vivavoce.memory.volatile import MemoryStore

SEEDS_PER_TEST = 500
TESTS = 20
TEXTS = ["what time is it", "tell me a story about the sea", "stop", "yes", "", ""]
ANSWERS = [
    "It is ten past three.",
    "Once upon a time, there was a boat, and it sailed far away. It never came back. " * 2,
    "Sure.",
    "One, two, three, four, five, six, seven, eight, nine, ten, and so on, for ever and ever.",
]


def engines(draw: random.Random) -> tuple[FakeRecognizer, FakeModel, FakeVoice]:
    """Engines that mostly work."""
    script: list[str | EngineError] = [draw.choice(TEXTS) for _ in range(6)]
    if draw.random() < 0.2:
        script[draw.randrange(6)] = draw.choice([EngineFailed("asr", "died"), EngineUnavailable("asr", "no model")])
    asr = FakeRecognizer(script, final_delay_s=draw.choice([0.0, 0.05, 0.6]), stable=draw.random() < 0.8)
    asr.fail_late = draw.random() < 0.5
    llm = FakeModel(draw.choice(ANSWERS), gap_s=draw.choice([0.0, 0.01, 0.2]))
    fault = draw.random()
    if fault < 0.1:
        llm.answer.insert(
            draw.randrange(len(llm.answer)), draw.choice([EngineFailed("llm", "cut"), EngineTimeout("llm", "x")])
        )
    elif fault < 0.15:
        llm.answer.insert(draw.randrange(len(llm.answer)), 100.0)
    elif fault < 0.25:
        llm.finish = None
    faults: dict[str, EngineError | float] = {}
    if draw.random() < 0.15:
        faults[draw.choice(["a", "ten", "sea", "Once"])] = draw.choice([EngineFailed("tts", "no"), 1000.0])
    return asr, llm, FakeVoice(delay_s=draw.choice([0.0, 0.01, 0.5]), faults=faults)


class Restless(Agent):
    """An agent whose hooks do whatever a hook may do."""

    def __init__(self, draw: random.Random, other: Agent | None = None) -> None:
        still_there_s = draw.choice([None, 0.3, 2.0])
        super().__init__(greeting=draw.choice([None, ANSWERS[1]]), still_there_s=still_there_s, still_there_times=2)
        self.draw = draw
        self.other = other

    async def on_user_turn(self, session: AgentSession, text: str) -> str | None:
        return await self.meddle(session)

    async def before_speech(self, session: AgentSession, text: str) -> str | None:
        return await self.meddle(session) if self.draw.random() < 0.2 else None

    async def on_interrupted(self, session: AgentSession, heard: str) -> None:
        await self.meddle(session)

    async def meddle(self, session: AgentSession) -> str | None:
        match self.draw.randrange(10):
            case 0:
                raise NoReply
            case 1:
                raise LookupError("not there")
            case 2:
                await asyncio.sleep(self.draw.choice([0.1, 20.0]))
            case 3 | 4:
                session.say("By the way.", interruptible=self.draw.random() < 0.5)
            case 5 | 6:
                with session.uninterruptible():
                    await asyncio.sleep(0.5)
            case 7:
                session.hand_off(self.other or Agent())
            case 8:
                return "other words"
        return None


async def behave(client: Client, draw: random.Random) -> None:
    """A client that does as it likes."""
    session = client.session
    for _ in range(draw.randrange(2, 9)):
        match draw.randrange(11):
            case 0 | 1 | 2:
                await client.speak(draw.choice([0.05, 0.3, 1.2]))
                await client.hush(draw.choice([0.1, 0.3, 0.9]))
            case 3:
                await client.hush(draw.choice([0.2, 1.5]))
            case 4:
                session.stop()
            case 5:
                session.cancel()
            case 6:
                session.type("typed words")
            case 7:
                session.say("Your timer is done.", interruptible=draw.random() < 0.5)
            case 8:
                await asyncio.sleep(draw.choice([0.0, 0.5, 3.0]))
            case 9:
                turn = max((m["turn_id"] for m in client.messages if "turn_id" in m), default=1)
                session.played(events.Played(turn_id=turn, seq=draw.randrange(4), ms=draw.choice([0.0, 300.0, 1e9])))
            case 10:
                session.update(events.Update(mode=draw.choice(["hands_free", "push_to_talk", "asr_only"])))


def check(messages: list[dict], *, whole: bool) -> None:  # type: ignore[type-arg]
    """The laws a client can see."""
    assert [m["n"] for m in messages] == list(range(1, len(messages) + 1))
    ends: Counter[int] = Counter()
    closed: set[int] = set()
    seen: set[int] = set()
    for message in messages:
        turn, kind = message.get("turn_id"), message["type"]
        if turn is None or kind == "decision":
            continue
        assert turn not in closed or (kind == "final_transcript" and message.get("revision")), message
        seen.add(turn)
        if kind in ("tts_complete", "interrupted", "error"):
            ends[turn] += 1
        elif kind in ("tts_chunk", "llm_token", "phrase"):
            assert not ends[turn], f"{message} after the end of its turn"
        elif kind == "metrics":
            closed.add(turn)
            assert message["outcome"] in ("done", "interrupted", "failed", "incomplete")
            spoke = any(m.get("turn_id") == turn and m["type"] in ("llm_token", "tts_chunk") for m in messages)
            assert ends[turn] == 1 or (not spoke and not ends[turn]), f"turn {turn} ended {ends[turn]} times"
    if whole:
        assert seen == closed, f"turns left open: {seen - closed}"
    for turn in seen:
        chunks = [m["seq"] for m in messages if m["type"] == "tts_chunk" and m["turn_id"] == turn]
        assert chunks == sorted(chunks)


async def scenario(seed: int) -> None:
    draw = random.Random(seed)
    asr, llm, tts = engines(draw)
    store = MemoryStore()
    agent = Restless(draw, Restless(draw)) if draw.random() < 0.3 else None
    async with a_session(asr=asr, llm=llm, tts=tts, store=store, agent=agent) as client:
        began = asyncio.get_running_loop().time()
        await behave(client, draw)
        whole = draw.random() < 0.6
        if whole:  # let everything end by itself; else the client vanishes now
            client.session.update(events.Update(mode="hands_free"))
            await client.hush(1.0)
            client.session.follow(Agent())  # one that lets a silent client be
            async with asyncio.timeout(400):
                await client.session.quiet()
            assert asyncio.get_running_loop().time() - began < 500
            assert not client.session.utterance_open
            async with asyncio.timeout(20):  # its generator may still be closing
                while client.session.listening_to:  # noqa: ASYNC110 — virtual time, and nothing says when
                    await asyncio.sleep(0.01)
        messages = client.messages
        session = client.session
    check(messages, whole=True)
    assert session.state == "listening"
    remembered = session.conversation.messages
    assert all(m.content for m in remembered)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("block", range(TESTS))
def test_law_g_holds(block: int) -> None:
    for seed in range(block * SEEDS_PER_TEST, (block + 1) * SEEDS_PER_TEST):
        try:
            run_virtually(scenario(seed), seed=seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
