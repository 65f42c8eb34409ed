"""Conversations side by side: nothing crosses from one into another, and those who share one take turns."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator

import pytest

from kit import FakeDetector, FakeModel, FakeRecognizer, FakeVoice, run_virtually
from transports.chat import asked
from transports.wire import Peer, a_server, a_socket, listening
from vivavoce import events
from vivavoce.engines.base import ChatRequest, Delta, Engines
from vivavoce.memory.volatile import MemoryStore
from vivavoce.session.conversation import Conversations
from vivavoce.session.outbox import Outbox, OutboxLimits
from vivavoce.session.session import Session
from vivavoce.settings import Memory, Settings

SECRET = re.compile(r"secret-(\w+?)-\d+")


class Echo(FakeModel):
    """Says again what it was told last, some of it after a while; keeps what it was shown."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__("")
        self.chance = chance

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        self.streams += 1
        try:
            for word in request.messages[-1].content.split():
                await asyncio.sleep(self.chance.choice((0.0, 0.01, 0.3)))
                yield Delta(f"{word} ")
            yield Delta("", finish="stop")
        finally:
            self.streams -= 1

    def crossed(self) -> list[set[str]]:
        """The requests that hold secrets of more than one conversation."""
        return [each for request in self.requests if len(each := self.secrets(request)) != 1]

    def secrets(self, request: ChatRequest) -> set[str]:
        shown = [message.content for message in request.messages] + [*request.pins, request.summary]
        return {found for text in shown for found in SECRET.findall(text)}


@pytest.mark.parametrize("seed", range(12))
def test_nothing_crosses_between_conversations(seed: int) -> None:
    """Over `/ws` and the chat, spoken over, cancelled and left in the middle, in an order drawn from a seed."""
    chance = random.Random(seed)
    names = ["apple", "birch", "cedar"]

    async def over_ws(server: object, name: str) -> None:
        for _ in range(2):
            peer = await server.connect()  # type: ignore[attr-defined]
            await peer.start(conversation_id=name)
            for _ in range(chance.randint(1, 4)):
                await peer.send("text", text=f"remember that secret-{name}-{chance.randint(0, 99)} is mine")
                await asyncio.sleep(chance.choice((0.0, 0.05, 1.0, 8.0)))
                match chance.randint(0, 4):
                    case 0:
                        await peer.send("cancel")
                    case 1:
                        await peer.speak(0.3)
            await (peer.close() if chance.random() < 0.5 else peer.vanish())
            assert set(SECRET.findall(repr(peer.messages))) <= {name}

    async def over_chat(server: object, name: str) -> None:
        for _ in range(chance.randint(1, 4)):
            secret = f"secret-{name}-{chance.randint(0, 99)}"
            peer = await asked(server, f"my {secret} is new", conversation_id=name)  # type: ignore[arg-type]
            assert set(SECRET.findall(repr(peer.messages))) <= {name}

    async def scenario() -> None:
        model = Echo(chance)
        settings = Settings(memory=Memory(persist=False, max_tokens=512))
        recognizer = FakeRecognizer([""])
        store = MemoryStore()
        async with a_server(settings, llm=model, asr=recognizer, store=store) as server:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(over_ws(server, name))
                    group.create_task(over_chat(server, name))
            for name in names:
                kept = await store.load(name, "local", 1000)
                assert kept
                assert set(SECRET.findall(repr(kept))) == {name}
                assert set(SECRET.findall(repr(await store.notes(name, "local")))) <= {name}
        assert len(model.requests) > 10
        assert model.crossed() == []

    run_virtually(scenario(), seed=seed)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_crosses_between_owners(seed: int) -> None:
    """Two credentials in one process, each with conversations of its own, one of a name that both would like."""
    chance = random.Random(seed)

    async def talk(conversations: Conversations, engines: Engines, owner: str, id_: str) -> bool:
        async with conversations.enter(id_, owner) as conversation:
            if conversation is None:
                return False
            session = Session(f"{owner}-{id_}", engines, Settings(), conversation, Outbox(OutboxLimits()))
            async with session.running("test"):
                session.start(events.Start(language="xx"))
                for number in range(chance.randint(1, 5)):
                    session.type(f"remember that secret-{owner}_{id_}-{number} is mine")
                    await session.quiet()
                    await asyncio.sleep(chance.choice((0.0, 0.02)))
        return True

    async def scenario() -> None:
        model, store = Echo(chance), MemoryStore()
        engines = Engines(vad=FakeDetector(), asr=FakeRecognizer([""]), llm=model, tts=FakeVoice())
        conversations = Conversations(store)
        async with asyncio.TaskGroup() as group:
            tasks = {
                (owner, id_): group.create_task(talk(conversations, engines, owner, id_))
                for owner in ("alice", "bob")
                for id_ in ("one", "two", "both") if id_ == "both" or (owner == "alice") == (id_ == "one")
            }  # fmt: skip
        let_in = {key for key, task in tasks.items() if task.result()}
        assert {key for key in let_in if key[1] != "both"} == {("alice", "one"), ("bob", "two")}
        assert len(let_in) == 3, "exactly one of them has the name that both like"
        assert model.crossed() == []
        for owner in ("alice", "bob"):
            for id_ in ("one", "two", "both"):
                kept = await store.load(id_, owner, 1000)
                assert bool(kept) == ((owner, id_) in let_in)
                assert set(SECRET.findall(repr(kept))) <= {f"{owner}_{id_}"}

    run_virtually(scenario(), seed=seed)


