"""`/api/flows`: the flows of the server, listed, shown, saved and deleted."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vivavoce.errors import ClientError
from vivavoce.flows.documents import Document, read_json, read_yaml
from vivavoce.flows.errors import BadFlow, Problem
from vivavoce.flows.model import Flow
from vivavoce.flows.store import LARGE
from vivavoce.server.answers import json_answer
from vivavoce.server.state import ServerState

audit = logging.getLogger("vivavoce.audit")

YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})


class FlowProblem(msgspec.Struct, frozen=True):
    """Something about a flow as it is written."""

    message: str
    node: str
    field: str
    line: int | None


class FlowSummary(msgspec.Struct, frozen=True):
    """One flow in the list."""

    id: str
    name: str
    description: str
    nodes: int
    opens: bool
    """Whether it speaks first."""
    warnings: list[FlowProblem]


class BrokenFile(msgspec.Struct, frozen=True):
    """A file in the folder of flows that cannot be used."""

    file: str
    problems: list[FlowProblem]


class FlowList(msgspec.Struct, frozen=True):
    """All flows."""

    flows: list[FlowSummary]
    broken: list[BrokenFile]


class FlowDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A flow as it is written; see docs/flows.md for its nodes."""

    nodes: list[dict[str, Any]]
    """Each with an `id`, a `type`, and the fields of its type; the first is the start."""
    id: str | None = None
    """Left out: the one in the address."""
    name: str = ""
    description: str = ""
    variables: dict[str, Any] = {}
    edges: list[list[str]] = []
    """[from, to] or [from, to, label]."""
    voice: str | None = None
    language: str | None = None
    interruptible: bool = True
    still_there_s: float | None = None


class SavedFlow(msgspec.Struct, frozen=True):
    """What became of a flow that was sent."""

    flow: FlowSummary
    created: bool
    """false: it replaces one of the same id."""


async def list_flows(request: Request) -> Response:
    """All flows, and the files that are none."""
    store = _state(request).flows
    await store.refresh()
    broken = [BrokenFile(each.file, _problems(each.problems)) for each in store.broken]
    return json_answer(FlowList([_summary(flow) for flow in store.all()], broken))


async def one_flow(request: Request) -> Response:
    """One route for all its methods: a wrong one is then told which are right."""
    match request.method:
        case "PUT":
            return await save(request)
        case "DELETE":
            return await delete(request)
        case _:
            return await show(request)


async def show(request: Request) -> Response:
    """A flow as it was written."""
    store = _state(request).flows
    await store.refresh()
    flow = store.get(request.path_params["flow_id"])
    if flow is None:
        raise _missing()
    return json_answer(flow.document)


async def save(request: Request) -> Response:
    """Keep a flow, if it can be used."""
    flow, created = await _state(request).flows.save(request.path_params["flow_id"], await _document(request))
    audit.info("flow %s was %s by %s", flow.id, "made" if created else "changed", request.scope["state"]["owner"])
    return json_answer(SavedFlow(_summary(flow), created))


async def delete(request: Request) -> Response:
    """Forget a flow, and the sessions that follow it over HTTP."""
    state, flow_id = _state(request), request.path_params["flow_id"]
    if not await state.flows.delete(flow_id):
        raise _missing()
    state.flow_sessions.forget(flow_id)
    audit.info("flow %s was deleted by %s", flow_id, request.scope["state"]["owner"])
    return Response(status_code=204)


def routes() -> list[Route]:
    return [
        Route("/api/flows", list_flows),
        Route("/api/flows/{flow_id}", one_flow, methods=["GET", "PUT", "DELETE"]),
    ]


async def _document(request: Request) -> Document:
    body = await request.body()
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in YAML:
        return read_json(body)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadFlow([Problem(message=f"this is no UTF-8: {error.reason}")]) from error
    return await asyncio.to_thread(read_yaml, text) if len(text) > LARGE else read_yaml(text)


def _summary(flow: Flow) -> FlowSummary:
    return FlowSummary(flow.id, flow.name, flow.description, len(flow.nodes), flow.opens, _problems(flow.warnings))


def _problems(problems: Any) -> list[FlowProblem]:
    return [FlowProblem(each.message, each.node, each.field, each.line) for each in problems]


def _state(request: Request) -> ServerState:
    state: ServerState = request.app.state.server
    return state


def _missing() -> ClientError:
    return ClientError("NOT_FOUND", "There is no such flow.", hint="GET /api/flows lists them.")
