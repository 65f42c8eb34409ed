"""JSON schemas of parameters, in a shape that every model server takes: without references where there can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_REFERENCE = "#/$defs/"


class Unspeakable(Exception):
    """A type that cannot be written as JSON."""


def object_schema(types: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object with these properties, all required. Raises Unspeakable, which names the parameter."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name, kind in types.items():
        try:
            (schema,), found = msgspec.json.schema_components([kind], ref_template=_REFERENCE + "{name}")
        except (TypeError, NameError, ValueError) as error:
            raise Unspeakable(f"parameter {name} is of a type that no model can write: {error}") from None
        definitions |= found
        properties[name] = schema
    return inlined(
        {"type": "object", "properties": properties, "required": list(types), "additionalProperties": False},
        definitions,
    )


def inlined(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """*schema* with its references replaced by what they stand for; only types that hold themselves stay apart."""
    kept: dict[str, Any] = {}
    recursive = _recursive(definitions)

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(part) for part in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return {key: walk(value) for key, value in node.items()}
        name = reference.removeprefix(_REFERENCE)
        beside = {key: walk(value) for key, value in node.items() if key != "$ref"}
        if name not in recursive:
            return walk(definitions[name]) | beside
        if name not in kept:
            kept[name] = None  # it holds itself: once is enough
            kept[name] = walk(definitions[name])
        return {"$ref": reference, **beside}

    whole: dict[str, Any] = walk(schema)
    return whole | ({"$defs": kept} if kept else {})


def _recursive(definitions: Mapping[str, Any]) -> set[str]:
    """The names of the types that hold themselves, at whatever depth."""
    direct = {name: _referred(schema) for name, schema in definitions.items()}

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        rest = set(direct[start])
        while rest:
            name = rest.pop()
            if name not in found:
                found.add(name)
                rest |= direct.get(name, set())
        return found

    return {name for name in direct if name in reached(name)}


def _referred(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for part in node for name in _referred(part)}
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix(_REFERENCE)} if isinstance(node.get("$ref"), str) else set()
    return own | {name for value in node.values() for name in _referred(value)}
