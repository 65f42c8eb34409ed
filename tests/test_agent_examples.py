"""The examples in examples/agents do what their files say."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from cli.runs import environment
from kit import Client, FakeModel, FakeRecognizer, a_session, run_virtually
from test_agent_mounted import served
from transports.wire import a_socket, chosen_engines
from vivavoce.cli.agent_files import load
from vivavoce.engines.base import ChatRequest, Delta, ToolCall

EXAMPLES = Path(__file__).parent.parent / "examples" / "agents"


class CallingModel(FakeModel):
    """Calls the tools of `wants`, by words of the question; then says what they gave, or that it heard the question."""

    def __init__(self, **wants: tuple[str, str]) -> None:
        super().__init__("")
        self.wants = wants

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        asked = [m for m in request.messages if m.role == "user"][-1].content
        since = request.messages[[m.content for m in request.messages].index(asked) :]
        results = [m.content for m in since if m.role == "tool"]
        offered = {tool.name for tool in request.tools}
        calls = [(name, arguments) for word, (name, arguments) in self.wants.items() if word in asked]
        if calls and not results:
            assert {name for name, _ in calls} <= offered
            yield Delta(finish="tool_calls", calls=tuple(ToolCall(id=n, name=n, arguments=a) for n, a in calls))
            return
        yield Delta(" and ".join(results) + "." if results else "I hear you.")
        yield Delta(finish="stop")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(EXAMPLES)):
            del sys.modules[name]


def said(client: Client) -> str:
    return " ".join(" ".join(m["text"].split()) for m in client.of("phrase"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_each_is_under_a_screen(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


def test_the_shop_asks_its_tools() -> None:
    async def scenario() -> None:
        llm = CallingModel(
            sunday=("opening_hours", '{"day": "sunday"}'),
            tandem=("in_stock", '{"item": "Tandem"}'),
            car=("in_stock", '{"item": "car"}'),
            someday=("opening_hours", '{"day": "someday"}'),
        )
        async with a_session(llm=llm, agent=load(EXAMPLES / "shop.py")) as client:
            await client.wait("metrics")
            for turn, text in enumerate(["a tandem on a sunday", "a car", "on someday"], 2):
                client.session.type(text)
                await client.wait("metrics", turn)
            assert said(client).startswith("Hello, this is the bicycle shop. closed and 0.")
            assert "there is no such item; there are: city bike" in said(client)
            refused = llm.requests[-1].messages[-1].content
            assert refused.startswith("error")
            assert "saturday, sunday" in refused, "it is told what there is"

    run_virtually(scenario())


def test_the_reception_puts_through() -> None:
    async def scenario() -> None:
        llm = CallingModel(broken=("to_the_workshop", "{}"))
        async with a_session(llm=llm, agent=load(EXAMPLES / "reception.py")) as client:
            await client.wait("metrics")
            client.session.type("my chain is broken")
            await client.wait("metrics", 2)
            assert said(client).endswith("This is the workshop. What can we repair for you?")
            assert client.session.agent.name == "workshop"
            assert client.session.view.userdata == {"put_through": True}
            client.session.type("the chain")
            await client.wait("metrics", 3)
            assert llm.requests[-1].instructions.startswith("You are the workshop")
            assert not llm.requests[-1].tools

    run_virtually(scenario())


def test_the_reception_is_not_talked_over_and_asks_who_is_silent() -> None:
    async def scenario() -> None:
        llm, asr = CallingModel(), FakeRecognizer(["I want to complain"])
        async with a_session(llm=llm, asr=asr, agent=load(EXAMPLES / "reception.py")) as client:
            await client.wait("metrics")
            await client.speak(1.5)
            await client.hush(1.0)
            await client.wait("tts_chunk", 2)
            await client.speak(1.0)
            await client.hush(1.0)
            assert (await client.wait("metrics", 3))["outcome"] == "done"
            assert not client.of("interrupted")
            assert said(client).endswith("Complaints are written down. You have thirty seconds after the tone.")
            await asyncio.sleep(120.0)
            assert said(client).count("Hello? Can you hear me?") == 2
        assert not llm.requests

    run_virtually(scenario())


async def test_the_application_serves_its_own_routes_and_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_MEMORY__PERSIST", "false")
    monkeypatch.syspath_prepend(EXAMPLES)
    llm = FakeModel("Let me see.")
    with chosen_engines(llm=llm):
        app = import_module("in_my_app").app
        async with served(app) as address, httpx.AsyncClient(base_url=f"http://{address}") as web:
            assert (await web.get("/orders/1042")).json() == {"number": "1042", "state": "sent on Monday"}
            assert (await web.get("/orders/7")).status_code == 404
            assert (await web.get("/voice/")).status_code == 200
            async with a_socket(f"ws://{address}/voice/ws") as peer:
                await peer.start()
                for text in ("hello", "where is order 1042", "really"):
                    await peer.ask(text)
    asked = [request.messages[-1].content for request in llm.requests]
    known = "(Order 1042: sent on Monday.)"
    assert asked == ["hello", f"where is order 1042\n{known}", f"really\n{known}"]


async def test_the_shop_on_the_offline_model(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vivavoce", "chat", "--agent", str(EXAMPLES / "shop.py"), "what is two plus two"),
        cwd=tmp_path,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(50):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert "four" in out.decode().lower() or "4" in out.decode()
