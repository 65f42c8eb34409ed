"""Sentence templates: from words to an intent and its entities, without a model.

The templates are hassil's. What a template may fill its slots with is also all that is believed of a model's answer:
`Intents.check` lets nothing pass that the lists do not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from vivavoce.commands.model import CHAT, Entity, NotValid, filled, one_line, plain
from vivavoce.commands.slots import Slot, slots_of
from vivavoce.errors import SettingsError

if TYPE_CHECKING:  # hassil takes 0.2 s to import: whoever makes a Catalog has asked for it
    import hassil

MOST_CHARACTERS = 400
"""A longer sentence is no command."""
MOST_BYTES = 2 << 20
"""Of an intents file."""
WILDCARD_DOUBT = 0.4
"""What a sentence loses of its confidence that a wildcard took all of."""
UNKNOWN_CONFIDENCE = 0.3
DATA = "data"
SAYINGS = {
    "done": "Done.",
    "unknown": "I know no {value} here.",
    "incomplete": "I did not understand what exactly is meant.",
    "failed": "That did not work.",
    "unsupported": "I cannot do that here.",
}


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """What a template understands."""

    intent: str
    entities: dict[str, Any]
    confidence: float
    response: str
    problem: str = ""


class _Block(msgspec.Struct):
    sentences: list[str]
    slots: dict[str, Any] = {}
    requires_context: dict[str, Any] = {}
    excludes_context: dict[str, Any] = {}
    metadata: dict[str, Any] | None = None
    response: str | None = None


class _Intent(msgspec.Struct):
    data: list[_Block]
    about: str = ""
    needs: list[str] = []


class _File(msgspec.Struct):
    language: str
    intents: dict[str, _Intent] = {}
    lists: dict[str, dict[str, Any]] = {}
    expansion_rules: dict[str, str] = {}
    skip_words: list[str] = []
    responses: dict[str, Any] = {}
    sayings: dict[str, str] = {}


class Intents:
    """The intents of one language, with the application's entities."""

    def __init__(self, data: Mapping[str, Any], origin: str, lists: Mapping[str, hassil.SlotList]) -> None:
        """data: the checked content of an intents file. Raises SettingsError, one line for each problem."""
        import hassil
        from hassil.parse_expression import ParseExpressionError

        self.language: str = data["language"]
        about = msgspec.convert(data, _File)
        try:
            self._intents = hassil.Intents.from_dict({"lists": {}, "intents": {}, **data})
        except (ParseExpressionError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise SettingsError([f"{origin}: {one_line(error)}"]) from error
        self._intents.slot_lists.update(lists)
        self._intents.slot_lists.setdefault("name", hassil.TextSlotList(name="name", values=[]))
        problems: list[str] = []
        self.slots: dict[str, dict[str, Slot]] = {
            name: slots_of(intent, self._intents, f"{origin}: intent {name}", problems)
            for name, intent in self._intents.intents.items()
        }
        self.about = {name: intent.about for name, intent in about.intents.items()}
        self._needs = {name: intent.needs for name, intent in about.intents.items() if intent.needs}
        for name, needed in self._needs.items():
            unknown = sorted(set(needed) - set(self.slots[name]))
            problems += [f"{origin}: intent {name}: needs {slot!r}, which is no slot of it" for slot in unknown]
        if CHAT in self.slots:
            problems.append(f"{origin}: intent {CHAT!r} is what a model calls conversation; take another name")
        if problems:
            raise SettingsError(problems)
        self._responses = about.responses
        self._sayings = SAYINGS | about.sayings

    @property
    def names(self) -> tuple[str, ...]:
        """All intents there are."""
        return tuple(self.slots)

    def match(self, text: str) -> Match | None:
        """What the best template makes of *text*; None where none fits. Takes a few milliseconds."""
        import hassil

        if len(text) > MOST_CHARACTERS:
            return None
        found = hassil.recognize_best(text, self._intents, language=self.language, best_slot_name="name")
        if found is None:
            return None
        entities = {name: _value(entity) for name, entity in found.entities.items()}
        unknown = (found.intent_metadata or {}).get("unknown")
        if unknown is not None:
            said = one_line(entities.get(unknown, ""), 80)
            problem = f"unknown {unknown}"
            response = self.saying("unknown", value=said)
            return Match(
                intent=found.intent.name, entities={unknown: said}, confidence=UNKNOWN_CONFIDENCE, response=response,
                problem=problem,
            )  # fmt: skip
        open_text = sum(len(entity.text) for entity in found.entities_list if entity.is_wildcard)
        confidence = 1.0 - WILDCARD_DOUBT * min(1.0, open_text / max(1, len(text.strip())))
        response = self.response(found.intent.name, entities, found.response or "default")
        return Match(intent=found.intent.name, entities=entities, confidence=round(confidence, 2), response=response)

    def check(self, intent: str, entities: Mapping[str, Any]) -> dict[str, Any]:
        """The entities of a command as they are known here. Raises NotValid for an intent or a value that is not."""
        slots = self.slots.get(intent)
        if slots is None:
            raise NotValid("unknown intent", one_line(intent, 80))
        checked: dict[str, Any] = {}
        for name, value in entities.items():
            if value is None or value in ("", [], {}):
                continue  # a model's way to say that there is none
            slot = slots.get(name)
            if slot is None:  # it may be meant as a limit, so it is not left out
                raise NotValid(f"unknown slot {one_line(name, 40)}", one_line(value, 80), saying="incomplete")
            checked[name] = slot.known(value)
        needed = self._needs.get(intent)
        if needed and not any(name in checked for name in needed):
            raise NotValid("incomplete", saying="incomplete")
        return checked

    def response(self, intent: str, entities: Mapping[str, Any], key: str = "default") -> str:
        """What is said when *intent* was done and nobody else says anything."""
        known = self._responses.get(intent)
        template = known.get(key) if isinstance(known, dict) else None
        said = filled(template, entities) if isinstance(template, str) else None
        return said or self.saying("done")

    def saying(self, name: str, **values: str) -> str:
        """One of the fixed sentences."""
        return filled(self._sayings[name], values) or SAYINGS[name].partition("{")[0]


def _value(entity: Any) -> Any:
    return one_line(entity.value) if entity.is_wildcard else entity.value


class Catalog:
    """The intents of all languages, over the same entities."""

    def __init__(
        self,
        entities: Iterable[Entity] = (),
        *,
        lists: Mapping[str, Sequence[str]] | None = None,
        file: str | Path | None = None,
        source: Literal["built-in", "home-assistant", "none"] = "built-in",
    ) -> None:
        """
        lists: values of further lists, such as `scene`. file: the user's own intents (YAML), or a folder with one file
        for each language; they join those of *source*, and replace what has the same name. Raises SettingsError.
        """
        self.entities = tuple(entities)
        self._lists = dict(lists or {})
        self._source = source
        self._own = _own_files(Path(file)) if file is not None else {}
        self._loaded: dict[str, Intents | None] = {}
        names = [plain(name) for entity in self.entities for name in (entity.name, *entity.aliases)]
        if doubles := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two entities are called {', '.join(map(repr, doubles))}")
        for language in self._own:
            self._load(language)
        self.default = self.of("en") if source != "none" or not self._own else self.of(next(iter(self._own)))

    def of(self, language: str) -> Intents:
        """The intents of a language such as `en_US`; English ones (or the only ones) where it has none."""
        base = language.partition("_")[0].partition("-")[0].lower()
        if base not in self._loaded:
            self._load(base)
        found = self._loaded[base]
        if found is not None:
            return found
        if base == "en":
            raise SettingsError(["there are no intents: name a file of your own, or use the built-in ones"])
        return self.default

    def warm(self) -> None:
        """Build what is built at the first use: number words, mostly."""
        for intents in self._loaded.values():
            if intents is not None:
                for text in ("set a timer for ten minutes", "set the thermostat to twenty", "set it to ten percent"):
                    intents.match(text)

    def _load(self, language: str) -> None:
        data, origin = _installed(language, self._source), f"the intents of {language}"
        own = self._own.get(language)
        if own is not None:
            origin, more = str(own[0]), own[1]
            data = more if data is None else _merged(data, more)
        if data is None:
            self._loaded[language] = None
            return
        self._loaded[language] = Intents(data, origin, self._slot_lists(data))

    def _slot_lists(self, data: Mapping[str, Any]) -> dict[str, hassil.SlotList]:
        import hassil

        names: list[tuple[str, str, dict[str, str]]] = []
        for entity in self.entities:
            context = {"domain": entity.kind} if entity.kind else {}
            names += [(name, entity.name, context) for name in (entity.name, *entity.aliases)]
        own = data.get("lists", {})
        texts: dict[str, hassil.SlotList] = {}
        if names or not own.get("name", {}).get("values"):
            texts["name"] = hassil.TextSlotList.from_tuples(names, allow_template=False, name="name")
        areas = dict.fromkeys(entity.area for entity in self.entities if entity.area)
        for name, values in {"area": tuple(areas), "floor": (), **self._lists}.items():
            if name in self._lists or values or not own.get(name, {}).get("values"):
                texts[name] = hassil.TextSlotList.from_strings(values, allow_template=False, name=name)
        return texts


def _own_files(path: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The user's intents by language."""
    paths = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
    if not paths:
        raise SettingsError([f"{path}: there is no YAML file in it"])
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for each in paths:
        data = _read(each)
        language = str(data["language"]).partition("_")[0].partition("-")[0].lower()
        if language in found:
            raise SettingsError([f"{each}: language {language} is in {found[language][0].name} too"])
        found[language] = each, data
    return found


def _read(path: Path) -> dict[str, Any]:
    """A file of intents, its shape checked."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(text) > MOST_BYTES:
        raise SettingsError([f"{path}: has more than {MOST_BYTES >> 20} MiB"])
    return _parsed(text, str(path))


def _parsed(text: bytes, origin: str) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 — both are safe
        checked = msgspec.convert(data, _File)
    except yaml.YAMLError as error:
        raise SettingsError([f"{origin}: {one_line(error, 400)}"]) from error
    except msgspec.ValidationError as error:
        raise SettingsError([f"{origin}: {error}"]) from error
    for name, intent in checked.intents.items():
        if not intent.data or not all(block.sentences for block in intent.data):
            raise SettingsError([f"{origin}: intent {name}: has no sentences"])
    whole: dict[str, Any] = data
    return whole


def _installed(language: str, source: str) -> dict[str, Any] | None:
    """What comes with us, or with the package of Home Assistant."""
    if source == "home-assistant":
        try:
            from home_assistant_intents import get_intents
        except ImportError as error:
            raise SettingsError(
                ["commands.source: the package home-assistant-intents is not installed: vivavoce[home-assistant]"]
            ) from error
        data = get_intents(language)
        return None if data is None else {key: value for key, value in data.items() if key != "responses"}
    if source != "built-in" or not language.isalpha():
        return None
    file = files("vivavoce.commands") / DATA / f"{language}.yaml"
    return _parsed(file.read_bytes(), file.name) if file.is_file() else None


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """*base* with what *own* adds and replaces, name by name."""
    merged = dict(base)
    for key, value in own.items():
        if isinstance(value, dict):
            merged[key] = {**base.get(key, {}), **value}
        elif isinstance(value, list):
            merged[key] = [*base.get(key, []), *value]
        else:
            merged[key] = value
    return merged


def languages() -> Iterator[str]:
    """The languages that come with us."""
    for file in (files("vivavoce.commands") / DATA).iterdir():
        if file.name.endswith(".yaml"):
            yield file.name.removesuffix(".yaml")
