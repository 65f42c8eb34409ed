"""Builds a tree of options from layers: command line, environment, `.env` files, a YAML file, defaults.

It knows none of our options: it reads what is allowed from the annotations of any tree of sections, and never the
environment itself. `settings` holds the tree.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import inspect

Kind = Literal["bool", "int", "float", "str", "list", "mapping", "choice"]
KINDS: dict[type[inspect.Type], Kind] = {
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.StrType: "str",
    inspect.VarTupleType: "list",
    inspect.DictType: "mapping",
    inspect.LiteralType: "choice",
}
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
TRUE = {"true", "yes", "on", "1"}
FALSE = {"false", "no", "off", "0"}
Tree = TypeVar("Tree", bound=msgspec.Struct)
DURATION = re.compile(r"([0-9.]+)\s*([a-z]+)")


def opt(about: str, *names: str, ge: float | None = None, le: float | None = None, unit: str = "") -> msgspec.Meta:
    """Annotates an option: its line of help, its further environment names, its range, and the unit of a duration
    whose name does not end in it."""
    return msgspec.Meta(description=about, ge=ge, le=le, extra={"names": names, "unit": unit})


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of options, or of sections. Its repr shows no secret. One may also be the value of a mapping."""

    def __repr__(self) -> str:
        hidden = _secrets(type(self))
        shown = (
            f"{name}={('set' if value else 'unset') if name in hidden else repr(value)}"
            for name, value in msgspec.structs.asdict(self).items()
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def secrets(self) -> Iterator[str]:
        """The secrets among its own values."""
        for name in _secrets(type(self)):
            value = getattr(self, name)
            yield from value.values() if isinstance(value, dict) else [value] if value else []

    def written(self) -> dict[str, Any]:
        """What differs from its defaults, as in a file; secrets as `set`."""
        default, hidden = type(self)(), _secrets(type(self))
        return {
            name: "set" if name in hidden else value
            for name, value in msgspec.structs.asdict(self).items()
            if value != getattr(default, name)
        }


class Origin(msgspec.Struct, frozen=True):
    """Where a value came from, for people: `name` is the variable, the flag or the file's key."""

    kind: Literal["flag", "environment", "dotenv", "file", "default", "derived"]
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.kind


class Option(msgspec.Struct, frozen=True):
    """One leaf of the tree."""

    section: str
    name: str
    type: Any
    default: Any
    kind: Kind
    names: tuple[str, ...] = ()
    """Environment names; the first that is set wins."""
    help: str = ""
    secret: bool = False
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    allowed_text: str = ""

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def allowed(self) -> str:
        """What the value must be, to be read after "must be"."""
        if self.allowed_text:
            return self.allowed_text
        match self.kind:
            case "bool":
                return "true or false"
            case "choice":
                return "one of " + ", ".join(self.choices)
            case "list":
                return "a list, separated by commas"
            case "mapping":
                return "a mapping, as `name=value, other=value` or as JSON"
            case "str":
                return "text"
        what = "a duration such as 2s or 500ms" if self.unit else "a whole number" if self.kind == "int" else "a number"
        unit = self.unit
        if self.low is not None and self.high is not None:
            return f"{what}, from {self.low:.12g}{unit} to {self.high:.12g}{unit}"
        return what if self.low is None else f"{what}, at least {self.low:.12g}{unit}"

    def parse(self, value: object) -> Any:
        """Turn text, or a value of YAML or of the command line, into this option's type. Raises ValueError."""
        if isinstance(value, str):
            value = self._from_text(value.strip())
        elif isinstance(value, list):
            value = tuple(value)
        elif self.kind == "float" and type(value) is int:
            value = float(value)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(value)
        return msgspec.convert(value, self.type)  # a ValidationError is a ValueError

    def _from_text(self, text: str) -> object:
        match self.kind:
            case "bool":
                if text.lower() not in TRUE | FALSE:
                    raise ValueError(text)
                return text.lower() in TRUE
            case "list":
                return tuple(part.strip() for part in text.split(",") if part.strip())
            case "mapping":
                return _pairs(text)
            case "int" | "float":
                number = self._in_unit(text)
                if self.kind == "float":
                    return number
                if not number.is_integer():
                    raise ValueError(text)
                return int(number)
            case "choice" if text.lower() in self.choices:
                return text.lower()
        return text

    def _in_unit(self, text: str) -> float:
        if self.unit and (found := DURATION.fullmatch(text.lower())):
            return round(float(found[1]) * UNITS_S.get(found[2], math.nan) / UNITS_S[self.unit], 9)
        return float(text)

    def secrets(self, value: Any) -> Iterator[str]:
        """The secrets in *value*, of which some may be set for the members of a mapping."""
        if self.secret:
            yield from value.values() if isinstance(value, dict) else [value] if value else []
        elif isinstance(value, dict):
            for member in value.values():
                if isinstance(member, Section):
                    yield from member.secrets()

    def shown(self, value: Any) -> Any:
        """*value* for programs; secrets as `set` or `unset`."""
        if self.secret:
            return self.format(value)
        return _plain(value) if isinstance(value, dict) else value

    def format(self, value: Any) -> str:
        """*value* as it would be written in a file; secrets as `set` or `unset`."""
        if self.secret:
            return "set" if value else "unset"
        match value:
            case None:
                return ""
            case bool():
                return str(value).lower()
            case tuple():
                return ",".join(value)
            case dict():
                return _written(value)
            case int() | float():
                return f"{value:.12g}{self.unit}"
        return str(value)


def _pairs(text: str) -> object:
    """`name=value, other=value`, or a JSON object. Raises ValueError."""
    if text.startswith("{"):
        return msgspec.json.decode(text)
    pairs: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, given, value = part.partition("=")
        if not given or not name.strip() or name.strip() in pairs:
            raise ValueError(part)
        pairs[name.strip()] = value.strip()
    return pairs


def _plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.written() if isinstance(value, Section) else value for name, value in mapping.items()}


