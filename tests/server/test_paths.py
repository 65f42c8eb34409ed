"""The gate looks at the very path that the routes are matched with."""

from __future__ import annotations

import pytest
from starlette.routing import Match, Route

from vivavoce.server.paths import own_path


@pytest.mark.parametrize(
    ("path", "mount", "own"),
    [
        ("/health", "", "/health"),
        ("/voice/health", "/voice", "/health"),
        ("/a/b/ws/chat/stream", "/a/b", "/ws/chat/stream"),
        ("/voice/", "/voice", "/"),
        ("/voicemail/health", "/voice", "/voicemail/health"),
        ("/voice/voice/x", "/voice", "/voice/x"),
        ("/health", "/voice", "/health"),
        ("/voice/health", "/voice/", "/voice/health"),
        ("/voice//health", "/voice", "//health"),
    ],
)
def test_the_gate_and_the_routes_agree(path: str, mount: str, own: str) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "root_path": mount}
    assert own_path(scope) == own
    matched, _ = Route(own, lambda request: None).matches(scope)
    assert matched is Match.FULL, "a route of that path answers it"
