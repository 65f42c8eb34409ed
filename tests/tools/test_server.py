"""Tools of a running server: those that the settings name, and a model over HTTP that calls them."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from server.asgi import client
from tools.scripted import Scripted, call
from tools.test_mcp import Log, exists, until
from transports.wire import a_server
from vivavoce.errors import SettingsError
from vivavoce.settings import Settings, Tools, load

PROGRAM = str(Path(__file__).parent / "mcp_server.py")


async def test_the_default_agent_has_the_tools_that_the_settings_name(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    command = shlex.join(["env", f"LOG={log.path}", sys.executable, PROGRAM])
    llm = Scripted([call("price", item="bell")], "Three euro.")
    settings = Settings(tools=Tools(mcp=(command, "no-such-program --at-all")))
    async with a_server(settings, llm=llm) as server:
        await until(lambda: "price" in server.state.agent.toolbox)
        peer = await server.connect()
        await peer.start()
        assert (await peer.ask("what is a bell"))["outcome"] == "done"
        (result,) = peer.of("tool_result")
        assert (result["ok"], result["result"]) == (True, "bell: 3 euro")
        async with client(server.asgi) as http:
            answer = await http.get("/ready")
        assert answer.status_code == 200, "a tool's server that is away is no reason to refuse people"
        agent = answer.json()["agent"]
        assert agent["ready"] is False
        assert "no-such-program" in agent["detail"]
    assert len(log.pids) == 1
    assert not exists(log.pids[0]), "it ends with the server"
    assert "price" in [spec.name for spec in llm.requests[0].tools]


@pytest.mark.parametrize("entry", ["'unclosed", " ", "\\"])
def test_entries_that_cannot_be_used_are_refused_at_the_start(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "vivavoce.yaml"
    file.write_text(json.dumps({"tools": {"mcp": [entry]}}), encoding="utf-8")
    with pytest.raises(SettingsError, match="tools"):
        load(flags={}, environ={}, config_file=file, dotenv_dir=tmp_path)


def test_without_the_package_the_settings_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    environ = {"VIVAVOCE_TOOLS__MCP": "uvx mcp-server-time"}
    with pytest.raises(SettingsError, match=r"pip install 'vivavoce\[mcp\]'"):
        load(flags={}, environ=environ, config_file=None, dotenv_dir=tmp_path)
