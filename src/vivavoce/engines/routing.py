"""Several language models, one for each kind of request; and what a single model is asked with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import msgspec

from vivavoce.engines.base import ChatModel, ChatRequest, Delta
from vivavoce.engines.wrapped import Wrapped
from vivavoce.settings import ModelOptions
from vivavoce.text.kinds import Kind, kind_of

log = logging.getLogger(__name__)

__all__ = ["Borrowed", "Kind", "Routed", "Tuned", "kind_of"]


class Tuned(Wrapped):
    """*model*, asked with the options of single models where a request names none."""

    def __init__(self, model: ChatModel, options: Mapping[str, ModelOptions]) -> None:
        """options: by the names of models of this server."""
        super().__init__(model)
        self._options = dict(options)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer; a model's instructions are told behind the request's own."""
        options = self._options.get(request.model or self.model)
        if options is not None:
            request = msgspec.structs.replace(
                request,
                temperature=options.temperature if request.temperature is None else request.temperature,
                max_tokens=options.max_tokens if request.max_tokens is None else request.max_tokens,
                instructions="\n\n".join(filter(None, (request.instructions, options.instructions))),
            )
        async with aclosing(self.inner.stream(request)) as deltas:
            async for delta in deltas:
                yield delta


class Borrowed(Wrapped):
    """*model*, which somebody else starts and closes; asked for no other model than its own."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        async with aclosing(self.inner.stream(msgspec.structs.replace(request, model=None))) as deltas:
            async for delta in deltas:
                yield delta


class Routed:
    """Asks the model that fits the kind of request, or that the request names; else *main*."""

    def __init__(self, main: ChatModel, others: Mapping[str, ChatModel], routes: Mapping[Kind, str]) -> None:
        """others: by the names under which requests and *routes* know them. A name that is not there is another model
        of the main one's server. Those that may fail must have *main* answer in their place themselves."""
        self.main = main
        self.others = dict(others)
        self._routes = dict(routes)

    @property
    def name(self) -> str:
        return self.main.name

    @property
    def model(self) -> str:
        return self.main.model

    async def start(self) -> None:
        """Start all of them side by side. Raises what one of them raises, once all have done."""
        models = (self.main, *self.others.values())
        failures = await asyncio.gather(*(model.start() for model in models), return_exceptions=True)
        for failure in filter(None, failures):
            raise failure

    async def close(self) -> None:
        """Close all of them; idempotent."""
        for model in self.others.values():
            await model.close()
        await self.main.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer of the model that was chosen."""
        wanted = request.model or self._routes.get(kind_of(asked_text(request)))
        other = self.others.get(wanted or "")
        if wanted is not None:
            log.debug("[LLM-ROUTE] %s is asked", wanted)
        request = msgspec.structs.replace(request, model=wanted if other is None else None)
        async with aclosing((other or self.main).stream(request)) as deltas:
            async for delta in deltas:
                yield delta


def asked_text(request: ChatRequest) -> str:
    """What the user said last; results of tools may follow it."""
    return next((said.content for said in reversed(request.messages) if said.role == "user"), "")
