"""The `ollama` chat model: a model that Ollama serves, streamed as JSON lines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from vivavoce.engines.base import ChatRequest, Delta, Message
from vivavoce.engines.llm.answer import Reading, ask, deltas, usage
from vivavoce.engines.llm.fields import Fields
from vivavoce.engines.llm.prompt import conversation
from vivavoce.engines.upstream import Answer, Refusal, Upstream
from vivavoce.errors import EngineError, EngineFailed, EngineUnavailable
from vivavoce.text.jsonlines import JSONLines

log = logging.getLogger(__name__)

LOAD_S = 120.0
"""To load the model into memory."""


MAY_REFUSE = {
    "think": r"\bthink(ing)?\b",
    "format": r"\bformat\b|structured outputs?",
    "tools": r"\btools?\b",
}
"""What a request can do without, and how Ollama names it. A schema is then described in words."""


class _Function(msgspec.Struct, gc=False):
    name: Any = None
    arguments: Any = None
    index: Any = None


class _Call(msgspec.Struct, gc=False):
    id: Any = None
    function: _Function | None = None


class _Said(msgspec.Struct, gc=False):
    content: Any = None
    thinking: Any = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct, gc=False):
    message: _Said | None = None
    done: bool = False
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
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
        headers: Mapping[str, str] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        keep_alive: str = "30m",
        connect_s: float = 3.0,
        look_s: float = 3.0,
    ) -> None:
        """headers: for every request. temperature, max_tokens: where a request names none. keep_alive: how long an
        unused model stays in memory, as `30m`; `-1s` for ever. look_s: to say at the start which models it has.
        Raises EngineUnavailable when there can be no such address."""
        self._upstream = Upstream(base_url, headers=headers, connect_s=connect_s)
        self.model = model
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._keep_alive = keep_alive
        self._look_s = look_s
        self._fields = Fields(MAY_REFUSE)
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
        """Yield the answer. A field that the model refuses is not sent again, and the request is repeated."""

        def read(answer: Answer, _: dict[str, Any]) -> AsyncGenerator[Delta, None]:
            return deltas(answer, self._upstream, _Lines(), _Reader(self._upstream))

        model, body = request.model or self.model, partial(self._body, request)
        try:
            async with aclosing(ask(self._upstream, "/api/chat", self._fields, model, body, read)) as pieces:
                async for delta in pieces:
                    yield delta
        except Refusal as refusal:
            raise self._error(refusal, model) from refusal

    def _body(self, request: ChatRequest, without: Collection[str]) -> dict[str, Any]:
        said = conversation(request, tools="tools" not in without, schema="format" not in without)
        temperature = self._temperature if request.temperature is None else request.temperature
        max_tokens = self._max_tokens if request.max_tokens is None else request.max_tokens
        options = {"temperature": temperature, "num_predict": max_tokens}
        optional = {
            "think": False,  # nobody waits for it in a conversation
            "tools": [{"type": "function", "function": msgspec.to_builtins(tool)} for tool in request.tools] or None,
            "format": request.answer_schema,
        }
        return {
            "model": request.model or self.model,
            "messages": _as_sent(said),
            "stream": True,
            "keep_alive": self._keep_alive,
            "options": {name: value for name, value in options.items() if value is not None},
        } | {name: value for name, value in optional.items() if value is not None and name not in without}

    def _error(self, refusal: Refusal, model: str) -> EngineError:
        hint = f"run `ollama pull {model}`" if refusal.status == 404 else ""
        error = self._upstream.error(refusal, hint=hint)
        if refusal.status != 404 or model == self.model:
            return error
        return EngineFailed("llm", error.message, hint=hint)  # the server itself is well


class _Lines(JSONLines):
    """Bytes -> lines; the last one may come without its newline, and is dropped when it was cut off."""

    def __call__(self, data: bytes | None) -> Iterator[str]:
        return filter(_is_json, self.flush()) if data is None else self.feed(data)


def _is_json(line: str) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return True


class _Reader(Reading):
    """Lines -> deltas."""

    def read(self, line: str) -> Iterator[Delta]:
        """The deltas of one line. Raises EngineFailed."""
        try:
            found = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError as error:
            raise self.garbled(error) from error
        if found.error is not None:
            raise self.broken(found.error[:300])
        said = found.message or _Said()
        for call in said.tool_calls or []:
            function = call.function or _Function()
            self.calls.add(index=function.index, id=call.id, name=function.name, arguments=function.arguments)
        text = self.text(said.content)
        if found.done:
            self.finish, self.over = str(found.done_reason or "stop"), True
            self.usage = usage(found.prompt_eval_count, found.eval_count)
        yield from self.piece(text, sign=bool(said.content or said.thinking or said.tool_calls))


def _as_sent(conversation: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as Ollama takes them: arguments are objects, and a result names its tool."""
    sent: list[dict[str, Any]] = []
    tools = {call.id: call.name for said in conversation for call in said.calls}
    for said in conversation:
        message: dict[str, Any] = {"role": said.role, "content": said.content}
        if said.calls:
            message["tool_calls"] = [
                {"id": call.id, "function": {"name": call.name, "arguments": _object(call.arguments)}}
                for call in said.calls
            ]
        if said.role == "tool":
            message |= {"tool_name": tools.get(said.call_id, ""), "tool_call_id": said.call_id}
        sent.append(message)
    return sent


def _object(arguments: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