def _written(mapping: Mapping[str, Any]) -> str:
    """A mapping as `_pairs` reads it."""
    plain = _plain(mapping)
    if all(isinstance(value, str) and value == value.strip() and "," not in value for value in plain.values()):
        return ", ".join(f"{name}={value}" for name, value in plain.items())
    return msgspec.json.encode(plain).decode()


def options(tree: type[msgspec.Struct], prefix: str) -> dict[str, Option]:
    """All options of *tree* by their path. Each also gets the environment name `PREFIX_SECTION__NAME`, tried first."""
    found = (
        _option(section.name, field, prefix)
        for section in msgspec.structs.fields(tree)
        for field in msgspec.structs.fields(section.type)
    )
    return {option.path: option for option in found}


@functools.cache
def _secrets(section: type[Section]) -> frozenset[str]:
    """The names of the fields of *section* that hold secrets."""
    fields = msgspec.structs.fields(section)
    return frozenset(field.name for field in fields if _unwrap(inspect.type_info(field.type))[1].get("secret"))


def _unwrap(info: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """The type inside `Annotated` and `| None`, and all that the annotations say."""
    match info:
        case inspect.Metadata():
            leaf, inner = _unwrap(info.type)
            return leaf, inner | (info.extra_json_schema or {}) | (info.extra or {})
        case inspect.UnionType():
            return _unwrap(next(part for part in info.types if not isinstance(part, inspect.NoneType)))
    return info, {}


def _option(section: str, field: msgspec.structs.FieldInfo, prefix: str) -> Option:
    leaf, about = _unwrap(inspect.type_info(field.type))
    suffix = re.search(r"_(ms|s)$", field.name)
    return Option(
        section=section,
        name=field.name,
        type=field.type,
        default=field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory(),
        kind=KINDS[type(leaf)],
        names=(f"{prefix}_{section}__{field.name}".upper(), *about.get("names", ())),
        help=about.get("description", ""),
        secret=about.get("secret", False),
        unit=about.get("unit") or (suffix[1] if suffix else ""),
        low=getattr(leaf, "ge", None),
        high=getattr(leaf, "le", None),
        choices=tuple(map(str, leaf.values)) if isinstance(leaf, inspect.LiteralType) else (),
        allowed_text=about.get("allowed", ""),
    )


Layer = dict[str, tuple[object, Origin]]
"""Values by path. The value None stands for the default: the layer hides those below it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing when no known name is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""


def environment_layer(table: Mapping[str, Option], environ: Mapping[str, str], file: str = "") -> Layer:
    """The options that *environ* sets; *file* is the `.env` file it was read from. Set but empty means the default."""
    layer: Layer = {}
    for path, option in table.items():
        name = next((name for name in option.names if name in environ), None)
        if name is not None:
            origin = Origin("dotenv", f"{name} in {file}") if file else Origin("environment", name)
            layer[path] = (environ[name].strip() or None, origin)
    return layer


def flag_layer(table: Mapping[str, Option], flags: Mapping[str, Any], problems: list[str]) -> Layer:
    """The options given on the command line; None was not given."""
    layer: Layer = {}
    for path, value in flags.items():
        if path not in table:
            problems.append(f"{path}: there is no such option{nearest(path, table)}")
        elif value is not None:
            layer[path] = (value, Origin("flag", f"{path} on the command line"))
    return layer


def file_layer(table: Mapping[str, Option], path: Path, problems: list[str]) -> Layer:
    """The options of a YAML file: one mapping per section."""
    import yaml  # only who has such a file pays for the import

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problems.append(f"{path}: cannot be read: {' '.join(str(error).split())}")
        return {}
    if not isinstance(document or {}, dict):
        problems.append(f"{path}: must hold one section per part, such as `stream:`")
        return {}
    layer: Layer = {}
    sections = {option.section for option in table.values()}
    for section, content in (document or {}).items():
        if section not in sections:
            problems.append(f"{path}: there is no section {section}{nearest(str(section), sections)}")
        elif not isinstance(content or {}, dict):
            problems.append(f"{path}: {section} must be a section of `name: value` lines")
        else:
            for name, value in (content or {}).items():
                key = f"{section}.{name}"
                if key in table:
                    layer[key] = (value, Origin("file", f"{key} in {path}"))
                else:
                    problems.append(f"{path}: there is no option {key}{nearest(key, table)}")
    return layer


DOTENV_LINE = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*
        (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<bare>[^"'\s#](?:[^\s]|[ \t]+[^\s#])*)?)
        \s*(?:(?<=\s)\#.*)?""",
    re.VERBOSE,
)


