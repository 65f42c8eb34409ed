"""A flow drives a voice session: what it says is spoken, what it waits for is the next turn."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from flows.stub import a_stub
from kit import FakeModel, FakeRecognizer, a_session, run_virtually
from server.asgi import client
from transports.chat import asked, complete
from transports.wire import a_server, in_order, virtual
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.flows.agent import FlowAgent
from vivavoce.flows.documents import read_yaml
from vivavoce.flows.executor import FlowState
from vivavoce.flows.model import read
from vivavoce.settings import Flows, Settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "flows"


async def given(app: Any, flow: str | Path) -> None:
    text = flow.read_text(encoding="utf-8") if isinstance(flow, Path) else flow
    document = read_yaml(text)
    await app.state.flows.save(document.value["id"], document)


def said(peer: Any, turn: int) -> str:
    return "".join(m["text"] for m in peer.of("llm_token", turn=turn))


@virtual
async def test_a_booking_by_typed_turns() -> None:
    async with a_server() as app:
        await given(app, EXAMPLES / "booking.yaml")
        peer = await app.connect()
        await peer.start(flow="booking")
        await peer.wait("metrics")
        assert said(peer, 1) == "Welcome to the Golden Spoon. For how many people would you like a table?"
        await peer.ask("hmm, let me think")
        assert said(peer, 2) == "Sorry, how many people is that?"
        await peer.ask("for twelve people")
        assert said(peer, 3) == "We seat eight at most. For how many people would you like a table?"
        await peer.ask("then for eight people, please")
        assert said(peer, 4) == "A table for 8. On which day?"
        await peer.ask("on the third of march 2031")
        assert said(peer, 5) == "8 people on 2031-03-03. Is that right?"
        done = await peer.ask("yes, please")
        assert said(peer, 6) == "Your table is booked. See you then!"
        assert done["outcome"] == "done"
        assert in_order(["phrase", "tts_chunk", "tts_complete", "metrics"], peer.kinds(6))
        await peer.ask("hello again")  # after the end it begins anew
        assert said(peer, 7).startswith("Welcome to the Golden Spoon.")


@virtual
async def test_an_unknown_flow_is_named_and_the_connection_lives() -> None:
    async with a_server() as app:
        peer = await app.connect()
        await peer.send("start", flow="../secret")
        error = await peer.wait("error")
        assert error["code"] == "BAD_MESSAGE"
        assert "../secret" in error["message"]
        await peer.start()
        assert (await peer.ask("hello"))["outcome"] == "done"


@virtual
async def test_the_configured_flow_is_the_default() -> None:
    settings = Settings(flows=Flows(default="quiz"))
    async with a_server(settings) as app:
        await given(app, EXAMPLES / "quiz.yaml")
        peer = await app.connect()
        await peer.start()
        await peer.wait("metrics")
        assert said(peer, 1) == "Three questions. Ready? One. What is the capital of France?"
        for text in ("I think it is Paris", "six", "yes"):
            await peer.ask(text)
        assert said(peer, 4) == "Right! That makes 2 out of three."


async def test_the_weather_by_typed_turns_with_the_offline_model() -> None:
    async with a_stub() as stub:
        flows = Flows(variables=(f"api=http://{stub.place}",), http_allow=(stub.place,))
        async with a_server(Settings(flows=flows), llm=OfflineChat()) as app:
            await given(app, EXAMPLES / "weather.yaml")
            peer = await app.connect()
            await peer.start(flow="weather", audio_out="pcm")
            await peer.wait("metrics", within_s=20)
            await peer.send("text", text="what is it like in Oslo")
            await peer.wait("llm_token", 2)
            await peer.until(lambda: "Take a coat" in said(peer, 2), within_s=20)
            assert said(peer, 2).startswith("In Oslo it is 7 degrees and sunny. Take a coat.")
            await peer.send("text", text="what is two plus two")
            await peer.until(lambda: any(m["done"] for m in peer.of("llm_token", turn=3)), within_s=20)
            assert "4" in said(peer, 3)


EFFECT = """
id: shop
nodes:
  - {id: ask, type: listen, into: wish}
  - {id: count, type: set, values: {orders: "{{orders | plus: 1}}"}}
  - {id: told, type: say, text: "Order {{orders}}: {{wish}}."}
edges: [[ask, count], [count, told], [told, ask]]
"""


@virtual
async def test_a_discarded_answer_does_not_move_the_flow() -> None:
    """The recogniser's stable words begin an answer; then the speaker takes it back, and nobody hears of it."""
    async with a_server(asr=FakeRecognizer(["two apples and three pears"])) as app:
        await given(app, EFFECT)
        peer = await app.connect()
        await peer.start(flow="shop")
        await peer.speak(0.8)
        await peer.hush(0.45)
        await peer.until(lambda: [d["what"] for d in peer.of("decision")] == ["preempt"])
        await peer.send("cancel")
        await peer.until(lambda: [d["what"] for d in peer.of("decision")] == ["preempt", "discard"])
        await peer.ask("one more")
        assert said(peer, 1) == "Order 1: one more."
        await peer.speak(0.8)
        await peer.hush(1.2)
        await peer.wait("metrics", 2)
        assert said(peer, 2) == "Order 2: two apples and three pears."
        await peer.ask("a last one")  # the guess that came true has moved the flow
        assert said(peer, 3) == "Order 3: a last one."


