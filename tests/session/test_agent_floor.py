"""An agent and the floor: it greets, asks who is silent, will not be talked over, hands over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from kit import Client, FakeModel, FakeRecognizer, FakeVoice, a_session, run_virtually
from vivavoce.agent import Agent, AgentSession, Asked, NoReply
from vivavoce.engines.base import Delta, Message, ToolCall, Voice
from vivavoce.errors import EngineUnavailable
from vivavoce.events import Start, Update
from vivavoce.settings import Llm, Settings, Tts

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."
GREETING = "Hello, bicycle shop."


def said(client: Client) -> list[str]:
    return [m["text"].strip() for m in client.of("phrase")]


def now() -> float:
    return asyncio.get_running_loop().time()


# --- greeting -------------------------------------------------------------------------------------------------------


def test_the_greeting_is_a_turn_of_the_agents_own() -> None:
    async def scenario() -> None:
        llm = FakeModel("We open at nine.")
        async with a_session(llm=llm, agent=Agent(greeting=GREETING)) as client:
            metrics = await client.wait("metrics")
            assert (metrics["turn_id"], metrics["initiator"], metrics["outcome"]) == (1, "agent", "done")
            mine = [m for m in client.messages if m.get("turn_id") == 1 and m["type"] != "decision"]
            assert {m["initiator"] for m in mine} == {"agent"}
            assert not client.of("final_transcript")
            client.session.open()
            client.session.type("when do you open")
            await client.wait("metrics", 2)
            assert said(client) == [GREETING, "We open at nine."]
        assert llm.requests[0].messages == (
            Message(role="assistant", content=GREETING),
            Message(role="user", content="when do you open"),
        )

    run_virtually(scenario())


def test_a_greeting_that_is_talked_over_is_remembered_as_heard() -> None:
    async def scenario() -> None:
        heard: list[str] = []

        async def note(session: AgentSession, text: str) -> None:
            heard.append(text)

        agent = Agent(greeting=STORY, on_interrupted=note)
        async with a_session(agent=agent, asr=FakeRecognizer(["when do you open"])) as client:
            await client.wait("tts_chunk")
            await asyncio.sleep(1.0)
            await client.speak(1.0)
            interrupted = await client.wait("interrupted")
            await client.hush(1.0)
            await client.wait("metrics", 2)
            first = client.session.conversation.messages[0]
            assert (first.role, first.interrupted) == ("assistant", True)
            assert STORY.startswith(first.content)
            assert first.content == interrupted["heard_text"] == heard[0] != ""

    run_virtually(scenario())


def test_no_greeting_where_nobody_is_answered() -> None:
    async def scenario() -> None:
        async with a_session(agent=Agent(greeting=GREETING), start=Start(mode="asr_only")) as client:
            await client.hush(1.0)
            client.session.update(Update(mode="hands_free"))
            client.session.open()
            await client.session.quiet()
            assert not client.of("phrase")
        async with a_session(agent=Agent(still_there_s=2.0), start=Start(mode="asr_only")) as client:
            await client.hush(5.0)
            assert not client.of("phrase"), "nor is a silent writer-down asked"

    run_virtually(scenario())


def test_the_opening_may_be_made_up_and_may_be_nothing() -> None:
    class Weather(Agent):
        opens = True

        async def opening(self, asked: Asked) -> AsyncGenerator[Delta, None]:
            if not asked.text and self.name == "silent":
                raise NoReply
            yield Delta("It is ")
            yield Delta("raining.", finish="stop")

    async def scenario() -> None:
        async with a_session(agent=Weather()) as client:
            await client.wait("metrics")
            assert said(client) == ["It is raining."]
        async with a_session(agent=Weather(name="silent")) as client:
            assert (await client.wait("metrics"))["outcome"] == "done"
            assert not said(client)

    run_virtually(scenario())


# --- silence --------------------------------------------------------------------------------------------------------


def test_a_silent_user_is_asked_in_time_and_only_so_often() -> None:
    async def scenario() -> None:
        agent = Agent(greeting=GREETING, still_there_s=20.0, still_there="Hello?", still_there_times=2)
        async with a_session(agent=agent) as client:
            for turn in (1, 2):
                await client.wait("metrics", turn)
                ended = now()
                question = await client.wait("phrase", turn + 1)
                assert question["text"] == "Hello?"
                assert question["initiator"] == "agent"
                assert now() - ended == pytest.approx(20.0, abs=0.1)
            await asyncio.sleep(200.0)
            assert said(client) == [GREETING, "Hello?", "Hello?"], "no third time"
            client.session.type("yes I am")
            await client.wait("phrase", 5)
            await asyncio.sleep(50.0)
            assert said(client)[5:] == ["Hello?", "Hello?"], "the count began anew"

    run_virtually(scenario())


def test_nobody_is_asked_while_somebody_speaks_or_an_answer_plays() -> None:
    async def scenario() -> None:
        agent = Agent(still_there_s=2.0)
        settings = Settings(llm=Llm(timeout_s=100.0))
        async with a_session(agent=agent, llm=FakeModel(STORY, gap_s=0.5), settings=settings) as client:
            await client.speak(5.0)
            assert not client.of("phrase")
            await client.hush(1.0)
            await client.wait("metrics")
            answer = said(client)
            await asyncio.sleep(1.5)
            assert said(client) == answer
            await asyncio.sleep(1.0)
            assert said(client) == [*answer, "Are you still there?"]

    run_virtually(scenario())


def test_a_client_that_becomes_a_partner_is_asked_too() -> None:
    async def scenario() -> None:
        async with a_session(agent=Agent(still_there_s=3.0), start=Start(mode="asr_only")) as client:
            client.session.update(Update(mode="push_to_talk"))
            await client.wait("phrase", within_s=3.5)

    run_virtually(scenario())


# --- not to be talked over ------------------------------------------------------------------------------------------


def test_an_uninterruptible_block_of_the_agents_code() -> None:
    class Announcing(Agent):
        async def respond(self, asked: Asked) -> AsyncGenerator[Delta, None]:
            with asked.session.uninterruptible():
                yield Delta("This call is recorded, always. ")
                await asyncio.sleep(3.0)
            yield Delta("And now tell me what I can do for you today, in your own good time.", finish="stop")

    async def scenario() -> None:
        async with a_session(agent=Announcing(), asr=FakeRecognizer(["hello there", "wait"])) as client:
            client.session.type("hi")
            await client.wait("tts_chunk")
            await client.speak(1.0)
            await client.hush(1.0)
            assert not client.of("interrupted")
            assert not client.of("hold")
            ignored = [m for m in client.of("decision") if m["reason"] == "reply is not interruptible"]
            assert ignored
            await client.wait("phrase", 3)
            await client.speak(1.0)
            await client.wait("interrupted")

    run_virtually(scenario())


def test_an_agent_that_nobody_interrupts() -> None:
    async def scenario() -> None:
        async with a_session(agent=Agent(interruptible=False), llm=FakeModel(STORY)) as client:
            client.session.type("hi")
            await client.wait("tts_chunk")
            await client.speak(1.0)
            await client.hush(1.0)
            assert (await client.wait("metrics"))["outcome"] == "done"

    run_virtually(scenario())


def test_a_block_outside_of_any_answer_changes_nothing() -> None:
    async def scenario() -> None:
        async with a_session(llm=FakeModel(STORY)) as client:
            with client.session.view.uninterruptible():
                client.session.type("hi")
                await client.wait("tts_chunk")
                await client.speak(1.0)
                await client.wait("interrupted")

    run_virtually(scenario())


# --- hand-off -------------------------------------------------------------------------------------------------------

VOICES = tuple(
    Voice(id=name, language=language, name=name, engine="fake", sample_rate=8000)
    for name, language in (("one", "en_US"), ("two", "en_US"), ("deux", "fr_FR"))
)


class Voices(FakeVoice):
    """Keeps which voice spoke."""

    voices = VOICES

    def __init__(self) -> None:
        super().__init__()
        self.speakers: list[str] = []

    def synthesize(self, phrase: str, voice: str):  # type: ignore[no-untyped-def]
        self.speakers.append(voice)
        return super().synthesize(phrase, voice)


def test_another_agent_is_in_force_from_the_next_turn() -> None:
    async def to_the_workshop(session: AgentSession, text: str) -> None:
        if "repair" in text:
            session.hand_off(workshop)

    turns: list[str] = []

    async def note(session: AgentSession, text: str) -> None:
        turns.append(f"{session.agent.name}: {text}")

    shop = Agent("You sell bicycles.", name="shop", on_user_turn=to_the_workshop)
    workshop = Agent("You repair bicycles.", name="workshop", voice="two", temperature=0.1, on_user_turn=note)

    async def scenario() -> None:
        llm, tts = FakeModel("Sure."), Voices()
        async with a_session(llm=llm, tts=tts, agent=shop) as client:
            for turn, text in enumerate(["hello", "a repair please", "thank you"], 1):
                client.session.type(text)
                await client.wait("metrics", turn)
            assert client.session.options.shown()["voice"] == "two"
            client.session.follow(shop)
            client.session.type("goodbye")
            await client.wait("metrics", 4)
        instructions = [request.instructions for request in llm.requests]
        assert instructions == ["You sell bicycles."] * 2 + ["You repair bicycles.", "You sell bicycles."]
        assert [request.temperature for request in llm.requests] == [None, None, 0.1, None]
        assert tts.speakers == ["one", "one", "two", "one"]
        assert turns == ["workshop: thank you"]
        assert len(llm.requests[3].messages) == 7, "the conversation goes on"

    run_virtually(scenario())


def test_what_the_client_chose_outlives_a_hand_off_unless_the_agent_has_its_own() -> None:
    async def scenario() -> None:
        agent = Agent(voice="two")
        async with a_session(tts=Voices(), agent=agent, start=Start(voice="one", language="en-GB")) as client:
            session = client.session
            assert (session.options.voice, session.options.language) == ("one", "en_GB")
            session.follow(Agent())
            assert (session.options.voice, session.options.language) == ("one", "en_GB")
            session.follow(Agent(language="fr", voice="deux"))
            assert (session.voice, session.options.language, session.view.language) == ("deux", "fr_FR", "fr_FR")
            session.follow(Agent())
            assert (session.voice, session.options.language) == ("one", "en_US"), "the server's own again"

    run_virtually(scenario())


def test_the_agents_voice_and_language_come_before_the_settings() -> None:
    async def scenario() -> None:
        settings = Settings(tts=Tts(voice="one"))
        agent = Agent(voice="deux", language="fr")
        async with a_session(tts=Voices(), agent=agent, settings=settings) as client:
            assert (client.session.voice, client.session.options.language) == ("deux", "fr_FR")
        async with a_session(tts=Voices(), settings=settings) as client:
            assert (client.session.voice, client.session.options.language) == ("one", "en_US")

    run_virtually(scenario())


def test_an_agent_that_asks_whether_somebody_is_there_begins_to_when_it_takes_over() -> None:
    async def scenario() -> None:
        async with a_session() as client:
            await asyncio.sleep(1.0)
            client.session.follow(Agent(still_there_s=3.0))
            await client.wait("phrase", within_s=3.0)

    run_virtually(scenario())


# --- models and instructions ----------------------------------------------------------------------------------------


class OwnModel(FakeModel):
    """Keeps its life."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__("My own words.")
        self.life: list[str] = []
        self.failure = failure

    async def start(self) -> None:
        self.life.append("start")
        if self.failure is not None:
            raise self.failure

    async def close(self) -> None:
        self.life.append("close")


