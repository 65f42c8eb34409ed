"""Tools in a whole session, in virtual time: what is heard, sent, remembered, and what is left."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from typing import Any

import msgspec
import pytest

from kit import FakeRecognizer, FakeVoice, a_session, run_virtually
from session.test_law_g import check
from tools.scripted import Scripted, call, consistent
from transports.wire import virtual
from vivavoce.agent import Agent, AgentSession
from vivavoce.engines.base import ChatRequest, Voice
from vivavoce.errors import EngineFailed
from vivavoce.memory.volatile import MemoryStore
from vivavoce.settings import Llm, Settings, Tools
from vivavoce.tools import ToolError


class Diary:
    """A tool that takes its time, and notes what becomes of it."""

    def __init__(self, seconds: float = 2.0) -> None:
        self.seconds = seconds
        self.notes: list[str] = []

    async def look(self, day: str = "today") -> str:
        """What is in the diary."""
        self.notes.append("began")
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.notes.append("cancelled")
            raise
        self.notes.append("ended")
        return f"{day}: two meetings"


def spoken(client: Any) -> str:
    return "".join(message["text"] for message in client.of("phrase"))


@virtual
async def test_a_question_a_filler_a_result_an_answer() -> None:
    diary, store = Diary(), MemoryStore()
    llm = Scripted([call("look", day="Monday")], ["You have ", "two meetings."], "Yes, two.")
    async with a_session(llm=llm, store=store, agent=Agent(tools=[diary.look])) as client:
        began = asyncio.get_running_loop().time()
        client.session.type("what is on Monday")
        await client.wait("tts_chunk")
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.02 + 0.7 + 0.01, abs=0.05)
        assert (await client.wait("metrics"))["outcome"] == "done"
        assert diary.notes == ["began", "ended"]
        assert spoken(client) == "One moment. You have two meetings."
        (started,), (done,) = client.of("tool_call"), client.of("tool_result")
        assert (started["name"], started["arguments"], started["turn_id"]) == ("look", {"day": "Monday"}, 1)
        assert (done["ok"], done["result"], done["turn_id"]) == (True, "Monday: two meetings", 1)
        assert done["ms"] == pytest.approx(2000, abs=1)
        said = [(m.role, m.content) for m in client.session.conversation.messages]
        assert said == [
            ("user", "what is on Monday"),
            ("assistant", ""),
            ("tool", "Monday: two meetings"),
            ("assistant", "One moment. You have two meetings."),
        ]
        client.session.type("are you sure")
        await client.wait("metrics", 2)
        check(client.messages, whole=True)
    asked = llm.requests[2].messages
    assert [m.role for m in asked] == ["user", "assistant", "tool", "assistant", "user"]
    assert consistent(asked)


@virtual
async def test_a_tool_may_take_longer_than_the_time_between_tokens_but_not_than_the_answers() -> None:
    settings = Settings(tools=Tools(timeout_s=20.0), llm=Llm(timeout_s=12.0))
    diary = Diary(9.0)
    async with a_session(llm=Scripted([call("look")], "Two."), settings=settings, agent=Agent(tools=[diary.look])) as c:
        c.session.type("what is on")
        assert (await c.wait("metrics"))["outcome"] == "done"
    diary = Diary(15.0)
    async with a_session(llm=Scripted([call("look")], "Two."), settings=settings, agent=Agent(tools=[diary.look])) as c:
        c.session.type("what is on")
        assert (await c.wait("metrics"))["outcome"] == "failed"
        assert c.of("error")[0]["code"] == "LLM_TIMEOUT"
        assert diary.notes == ["began", "cancelled"]
        assert consistent(c.session.conversation.messages)


@virtual
async def test_talking_over_a_running_tool_cancels_it() -> None:
    slow, quick = Diary(30.0), Diary(0.1)

    async def note(text: str) -> str:
        """Keep a note."""
        return await quick.look(text)

    llm = Scripted([call("look", "a"), call("note", "b", text="milk")], "Of course.")
    asr = FakeRecognizer(["never mind that now"])
    async with a_session(llm=llm, asr=asr, agent=Agent(tools=[slow.look, note])) as client:
        client.session.type("what is on, and note milk")
        await client.wait("tts_chunk")
        await client.speak(1.5)
        await client.hush(1.5)
        await client.wait("metrics", 2)
        assert slow.notes == ["began", "cancelled"]
        assert client.of("interrupted")[0]["turn_id"] == 1
        messages = client.session.conversation.messages
        assert consistent(messages)
        assert [m.content for m in messages if m.role == "tool"] == ["milk: two meetings"], "what was done is known"
        assert [m.content for m in messages[-2:]] == ["never mind that now", "Of course."]
        check(client.messages, whole=True)


@virtual
async def test_a_guess_that_is_discarded_runs_no_tool() -> None:
    diary = Diary(0.1)
    llm = Scripted([call("look")], "Two.")
    asr = FakeRecognizer(["what is on", "what is on Monday"])
    async with a_session(llm=llm, asr=asr, agent=Agent(tools=[diary.look])) as client:
        await client.speak(1.2)
        await client.hush(0.5)  # a stable transcript: the answer begins as a guess
        assert len(llm.requests) == 1, "the model was asked already"
        assert diary.notes == []
        await client.speak(0.6)  # it was not over: the guess is dropped
        assert diary.notes == []
        assert client.of("tool_call") == []
        await client.hush(2.0)
        await client.wait("metrics")
        assert diary.notes == ["began", "ended"]
        assert len(client.of("tool_call")) == 1
        check(client.messages, whole=True)


class TwoVoices(FakeVoice):
    """Notes which voice spoke what."""

    voices = (
        Voice(id="fake", language="en_US", name="Fake", engine="fake", sample_rate=8000),
        Voice(id="other", language="en_US", name="Other", engine="fake", sample_rate=8000),
    )

    def __init__(self) -> None:
        super().__init__()
        self.by: list[tuple[str, str]] = []

    async def synthesize(self, phrase: str, voice: str) -> Any:
        self.by.append((voice, phrase.strip()))
        async for speech in super().synthesize(phrase, voice):
            yield speech


def desk(greeting: str | None, *tools: Any) -> tuple[Agent, Agent]:
    kitchen = Agent(
        "You are the kitchen.", name="kitchen", voice="other", greeting=greeting, temperature=0.1, tools=tools
    )

    async def to_the_kitchen() -> Agent:
        """For all about food."""
        return kitchen

    return Agent("You are the desk.", name="desk", tools=[to_the_kitchen]), kitchen


@virtual
async def test_a_tool_hands_over_and_the_other_agent_answers_this_turn() -> None:
    front, kitchen = desk(None)
    llm, tts = Scripted(["I will ask.", call("to_the_kitchen")], "Soup today.", "And bread."), TwoVoices()
    async with a_session(llm=llm, tts=tts, agent=front) as client:
        client.session.type("what is for lunch")
        assert (await client.wait("metrics"))["outcome"] == "done"
        assert client.session.agent is kitchen
        client.session.type("and with it")
        await client.wait("metrics", 2)
        messages = client.session.conversation.messages
        assert messages[3].content == "I will ask. Soup today."
        assert consistent(messages)
        check(client.messages, whole=True)
    assert tts.by == [("fake", "I will ask."), ("other", "Soup today."), ("other", "And bread.")]
    first, second, third = llm.requests
    assert (first.instructions, second.instructions, third.instructions) == (
        "You are the desk.", "You are the kitchen.", "You are the kitchen.",
    )  # fmt: skip
    assert second.temperature == 0.1
    assert second.tools == ()
    assert [m.role for m in second.messages] == ["user", "assistant", "tool"]
    assert second.messages[-1].content == "kitchen answers from now on"


@virtual
async def test_an_agent_with_a_greeting_greets() -> None:
    front, kitchen = desk("Kitchen here.")
    llm = Scripted([call("to_the_kitchen")], "Soup today.")
    async with a_session(llm=llm, agent=front) as client:
        client.session.type("what is for lunch")
        await client.wait("metrics")
        assert spoken(client).strip() == "Kitchen here."
        assert client.session.agent is kitchen
    assert len(llm.requests) == 1


@pytest.mark.parametrize(("first", "said"), [("I ask.", "I ask. Soup."), ("", "One moment. Soup.")])
def test_a_filler_is_said_once_whoever_answers(first: str, said: str) -> None:
    async def scenario() -> None:
        front, _ = desk(None, Diary(2.0).look)
        llm = Scripted([first, call("to_the_kitchen")], [call("look")], "Soup.")
        async with a_session(llm=llm, agent=front) as client:
            client.session.type("what is for lunch")
            await client.wait("metrics")
            assert client.session.conversation.messages[-1].content == said

    run_virtually(scenario())


@virtual
async def test_two_agents_cannot_pass_a_turn_on_for_ever() -> None:
    async def to_b() -> Agent:
        """To the other."""
        return b

    async def to_a() -> Agent:
        """To the first."""
        return a

    a, b = Agent(name="a", tools=[to_b]), Agent(name="b", tools=[to_a])

    class Passing(Scripted):
        async def stream(self, request: ChatRequest) -> Any:
            names = [spec.name for spec in request.tools]
            self.answers = [[call(names[0])]] if names else [["Enough."]]
            async for delta in super().stream(request):
                yield delta

    llm = Passing("")
    async with a_session(llm=llm, agent=a) as client:
        client.session.type("go")
        assert (await client.wait("metrics"))["outcome"] == "done"
        assert spoken(client).strip() == "Enough."
    assert len(llm.requests) == 6


@virtual
async def test_a_tool_may_use_its_session() -> None:
    async def remember(thing: str, session: AgentSession) -> None:
        """Keep it."""
        session.userdata.setdefault("things", []).append(thing)
        session.show("things", session.userdata["things"])
        session.timers.set("tea", 60.0, "Your tea is ready.")

    llm = Scripted([call("remember", thing="keys")], "I will.")
    async with a_session(llm=llm, agent=Agent(tools=[remember])) as client:
        client.session.type("remember my keys")
        await client.wait("metrics")
        assert client.session.view.userdata == {"things": ["keys"]}
        assert client.of("state")[0]["value"] == ["keys"]
        assert client.of("tool_result")[0]["result"] == "done"
        await client.wait("metrics", 2)
        assert "Your tea is ready." in spoken(client)


@virtual
async def test_a_hook_may_choose_the_tools() -> None:
    diary = Diary(0.1)

    async def none_for_guests(session: AgentSession, request: ChatRequest) -> ChatRequest:
        assert [spec.name for spec in request.tools] == ["look"]
        return msgspec.structs.replace(request, tools=())

    llm = Scripted("I cannot tell.")
    async with a_session(llm=llm, agent=Agent(tools=[diary.look], before_llm=none_for_guests)) as client:
        client.session.type("what is on")
        await client.wait("metrics")
    assert llm.requests[0].tools == ()


async def disorder(seed: int) -> None:
    """A client that does as it likes, while tools end, fail, hang and are refused."""
    draw = random.Random(seed)
    counts: Counter[str] = Counter()

    def made(name: str) -> Any:
        async def work(note: str = "") -> Any:
            """Works."""
            counts["began"] += 1
            try:
                await asyncio.sleep(draw.choice([0.0, 0.3, 1.5, 40.0]))
                if draw.random() < 0.2:
                    raise draw.choice([ToolError("no"), ValueError("odd")])
                return draw.choice(["fine", None, {"a": 1}, other])
            finally:
                counts["ended"] += 1

        work.__name__ = name
        return work

    other = Agent(name="other", greeting=draw.choice([None, "Hello from the other."]), tools=[made("one")])
    answers: list[Any] = []
    for _ in range(12):
        names = draw.choices(["one", "two", "nonsense"], k=draw.randrange(3))
        words = draw.choice([[], ["Let me see."], ["Well, ", draw.choice([0.0, 0.4]), "here it is, all of it."]])
        answers.append([*words, *(call(name, draw.choice(["x", "y", ""])) for name in names)])
    answers.append(["That is all."])
    tts = FakeVoice(faults={"Well": EngineFailed("tts", "no")} if draw.random() < 0.1 else {})
    llm = Scripted(*answers, gap_s=draw.choice([0.0, 0.02, 0.3]))
    asr = FakeRecognizer([draw.choice(["tell me", "stop", "what is on", ""]) for _ in range(6)])
    agent = Agent(tools=[made("one"), made("two")])
    settings = Settings(tools=Tools(timeout_s=draw.choice([0.5, 10.0]), steps=draw.choice([0, 1, 5])))
    async with a_session(llm=llm, asr=asr, tts=tts, agent=agent, settings=settings) as client:
        for _ in range(draw.randrange(2, 8)):
            match draw.randrange(6):
                case 0 | 1:
                    client.session.type("go on")
                case 2:
                    await client.speak(draw.choice([0.3, 1.2]))
                    await client.hush(draw.choice([0.3, 0.9]))
                case 3:
                    client.session.cancel()
                case 4:
                    await asyncio.sleep(draw.choice([0.0, 0.8, 3.0]))
                case 5:
                    client.session.stop()
        whole = draw.random() < 0.5
        if whole:
            await client.hush(1.0)
            async with asyncio.timeout(600):
                await client.session.quiet()
        assert consistent(client.session.conversation.messages), client.session.conversation.messages
    check(client.messages, whole=whole)
    assert consistent(client.session.conversation.messages)
    assert all(consistent(request.messages) for request in llm.requests)
    assert counts["began"] == counts["ended"]


@pytest.mark.parametrize("block", range(4))
def test_whatever_happens_turns_end_and_nothing_is_left(block: int) -> None:
    for seed in range(block * 75, (block + 1) * 75):
        try:
            run_virtually(disorder(seed), seed=seed)
        except BaseException:
            print(f"seed {seed}")
            raise


async def test_a_blocking_tool_uses_its_session_on_the_loop() -> None:
    threads: dict[str, threading.Thread] = {}

    def remind(session: AgentSession) -> str:
        """Remind the user."""
        threads["tool"] = threading.current_thread()
        session.userdata["seen"] = session.language
        session.timers.set("tea", 60.0, "Tea.")
        with session.uninterruptible():
            left = session.timers.remaining()
        with pytest.raises(TypeError):
            session.show("odd", object())
        session.show("left", len(left))
        return left[0][0]

    llm = Scripted([call("remind")], "Fine.")
    async with a_session(llm=llm, agent=Agent(tools=[remind])) as client:
        timers, real = client.session.timers, client.session.timers.set

        def noting(*args: Any) -> None:
            threads["timers"] = threading.current_thread()
            real(*args)

        timers.set = noting  # type: ignore[method-assign]
        client.session.type("remind me")
        await client.wait("state", within_s=10.0)
        await client.wait("tool_result", within_s=10.0)
        assert client.of("tool_result")[0]["result"] == "tea"
        assert client.session.view.userdata == {"seen": "en_US"}
        client.session.cancel()
    assert threads["timers"] is threading.main_thread()
    assert threads["tool"] is not threading.main_thread()
