"""`vivavoce serve FILE`: whose agent it is, and what is wrong with a file that makes none."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from cli.runs import Process, Run
from vivavoce.cli import Failed
from vivavoce.cli.agent_files import load, sources
from vivavoce.cli.chat import View
from vivavoce.events import LLMToken, Phrase

Serve = Callable[..., Process]
SHOP = 'from vivavoce import Agent\nagent = Agent("Sell.", name="shop", greeting="Hello, bicycle shop.")\n'


@pytest.fixture(autouse=True)
def _as_before(tmp_path: Path) -> Iterator[None]:
    """What the user's files left is forgotten; the libraries they were the first to import are not."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(text: str, name: str = "my_agent.py") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make


@pytest.mark.parametrize(
    "text",
    [
        'agent = Agent(name="this")\nother = Agent(name="other")',
        'shop = Agent(name="this")\nalias = shop',
        'def agent(): return Agent(name="this")',
        'class agent(Agent):\n    def __init__(self): super().__init__(name="this")',
        "import helper\nagent = Agent(name=helper.NAME)",
    ],
    ids=["agent", "the only one", "a function", "a class", "with a module beside it"],
)
def test_whose_agent_it_is(write: Callable[..., Path], text: str) -> None:
    write('NAME = "this"', "helper.py")
    assert load(write("from vivavoce import Agent\n" + text)).name == "this"


def test_a_file_named_as_a_module_that_is_there_gets_another_name(write: Callable[..., Path]) -> None:
    import asyncio

    text = "from vivavoce import Agent\nagent = Agent(name=__name__)\n"
    assert load(write(text, "asyncio.py")).name == "agent_file_asyncio"
    assert sys.modules["asyncio"] is asyncio


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\ny = = 2\n", "my_agent.py, line 2: SyntaxError: invalid syntax"),
        ("\nimport no_such_module\n", "my_agent.py, line 2: ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "def make():\n    return 1 / 0\n\nagent = make()\n",
            "my_agent.py, line 2: ZeroDivisionError: division by zero",
        ),
        (
            "from vivavoce import Agent\nagent = Agent(still_there_s=-1)\n",
            "my_agent.py, line 2: ValueError: still_there_s",
        ),
        ("import broken\n", "my_agent.py, line 1: SyntaxError"),
        ("import sys\nsys.exit(3)\n", "my_agent.py, line 2: SystemExit: 3"),
        ("raise RuntimeError\n", "my_agent.py, line 1: RuntimeError"),
        ("def agent():\n    return missing\n", "my_agent.py, line 2: NameError: name 'missing' is not defined"),
        ("async def agent(): ...\n", "agent() must be a plain function"),
        ("def agent(): ...\n", "there is no agent in"),
        ("agent = 'me'\n", "`agent` is of type str, no Agent"),
        ("import json as agent\n", "`agent` is a module (json), no Agent"),
        ("", "there is no agent in"),
        ("from vivavoce import Agent\none, two = Agent(), Agent()\n", "makes several agents: one, two"),
    ],
)
def test_what_is_wrong_is_one_line(write: Callable[..., Path], text: str, says: str) -> None:
    write("def (", "broken.py")
    path = write(text)
    with pytest.raises(Failed) as failed:
        load(path)
    assert len(failed.value.lines) == 1
    assert says in failed.value.lines[0]
    assert "\n" not in failed.value.lines[0]


def test_what_is_no_file_of_an_agent(tmp_path: Path, write: Callable[..., Path]) -> None:
    for path, says in [
        (tmp_path / "nowhere.py", "there is no file"),
        (tmp_path, "there is no file"),
        (write("hello", "notes.txt"), "holds no agent"),
        (write("nodes: 3", "flow.yaml"), "flow.yaml: "),
        (write("{", "flow.json"), "flow.json: "),
    ]:
        with pytest.raises(Failed, match=says):
            load(path)


def test_what_a_reload_looks_at(tmp_path: Path, write: Callable[..., Path]) -> None:
    flow = write("id: x", "flow.yaml")
    wanted = {flow, write("", "beside.py")}
    (tmp_path / "package").mkdir()
    wanted.add(write("", "package/below.py"))
    for folder in (".hidden", "__pycache__", "venv"):
        (tmp_path / folder).mkdir()
        write("", f"{folder}/not.py")
    write("", "venv/pyvenv.cfg")
    write("", "beside.txt")
    assert set(sources(flow)) == wanted


@pytest.mark.xdist_group("cli")
async def test_it_is_served(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    process = serve("shop.py")
    page = process.until(r"vivavoce is at (http://\S+)")[1]
    process.until(r"^  agent: shop$")
    async with connect(page.replace("http", "ws") + "ws", proxy=None) as client:
        await client.send('{"type": "start"}')
        while (message := json.loads(await client.recv()))["type"] != "phrase":
            pass
    assert message["text"] == "Hello, bicycle shop."
    assert message["initiator"] == "agent"
    async with httpx.AsyncClient() as web:
        assert (await web.get(f"{page}api/stream_config")).json()["agent"] == "shop"
    process.signal()
    assert process.wait() == 0


@pytest.mark.xdist_group("cli")
def test_a_broken_file_opens_no_port(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import nothing_of_the_kind\n")
    for arguments in (["serve", "shop.py"], ["chat", "--agent", "shop.py", "hi"]):
        result = run(*arguments)
        assert result.returncode == 1
        assert result.stderr == "Error: shop.py, line 1: ModuleNotFoundError: No module named 'nothing_of_the_kind'\n"
    assert "there is no file gone.py" in run("serve", "gone.py", "--reload").stderr
    assert "give one of them" in run("chat", "--agent", "shop.py", "--url", "ws://127.0.0.1:1/ws", "hi").stderr


@pytest.mark.xdist_group("cli")
def test_a_reload_takes_the_new_agent_and_survives_a_broken_one(serve: Serve, tmp_path: Path) -> None:
    shop = tmp_path / "shop.py"

    def write(text: str, at: int) -> None:
        shop.write_text(text)
        os.utime(shop, (at, at))  # the watch looks at whole times: a quick rewrite may not be seen

    write(SHOP, 1_000_000_000)
    process = serve("shop.py", "--reload")
    page = process.until(r"vivavoce is at (http://\S+)")[1]
    process.until(r"agent: shop$")
    write("agent = nobody\n", 1_000_000_100)
    process.until(r"Error: shop.py, line 1: NameError")
    write(SHOP.replace('"shop"', '"workshop"'), 1_000_000_200)
    process.until(r"agent: workshop$")
    assert httpx.get(f"{page}health").status_code == 200
    process.signal()
    assert process.wait() == 0


@pytest.mark.xdist_group("cli")
def test_a_chat_with_an_agent_of_ones_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "deaf.py").write_text(
        "from vivavoce import Agent, Asked\n"
        "from vivavoce.engines.base import Delta\n"
        "class Echo(Agent):\n"
        "    async def respond(self, asked):\n"
        "        yield Delta(f'You said {asked.text}.', finish='stop')\n"
        "agent = Echo()\n"
    )
    result = run("chat", "--agent", "deaf.py", "good", "morning")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "You said good morning."


def test_what_the_agent_says_of_its_own_accord_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = View(None)  # type: ignore[arg-type]
    for message in (
        LLMToken(text="Hello there.", initiator="agent", turn_id=1),
        Phrase(seq=1, text="Hello there.", initiator="agent", turn_id=1),
        LLMToken(text="Yes.", turn_id=2),
        Phrase(seq=1, text="Yes.", turn_id=2),
    ):
        view._show(message)
    assert capsys.readouterr().out == "[agent] Hello there.\nYes."
