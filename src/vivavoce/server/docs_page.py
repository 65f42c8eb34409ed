"""The page `/docs`: HTML from the table of operations and from the message types themselves. No script."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Any, get_args

import msgspec
from msgspec import inspect as types

from vivavoce import __version__, events
from vivavoce.server.operations import Operation

_COMMON = {"n", "turn_id", "initiator"}
"""Fields that every server message may have; they are explained once."""
_SERVER_MESSAGES: Sequence[type[msgspec.Struct]] = [
    each for each in events.ServerMessage.__subclasses__() if each.__module__ == events.__name__
]


def render(operations: Iterable[Operation]) -> str:
    """The whole page."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>vivavoce: what it can be asked</title>
<link rel="stylesheet" href="docs/docs.css">
</head>
<body>
<main>
<h1>vivavoce <small>{escape(__version__)}</small></h1>
<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1). Where a key is set, send it as
<code>Authorization: Bearer KEY</code> with all but what is marked <em>public</em>; a browser's WebSocket takes
<code>?token=…</code> from <code>POST /api/token</code>, good once. Errors are
<code>{{"error": "…", "code": "UPPER_SNAKE", "hint": "…"}}</code>.</p>
<h2>HTTP</h2>
{_operations(operations)}
<h2>WebSocket <code>/ws</code>: client to server</h2>
<p>JSON objects, told apart by <code>type</code>; microphone audio goes as binary frames in between.</p>
{_messages(get_args(events.AnyClientMessage), hidden=set())}
<h2>WebSocket <code>/ws</code>: server to client</h2>
<p>Every message carries <code>n</code>, its number in the session, from 1; from a reply on <code>turn_id</code>; and
<code>initiator: "agent"</code> where the agent began the turn. Fields not listed may be added; ignore what
is unknown.</p>
{_messages(_SERVER_MESSAGES, hidden=_COMMON)}
</main>
</body>
</html>
"""


def _operations(operations: Iterable[Operation]) -> str:
    parts: list[str] = []
    for tag, run in groupby(operations, key=lambda operation: operation.tag):
        parts.append(f"<h3>{escape(tag)}</h3>\n<table>\n")
        parts += [_operation(each) for each in run]
        parts.append("</table>\n")
    return "".join(parts)


def _operation(operation: Operation) -> str:
    told = escape(operation.summary)
    if operation.public:
        told += " <em>public</em>"
    for each in operation.parameters:
        told += f"<br><code>{escape(each.name)}</code> {escape(each.says)}"
    if operation.body is not None and hasattr(operation.body, "__struct_fields__"):
        told += f"<br>takes {_fields(operation.body, set())}"
    if operation.answer is not None and hasattr(operation.answer, "__struct_fields__"):
        told += f"<br>gives {_fields(operation.answer, set())}"
    method, path = operation.method.upper(), escape(operation.path)
    return f"<tr><th><code>{method}</code></th><td><code>{path}</code></td><td>{told}</td></tr>\n"


def _messages(messages: Iterable[type[msgspec.Struct]], hidden: set[str]) -> str:
    rows = [
        f"<tr><th><code>{escape(str(each.__struct_config__.tag))}</code></th>"
        f"<td>{escape(_says(each))}</td><td>{_fields(each, hidden)}</td></tr>\n"
        for each in messages
    ]
    return f"<table>\n{''.join(rows)}</table>\n"


def _says(message: type[msgspec.Struct]) -> str:
    """The message's own docstring, if it has one: its first paragraph."""
    own = message.__dict__.get("__doc__")
    return inspect.cleandoc(own).partition("\n\n")[0] if own else ""


def _fields(struct: type[msgspec.Struct], hidden: set[str]) -> str:
    described = types.type_info(struct)
    assert isinstance(described, types.StructType)  # noqa: S101
    return "; ".join(
        f"<code>{escape(field.encode_name)}</code> {escape(spelled(field.type))}{_default(field)}"
        for field in described.fields
        if field.name not in hidden
    )


def _default(field: types.Field) -> str:
    if field.required or field.default in (msgspec.NODEFAULT, None, msgspec.UNSET):
        return ""
    return f" <small>({escape(msgspec.json.encode(field.default).decode())})</small>"


def spelled(of: types.Type) -> str:
    """A field's type in words."""
    match of:
        case types.UnionType(of_each):
            return " or ".join(spelled(each) for each in of_each)
        case types.LiteralType(values):
            return " | ".join(f'"{value}"' for value in values)
        case types.ListType(item) | types.VarTupleType(item):
            return f"list of {spelled(item)}"
        case types.TupleType(items):
            return f"[{', '.join(spelled(each) for each in items)}]"
        case types.StructType(struct):
            return struct.__name__
        case _:
            return _PLAIN.get(type(of), "anything")


_PLAIN: dict[type[Any], str] = {
    types.BoolType: "boolean",
    types.DictType: "object",
    types.FloatType: "number",
    types.IntType: "integer",
    types.NoneType: "null",
    types.StrType: "string",
}
