"""A home that listens: lights, a lock, a thermostat, timers. Speak to it, and watch it on the page.

    vivavoce serve examples/home.py

It needs no language model: "turn on the kitchen light", "set the bedroom lamp to thirty percent", "lock the front
door", "set a pizza timer for ten minutes", "movie night mode". All sessions of the process live in the same home.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any
from weakref import WeakSet

from vivavoce import AgentSession, Asked
from vivavoce.assistant.durations import spoken
from vivavoce.commands import Call, CannotDo, CommandAgent, Commands, Entity
from vivavoce.engines.base import Delta

LIGHTS = {"kitchen light": "kitchen", "kitchen lamp": "kitchen", "living room light": "living room",
          "bedroom lamp": "bedroom", "hall light": "hall"}  # fmt: skip
SCENES: dict[str, dict[str, int]] = {"movie night": {"living room light": 15}, "good night": {}}
"""The brightness of the lights that are on."""
WARMING_S = 600.0


class Home:
    """The state of everything. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.lights: dict[str, dict[str, Any]] = {
            name: {"area": area, "on": False, "brightness": 100, "color": "warm white"} for name, area in LIGHTS.items()
        }
        self.locked = {"front door": True}
        self.target = 20.0
        self._before, self._since = 19.0, time.monotonic()
        self.sessions: WeakSet[AgentSession] = WeakSet()

    def temperature(self) -> float:
        """It nears the target, ever more slowly."""
        left = math.exp(-(time.monotonic() - self._since) / WARMING_S)
        return self.target + (self._before - self.target) * left

    def heat_to(self, target: float) -> None:
        self._before, self._since, self.target = self.temperature(), time.monotonic(), min(max(target, 5.0), 30.0)

    def chosen(self, name: str | None, area: str | None, domain: str | None) -> Iterator[dict[str, Any]]:
        """The lights that a command means: the named one, those of an area, or all."""
        if domain not in (None, "light"):
            raise CannotDo("There are only lights here.")
        if name is not None and name not in self.lights:
            raise CannotDo(f"The {name} is no light.")
        for light, state in self.lights.items():
            if (name is None or light == name) and (area is None or state["area"] == area):
                yield state

    def show(self) -> None:
        """Let every page see it."""
        for session in list(self.sessions):
            timers = [{"name": name, "left_s": round(left_s)} for name, left_s in session.timers.remaining()]
            thermostat = {"now": round(self.temperature(), 1), "target": self.target}
            state = {"lights": self.lights, "locks": self.locked, "thermostat": thermostat, "timers": timers}
            session.show("home", state)


home = Home()
commands = Commands()


@commands.on("HassTurnOn", "HassTurnOff", "HassToggle")
def switch(call: Call, name: str | None = None, area: str | None = None, domain: str | None = None) -> None:
    for light in home.chosen(name, area, domain):
        light["on"] = {"HassTurnOn": True, "HassTurnOff": False}.get(call.command.intent, not light["on"])
    home.show()


@commands.on("HassLightSet")
def set_light(
    name: str | None = None, area: str | None = None, domain: str | None = None, brightness: int | None = None,
    color: str | None = None, direction: str | None = None,
) -> None:  # fmt: skip
    for light in home.chosen(name, area, domain):
        if direction is not None:
            light["brightness"] = min(max(light["brightness"] + (20 if direction == "up" else -20), 0), 100)
        light["brightness"] = light["brightness"] if brightness is None else brightness
        light["color"] = color or light["color"]
        light["on"] = light["brightness"] > 0
    home.show()


@commands.on("HassGetState", answers=True)
def state_of(name: str | None = None, area: str | None = None, domain: str | None = None) -> str:
    if name in home.locked:
        return f"The {name} is {'locked' if home.locked[name] else 'unlocked'}."
    on = [
        light for light, state in home.lights.items() if state["on"] and state in list(home.chosen(name, area, domain))
    ]
    if name is not None:
        return f"The {name} is {'on' if on else 'off'}."
    return f"On: {', '.join(on)}." if on else "All lights are off."


@commands.on("HassClimateSetTemperature")
def heat(temperature: float | None = None, direction: str | None = None, area: str | None = None) -> str:
    home.heat_to(temperature if temperature is not None else home.target + (1 if direction == "up" else -1))
    home.show()
    return f"The thermostat{f' of the {area}' if area else ''} is set to {home.target:g} degrees."


@commands.on("HassClimateGetTemperature", answers=True)
def temperature(area: str | None = None) -> str:
    where = f" in the {area}" if area else ""
    return f"It is {home.temperature():.0f} degrees{where}, and the thermostat is set to {home.target:g}."


@commands.on("Lock", "Unlock")
def lock(call: Call, name: str) -> None:
    home.locked[name] = call.command.intent == "Lock"
    home.show()


@commands.on("ActivateScene")
def scene(scene: str) -> None:
    for name, light in home.lights.items():
        light["on"] = name in SCENES[scene]
        light["brightness"] = SCENES[scene].get(name, light["brightness"])
    home.show()


@commands.on("HassStartTimer")
def start_timer(call: Call, hours: int = 0, minutes: int = 0, seconds: int = 0, name: str = "") -> None:
    assert call.timers is not None
    call.timers.set(name, 3600 * hours + 60 * minutes + seconds, f"Your {name} timer is done.".replace("  ", " "))
    home.show()


@commands.on("HassCancelTimer", "HassCancelAllTimers", answers=True)
def cancel_timer(call: Call, name: str | None = None) -> str:
    assert call.timers is not None
    cancelled = call.timers.cancel(name)
    home.show()
    return (
        f"I cancelled {cancelled} {'timer' if cancelled == 1 else 'timers'}." if cancelled else "No timer is running."
    )


@commands.on("HassTimerStatus", answers=True)
def timers_left(call: Call, name: str | None = None) -> str:
    assert call.timers is not None
    left = [f"{spoken(left_s)} on the {each or 'unnamed'} timer" for each, left_s in call.timers.remaining()
            if name in (None, each)]  # fmt: skip
    return f"There are {', '.join(left)}." if left else "No timer is running."


@commands.on("HassNevermind")
def never_mind() -> None: ...


class HomeAgent(CommandAgent):
    """Shows the home as soon as somebody comes in."""

    async def opening(self, asked: Asked) -> AsyncGenerator[Delta, None]:
        home.sessions.add(asked.session)
        home.show()
        yield Delta(self.greeting or "", finish="stop")

    async def on_user_turn(self, session: AgentSession, text: str) -> str | None:  # noqa: ARG002
        home.sessions.add(session)
        return None


agent = HomeAgent(
    commands,
    [Entity(name=name, kind="light", area=area) for name, area in LIGHTS.items()]
    + [Entity(name=name, kind="lock", aliases=("door",)) for name in home.locked],
    lists={"scene": tuple(SCENES)},
    name="home",
    greeting="Welcome home.",
)
