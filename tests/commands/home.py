"""What the tests' commands are about, and answers of a model."""

from __future__ import annotations

import functools
import json
from typing import Any

from vivavoce.commands.intents import Catalog
from vivavoce.commands.model import Entity

ENTITIES = (
    Entity(name="kitchen light", kind="light", area="kitchen"),
    Entity(name="bedroom lamp", kind="light", area="bedroom", aliases=("night lamp",)),
    Entity(name="front door", kind="lock"),
    Entity(name="fan", kind="switch", area="bedroom"),
)


@functools.cache
def catalog() -> Catalog:
    return Catalog(ENTITIES, lists={"scene": ("movie night",)})


def answer(intent: str, response: str = "", *, size: int = 4, confidence: Any = 0.9, **entities: Any) -> list[str]:
    """A model's answer, in pieces of *size* characters."""
    fields = {"intent": intent, "entities": entities, "confidence": confidence, "response": response}
    return cut(json.dumps(fields), size)


def cut(text: str, size: int = 4) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
