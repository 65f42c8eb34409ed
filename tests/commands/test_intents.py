"""Sentence templates: what is understood as the recogniser writes it, and what of a model is believed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from commands.home import ENTITIES, catalog
from vivavoce.commands.intents import Catalog, languages
from vivavoce.commands.model import Entity, NotValid, filled, one_line, plain
from vivavoce.errors import SettingsError

TURN_ON = {"name": "kitchen light"}


@pytest.mark.parametrize(
    ("said", "intent", "entities"),
    [
        ("turn on the kitchen light", "HassTurnOn", TURN_ON),
        ("Turn the Kitchen Light on, please!", "HassTurnOn", TURN_ON),
        ("kitchen light on", "HassTurnOn", TURN_ON),
        ("could you switch on the night lamp for me", "HassTurnOn", {"name": "bedroom lamp"}),
        ("turn on all the lights in the bedroom", "HassTurnOn", {"area": "bedroom", "domain": "light"}),
        ("turn the bedroom lights on", "HassTurnOn", {"area": "bedroom", "domain": "light"}),
        ("turn on the lights", "HassTurnOn", {"domain": "light"}),
        ("lights out", "HassTurnOff", {"domain": "light"}),
        ("switch off the fan", "HassTurnOff", {"name": "fan"}),
        ("turn off everything in the kitchen", "HassTurnOff", {"area": "kitchen", "domain": "light"}),
        ("toggle the fan", "HassToggle", {"name": "fan"}),
        ("set the kitchen light to twenty percent", "HassLightSet", {**TURN_ON, "brightness": 20}),
        ("set the kitchen light to 45%", "HassLightSet", {**TURN_ON, "brightness": 45}),
        ("dim the kitchen light to thirty five percent", "HassLightSet", {**TURN_ON, "brightness": 35}),
        ("set the brightness of the night lamp to one hundred percent", "HassLightSet",
         {"name": "bedroom lamp", "brightness": 100}),
        ("set the kitchen light to full brightness", "HassLightSet", {**TURN_ON, "brightness": 100}),
        ("make the kitchen light blue", "HassLightSet", {**TURN_ON, "color": "blue"}),
        ("turn the kitchen light violet", "HassLightSet", {**TURN_ON, "color": "purple"}),
        ("brighten the kitchen light", "HassLightSet", {**TURN_ON, "direction": "up"}),
        ("set the lights in the bedroom to ten percent", "HassLightSet",
         {"area": "bedroom", "brightness": 10, "domain": "light"}),
        ("is the kitchen light on", "HassGetState", TURN_ON),
        ("is the front door locked", "HassGetState", {"name": "front door"}),
        ("which lights are on", "HassGetState", {"domain": "light"}),
        ("set the thermostat to twenty one degrees", "HassClimateSetTemperature", {"temperature": 21}),
        ("set the temperature to twenty one point five degrees", "HassClimateSetTemperature", {"temperature": 21.5}),
        ("set the thermostat to 19", "HassClimateSetTemperature", {"temperature": 19}),
        ("turn up the heating", "HassClimateSetTemperature", {"direction": "up"}),
        ("make it warmer", "HassClimateSetTemperature", {"direction": "up"}),
        ("what is the temperature in here", "HassClimateGetTemperature", {}),
        ("set a timer for ten minutes", "HassStartTimer", {"minutes": 10}),
        ("set a ten minute timer", "HassStartTimer", {"minutes": 10}),
        ("timer for one hour and twenty minutes", "HassStartTimer", {"hours": 1, "minutes": 20}),
        ("set a timer for an hour and a half", "HassStartTimer", {"minutes": 90}),
        ("start a timer for half an hour", "HassStartTimer", {"minutes": 30}),
        ("set a timer for a minute and thirty seconds", "HassStartTimer", {"minutes": 1, "seconds": 30}),
        ("set a pizza timer for twelve minutes", "HassStartTimer", {"name": "pizza", "minutes": 12}),
        ("set a timer for ninety seconds called eggs", "HassStartTimer", {"name": "eggs", "seconds": 90}),
        ("how much time is left on my timer", "HassTimerStatus", {}),
        ("cancel the timer", "HassCancelTimer", {}),
        ("cancel the pizza timer", "HassCancelTimer", {"name": "pizza"}),
        ("cancel all timers", "HassCancelAllTimers", {}),
        ("activate movie night", "ActivateScene", {"scene": "movie night"}),
        ("movie night mode", "ActivateScene", {"scene": "movie night"}),
        ("lock the front door", "Lock", {"name": "front door"}),
        ("unlock the front door", "Unlock", {"name": "front door"}),
        ("set the volume to forty percent", "HassSetVolume", {"volume": 40}),
        ("turn the volume down", "HassSetVolumeRelative", {"direction": "down"}),
        ("turn it up by ten percent", "HassSetVolumeRelative", {"direction": "up", "step": 10}),
        ("louder", "HassSetVolumeRelative", {"direction": "up"}),
        ("pause the music", "HassMediaPause", {}),
        ("skip this song", "HassMediaNext", {}),
        ("never mind", "HassNevermind", {}),
    ],
)  # fmt: skip
def test_what_is_understood(said: str, intent: str, entities: dict[str, Any]) -> None:
    match = catalog().default.match(said)
    assert match is not None
    assert (match.intent, match.entities, match.problem) == (intent, entities, "")
    assert "{" not in match.response
    assert catalog().default.check(intent, entities) == entities  # what is understood is believed, too


@pytest.mark.parametrize(
    "said",
    ["", "   ", "hello", "what is the capital of france", "tell me a story", "turn left on the street", "x" * 500,
     "the kitchen light", "set set set", "{name}", "<turn> on {name}", "turn on " + "the " * 120],
)  # fmt: skip
def test_what_is_not(said: str) -> None:
    assert catalog().default.match(said) is None


@pytest.mark.parametrize(
    ("said", "response"),
    [
        ("turn on the garage light", "I know no garage light here."),
        ("unlock the safe", "I know no safe here."),
        ("turn on the front door", "I know no front door here."),  # it is there, but no lamp
        ("activate the party scene", "I know no party here."),
    ],
)
def test_an_unknown_device_has_an_answer_and_a_problem(said: str, response: str) -> None:
    match = catalog().default.match(said)
    assert match is not None
    assert match.response == response
    assert match.problem.startswith("unknown ")
    assert match.confidence < 0.5


def test_confidence_says_how_much_of_the_sentence_is_accounted_for() -> None:
    sure, open_ = (
        catalog().default.match("set a timer for ten minutes"),
        catalog().default.match("set a grandmother's apple cake timer for ten minutes"),
    )
    assert sure is not None
    assert open_ is not None
    assert sure.confidence == 1.0
    assert 0.6 < open_.confidence < 0.9


@pytest.mark.parametrize(
    ("intent", "entities", "known"),
    [
        ("HassTurnOn", {"name": " THE  Night lamp"}, {"name": "bedroom lamp"}),
        ("HassTurnOn", {"name": "fan", "area": None, "domain": ""}, {"name": "fan"}),
        ("HassTurnOff", {"area": "Kitchen", "domain": "Light"}, {"area": "kitchen", "domain": "light"}),
        ("HassLightSet", {"name": "kitchen light", "brightness": "20 %"}, {"name": "kitchen light", "brightness": 20}),
        ("HassLightSet", {"name": "kitchen light", "brightness": 20.0}, {"name": "kitchen light", "brightness": 20}),
        ("HassClimateSetTemperature", {"temperature": "20.5 degrees"}, {"temperature": 20.5}),
        ("HassStartTimer", {"minutes": 5, "name": "a\nb\x1b[0m"}, {"minutes": 5, "name": "a b [0m"}),
    ],
)  # fmt: skip
def test_what_of_a_model_is_believed(intent: str, entities: dict[str, Any], known: dict[str, Any]) -> None:
    assert catalog().default.check(intent, entities) == known


@pytest.mark.parametrize(
    ("intent", "entities", "problem"),
    [
        ("HassTurnOn ", TURN_ON, "unknown intent"),
        ("__class__", {}, "unknown intent"),
        ("HassTurnOn", {}, "incomplete"),
        ("HassTurnOn", {"name": ""}, "incomplete"),
        ("HassTurnOn", {"name": "kitchen light; rm -rf /"}, "unknown name"),
        ("HassTurnOn", {"name": ["kitchen light"]}, "unknown name"),
        ("HassTurnOn", {"name": True}, "unknown name"),
        ("HassTurnOn", {"name": "front door"}, "unknown name"),
        ("Lock", {"name": "kitchen light"}, "unknown name"),
        ("HassTurnOff", {"domain": "light", "floor": "first"}, "unknown slot floor"),
        ("HassTurnOff", {"domain": "lock"}, "unknown domain"),
        ("HassLightSet", {"name": "kitchen light", "brightness": 101}, "unknown brightness"),
        ("HassLightSet", {"name": "kitchen light", "brightness": -1}, "unknown brightness"),
        ("HassLightSet", {"name": "kitchen light", "brightness": 20.5}, "unknown brightness"),
        ("HassLightSet", {"name": "kitchen light", "brightness": float("nan")}, "unknown brightness"),
        ("HassLightSet", {"name": "kitchen light", "brightness": "nan"}, "unknown brightness"),
        ("HassLightSet", {"name": "kitchen light", "brightness": 10**400}, "unknown brightness"),
        ("HassStartTimer", {"minutes": True}, "unknown minutes"),
        ("ActivateScene", {"scene": "party"}, "unknown scene"),
    ],
)
def test_and_what_is_not(intent: str, entities: dict[str, Any], problem: str) -> None:
    with pytest.raises(NotValid, match=problem):
        catalog().default.check(intent, entities)


def test_hard_sentences_take_no_time() -> None:
    catalog().warm()
    hard = ["set a timer for " + "one " * 95, "turn the turn on " * 23, "set a " + "timer " * 60 + "for ten minutes",
            "turn on the kitchen light and " * 13, "one hundred " * 33]  # fmt: skip
    for said in hard:
        began = time.perf_counter()
        catalog().default.match(said)
        assert time.perf_counter() - began < 0.25, said


# --- the user's own -------------------------------------------------------------------------------------------------

COFFEE = """
language: en
intents:
  MakeCoffee:
    about: make coffee
    needs: [cups]
    data:
      - sentences: ["(make|brew) {cups} (cup|cups) of coffee [for {who}]"]
