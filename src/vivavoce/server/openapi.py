"""`/openapi.json` and `/docs`: what the running server can be asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from vivavoce import __version__
from vivavoce.server import docs_page
from vivavoce.server.answers import json_answer
from vivavoce.server.errors import Problem
from vivavoce.server.operations import Json, Operation, served

_MEANING = {
    400: "Something sent cannot be used.",
    404: "There is none, or it is somebody else's.",
    409: "It is busy with something else.",
    413: "Too large.",
    415: "No format that can be read.",
    429: "Too much in a minute.",
    503: "Not now.",
}


def document(operations: Iterable[Operation], mount: str = "") -> Json:
    """The OpenAPI 3.1 description of *operations*, of a server that answers below the path *mount*."""
    operations = list(operations)
    types = [each for operation in operations for each in (operation.body, operation.answer) if each is not None]
    unique = list({repr(each): each for each in [Problem, *types]}.values())
    schemas, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    schema_of = {repr(each): schema for each, schema in zip(unique, schemas, strict=True)}
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vivavoce",
            "version": __version__,
            "description": "A realtime voice-agent server. Speech goes over WebSockets: /docs lists their messages.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": mount or "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "VIVAVOCE_API_KEY; none needed where unset."}
            },
        },
    }


def _described(operation: Operation, schema_of: Mapping[str, Json]) -> Json:
    described: Json = {
        "operationId": f"{operation.method}{re.sub(r'[^a-z]+', '_', operation.path).rstrip('_')}",
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": _responses(operation, schema_of),
    }
    if operation.parameters:
        described["parameters"] = [
            {"name": each.name, "in": each.where, "description": each.says, "schema": each.schema}
            | {"required": each.where == "path"}
            for each in operation.parameters
        ]
    if operation.form is not None:
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": operation.form}}}
    elif operation.body is not None:
        schema = schema_of[repr(operation.body)]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.public:
        described["security"] = []
    return described


def _responses(operation: Operation, schema_of: Mapping[str, Json]) -> Json:
    good: Json = {"description": "Done."}
    if operation.answer is not None:
        good["content"] = {"application/json": {"schema": schema_of[repr(operation.answer)]}}
    elif operation.status != 204:
        good["content"] = {operation.media: {"schema": {"type": "string"}}}
    wrong = {"application/json": {"schema": schema_of[repr(Problem)]}}
    responses: Json = {str(operation.status): good}
    for status in operation.errors:
        responses[str(status)] = {"description": _MEANING[status], "content": wrong}
    responses["default"] = {"description": "Refused or failed; `code` says why.", "content": wrong}
    return responses


async def openapi(request: Request) -> Response:
    """The description, for programs."""
    return json_answer(document(served(request.app.routes), request.scope.get("root_path", "")))


async def docs(request: Request) -> Response:
    """The description, for people."""
    return HTMLResponse(docs_page.render(served(request.app.routes)))


async def style(request: Request) -> Response:  # noqa: ARG001
    """The page's style; a file of its own, since the Content-Security-Policy allows none within the page."""
    return FileResponse(Path(__file__).with_name("docs.css"), media_type="text/css")


def routes() -> list[Route]:
    return [Route("/openapi.json", openapi), Route("/docs", docs), Route("/docs/docs.css", style)]
