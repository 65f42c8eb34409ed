"""Where a request goes, wherever the application is mounted."""

from __future__ import annotations

from starlette.types import Scope


def own_path(scope: Scope) -> str:
    """The request's path within this application: what lies in front of it is its host's.

    The very path that the routes are matched with: the gate must not see another one.
    """
    path: str = scope["path"]
    mount: str = scope.get("root_path", "")
    return path[len(mount) :] if mount and path.startswith(f"{mount}/") else path