# --- over real sockets ----------------------------------------------------------------------------------------------

STORY = "Once upon a time there was a boat, and it went far away. " * 4


async def hearing(peer: Peer, text: str) -> None:
    """The floor is this peer's: its answer is being played."""
    await peer.send("text", text=text)
    await peer.wait("tts_chunk")


async def waiting(peer: Peer, text: str) -> None:
    """This peer's turn is taken, and waits for the floor."""
    await peer.send("text", text=text)
    await peer.send("ping", id=1)
    await peer.wait("pong")


@pytest.mark.parametrize("ends", ["played", "cancelled", "talked over", "vanished"])
async def test_the_floor_goes_on_to_who_waits(ends: str) -> None:
    model = FakeModel(STORY, gap_s=0.0)
    async with (
        listening(llm=model, tts=FakeVoice(delay_s=0.0)) as server,
        a_socket(server.url()) as one,
        a_socket(server.url()) as other,
    ):
        await one.start(conversation_id="ours")
        await other.start(conversation_id="ours")
        await hearing(one, "first")
        await waiting(other, "second")
        assert len(model.requests) == 1, "the second waits"
        assert not other.of("llm_token", "metrics")
        match ends:
            case "played":
                await one.until(lambda: any(m["done"] for m in one.of("llm_token")))
                await one.wait("phrase", 4)
                while not one.of("tts_complete"):
                    for phrase in one.of("phrase"):
                        await one.send("played", turn_id=1, seq=phrase["seq"], ms=1e9)
                    await one.news()
            case "cancelled":
                await one.send("cancel")
            case "talked over":
                await one.send("text", text="stop that")
            case _:
                await one.vanish()
        await other.wait("llm_token", within_s=10)
        assert model.requests[1].messages[-1].content in ("second", "stop that")
        if ends != "vanished":
            await one.until(lambda: "metrics" in one.kinds(1), within_s=10)
        asked_by_other = next(each for each in model.requests if each.messages[-1].content == "second")
        said = [message.content for message in asked_by_other.messages]
        assert said[-1] == "second"
        if ends == "played":
            assert said == ["first", STORY.strip(), "second"]
        if ends == "cancelled":
            assert said == ["second"], "a cancelled turn is not shown"
        if ends == "vanished":
            assert said[0] == "first"
            assert all(STORY.startswith(each) for each in said[1:-1]), "only what was heard"
        await other.send("cancel")
        await other.wait("metrics", within_s=10)


@pytest.mark.parametrize("how", ["vanishes", "cancels", "leaves"])
async def test_who_waits_and_goes_away_costs_the_others_nothing(how: str) -> None:
    model = FakeModel(STORY, gap_s=0.0)
    async with (
        listening(llm=model, tts=FakeVoice(delay_s=0.0)) as server,
        a_socket(server.url()) as one,
        a_socket(server.url()) as third,
    ):
        await one.start(conversation_id="ours")
        await third.start(conversation_id="ours")
        async with a_socket(server.url()) as other:
            await other.start(conversation_id="ours")
            await hearing(one, "first")
            await waiting(other, "second")
            match how:
                case "vanishes":
                    await other.vanish()
                case "cancels":
                    await other.send("cancel")
                    assert (await other.wait("metrics"))["outcome"] == "interrupted"
                case _:
                    await other.close()
        await waiting(third, "third")
        assert not one.of("interrupted", "metrics")
        assert len(model.requests) == 1
        await one.send("cancel")
        await third.wait("llm_token", within_s=10)
        assert model.requests[1].messages[-1].content == "third"
        await third.send("cancel")
        await third.wait("metrics", within_s=10)
