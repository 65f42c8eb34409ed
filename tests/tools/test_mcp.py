"""Real MCP servers, in child processes: over stdio and over HTTP on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tools.scripted import Asking, Scripted, call
from vivavoce.tools import MCPServer, Toolbox, ToolError
from vivavoce.tools import mcp as module

PROGRAM = str(Path(__file__).parent / "mcp_server.py")
NAMES = ["price", "stock", "picture", "nothing", "slow", "die", "secret", "learn"]


class Log:
    """What the server says of its own life."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []

    @property
    def pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self.lines if line.startswith("pid")]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


async def until(happened: Callable[[], bool], within_s: float = 20.0) -> None:
    """Ask now and then: what happens in another process tells nobody."""
    async with asyncio.timeout(within_s):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def over_stdio(log: Log, **options: Any) -> AsyncIterator[MCPServer]:
    env = {"LOG": str(log.path), "SHOP_SECRET": "s3cret"}
    server = MCPServer([sys.executable, PROGRAM], env=env, name="shop", **options)
    try:
        await server.start()
        await until(lambda: bool(server.tools))
        yield server
    finally:
        await server.close()
    assert not [pid for pid in log.pids if exists(pid)]


class Remote:
    """The same program as an HTTP server."""

    def __init__(self, log: Log) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        env = os.environ | {"LOG": str(self._log.path)}
        command = [sys.executable, PROGRAM, str(self.port)]
        self._process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)  # noqa: ASYNC220

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        await until(listens)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@asynccontextmanager
async def over_http(log: Log, **options: Any) -> AsyncIterator[tuple[MCPServer, Remote]]:
    remote = Remote(log)
    await remote.start()
    server = MCPServer(url=remote.url, name="shop", **options)
    try:
        await server.start()
        await until(lambda: bool(server.tools))
        yield server, remote
    finally:
        await server.close()
        remote.kill()


async def check_calls(server: MCPServer) -> None:
    """What both transports can do."""
    assert [tool.spec.name for tool in server.tools] == NAMES
    price = server.tools[0].spec
    assert price.description == "What an item costs."
    assert price.parameters["type"] == "object"
    assert price.parameters["required"] == ["item"]
    assert await server.call("price", {"item": "bell", "pieces": 2}) == "bell: 6 euro"
    assert await server.call("stock", {"item": "bell"}) == '{\n  "bell": 7\n}'
    assert await server.call("picture", {}) == "a red bicycle\n[image]"
    assert await server.call("nothing", {}) == '{"result": null}'
    with pytest.raises(ToolError, match="there are no unicorns"):
        await server.call("price", {"item": "unicorn"})
    with pytest.raises(ToolError, match="Field required"):
        await server.call("price", {})
    with pytest.raises(ToolError, match="Unknown tool"):
        await server.call("nonsense", {})
    assert await server.call("price", {"item": "bell"}) == "bell: 3 euro", "it goes on after errors"


async def test_over_stdio(log: Log) -> None:
    async with over_stdio(log) as server:
        await check_calls(server)
        assert await server.call("secret", {}) == "s3cret"
        assert server.trouble == ""
    assert log.lines[-1] == "over", "it was asked to end, not killed"


async def test_over_http(log: Log) -> None:
    async with over_http(log) as (server, _):
        await check_calls(server)


async def test_new_tools_are_seen(log: Log) -> None:
    async with over_stdio(log) as server:
        await server.call("learn", {})
        await until(lambda: "fresh" in [tool.spec.name for tool in server.tools], 15.0)
        assert await server.call("fresh", {}) == "fresh"


async def test_a_server_of_the_older_protocol() -> None:
    server = MCPServer([sys.executable, str(Path(PROGRAM).with_name("old_mcp_server.py"))], name="old")
    await server.start()
    try:
        await until(lambda: bool(server.tools))
        assert await server.call("echo", {"a": "é"}) == '{"a": "\\u00e9"}'
        await until(lambda: len(server.tools) == 2, 15.0)
        assert list(Toolbox([server])) == ["echo", "old_echo_1"]
        turn = Asking(Scripted([call("old_echo_1", b=1)], "Done."), [server])
        await turn.run()
        assert turn.results == ['{"b": 1}'], "called by its own name"
    finally:
        await server.close()