def read_dotenv(path: Path, problems: list[str]) -> dict[str, str]:
    """The `NAME=value` lines of a `.env` file, as shells write them; empty when there is none. Nothing is expanded."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}")
        return {}
    values: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if found := DOTENV_LINE.fullmatch(line.strip() + " "):  # a comment needs a blank before it
            double = found["double"]
            text = re.sub(r"\\(.)", r"\1", double) if double is not None else found["single"] or found["bare"]
            values[found["name"]] = text or ""
        else:
            problems.append(f"{path} line {number}: is not NAME=value")
    return values


def resolve(
    table: Mapping[str, Option], layers: Iterable[Layer], problems: list[str]
) -> Iterator[tuple[Option, Any, Origin]]:
    """The value of each option from the first layer that has it, checked. What cannot be used is a line of *problems*
    and leaves the default."""
    layers = list(layers)
    for path, option in table.items():
        given, origin = next((layer[path] for layer in layers if path in layer), (None, Origin("default")))
        value = option.default
        if given is not None:
            try:
                value = option.parse(given)
            except (ValueError, TypeError) as error:
                shown = repr(given)
                if option.kind == "mapping":  # it may hold secrets; where it is wrong says more
                    shown = f"({error})" if isinstance(error, msgspec.ValidationError) else "what it holds"
                if option.secret:
                    shown = "(a secret)"
                problems.append(f"{origin}: {shown} cannot be used; it must be {option.allowed}")
        yield option, value, origin


def build(tree: type[Tree], values: Mapping[str, Any]) -> Tree:
    """The tree with *values*, by path; each must have been checked."""
    sections = {
        section.name: section.type(
            **{field.name: values[f"{section.name}.{field.name}"] for field in msgspec.structs.fields(section.type)}
        )
        for section in msgspec.structs.fields(tree)
    }
    return tree(**sections)
