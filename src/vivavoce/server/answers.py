"""JSON answers."""

from __future__ import annotations

import msgspec
from starlette.responses import Response


def json_answer(body: object, *, status: int = 200) -> Response:
    """*body* (builtins or Structs) as JSON."""
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
