"""A session whose turns are answered by commands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.home import ENTITIES, answer, cut
from kit import FakeModel, FakeRecognizer, FakeVoice, a_session
from transports.wire import virtual
from vivavoce.commands.agent import CommandAgent, FlowCommands, stream_limits
from vivavoce.commands.handlers import Call, CannotDo, Commands
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.errors import EngineFailed, SettingsError
from vivavoce.events import Start
from vivavoce.settings import Commands as CommandSettings
from vivavoce.settings import Llm, Settings, Streaming

BROKEN = EngineFailed("llm", "out of memory")


class Home:
    """What was done, and an agent that does it."""

    def __init__(self, **agent: Any) -> None:
        self.done: list[tuple[str, dict[str, Any]]] = []
        commands = Commands()

        @commands.on("HassTurnOn", "HassTurnOff")
        def switch(call: Call, name: str | None = None, area: str | None = None, domain: str | None = None) -> None:
            if name == "fan":
                raise CannotDo("The fan is not plugged in.")
            self.done.append((call.command.intent, dict(call.command.entities)))

        @commands.on("HassGetState", answers=True)
        def state(name: str | None = None, area: str | None = None, domain: str | None = None) -> str:
            return f"The {name} is off."

        @commands.on("HassStartTimer")
        def timer(call: Call, seconds: int = 0, minutes: int = 0, hours: int = 0, name: str = "") -> str:
            assert call.timers is not None
            call.timers.set(name, 3600 * hours + 60 * minutes + seconds, "Your timer rings.")
            return "It runs."

        self.agent = CommandAgent(commands, ENTITIES, **agent)
        self.agent.load()


def said(client: Any) -> str:
    return "".join(message["text"] for message in client.of("llm_token"))


async def ask(client: Any, text: str, turn: int = 1) -> dict[str, Any]:
    client.session.type(text)
    metrics: dict[str, Any] = await client.wait("metrics", turn)
    return metrics


@virtual
async def test_the_response_is_spoken_while_it_is_written_and_the_command_carried_out() -> None:
    home = Home()
    pieces = answer("HassTurnOn", "Turning on the lamp for you, have a good evening.", name="night lamp")
    async with a_session(llm=FakeModel(pieces), agent=home.agent) as client:
        client.session.type("turn on the night lamp")
        await client.wait("llm_token")
        assert home.done == []  # the answer still comes
        metrics = await client.wait("metrics")
    assert home.done == [("HassTurnOn", {"name": "bedroom lamp"})]
    assert said(client) == "Turning on the lamp for you, have a good evening."
    (command,) = client.of("command")
    del command["n"]
    assert command == {
        "type": "command", "turn_id": 1, "intent": "HassTurnOn", "entities": {"name": "bedroom lamp"},
        "confidence": 0.9, "response": "Turning on the lamp for you, have a good evening.", "source": "stream",
    }  # fmt: skip
    assert metrics["outcome"] == "done"
    assert [message["text"] for message in client.of("phrase")] == [
        "Turning on the lamp for you,", " have a good evening.",
    ]  # fmt: skip


LIGHT = {"name": "kitchen light"}
ON = ("HassTurnOn", LIGHT)


@pytest.mark.parametrize(
    ("pieces", "text", "done", "response", "source"),
    [
        (answer("HassTurnOn", "On.", name="moon"), "turn on the kitchen light", ON, "Turning on the kitchen light.",
         "fallback"),
        (answer("HassTurnOn", "On.", name="moon"), "make it shine", None, "I know no moon here.", "fallback"),
        ([BROKEN], "lights out", ("HassTurnOff", {"domain": "light"}), "Turning off the lights.", "fallback"),
        ([BROKEN], "turn on the garage light", None, "I know no garage light here.", "fallback"),
        (answer("HassGetState", "It is on.", **LIGHT), "is it on", None, "The kitchen light is off.", "stream"),
        (answer("HassTurnOn", "The fan runs.", name="fan"), "turn on the fan", None,
         "The fan runs. The fan is not plugged in.", "stream"),
        ([BROKEN], "turn on the fan", None, "The fan is not plugged in.", "fallback"),
        (answer("Lock", "Locked.", name="front door"), "lock it", None, "Locked. I cannot do that here.", "stream"),
        (answer("HassTurnOn", "", **LIGHT), "light", ON, "Turning on the kitchen light.", "stream"),
    ],
)  # fmt: skip
def test_what_is_done_and_said(pieces: Any, text: str, done: Any, response: str, source: str) -> None:
    @virtual
    async def run() -> None:
        home = Home()
        async with a_session(llm=FakeModel(pieces), agent=home.agent) as client:
            assert (await ask(client, text))["outcome"] == "done"
            assert home.done == ([] if done is None else [done])
            assert said(client) == response
            told = [(command["source"], response.endswith(command["response"])) for command in client.of("command")]
            assert told == ([] if response.startswith("I know no") else [(source, True)])
            assert (await ask(client, "and again", 2))["outcome"] in ("done", "failed")

    run()


@virtual
async def test_a_stream_that_breaks_off_goes_on_by_template_and_acts_once() -> None:
    home = Home()
    head = '{"intent": "HassTurnOn", "entities": {"name": "kitchen light"}, "response": "'
    pieces = [head, *cut("Turning on the kit"), BROKEN]
    async with a_session(llm=FakeModel(pieces), agent=home.agent) as client:
        await ask(client, "turn on the kitchen light")
    assert said(client) == "Turning on the kitchen light."
    assert home.done == [("HassTurnOn", {"name": "kitchen light"})]


@virtual
async def test_conversation_passes_and_is_no_command() -> None:
    home = Home()
    async with a_session(llm=FakeModel(answer("chat", "I like rain.")), agent=home.agent) as client:
        await ask(client, "do you like rain")
    assert said(client) == "I like rain."
    assert client.of("command") == []


@virtual
async def test_without_a_model_templates_and_the_offline_assistant_answer() -> None:
    home = Home()
    model = _Offline()
    async with a_session(llm=model, agent=home.agent) as client:
        await ask(client, "turn on the kitchen light")
        await ask(client, "what is seven times six", 2)
        await ask(client, "set a timer for two minutes", 3)
        assert "forty-two" in said(client).replace(" ", "-") or "42" in said(client)
        await client.wait("metrics", 4, within_s=300)  # it rings
    assert home.done == [("HassTurnOn", {"name": "kitchen light"})]
    assert client.of("phrase")[-1]["text"] == "Your timer rings."
    assert [command["intent"] for command in client.of("command")] == ["HassTurnOn", "HassStartTimer"]


class _Offline(OfflineChat):
    streams = 0


@virtual
async def test_switched_off_the_model_only_chats() -> None:
    home, model = Home(), FakeModel("I like rain.")
    settings = Settings(streaming=Streaming(enabled=False))
    async with a_session(llm=model, agent=home.agent, settings=settings) as client:
        await ask(client, "turn on the kitchen light")
        assert model.requests == []
        await ask(client, "do you like rain", 2)
    assert said(client).endswith("I like rain. ")
    assert model.requests[0].answer_schema is None


@virtual
async def test_without_the_fallback_the_error_is_told() -> None:
    home = Home()
    settings = Settings(streaming=Streaming(fallback_enabled=False))
    async with a_session(llm=FakeModel([BROKEN]), agent=home.agent, settings=settings) as client:
        metrics = await ask(client, "turn on the kitchen light")
        (error,) = client.of("error")
    assert (metrics["outcome"], error["code"], home.done) == ("failed", "LLM_FAILED", [])


@virtual
async def test_nothing_is_done_before_the_turn_is_certain() -> None:
    """What a pre-emptive answer wants waits; one that is discarded does nothing."""
    home = Home()
    model = FakeModel(answer("HassTurnOn", "On.", name="kitchen light"), gap_s=0.001)
    asr = FakeRecognizer(["turn on", "turn on the kitchen light"])
    confirmed: list[bool] = []

    class Watched(CommandAgent):
        async def before_llm(self, session: Any, request: Any) -> Any:
            confirmed.append(request.host._reply.gate.confirmed.is_set())

    watched = Watched(home.agent.commands, ENTITIES)
    watched.load()
    async with a_session(llm=model, asr=asr, agent=watched) as client:
        await client.speak(1.0)
        await client.hush(0.5)
        await client.speak(1.0)  # goes on: the answer to the first words was for nothing
        assert home.done == []
        await client.hush(1.5)
        await client.wait("metrics")
    assert confirmed[0] is False
    assert len(home.done) == 1


@virtual
async def test_an_interrupted_answer_leaves_nothing_behind() -> None:
    home = Home()
    pieces = ['{"intent": "chat", "entities": [], "response": "', *["word "] * 200, '"}']
    model = FakeModel(pieces)
    async with a_session(llm=model, agent=home.agent) as client:
        client.session.type("talk")
        await client.wait("tts_chunk")
        assert model.streams == 1
        client.session.cancel()
        assert (await client.wait("metrics"))["outcome"] == "interrupted"
        assert model.streams == 0
        assert (await ask(client, "stop", 2))["outcome"] in ("done", "incomplete")
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "command"]


@virtual
async def test_a_silent_handler_and_a_thinking_model_are_waited_for() -> None:
    commands = Commands()

    @commands.on("HassNevermind")
    async def slow() -> str:
        await asyncio.sleep(9)
        return "At last."

    agent = CommandAgent(commands, ENTITIES)
    agent.load()
    async with a_session(llm=FakeModel([3.5, BROKEN]), agent=agent) as client:
        assert (await ask(client, "never mind"))["outcome"] == "done"
        assert said(client) == "At last."


@virtual
async def test_phrases_are_made_three_at_a_time() -> None:
    home, voice = Home(), _Counting()
    pieces = answer("chat", "First one, then. Second one. Third one. Fourth one. Fifth one.", size=200)
    async with a_session(llm=FakeModel(pieces), tts=voice, agent=home.agent) as client:
        await ask(client, "talk")
    assert voice.most == 3
    assert home.agent.syntheses == 3


class _Counting(FakeVoice):
    most = 0

    async def synthesize(self, phrase: str, voice: str) -> Any:
        async for speech in super().synthesize(phrase, voice):
            self.most = max(self.most, self.streams)
            await asyncio.sleep(0.5)
            yield speech


@virtual
async def test_two_sessions_are_two_conversations() -> None:
    home = Home()
    async with (
        a_session(llm=FakeModel(answer("chat", "One.")), agent=home.agent) as one,
        a_session(llm=FakeModel(answer("chat", "Two.")), agent=home.agent, conversation_id="c2") as two,
    ):
        await asyncio.gather(ask(one, "hello"), ask(two, "hello"))
    assert (said(one), said(two)) == ("One.", "Two.")


def test_bad_templates_stop_the_start_and_each_answer(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("language: en\nintents: {A: {data: [{sentences: ['{nothing}']}]}}")
    agent = CommandAgent(Commands())
    agent.configure(Settings(commands=CommandSettings(intents_file=str(path))))
    with pytest.raises(SettingsError, match="there is no list 'nothing'"):
        asyncio.run(agent.start())

    @virtual
    async def run() -> None:
        other = CommandAgent(Commands(), intents_file=path)
        async with a_session(agent=_Unstarted(Commands(), intents_file=path)) as client:
            assert (await ask(client, "hello"))["outcome"] == "failed"
            assert "there is no list" in client.of("error")[0]["message"]
        assert other.needs_start

    run()
    with pytest.raises(TypeError, match="no tools"):
        CommandAgent(Commands(), tools=[print])
    stray = Commands()
    stray.on("Nothing")(lambda: None)
    with pytest.raises(SettingsError, match="there is no such intent"):
        CommandAgent(stray).load()


class _Unstarted(CommandAgent):
    needs_start = False


@virtual
async def test_parsing_alone_does_nothing() -> None:
    home = Home()
    command = await home.agent.parse("turn on the kitchen light", language="en_US")
    assert (command.intent, command.entities, command.source) == ("HassTurnOn", {"name": "kitchen light"}, "fallback")
    streamed = await home.agent.parse("light please", llm=FakeModel(answer("HassTurnOn", "On.", name="kitchen light")))
    assert (streamed.intent, streamed.source, streamed.response) == ("HassTurnOn", "stream", "On.")
    assert home.done == []

    class Turn:
        llm = FakeModel([BROKEN])
        language = "en_US"

    found = await FlowCommands(home.agent, Settings())("turn on the kitchen light", Turn())
    assert found == {**msgspec.to_builtins(command)}
    built_in = await FlowCommands(_Plain(), Settings())("set a timer for ten minutes", Turn())
    assert (built_in["intent"], built_in["entities"]) == ("HassStartTimer", {"minutes": 10})


class _Plain(CommandAgent):
    def __init__(self) -> None:
        super().__init__(Commands())
        self.load()  # which takes a thread, and virtual time has none


def test_the_pipeline_gives_up_before_the_reply_does() -> None:
    settings = Settings(llm=Llm(first_token_timeout_s=2, token_timeout_s=1, timeout_s=10))
    limits = stream_limits(settings)
    assert (limits.first_token_s, limits.token_s, limits.total_s) == (1.6, 0.8, 8.0)
    assert stream_limits(Settings()).first_token_s == 4.0


@virtual
async def test_other_languages_have_their_own_start() -> None:
    home = Home()
    start = Start(language="de_DE")
    async with a_session(llm=_Offline(), agent=home.agent, start=start) as client:
        assert (await ask(client, "turn on the kitchen light"))["outcome"] == "done"
    assert home.done == [("HassTurnOn", {"name": "kitchen light"})]
