"""What docs/tools.md shows runs, and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kit import a_session
from tools.scripted import Scripted, call
from transports.wire import virtual
from vivavoce.agent import Agent
from vivavoce.settings import load
from vivavoce.tools import MCPServer, Tool
from vivavoce.tools.loop import FILLERS, ToolLimits

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def namespace(count: int | None = None) -> dict[str, Any]:
    """What the first *count* blocks define, run one after the other."""
    names: dict[str, Any] = {"__name__": "page"}
    for code in blocks("python")[:count]:
        exec(compile(code, "docs/tools.md", "exec"), names)
    return names


@virtual
async def test_the_booking_is_made_refused_and_told() -> None:
    agent = namespace(1)["agent"]
    llm = Scripted(
        [call("book", day="Friday", guests=4)], "Booked.",
        [call("book", day="Saturday")], "Sorry.",
        [call("book", guests="many")], "Which day?",
    )  # fmt: skip
    async with a_session(llm=llm, agent=agent) as client:
        for number in (1, 2, 3):
            client.session.type("a table please")
            await client.wait("metrics", number)
        told = [m.content for m in client.session.conversation.messages if m.role == "tool"]
    assert told[:2] == ["booked for 4 on Friday", "error: Saturday is full"]
    assert told[2] == "error: wrong arguments: day is missing; guests: expected int, got str"
    spec = llm.requests[0].tools[0]
    assert spec.description == "Book a table for the evening."
    assert spec.parameters["properties"]["guests"] == {"type": "integer", "description": "children too", "default": 2}


async def test_every_tool_of_the_page_is_one() -> None:
    names = namespace()
    found = names["look_for_it_in_the_old_database"]
    assert isinstance(found, Tool)
    assert (found.name, found.timeout_s) == ("find_order", 20)
    assert await found.call({"number": 7}) == {"number": "7", "state": "shipped"}
    llm = Scripted([call("order", dish="soup")], "Fine.")
    async with a_session(llm=llm, agent=Agent(tools=[names["order"]])) as client:
        client.session.type("soup")
        assert (await client.wait("tool_result", within_s=10))["result"] == "1"
        assert client.of("state")[0]["value"] == ["soup"]
    assert [type(one) for one in names["agent"].tools[1:]] == [MCPServer, MCPServer]


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    file = tmp_path / "vivavoce.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = load(flags={}, environ={}, config_file=file, dotenv_dir=tmp_path)
    assert list(loaded.settings.tools.mcp) == yaml.safe_load(text)["tools"]["mcp"]


def test_the_figures_of_the_page_are_the_defaults() -> None:
    limits = ToolLimits()
    assert f"| one call | {limits.timeout_s:g} s |" in PAGE
    assert f"| rounds of calls in a turn | {limits.steps} |" in PAGE
    assert f"| calls in a turn | {limits.calls} |" in PAGE
    assert f"longer than {limits.filler_s:g} s" in PAGE
    languages = re.search(r"conversation's language\n\(([^;]*);", PAGE)
    assert languages is not None
    assert len(languages[1].split(",")) == len(FILLERS)
