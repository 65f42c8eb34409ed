"""Errors over HTTP: `{"error", "code", "hint"}` with the right status, from one place."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from vivavoce.errors import ClientError, EngineBusy, EngineError, EngineTimeout, EngineUnavailable, ServerBusy

log = logging.getLogger(__name__)

_NAMES = {413: "TOO_LARGE", 429: "RATE_LIMITED", 500: "INTERNAL", 503: "OVERLOADED"}
_STATUSES = {
    "NOT_FOUND": 404,
    "UNAUTHORIZED": 401,
    "CONFLICT": 409,
    "RATE_LIMITED": 429,
    "FRAME_TOO_LARGE": 413,
    "TOO_LARGE": 413,
}
"""Of ClientError codes; any other is a 400."""
_HINTS = {404: "/docs lists what there is.", 405: "/docs lists what there is."}


class Problem(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    error: str
    """What is wrong, for people."""
    code: str
    """Upper snake case; stable."""
    hint: str = ""
    """What to do about it; empty if nothing can be."""


def problem(
    status: int, code: str, message: str, hint: str = "", *, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer that tells an error."""
    body = msgspec.json.encode(Problem(message, code, hint))
    return Response(body, status, headers, media_type="application/json")


def last_words(answer: Response) -> bytes:
    """*answer* as a listener sends it that has no application to ask, and closes."""
    status = HTTPStatus(answer.status_code)
    headers = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() + headers + b"connection: close\r\n\r\n"
    return head + bytes(answer.body)


def retry_after(seconds: float) -> dict[str, str]:
    """The header that says when to try again; whole seconds, at least one."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def code_of(status: int) -> str:
    """The code of an HTTP status that has no better one: its name, as in METHOD_NOT_ALLOWED."""
    return _NAMES.get(status) or HTTPStatus(status).name


def handlers() -> dict[type[Exception] | int, Callable[[Request, Exception], Awaitable[Response]]]:
    """What Starlette's `exception_handlers` is to be."""
    return {
        HTTPException: _http_exception,
        ClientError: _client_error,
        ServerBusy: _server_busy,
        EngineError: _engine_error,
        Exception: _fault,
    }


async def _http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette's signature says less than it does
    status = error.status_code
    if status == HTTPStatus.NOT_MODIFIED or status < 200 or status == HTTPStatus.NO_CONTENT:
        return Response(status_code=status, headers=error.headers)
    message = error.detail if error.detail != HTTPStatus(status).phrase else _sentence(status)
    return problem(status, code_of(status), message, _HINTS.get(status, ""), headers=error.headers)


def _sentence(status: int) -> str:
    match status:
        case 404:
            return "There is nothing at this address."
        case 405:
            return "This address does not take that method."
        case _:
            return f"{HTTPStatus(status).phrase}."


async def _client_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ClientError)  # noqa: S101
    return problem(_STATUSES.get(error.code, 400), error.code, error.message, error.hint)


async def _server_busy(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServerBusy)  # noqa: S101
    return problem(503, error.code, error.message, error.hint, headers=retry_after(error.retry_after_s))


async def _engine_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, EngineError)  # noqa: S101
    match error:
        case EngineTimeout():
            status = 504
        case EngineUnavailable() | EngineBusy():
            status = 503
        case _:
            status = 502
    return problem(status, error.code, error.message, error.hint)


async def _fault(request: Request, error: Exception) -> Response:
    """A fault of ours. The log has the detail (Starlette raises the error again for it); the client does not."""
    log.error("[%s] %s failed: %s", request.method, ascii(request.url.path)[:200], type(error).__name__)
    return problem(500, "INTERNAL", "The server failed; its log says why.")
