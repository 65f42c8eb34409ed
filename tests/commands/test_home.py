"""The example home: what is said changes it, and every session sees it."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from commands.home import answer
from kit import FakeModel, a_session
from transports.wire import virtual
from vivavoce.engines.llm.offline import OfflineChat

PATH = Path(__file__).parents[2] / "examples" / "home.py"


class Offline(OfflineChat):
    streams = 0


@pytest.fixture
def example() -> Iterator[ModuleType]:
    """The example as `vivavoce serve` loads it, anew for each test."""
    spec = importlib.util.spec_from_file_location("home_example", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.agent.load()
    yield module
    del sys.modules[spec.name]


async def tell(client: Any, text: str) -> str:
    """Say *text*, and give the answer."""
    turns, before = len(client.of("metrics")), len(client.of("llm_token"))
    client.session.type(text)
    metrics = await client.wait("metrics", turns + 1)
    assert metrics["outcome"] == "done"
    return "".join(token["text"] for token in client.of("llm_token")[before:])


def shown(client: Any) -> dict[str, Any]:
    state: dict[str, Any] = client.of("state")[-1]["value"]
    return state


def test_a_day_at_home_without_a_model(example: ModuleType) -> None:
    @virtual
    async def run() -> None:
        async with a_session(llm=Offline(), agent=example.agent) as client:
            await client.wait("metrics")
            assert shown(client)["lights"]["kitchen light"]["on"] is False
            assert await tell(client, "turn on the kitchen light") == "Turning on the kitchen light."
            assert shown(client)["lights"]["kitchen light"]["on"] is True
            assert await tell(client, "is the kitchen light on") == "The kitchen light is on."
            assert await tell(client, "which lights are on") == "On: kitchen light."
            await tell(client, "set the bedroom lamp to thirty five percent")
            await tell(client, "make the bedroom lamp blue")
            assert shown(client)["lights"]["bedroom lamp"] == {
                "area": "bedroom", "on": True, "brightness": 35, "color": "blue"
            }  # fmt: skip
            await tell(client, "make the bedroom lamp brighter")
            assert shown(client)["lights"]["bedroom lamp"]["brightness"] == 55
            await tell(client, "turn off all the lights")
            assert await tell(client, "which lights are on") == "All lights are off."
            await tell(client, "turn on the lights in the kitchen")
            assert [name for name, light in shown(client)["lights"].items() if light["on"]] == [
                "kitchen light", "kitchen lamp",
            ]  # fmt: skip
            await tell(client, "movie night mode")
            assert [name for name, light in shown(client)["lights"].items() if light["on"]] == ["living room light"]
            assert await tell(client, "is the front door locked") == "The front door is locked."
            await tell(client, "unlock the front door")
            assert shown(client)["locks"] == {"front door": False}
            assert "22" in await tell(client, "set the thermostat to twenty two degrees")
            assert shown(client)["thermostat"]["target"] == 22
            assert shown(client)["thermostat"]["now"] < 22
            assert await tell(client, "turn on the garage light") == "I know no garage light here."
            assert await tell(client, "lock the bedroom lamp") == "I know no bedroom lamp here."
            assert "Paris" in await tell(client, "what is the capital of france")

    run()


def test_timers_ring_where_they_were_set(example: ModuleType) -> None:
    @virtual
    async def run() -> None:
        async with (
            a_session(llm=Offline(), agent=example.agent) as one,
            a_session(llm=Offline(), agent=example.agent, conversation_id="c2") as two,
        ):
            await asyncio.gather(one.wait("metrics"), two.wait("metrics"))
            await tell(one, "set a pizza timer for ten minutes")
            await tell(one, "set a timer for an hour and a half")
            assert [timer["name"] for timer in shown(one)["timers"]] == ["pizza", ""]
            assert "pizza" in await tell(one, "how much time is left on my timers")
            assert await tell(two, "how much time is left on my timer") == "No timer is running."
            assert await tell(two, "cancel the pizza timer") == "No timer is running."
            turns = len(one.of("metrics"))
            await one.wait("metrics", turns + 1, within_s=700)
            assert one.of("phrase")[-1]["text"] == "Your pizza timer is done."
            assert await tell(one, "cancel all timers") == "I cancelled 1 timer."
            assert shown(one)["timers"] == []

    run()


def test_all_sessions_live_in_one_home(example: ModuleType) -> None:
    @virtual
    async def run() -> None:
        model = FakeModel(answer("HassTurnOn", "Light!", name="Hall Light"))
        async with a_session(llm=Offline(), agent=example.agent) as one:
            await one.wait("metrics")
            async with a_session(llm=model, agent=example.agent, conversation_id="c2") as two:
                await two.wait("metrics")
                assert await tell(two, "it is dark in here") == "Light!"
                assert shown(two)["lights"]["hall light"]["on"] is True
                assert shown(one)["lights"] == shown(two)["lights"]
            assert await tell(one, "is the hall light on") == "The hall light is on."
        assert len(example.home.sessions) <= 2
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "command"]

    run()


def test_the_temperature_nears_its_target(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(example.time, "monotonic", lambda: clock[0])
    home = example.Home()
    assert home.temperature() == pytest.approx(19)
    home.heat_to(23)
    clock[0] += 600
    assert home.temperature() == pytest.approx(23 - 4 / 2.71828, abs=0.01)
    clock[0] += 6000
    assert home.temperature() == pytest.approx(23, abs=0.01)
    home.heat_to(900)
    assert home.target == 30