def test_an_agent_may_bring_its_own_model() -> None:
    async def scenario() -> None:
        own, configured = OwnModel(), FakeModel("Not this.")
        async with a_session(llm=configured, agent=Agent(model=own)) as client:
            for turn in (1, 2):
                client.session.type("hi")
                await client.wait("metrics", turn)
            assert own.life == ["start"]
        assert own.life == ["start", "close"]
        assert not configured.requests
        assert own.requests[0].model is None

    run_virtually(scenario())


def test_a_model_that_does_not_start_leaves_the_turn_to_say_so(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        own = OwnModel(EngineUnavailable("llm", "no such model"))
        own.answer = [EngineUnavailable("llm", "no such model")]
        async with a_session(agent=Agent(model=own, name="scholar")) as client:
            client.session.type("hi")
            assert (await client.wait("metrics"))["outcome"] == "failed"
            assert client.of("error")[0]["code"] == "MODEL_LOAD_FAILED"
        assert own.life == ["start", "close"]

    run_virtually(scenario())
    assert "scholar did not start" in caplog.text


def test_another_model_of_the_same_server_by_name() -> None:
    async def scenario() -> None:
        llm = FakeModel("Yes.")
        async with a_session(llm=llm, agent=Agent(model="big-one", temperature=0.0, max_tokens=7)) as client:
            client.session.type("hi")
            await client.wait("metrics")
        request = llm.requests[0]
        assert (request.model, request.temperature, request.max_tokens) == ("big-one", 0.0, 7)

    run_virtually(scenario())


@pytest.mark.parametrize("allowed", [False, True])
def test_a_clients_instructions_count_where_the_agent_lets_them(allowed: bool) -> None:
    async def scenario() -> None:
        llm = FakeModel("Yes.")
        agent = Agent("Be an agent.", name="clerk", client_instructions=allowed)
        async with a_session(llm=llm, agent=agent, start=Start(instructions="Be mine.")) as client:
            client.session.type("hi")
            await client.wait("metrics")
            warned = client.session.warning
            client.session.update(Update(vad_silence_ms=500))
            assert client.session.warning is None
        assert llm.requests[0].instructions == ("Be mine." if allowed else "Be an agent.")
        assert warned == (None if allowed else "clerk has instructions of its own: yours are not used")

    run_virtually(scenario())


def test_an_agent_without_instructions_has_the_configured_ones() -> None:
    async def scenario() -> None:
        for agent, says in ((Agent(), "Configured."), (Agent(""), "")):
            llm = FakeModel("Yes.")
            async with a_session(
                llm=llm, agent=agent, settings=Settings(llm=Llm(instructions="Configured."))
            ) as client:
                client.session.type("hi")
                await client.wait("metrics")
            assert llm.requests[0].instructions == says

    run_virtually(scenario())


def test_what_was_exchanged_with_tools_is_between_question_and_answer() -> None:
    call = ToolCall(id="c1", name="hours")
    steps = [Message(role="assistant", content="", calls=(call,)), Message(role="tool", content="nine", call_id="c1")]

    class Looking(Agent):
        async def respond(self, asked: Asked) -> AsyncGenerator[Delta, None]:
            for step in steps:
                asked.remember(step)
            yield Delta("At nine.", finish="stop")

    async def scenario() -> None:
        async with a_session(agent=Looking()) as client:
            client.session.type("when")
            await client.wait("metrics")
            remembered = client.session.view.messages
            assert list(remembered[1:3]) == steps
            assert [m.role for m in remembered] == ["user", "assistant", "tool", "assistant"]

    run_virtually(scenario())