lists:
  cups: {range: {from: 1, to: 6}}
  who: {wildcard: true}
responses:
  MakeCoffee: {default: "Making {cups} cups."}
sayings:
  unknown: "There is no {value}."
"""


def test_a_file_of_ones_own_joins_ours(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(COFFEE)
    ours = Catalog(ENTITIES, file=path).default
    match = ours.match("brew two cups of coffee")
    assert match is not None
    assert (match.intent, match.entities, match.response) == ("MakeCoffee", {"cups": 2}, "Making 2 cups.")
    assert ours.match("turn on the kitchen light") is not None
    unknown = ours.match("turn on the moon")
    assert unknown is not None
    assert unknown.response == "There is no moon."
    with pytest.raises(NotValid, match="unknown cups"):
        ours.check("MakeCoffee", {"cups": 7})


def test_a_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(COFFEE.replace("language: en", "language: fr"))
    own = Catalog(file=path, source="none")
    assert own.default.names == ("MakeCoffee",)
    assert own.of("fr_FR") is own.default
    assert own.of("fr_CA") is own.default
    both = Catalog(file=path)
    assert both.of("fr_FR").names == ("MakeCoffee",)
    assert "HassTurnOn" in both.default.names


def test_a_folder_has_a_file_for_each_language(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(COFFEE)
    (tmp_path / "b.yml").write_text(COFFEE.replace("language: en", "language: de").replace("(make|brew)", "mach"))
    both = Catalog(file=tmp_path)
    assert both.of("de_DE").match("mach 3 cups of coffee") is not None
    assert both.of("en_US").match("make 3 cups of coffee") is not None
    (tmp_path / "c.yaml").write_text(COFFEE)
    with pytest.raises(SettingsError, match=r"c\.yaml: language en is in a\.yaml too"):
        Catalog(file=tmp_path)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("language: [", "mine.yaml: .*line 2"),
        ("- 1", "mine.yaml: Expected `object`, got `array`"),
        ("intents: {}", "missing required field `language`"),
        ("language: en\nintents: {A: {}}", "missing required field `data`"),
        ("language: en\nintents: {A: {data: []}}", "intent A: has no sentences"),
        ("language: en\nintents: {A: {data: [{sentences: []}]}}", "intent A: has no sentences"),
        ("language: en\nintents: {A: {data: [{sentences: [5]}]}}", r"Expected `str`, got `int`.*sentences"),
        ("language: en\nintents: {A: {data: [{sentences: ['go (there']}]}}", r"intent A: 'go \(there'"),
        ("language: en\nintents: {A: {data: [{sentences: ['go {nowhere}']}]}}", "there is no list 'nowhere'"),
        ("language: en\nintents: {A: {data: [{sentences: ['go <nowhere>']}]}}", "there is no rule <nowhere>"),
        ("language: en\nexpansion_rules: {r: 'x <r>'}\nintents: {A: {data: [{sentences: ['<r>']}]}}",
         "rule <r> uses itself"),
        ("language: en\nexpansion_rules: {r: '<q>', q: '<r>'}\nintents: {A: {data: [{sentences: ['<r>']}]}}",
         "uses itself"),
        ("language: en\nlists: {x: {range: {from: 9, to: 1}}}\nintents: {}", "start cannot be greater than stop"),
        ("language: en\nlists: {x: {}}\nintents: {}", "Unknown slot list type"),
        ("language: en\nintents: {A: {needs: [b], data: [{sentences: [hi]}]}}", "needs 'b', which is no slot of it"),
        ("language: en\nintents: {chat: {data: [{sentences: [hi]}]}}", "take another name"),
    ],
)  # fmt: skip
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, written: str, problem: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(written)
    with pytest.raises(SettingsError, match=problem) as raised:
        Catalog(file=path)
    assert all("\n" not in line for line in raised.value.problems)
    assert "mine.yaml" in str(raised.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        Catalog(file=tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="there is no YAML file"):
        Catalog(file=tmp_path)
    (tmp_path / "big.yaml").write_bytes(b"#" * (3 << 20))
    with pytest.raises(SettingsError, match="more than 2 MiB"):
        Catalog(file=tmp_path / "big.yaml")
    with pytest.raises(SettingsError, match="there are no intents"):
        Catalog(source="none")


def test_two_entities_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two entities are called 'lamp'"):
        Catalog([Entity(name="Lamp"), Entity(name="desk", aliases=("the lamp",))])


def test_names_are_no_templates() -> None:
    odd = Catalog([Entity(name="lamp (old)", kind="light"), Entity(name="{name}", kind="light")]).default
    assert odd.check("HassTurnOn", {"name": "{name}"}) == {"name": "{name}"}
    assert odd.match("turn on the kitchen light") is not None


def test_all_our_languages_load() -> None:
    assert "en" in set(languages())
    for language in languages():
        assert Catalog(ENTITIES).of(language).language == language
    assert Catalog().of("xx_XX").language == "en"
    assert Catalog().of("../../en").language == "en"


def test_the_intents_of_home_assistant() -> None:
    theirs = Catalog(ENTITIES, source="home-assistant")
    match = theirs.of("en_US").match("turn on the kitchen light")
    assert match is not None
    assert (match.intent, match.entities["name"]) == ("HassTurnOn", "kitchen light")
    assert match.response == "Done."
    german = theirs.of("de_DE").match("schalte das kitchen light ein")
    assert german is not None
    assert german.intent == "HassTurnOn"
    assert theirs.default.check("HassLightSet", {"name": "bedroom lamp", "brightness": 30})


def test_small_things() -> None:
    assert plain("  The Kitchen\tLight ") == "kitchen light"
    assert one_line("a\r\nb\u2028c\x00d" + "e" * 500, 10) == "a b c deee"
    assert filled("{a} and {b}", {"a": 1, "b": 2.5}) == "1 and 2.5"
    assert filled("{a} and {c}", {"a": 1}) is None
    assert filled("{a", {"a": 1}) is None
