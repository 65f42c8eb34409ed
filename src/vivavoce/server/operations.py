"""Every operation over HTTP, as a table. What a running server shows of it is what it has routes for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from starlette.routing import BaseRoute, Mount, Route

from vivavoce.engines.base import Voice
from vivavoce.flows.sessions import FlowInput
from vivavoce.memory.base import Summary
from vivavoce.server import conversations
from vivavoce.server.conversations import ClientToken, ConversationChange, ConversationPage, RememberedConversation
from vivavoce.server.flows import FlowDocument, FlowList, SavedFlow

Json = dict[str, Any]
Method = Literal["get", "post", "put", "patch", "delete"]


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of an operation."""

    name: str
    where: Literal["query", "path"]
    says: str
    schema: Json


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: Method
    path: str
    tag: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    """The type of the JSON that is sent."""
    form: Json | None = None
    """The schema of a multipart form that is sent instead."""
    status: int = 200
    answer: Any = None
    """The type of the JSON that comes back; None: *media* of no JSON type, or nothing with status 204."""
    media: str = "application/json"
    errors: tuple[int, ...] = ()
    """Statuses besides those that any operation may have."""
    public: bool = False
    """Needs no key."""


_TEXT: Json = {"type": "string"}
_ID = Parameter(
    "conversation_id", "path", "The conversation.", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}
)
_FLOW = Parameter("flow_id", "path", "The flow.", _TEXT)
_SESSION = Parameter("session_id", "path", "The session of the flow; made on its first use.", _TEXT)


def _limit(default: int, most: int) -> Parameter:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Parameter("limit", "query", "How many at most.", schema)


OPERATIONS: tuple[Operation, ...] = (
    Operation(method="get", path="/health", tag="status", summary="Liveness", answer=Json, public=True),
    Operation(
        method="get", path="/ready", tag="status", summary="Are the engines loaded?", answer=Json, errors=(503,),
        public=True,
    ),
    Operation(method="get", path="/metrics", tag="status", summary="Measurements for Prometheus", media="text/plain"),
    Operation(method="get", path="/voices", tag="status", summary="The voices", answer=list[Voice]),
    Operation(
        method="get", path="/api/stream_config", tag="status", summary="The configuration in force", answer=Json
    ),
    Operation(
        method="get", path="/api/streaming/health", tag="status", summary="Error rate and latency, judged", answer=Json
    ),
    Operation(
        method="get", path="/api/streaming/metrics", tag="status", summary="Latency, throughput, quality", answer=Json
    ),
    Operation(method="get", path="/api/streaming/sessions", tag="status", summary="The live sessions", answer=Json),
    Operation(method="get", path="/api/flags", tag="status", summary="The feature flags", answer=Json),
    Operation(
        method="put", path="/api/flags", tag="status", summary="Change the feature flags", body=Json, answer=Json,
        errors=(400,),
    ),
    Operation(
        method="post", path="/api/token", tag="access", summary="A token for a browser's WebSocket", answer=ClientToken
    ),
    Operation(
        method="get", path="/api/conversations", tag="conversations", summary="The conversations, latest first",
        parameters=(
            _limit(conversations.LISTED, conversations.LISTED_AT_MOST),
            Parameter("before", "query", "The `next` of the page before, or a time.", _TEXT),
        ),
        answer=ConversationPage, errors=(400,),
    ),
    Operation(
        method="get", path="/api/conversations/{conversation_id}", tag="conversations", summary="The remembered turns",
        parameters=(_ID, _limit(conversations.TURNS_AT_MOST, conversations.TURNS_AT_MOST)),
        answer=RememberedConversation, errors=(400, 404, 503),
    ),
    Operation(
        method="patch", path="/api/conversations/{conversation_id}", tag="conversations",
        summary="Change the title, or what is to be remembered", parameters=(_ID,), body=ConversationChange,
        answer=Summary, errors=(400, 404, 503),
    ),
    Operation(
        method="delete", path="/api/conversations/{conversation_id}", tag="conversations",
        summary="Forget the conversation, also on disk", parameters=(_ID,), status=204, errors=(400, 404, 503),
    ),
    Operation(
        method="post", path="/transcribe", tag="speech", summary="The text of a recording",
        form={
            "type": "object",
            "properties": {"file": {"type": "string", "contentMediaType": "audio/wav"}},
            "required": ["file"],
        },
        answer=Json, errors=(400, 413, 415, 503),
    ),
    Operation(method="get", path="/api/flows", tag="flows", summary="The flows", answer=FlowList),
    Operation(
        method="get", path="/api/flows/{flow_id}", tag="flows", summary="One flow as it was written",
        parameters=(_FLOW,), answer=FlowDocument, errors=(404,),
    ),
    Operation(
        method="put", path="/api/flows/{flow_id}", tag="flows", summary="Save a flow (JSON, or YAML by its media type)",
        parameters=(_FLOW,), body=FlowDocument, answer=SavedFlow, errors=(400, 503),
    ),
    Operation(
        method="delete", path="/api/flows/{flow_id}", tag="flows", summary="Delete a flow", parameters=(_FLOW,),
        status=204, errors=(404, 503),
    ),
    Operation(
        method="get", path="/api/flows/{flow_id}/stream/{session_id}", tag="flows",
        summary="One input of a flow, answered as server-sent events",
        parameters=(
            _FLOW, _SESSION,
            Parameter("input", "query", "What the user says; left out, the flow begins.", _TEXT),
            Parameter("events", "query", "`all`: those of the nodes too.", {"type": "string", "enum": ["all"]}),
        ),
        media="text/event-stream", errors=(400, 404, 409, 429, 503),
    ),
    Operation(
        method="post", path="/api/flows/{flow_id}/stream/{session_id}", tag="flows",
        summary="The same, with the input as JSON",
        parameters=(
            _FLOW, _SESSION,
            Parameter("events", "query", "`all`: those of the nodes too.", {"type": "string", "enum": ["all"]}),
        ),
        body=FlowInput, media="text/event-stream", errors=(400, 404, 409, 429, 503),
    ),
    Operation(method="get", path="/openapi.json", tag="documents", summary="This description", answer=Json),
    Operation(method="get", path="/docs", tag="documents", summary="The same for people", media="text/html"),
)  # fmt: skip


def served(routes: Sequence[BaseRoute], operations: Iterable[Operation] = OPERATIONS) -> list[Operation]:
    """Those of *operations* that *routes* has."""
    there = set(_methods(routes))
    return [each for each in operations if (each.method.upper(), _shape(each.path)) in there]


def undocumented(routes: Sequence[BaseRoute], operations: Iterable[Operation] = OPERATIONS) -> set[tuple[str, str]]:
    """(method, path) of *routes* under no operation's name: a test keeps this to the page and its files."""
    listed = {(each.method.upper(), _shape(each.path)) for each in operations}
    return {each for each in _methods(routes) if each not in listed}


def _methods(routes: Sequence[BaseRoute]) -> Iterable[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Route):
            yield from ((method, _shape(route.path)) for method in (route.methods or {"GET"}) - {"HEAD"})
        elif isinstance(route, Mount):
            yield from ((method, route.path + path) for method, path in _methods(route.routes or []))


def _shape(path: str) -> str:
    """The path with its parameters nameless: they may be called differently in the table and in a route."""
    return re.sub(r"\{[^}]*\}", "{}", path)
