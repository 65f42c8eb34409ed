"""The text of a flow, YAML or JSON, as plain values with the line that each stands on.

The YAML is composed, never constructed: only null, booleans, numbers and strings come out, whatever a tag says, and
aliases count as often as they are used.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import yaml

from vivavoce.flows.errors import BadFlow, Problem

Path = tuple[str | int, ...]
MAX_BYTES = 128 * 1024
MAX_VALUES = 10_000
MAX_DEPTH = 24
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}


class Document(msgspec.Struct, frozen=True):
    """What a text says."""

    value: Any
    lines: dict[Path, int] = {}
    """From 1; empty for what was no YAML."""

    def line(self, path: Path) -> int | None:
        """The line of *path*, or of the nearest that is there above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def read_json(data: bytes) -> Document:
    """Raises BadFlow."""
    _check_size(len(data))
    try:
        value = msgspec.json.decode(data)
        _count(value, 0, [0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(f"this is no JSON that can be read: {error}") from error
    return Document(value)


def read_yaml(text: str) -> Document:
    """Raises BadFlow, with the line of what cannot be read."""
    _check_size(len(text.encode("utf-8", "surrogatepass")))
    try:
        _check_depth(text)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _bad(
            f"this is no YAML: {error.problem or error.context}", line=mark.line + 1 if mark else None
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _bad(f"this is no YAML that can be read: {str(error)[:200]}") from error
    if root is None:
        raise _bad("there is nothing in it")
    reader = _Reader()
    return Document(reader.value(root, ()), reader.lines)


def _check_depth(text: str) -> None:
    """Refuse what is nested too deeply from the stream of events: composing it would overflow the C stack."""
    depth = count = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        count += isinstance(event, yaml.NodeEvent)
        if depth > MAX_DEPTH + 1 or count > 2 * MAX_VALUES:
            what = f"{MAX_DEPTH} levels deep" if depth > MAX_DEPTH + 1 else f"{MAX_VALUES} values"
            raise _bad(f"more than {what}", line=event.start_mark.line + 1 if event.start_mark else None)


class _Reader:
    """Turns composed nodes into values."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self._count = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines[path] = line
        self._count += 1
        if self._count > MAX_VALUES:
            raise _bad(f"more than {MAX_VALUES} values (aliases count as often as they are used)", line=line)
        if len(path) > MAX_DEPTH:
            raise _bad(f"more than {MAX_DEPTH} levels deep", line=line)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, line)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, at)) for at, item in enumerate(node.value)]
        fields: dict[str, Any] = {}
        for name, item in node.value:
            key = name.value if isinstance(name, yaml.ScalarNode) else None
            if key is None:
                raise _bad("a key must be a word", line=name.start_mark.line + 1)
            if key in fields:
                raise _bad(f"{key!r} is there twice", line=name.start_mark.line + 1)
            fields[key] = self.value(item, (*path, key))
        return fields


def _scalar(node: yaml.ScalarNode, line: int) -> Any:
    text = node.value
    match node.tag.removeprefix("tag:yaml.org,2002:"):
        case "null":
            return None
        case "bool":
            if text.lower() not in _CONSTANTS:
                raise _bad(f"{text[:40]!r} is neither true nor false", line=line)
            return _CONSTANTS[text.lower()]
        case "int" | "float" if ":" in text:  # a time of day, to everybody but YAML 1.1
            return text
        case "int" | "float" as kind:
            return _number(text, kind, line)
        case _:  # a string, a date, or a tag of somebody's own: its text
            return text


def _number(text: str, kind: str, line: int) -> int | float:
    plain = text.replace("_", "")
    try:
        if kind == "int":
            if len(plain) > 18:
                plain = "too long"
            sign, digits = (-1, plain[1:]) if plain[:1] == "-" else (1, plain.removeprefix("+"))
            octal = len(digits) > 1 and digits[0] == "0" and digits.isdecimal()
            return sign * (int(digits, 8) if octal else int(digits, 0))
        number = float(plain)
    except ValueError:
        raise _bad(f"{text[:40]!r} is no number that can be used", line=line) from None
    if not math.isfinite(number):
        raise _bad(f"{text[:40]!r} is no number that can be used", line=line)
    return number


def write_yaml(value: Any) -> str:
    """A value as YAML that `read_yaml` reads back. Raises BadFlow for one that would be too much for it."""
    for readable in (True, False):  # where its letters would not survive (some are line ends to YAML), escaped
        text: str = yaml.dump(value, Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=readable, width=120)
        if read_yaml(text).value == value:
            return text
    raise _bad("it cannot be written as YAML")


def _count(value: Any, depth: int, seen: list[int]) -> None:
    seen[0] += 1
    if seen[0] > MAX_VALUES:
        raise _bad(f"more than {MAX_VALUES} values")
    if depth > MAX_DEPTH:
        raise _bad(f"more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    for item in value:
        _count(item, depth + 1, seen)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise _bad(f"a flow may have {MAX_BYTES} bytes, not {size}")


def _bad(message: str, *, line: int | None = None) -> BadFlow:
    return BadFlow([Problem(message=message, line=line)])
