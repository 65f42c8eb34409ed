"""Errors over HTTP: always JSON, never a detail that is nobody's business."""

from __future__ import annotations

import pytest

from server.asgi import client
from server.conftest import MakeApp


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/../etc/passwd", 404, "NOT_FOUND"),
        ("DELETE", "/voices", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/api/conversations/a", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/fault", 500, "INTERNAL"),
        ("GET", "/busy", 503, "SESSION_LIMIT"),
        ("GET", "/slow", 504, "LLM_TIMEOUT"),
    ],
)
async def test_every_error_is_json(make_app: MakeApp, method: str, path: str, status: int, code: str) -> None:
    async with client(make_app()) as http:
        answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"error", "code", "hint"}
    assert answer.json()["error"].endswith(".")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_what_goes_with_a_status(make_app: MakeApp) -> None:
    async with client(make_app()) as http:
        assert (await http.get("/busy")).headers["retry-after"] == "3"
        allowed = (await http.put("/api/conversations/a")).headers["allow"]
    assert set(allowed.split(", ")) >= {"GET", "PATCH", "DELETE"}