LONG = """
id: long
nodes:
  - {id: ask, type: listen, into: wish}
  - {id: talk, type: llm, prompt: "{{wish}}", into: told}
  - {id: after, type: say, text: "And now?"}
  - {id: next, type: listen, into: second}
  - {id: echo, type: say, text: "You said {{second}} after {{told | length}} characters."}
edges: [[ask, talk], [talk, after], [after, next], [next, echo], [echo, ask]]
"""


@virtual
async def test_who_talks_over_an_answer_is_heard_by_the_next_listen() -> None:
    model = FakeModel(["Once ", "upon ", "a ", "time. ", 60.0, "never"])
    async with a_server(llm=model, asr=FakeRecognizer(["stop it now"])) as app:
        await given(app, LONG)
        peer = await app.connect()
        await peer.start(flow="long")
        await peer.send("text", text="tell me a story")
        await peer.wait("tts_chunk")
        await peer.speak(1.0)
        await peer.hush(1.0)
        await peer.wait("interrupted")
        await peer.wait("metrics", 2)
        assert said(peer, 2) == "You said stop it now after 17 characters."
        assert model.streams == 0


COUNT = """
id: count
nodes:
  - {id: ask, type: listen, into: wish}
  - {id: count, type: set, values: {n: "{{n | plus: 1}}"}}
  - {id: talk, type: llm, prompt: "{{wish}}"}
  - {id: told, type: say, text: "That was number {{n}}."}
edges: [[ask, count], [count, talk], [talk, told], [told, ask]]
"""


@pytest.mark.parametrize("seed", range(40))
def test_every_input_reaches_the_flow_once_whenever_it_comes(seed: int) -> None:
    """Inputs at random moments, over answers in the making, over speech, over nothing; task steps in random order."""

    async def scenario() -> None:
        chance = Random(seed)
        agent = FlowAgent(read(COUNT.encode()))
        async with a_session(llm=FakeModel("Let me tell you a story. It is long.", gap_s=0.1), agent=agent) as client:
            count = chance.randint(2, 6)
            for at in range(count):
                client.session.type(f"input {at}")
                await asyncio.sleep(chance.choice([0.06, 0.3, 0.9, 2.0, 8.0]))
            await client.wait("metrics", count, within_s=600)
            client.session.type("the last")
            await client.wait("metrics", count + 1, within_s=600)
            words = "".join(m["text"] for m in client.of("llm_token") if m["turn_id"] == count + 1)
            assert words.endswith(f"That was number {count + 1}.")
            outcomes = [m["outcome"] for m in client.of("metrics")]
            assert set(outcomes) <= {"done", "interrupted"}
            assert outcomes[-1] == "done"

    run_virtually(scenario(), seed=seed)


@virtual
async def test_a_lost_socket_finds_the_flow_where_it_was() -> None:
    async with a_server() as app:
        await given(app, EXAMPLES / "quiz.yaml")
        peer = await app.connect()
        info = await peer.start(flow="quiz")
        await peer.wait("metrics")
        await peer.ask("Paris")
        await peer.vanish()
        back = await app.connect()
        await back.start(session_id=info["session_id"], last_n=peer.messages[-1]["n"], flow="quiz")
        await back.ask("eight")
        assert said(back, 3) == "Right! Three. Is a tomato a fruit?"


@virtual
async def test_a_failing_node_ends_the_turn_and_the_flow_stays() -> None:
    flow = """
id: broken
nodes:
  - {id: ask, type: listen, into: wish}
  - {id: get, type: http, url: "http://127.0.0.1:1/x"}
  - {id: told, type: say, text: "Never."}
edges: [[ask, get], [get, told], [told, ask]]
"""
    async with a_server() as app:
        await given(app, flow)
        peer = await app.connect()
        await peer.start(flow="broken")
        assert (await peer.ask("go"))["outcome"] == "failed"
        assert peer.of("error")[-1]["code"] == "HTTP_FORBIDDEN"
        assert (await peer.ask("go"))["outcome"] == "failed"


@virtual
async def test_chats_of_one_conversation_go_through_one_flow() -> None:
    """A chat has a connection for every message; the conversation is what they share."""
    async with a_server() as app:
        await given(app, EXAMPLES / "booking.yaml")
        told = []
        for text in ("hello", "for six", "on may the first 2031", "yes"):
            chat = await asked(app, text, flow="booking", conversation_id="c7")
            told.append(complete(chat)["text"])
        assert told == [
            "Welcome to the Golden Spoon. Sorry, how many people is that?",
            "A table for 6. On which day?",
            "6 people on 2031-05-01. Is that right?",
            "Your table is booked. See you then!",
        ]
        await asked(app, "for three", flow="booking", conversation_id="c7")
        async with client(app.asgi) as http:
            assert (await http.delete("/api/conversations/c7")).status_code == 204
        chat = await asked(app, "for four", flow="booking", conversation_id="c7")
        assert complete(chat)["text"].startswith("Welcome to the Golden Spoon.")  # nothing is known of it any more


@virtual
async def test_a_voice_session_goes_on_where_its_conversation_stands() -> None:
    async with a_server(llm=OfflineChat()) as app:
        await given(app, EXAMPLES / "quiz.yaml")
        agent = app.state.agent_for("quiz")
        assert agent is app.state.agent_for("quiz")
        agent._places.keep("c1", FlowState(at="third", variables={"score": 2}, inputs=3))
        peer = await app.connect()
        await peer.start(flow="quiz", conversation_id="c1")
        await peer.wait("metrics")
        assert said(peer, 1) == "Three. Is a tomato a fruit?"
        await peer.ask("yes")
        assert said(peer, 2) == "Right! All three. Well done!"


def test_settings_refuse_what_is_no_flow() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"default": "a/b"}, Flows)
