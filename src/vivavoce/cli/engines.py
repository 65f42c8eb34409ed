"""Single engines for verbs that need no server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from vivavoce.engines.registry import FACTORIES, chosen_names
from vivavoce.errors import Role
from vivavoce.observe import logs
from vivavoce.settings import Loaded, secrets


@asynccontextmanager
async def started(loaded: Loaded, role: Role) -> AsyncIterator[Any]:
    """The engine of *role* that the settings choose, started; closed on leaving. Raises EngineError."""
    logs.configure(loaded.settings.log, secrets(loaded.settings))
    engine = FACTORIES[role][chosen_names(loaded.settings)[role]](loaded.settings)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()
