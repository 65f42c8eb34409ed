"""Handlers: their entities are checked, and whatever they do, something is said."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

import pytest

from commands.home import catalog
from transports.wire import virtual
from vivavoce.commands.handlers import Call, CannotDo, Commands
from vivavoce.commands.model import Command


async def done(commands: Commands, intent: str, **entities: Any) -> tuple[str | None, bool]:
    command = Command(intent=intent, entities=entities)
    return await commands.carry_out(Call(command=command), catalog().default)


@virtual
async def test_handlers_get_their_entities_and_the_call() -> None:
    commands, got = Commands(), []

    @commands.on("HassTurnOn", "HassTurnOff")
    def switch(call: Call, name: str | None = None, area: str | None = None, domain: str | None = None) -> str:
        got.append((call.command.intent, name, area, domain))
        return f"{name} it is."

    @commands.on("HassLightSet")
    async def light(*, name: str, brightness: int = 50, color: Literal["red", "blue"] | None = None) -> None:
        got.append((name, brightness, color))

    assert await done(commands, "HassTurnOn", name="fan") == ("fan it is.", True)
    assert await done(commands, "HassTurnOff", area="kitchen", domain="light") == ("None it is.", True)
    assert await done(commands, "HassLightSet", name="lamp", color="blue") == (None, True)
    assert got == [("HassTurnOn", "fan", None, None), ("HassTurnOff", None, "kitchen", "light"), ("lamp", 50, "blue")]
    assert commands.intents == {"HassTurnOn", "HassTurnOff", "HassLightSet"}


@virtual
async def test_whatever_goes_wrong_is_said(caplog: pytest.LogCaptureFixture) -> None:
    commands = Commands()

    @commands.on("A")
    def refuses() -> None:
        raise CannotDo("The lamp is broken.")

    @commands.on("B")
    def breaks() -> None:
        raise ZeroDivisionError

    @commands.on("C")
    async def hangs() -> None:
        await asyncio.sleep(3600)

    @commands.on("D")
    def is_strict(name: str, brightness: int) -> None:
        raise AssertionError

    @commands.on("E")
    def is_silent() -> None:
        raise CannotDo

    assert await done(commands, "A") == ("The lamp is broken.", False)
    assert await done(commands, "B") == ("That did not work.", False)
    assert await done(commands, "C") == ("That did not work.", False)
    for entities in ({}, {"name": "a"}, {"name": "a", "brightness": "much"}, {"name": "a", "brightness": 1, "x": 2}):
        said, ok = await done(commands, "D", **entities)
        assert not ok
        assert said is not None
        assert said.startswith("I did not understand")
    assert await done(commands, "E") == ("That did not work.", False)
    assert await done(commands, "F") == ("I cannot do that here.", False)
    assert "the handler of B broke" in caplog.text
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_a_handler_that_cannot_be_one_is_refused() -> None:
    commands = Commands()
    commands.on("HassTurnOn")(lambda: None)
    with pytest.raises(ValueError, match="HassTurnOn has a handler already"):
        commands.on("HassTurnOn")(lambda: None)
    with pytest.raises(TypeError, match="parameter args must be a plain, named one"):
        commands.on("HassTurnOff")(lambda *args: None)
    with pytest.raises(TypeError, match="parameter slots"):
        commands.on("HassTurnOff")(lambda **slots: None)


def test_handlers_must_fit_the_intents() -> None:
    commands = Commands()

    @commands.on("HassTurnOn", "OpenTheSafe")
    def turn_on(name: str = "", floor: str = "") -> None: ...

    @commands.on("HassToggle", "HassTurnOff")
    def turn_off(name: str, area: str = "") -> None: ...

    @commands.on("Lock", "HassCancelAllTimers")
    def lock(name: str) -> None: ...

    assert commands.problems(catalog().default) == [
        "handler turn_on of HassTurnOn: the intent has no slot floor",
        "handler turn_on of OpenTheSafe: there is no such intent",
        "handler lock of HassCancelAllTimers: the intent has no slot name",
    ]


@virtual
async def test_cancelling_stops_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    commands = Commands()
    begun = asyncio.Event()

    @commands.on("A")
    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(done(commands, "A"))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not caplog.get_records("call") or logging.ERROR not in {r.levelno for r in caplog.get_records("call")}
