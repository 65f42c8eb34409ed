"""An agent's hooks: what they are told, what they change, and what becomes of a turn whose hook misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from kit import FakeModel, FakeRecognizer, FakeVoice, a_session, run_virtually
from vivavoce.agent import Agent, AgentSession, NoReply
from vivavoce.engines.base import ChatRequest, Delta, ToolCall
from vivavoce.events import Info, Played
from vivavoce.memory.volatile import MemoryStore

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


def test_the_model_reads_other_words_and_memory_keeps_the_users() -> None:
    async def expand(session: AgentSession, text: str) -> str:
        return f"{text} (member since {session.userdata.setdefault('since', 2019)})"

    async def scenario() -> None:
        llm, store = FakeModel("Hello."), MemoryStore()
        async with a_session(llm=llm, store=store, agent=Agent(on_user_turn=expand)) as client:
            client.session.type("hi")
            await client.wait("metrics")
            client.session.type("again")
            await client.wait("metrics", 2)
            assert [m.content for m in client.session.conversation.messages] == ["hi", "Hello.", "again", "Hello."]
        asked = [m.content for m in llm.requests[1].messages]
        assert asked == ["hi", "Hello.", "again (member since 2019)"]

    run_virtually(scenario())


def test_a_turn_may_have_no_answer() -> None:
    async def only_polite(session: AgentSession, text: str) -> None:
        if "please" not in text:
            raise NoReply

    async def scenario() -> None:
        llm = FakeModel("Gladly.")
        async with a_session(llm=llm, agent=Agent(on_user_turn=only_polite)) as client:
            client.session.type("do it")
            metrics = await client.wait("metrics")
            assert (metrics["outcome"], metrics["llm_tokens"]) == ("done", 0)
            assert not client.of("tts_chunk")
            client.session.type("please do it")
            await client.wait("metrics", 2)
            assert client.of("phrase")[-1]["text"].strip() == "Gladly."
            assert [m.content for m in client.session.conversation.messages] == ["do it", "please do it", "Gladly."]
        assert len(llm.requests) == 1

    run_virtually(scenario())


def test_the_request_may_be_changed() -> None:
    async def brief(session: AgentSession, request: ChatRequest) -> ChatRequest:
        return msgspec.structs.replace(request, instructions="Be brief.", max_tokens=5)

    async def scenario() -> None:
        llm = FakeModel("Yes.")
        async with a_session(llm=llm, agent=Agent("Be long.", before_llm=brief)) as client:
            client.session.type("hi")
            await client.wait("metrics")
        assert (llm.requests[0].instructions, llm.requests[0].max_tokens) == ("Be brief.", 5)

    run_virtually(scenario())


def test_the_voice_says_other_words_than_are_shown_and_remembered() -> None:
    async def spell(session: AgentSession, text: str) -> str | None:
        return text.replace("SQL", "sequel") if "SQL" in text else None

    async def scenario() -> None:
        voice = FakeVoice()
        async with a_session(llm=FakeModel("Learn SQL first. Then rest."), tts=voice) as client:
            client.session.follow(Agent(before_speech=spell))
            client.session.type("hi")
            await client.wait("metrics")
            assert "".join(m["text"] for m in client.of("llm_token")).split() == [
                "Learn",
                "SQL",
                "first.",
                "Then",
                "rest.",
            ]
            assert "SQL" in client.of("phrase")[0]["text"]
            assert client.session.conversation.messages[-1].content == "Learn SQL first. Then rest."
        assert " ".join(" ".join(voice.spoken).split()) == "Learn sequel first. Then rest."

    run_virtually(scenario())


def test_a_phrase_may_stay_unspoken() -> None:
    async def discreet(session: AgentSession, text: str) -> str | None:
        return "" if "secret" in text else None

    async def scenario() -> None:
        voice = FakeVoice()
        agent = Agent(before_speech=discreet)
        async with a_session(llm=FakeModel("Here it is. The secret is out there."), tts=voice, agent=agent) as client:
            client.session.type("hi")
            assert (await client.wait("metrics"))["outcome"] == "done"
        assert [text.strip() for text in voice.spoken] == ["Here it is."]

    run_virtually(scenario())


def test_the_agent_is_told_what_was_heard() -> None:
    told: list[tuple[str, str]] = []

    async def note(session: AgentSession, heard: str) -> None:
        told.append((heard, session.messages[-1].content))

    async def scenario() -> None:
        asr = FakeRecognizer(["stop please"])
        async with a_session(llm=FakeModel(STORY), asr=asr, agent=Agent(on_interrupted=note)) as client:
            client.session.type("a story")
            await client.wait("tts_chunk", 2)
            client.session.played(Played(turn_id=1, seq=1, ms=1e6))
            await client.speak(0.8)
            interrupted = await client.wait("interrupted")
            await client.hush(1.0)
            await client.wait("final_transcript")
            assert told == [(interrupted["heard_text"], interrupted["heard_text"])]
            assert told[0][0].startswith("Once upon a time")
            client.session.type("more")
            await client.wait("tts_chunk", 5)
            told.clear()
        assert not told, "a client that leaves has not cut anybody off"

    run_virtually(scenario())


def test_the_next_answer_does_not_wait_for_a_slow_note_of_the_last() -> None:
    async def slow(session: AgentSession, heard: str) -> None:
        await asyncio.sleep(4.0)
        session.userdata["noted"] = True

    async def scenario() -> None:
        async with a_session(llm=FakeModel(STORY), agent=Agent(on_interrupted=slow)) as client:
            client.session.type("a story")
            await client.wait("tts_chunk")
            began = asyncio.get_running_loop().time()
            client.session.type("another")
            await client.wait("phrase", 2)
            assert asyncio.get_running_loop().time() - began < 1.0
            assert "noted" not in client.session.view.userdata
            await client.wait("metrics", 2)
            assert client.session.view.userdata["noted"]
            client.session.type("a third")
            await client.wait("tts_chunk", 4)
            client.session.cancel()
            left_at = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - left_at < 1.0, "nor does the end of the session"

    run_virtually(scenario())


async def raises(session: AgentSession, given: Any) -> Any:
    raise LookupError("no such customer")


async def hangs(session: AgentSession, given: Any) -> Any:
    await asyncio.Event().wait()


async def runs_out_of_time(session: AgentSession, given: Any) -> Any:
    async with asyncio.timeout(0.5):
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("name", "hook", "code"),
    [
        ("on_user_turn", raises, "INTERNAL"),
        ("before_llm", raises, "INTERNAL"),
        ("before_speech", raises, "INTERNAL"),
        ("on_user_turn", runs_out_of_time, "INTERNAL"),
        ("before_llm", runs_out_of_time, "INTERNAL"),
        ("on_user_turn", hangs, "LLM_TIMEOUT"),
        ("before_llm", hangs, "LLM_TIMEOUT"),
        ("before_speech", hangs, "TTS_TIMEOUT"),
        ("before_speech", runs_out_of_time, "TTS_TIMEOUT"),
    ],
)
def test_a_hook_that_breaks_or_hangs_ends_its_turn_alone(
    name: str, hook: Any, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [True]

    async def sometimes(session: AgentSession, given: Any) -> Any:
        return await hook(session, given) if bad[0] else None

    async def scenario() -> None:
        agent = Agent(**{name: sometimes})  # type: ignore[arg-type]
        async with a_session(llm=FakeModel("Fine."), agent=agent) as client:
            client.session.type("hi")
            metrics = await client.wait("metrics", within_s=30.0)
            assert metrics["outcome"] == "failed"
            assert client.of("error")[-1]["code"] == code
            assert client.of("error")[-1]["turn_id"] == 1
            bad[0] = False
            client.session.type("again")
            assert (await client.wait("metrics", 2))["outcome"] == "done"
            assert client.session.conversation.messages[-1].content == "Fine."

    run_virtually(scenario())
    assert ("no such customer" in caplog.text) == (hook is raises)


@pytest.mark.parametrize("hook", [raises, hangs])
def test_the_note_of_an_interruption_may_break_or_hang(hook: Any) -> None:
    async def scenario() -> None:
        async with a_session(llm=FakeModel(STORY), agent=Agent(on_interrupted=hook)) as client:
            client.session.type("hi")
            await client.wait("tts_chunk")
            client.session.type("again")
            assert (await client.wait("metrics"))["outcome"] == "interrupted"
            assert (await client.wait("metrics", 2))["outcome"] == "done"

    run_virtually(scenario())


def test_a_guess_that_is_discarded_does_not_count_as_a_turn() -> None:
    turns: list[str] = []
    asked: list[str] = []

    async def count(session: AgentSession, text: str) -> None:
        turns.append(text)

    async def look(session: AgentSession, request: ChatRequest) -> None:
        asked.append(request.messages[-1].content)

    async def scenario() -> None:
        asr = FakeRecognizer(["turn on the light in the kitchen"])
        async with a_session(asr=asr, agent=Agent(on_user_turn=count, before_llm=look)) as client:
            await client.speak(0.6)
            await client.hush(0.4)  # long enough for a guess, too short for an end
            assert client.session.reply == 1
            assert client.session.state == "thinking"
            await client.speak(2.0)
            assert not turns
            assert not asked
            await client.hush(1.0)
            await client.wait("metrics")
        assert turns == asked == ["turn on the light in the kitchen"]

    run_virtually(scenario())


def test_what_a_hook_says_is_spoken_after_the_answer() -> None:
    async def promise(session: AgentSession, text: str) -> None:
        session.say("One more thing.")
        session.say("  ")
        session.say("And a last one.", interruptible=False)

    async def scenario() -> None:
        agent = Agent(on_user_turn=promise)
        async with a_session(llm=FakeModel("First the answer."), agent=agent) as client:
            client.session.type("hi")
            await client.wait("metrics", 3)
            assert [m["text"].strip() for m in client.of("phrase")] == [
                "First the answer.",
                "One more thing.",
                "And a last one.",
            ]
            assert [m.get("initiator") for m in client.of("metrics")] == [None, "agent", "agent"]

    run_virtually(scenario())


def test_nothing_is_said_in_a_session_that_is_over() -> None:
    session: list[AgentSession] = []

    async def keep(view: AgentSession, text: str) -> None:
        session.append(view)

    async def scenario() -> None:
        async with a_session(agent=Agent(on_user_turn=keep)) as client:
            client.session.type("hi")
            await client.wait("metrics")
        before = len(client.messages)
        session[0].say("Is anybody there?")
        session[0].hand_off(Agent(still_there_s=1.0))
        with session[0].uninterruptible():
            await asyncio.sleep(10.0)
        assert len(client.messages) == before
        assert client.session.reply is None

    run_virtually(scenario())


def test_a_state_is_shown_as_it_is_now_and_must_be_json() -> None:
    async def scenario() -> None:
        lamps = {"kitchen": True}
        async with a_session() as client:
            client.session.view.show("lamps", lamps)
            lamps["kitchen"] = False
            with pytest.raises(TypeError):
                client.session.view.show("lamps", object())
            with pytest.raises(UnicodeEncodeError):
                client.session.view.emit(Info(message="half a \ud83d"))
            client.session.view.emit(Info(message="still here"))
            assert (await client.wait("state"))["value"] == {"kitchen": True}
            await client.wait("info")

    run_virtually(scenario())


def test_notes_belong_to_one_session() -> None:
    async def count(session: AgentSession, text: str) -> str:
        session.userdata["turns"] = session.userdata.get("turns", 0) + 1
        return f"turn {session.userdata['turns']}"

    async def scenario() -> None:
        agent, llm = Agent(on_user_turn=count), FakeModel("Yes.")
        for _ in range(2):
            async with a_session(llm=llm, agent=agent) as client:
                for turn in (1, 2):
                    client.session.type("hi")
                    await client.wait("metrics", turn)
        asked = [request.messages[-1].content for request in llm.requests]
        assert asked == ["turn 1", "turn 2", "turn 1", "turn 2"]

    run_virtually(scenario())


def test_what_was_heard_is_what_was_shown_though_the_voice_said_other_words() -> None:
    async def spell(session: AgentSession, text: str) -> str:
        return text.replace("boat", "vessel of considerable length and breadth")

    async def scenario() -> None:
        agent = Agent(before_speech=spell)
        async with a_session(llm=FakeModel(STORY), asr=FakeRecognizer(["stop please"]), agent=agent) as client:
            client.session.type("a story")
            await client.wait("tts_chunk")
            await asyncio.sleep(1.2)
            await client.speak(0.8)
            heard = (await client.wait("interrupted"))["heard_text"]
            assert heard
            assert STORY.startswith(heard)
            await client.hush(1.0)
            await client.wait("metrics")
            assert client.session.conversation.messages[1].content == heard

    run_virtually(scenario())


def test_a_tool_may_speak_and_forbid_to_be_talked_over() -> None:
    async def pay(session: AgentSession, euros: int) -> str:
        """Pay."""
        session.say("Your receipt is on its way.")
        with session.uninterruptible():
            await asyncio.sleep(3.0)
        return f"{euros} euros paid"

    class Paying(FakeModel):
        async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
            self.requests.append(request)
            if request.messages[-1].role == "user":
                yield Delta("I am paying that for you now. ")
                yield Delta(finish="tool_calls", calls=(ToolCall(id="1", name="pay", arguments='{"euros": 5}'),))
            else:
                yield Delta(f"Done: {request.messages[-1].content}.", finish="stop")

    async def scenario() -> None:
        agent = Agent(tools=[pay], filler="")
        async with a_session(llm=Paying(""), asr=FakeRecognizer(["no wait"]), agent=agent) as client:
            client.session.type("pay five euros")
            await client.wait("tts_chunk")
            await client.speak(1.0)
            await client.hush(1.0)
            await client.wait("metrics", 2)
            assert not client.of("interrupted")
            said = " ".join(m["text"].strip() for m in client.of("phrase"))
            assert said == "I am paying that for you now. Done: 5 euros paid. Your receipt is on its way."

    run_virtually(scenario())