async def test_a_call_that_takes_too_long_is_cancelled_on_the_server_too(log: Log) -> None:
    async with over_stdio(log, timeout_s=0.5) as server:
        turn = Asking(Scripted([call("slow", seconds=30)], "It takes too long."), [server], filler="")
        assert await turn.run() == "It takes too long."
        assert turn.results == ["error: it was not done within 0.5 s"]
        await until(lambda: "slow CancelledError" in log.lines or "slow Cancelled" in log.lines)
        assert await server.call("price", {"item": "bell"}) == "bell: 3 euro"


async def test_a_server_that_dies_in_the_middle_is_told_to_the_model_and_started_again(log: Log) -> None:
    async with over_stdio(log) as server:
        answers = [[call("die")], [call("price", item="bell")], "It costs three."]
        turn = Asking(Scripted(*answers), [server], filler="")
        assert await turn.run() == "It costs three."
        died, after = turn.results
        assert died == "error: shop went away in the middle; it may or may not have been done"
        assert after in ("bell: 3 euro", "error: shop cannot be reached at the moment")
        await until(lambda: len(log.pids) == 2 and not server.trouble)
        assert await server.call("price", {"item": "bell"}) == "bell: 3 euro"


async def test_a_server_that_is_killed_while_nobody_calls_is_started_again(log: Log) -> None:
    async with over_stdio(log) as server:
        os.kill(log.pids[0], signal.SIGKILL)
        await until(lambda: bool(server.trouble))
        assert server.trouble == "its process has ended"
        assert [tool.spec.name for tool in server.tools] == NAMES, "its tools stay known"
        await until(lambda: not server.trouble)
        assert await server.call("price", {"item": "bell"}) == "bell: 3 euro"


async def test_an_http_server_that_was_away_is_found_again(log: Log) -> None:
    async with over_http(log) as (server, remote):
        remote.kill()
        with pytest.raises(ToolError):
            await server.call("price", {"item": "bell"})
        await until(lambda: bool(server.trouble))
        await remote.start()
        await until(lambda: not server.trouble)
        assert await server.call("price", {"item": "bell"}) == "bell: 3 euro"


async def test_a_server_that_cannot_be_reached_costs_a_turn_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    for broken in (MCPServer(["no-such-program-here"]), MCPServer(url="http://127.0.0.1:9/mcp")):
        try:
            await broken.start()
            assert broken.trouble
            assert broken.tools == ()
            with pytest.raises(ToolError, match="cannot be reached at the moment"):
                await broken.call("price", {})
            assert Toolbox([broken]).troubles == [f"{broken.name}: {broken.trouble}"]
        finally:
            await broken.close()


async def test_a_program_that_is_no_server_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "START_WAIT_S", 1.0)
    noted = tmp_path / "pid"
    program = f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    server = MCPServer([sys.executable, "-c", program])
    await server.start()
    await until(noted.exists)
    await until(lambda: bool(noted.read_text()))
    await server.close()
    assert not exists(int(noted.read_text()))
    await server.close()


async def test_it_can_be_started_again_after_its_end(log: Log) -> None:
    async with over_stdio(log) as server:
        await server.close()
        with pytest.raises(ToolError):
            await server.call("price", {"item": "bell"})
        await server.start()
        await server.start()
        assert await server.call("price", {"item": "bell"}) == "bell: 3 euro"
        assert len(log.pids) == 2


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({}, "either"),
        ({"command": ["a"], "url": "http://a"}, "either"),
        ({"url": "ftp://a"}, "no http"),
        ({"command": ["a"], "headers": {"a": "b"}}, "headers go"),
        ({"url": "http://a", "env": {"a": "b"}}, "env goes"),
        ({"command": ["a"], "timeout_s": 0}, "above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(how: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        MCPServer(**how)


def test_without_the_package_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'vivavoce\[mcp\]'"):
        MCPServer(["a"])


def test_names() -> None:
    assert MCPServer("uvx mcp-server-time --utc").name == "uvx"
    assert MCPServer(url="https://tools.example.org/mcp").name == "tools.example.org"
    assert MCPServer(["a"], name="b").name == "b"
