"""The `ollama` chat model: a model that Ollama serves, streamed as JSON lines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from vivavoce.engines.base import ChatRequest, Delta
from vivavoce.engines.upstream import Refusal, Upstream, messages
from vivavoce.errors import EngineError, EngineFailed, EngineUnavailable
from vivavoce.text.jsonlines import JSONLines, LineTooLong
from vivavoce.text.thoughts import Thoughts

log = logging.getLogger(__name__)

LOAD_S = 120.0
"""To load the model into memory."""


class _Said(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None


class _Line(msgspec.Struct, gc=False):
    message: _Said | None = None
    done: bool = False
    done_reason: str | None = None
    error: str | None = None


class _Model(msgspec.Struct):
    name: str


class _Models(msgspec.Struct):
    models: list[_Model] | None = None


class OllamaChat:
    """Answers by the model of an Ollama server, which is asked to keep it in memory."""

    name = "ollama"

    def __init__(
        self,
        *,
        base_url: str = "http://localhost:11434",
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        keep_alive: str = "30m",
        connect_s: float = 3.0,
        look_s: float = 3.0,
    ) -> None:
        """temperature, max_tokens: where a request names none. keep_alive: how long an unused model stays in memory.
        look_s: to say at the start which models it has. Raises EngineUnavailable when there can be no such address."""
        self._upstream = Upstream(base_url, connect_s=connect_s)
        self.model = model
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._keep_alive = keep_alive
        self._look_s = look_s
        self._loading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See that Ollama answers and has the model, and have it loaded, which goes on in the background.

        Raises EngineUnavailable.
        """
        try:
            body = await self._upstream.get("/api/tags", within_s=self._look_s)
            found = msgspec.json.decode(body, type=_Models).models or []
        except Refusal as refusal:
            raise self._upstream.error(refusal, hint="is it Ollama that answers there?") from refusal
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            text = f"{self._upstream.place} answers, but it is no Ollama"
            raise EngineUnavailable("llm", text, hint="set OLLAMA_BASE_URL") from error
        if not {self.model, f"{self.model}:latest"} & {model.name for model in found}:
            text = f"Ollama at {self._upstream.place} has no model {self.model}"
            raise EngineUnavailable("llm", text, hint=f"run `ollama pull {self.model}`, or set OLLAMA_MODEL")
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load(), name="ollama load")

    async def _load(self) -> None:
        """A request without a prompt loads the model."""
        body = {"model": self.model, "keep_alive": self._keep_alive, "stream": False}
        try:
            await self._upstream.post("/api/generate", body, within_s=LOAD_S)
        except Refusal as refusal:
            log.warning("%s was not loaded: %s", self.model, self._upstream.error(refusal))
        except EngineError as error:
            log.warning("%s was not loaded: %s", self.model, error)

    async def close(self) -> None:
        """End the loading and all connections; idempotent."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
        await self._upstream.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer."""
        try:
            async with self._upstream.stream("POST", "/api/chat", self._body(request)) as answer:
                lines, thoughts, begun = JSONLines(), Thoughts(), False
                while not answer.complete:
                    data = await answer.next()
                    try:
                        for line in lines.flush() if data is None else lines.feed(data):
                            delta = _delta(line, thoughts)
                            begun = True
                            answer.complete = delta.finish is not None
                            yield delta
                            if answer.complete:
                                return
                    except LineTooLong as error:
                        raise EngineFailed("llm", f"{self._upstream.place} sent {error}") from error
                    if data is None:
                        if not begun:
                            raise self._upstream.never_began()
                        return
        except Refusal as refusal:
            hint = f"run `ollama pull {self.model}`" if refusal.status == 404 else ""
            raise self._upstream.error(refusal, hint=hint) from refusal

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        temperature = self._temperature if request.temperature is None else request.temperature
        max_tokens = self._max_tokens if request.max_tokens is None else request.max_tokens
        options = {"temperature": temperature, "num_predict": max_tokens}
        return {
            "model": self.model,
            "messages": messages(request),
            "stream": True,
            "think": False,  # nobody waits for it in a conversation
            "keep_alive": self._keep_alive,
            "options": {name: value for name, value in options.items() if value is not None},
        }


def _delta(line: str, thoughts: Thoughts) -> Delta:
    """One line of an answer. Raises EngineFailed."""
    try:
        found = msgspec.json.decode(line, type=_Line)
    except msgspec.MsgspecError as error:
        raise EngineFailed("llm", f"Ollama sent what is no answer: {error}") from error
    if found.error is not None:
        raise EngineFailed("llm", f"Ollama broke off: {found.error[:300]}")
    text = thoughts.feed((found.message and found.message.content) or "")
    if not found.done:
        return Delta(text)
    return Delta(text + thoughts.flush(), finish=found.done_reason or "stop")
