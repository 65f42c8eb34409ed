"""The `openai` chat model: any server that speaks OpenAI's chat completions, streamed as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from vivavoce.engines.base import ChatRequest, Delta, Message
from vivavoce.engines.llm.answer import Reading, ask, deltas, usage
from vivavoce.engines.llm.fields import Fields
from vivavoce.engines.llm.prompt import conversation
from vivavoce.engines.upstream import Answer, Refusal, Upstream, error_words
from vivavoce.errors import EngineError, EngineFailed, EngineUnavailable
from vivavoce.text.sse import ServerSentEvents

VENDOR_URL = "https://api.openai.com/v1"
DONE = "[DONE]"
MAY_REFUSE = {
    "stream_options": r"\bstream_options\b|\binclude_usage\b",
    "max_completion_tokens": r"\bmax_completion_tokens\b",
    "max_tokens": r"\bmax_tokens\b",
    "temperature": r"\btemperature\b",
    "response_format": r"\bresponse_format\b|\bjson_schema\b|structured outputs?",
    "tools": r"\btools?\b|\btool_choice\b|\bfunction[ _]call",
}
"""What a request can do without, and how servers name it. `max_tokens` is then sent by its newer name, and a schema is
described in words."""
UNNAMED = ("stream_options", "response_format", "tools")


class _Function(msgspec.Struct, gc=False):
    name: Any = None
    arguments: Any = None


class _Call(msgspec.Struct, gc=False):
    index: Any = None
    id: Any = None
    function: _Function | None = None


class _Piece(msgspec.Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Piece | None = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class OpenAIChat:
    """Answers by the server at *base_url*. Reasoning is not part of the answer: it yields deltas without text, which
    only show that the model is at work."""

    name = "openai"

    def __init__(
        self,
        *,
        base_url: str = VENDOR_URL,
        model: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        connect_s: float = 3.0,
    ) -> None:
        """base_url: up to `/v1`. model: None takes the first that the server lists. headers: for every request.
        temperature, max_tokens: where a request names none. Raises EngineUnavailable when there can be no such address.
        """
        self._upstream = Upstream(base_url, api_key=api_key, headers=headers, connect_s=connect_s)
        self._model = model
        known = {"authorization"} & {name.lower() for name in headers or {}}
        self._keyless = base_url == VENDOR_URL and not api_key and not known
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._fields = Fields(MAY_REFUSE, unnamed=UNNAMED)

    @property
    def model(self) -> str:
        return self._model or f"the first of {self._upstream.place}"

    async def start(self) -> None:
        """See that the server answers and takes the key, and choose its first model if none was named.

        Many servers do not list their models, or not to every key: that is no fault. Raises EngineUnavailable.
        """
        if self._keyless:
            raise EngineUnavailable("llm", "there is no API key", hint="set OPENAI_API_KEY")
        try:
            listed = _ids(await self._upstream.get("/models"))
        except Refusal as refusal:
            if refusal.status == 401 or refusal.status >= 500:
                raise self._upstream.error(refusal, hint="check the API key" * (refusal.status == 401)) from refusal
            listed = []
        if self._model is None:
            if not listed:
                text = f"{self._upstream.place} does not say which models it has"
                raise EngineUnavailable("llm", text, hint="set LLM_MODEL; and does the address end in /v1?")
            self._model = listed[0]

    async def close(self) -> None:
        """End all connections."""
        await self._upstream.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer. A field that the model refuses is not sent again, and the request is repeated."""

        def read(answer: Answer, body: dict[str, Any]) -> AsyncGenerator[Delta, None]:
            reader = _Reader(self._upstream, awaits_usage="stream_options" in body)
            return deltas(answer, self._upstream, _Events(), reader)

        model, body = request.model or self._model, partial(self._body, request)
        try:
            async with aclosing(ask(self._upstream, "/chat/completions", self._fields, model, body, read)) as pieces:
                async for delta in pieces:
                    yield delta
        except Refusal as refusal:
            raise self._error(refusal, request) from refusal

    def _body(self, request: ChatRequest, without: Collection[str]) -> dict[str, Any]:
        said = conversation(request, tools="tools" not in without, schema="response_format" not in without)
        temperature = self._temperature if request.temperature is None else request.temperature
        max_tokens = self._max_tokens if request.max_tokens is None else request.max_tokens
        schema = {"name": "answer", "schema": request.answer_schema, "strict": True}
        optional = {
            "stream_options": {"include_usage": True},
            "temperature": temperature,
            "max_completion_tokens" if "max_tokens" in without else "max_tokens": max_tokens,
            "tools": [{"type": "function", "function": msgspec.to_builtins(tool)} for tool in request.tools] or None,
            "response_format": {"type": "json_schema", "json_schema": schema} if request.answer_schema else None,
        }
        sent = {name: value for name, value in optional.items() if value is not None and name not in without}
        model = request.model or self._model
        return {"model": model, "messages": [_as_sent(each) for each in said], "stream": True} | sent

    def _error(self, refusal: Refusal, request: ChatRequest) -> EngineError:
        if refusal.status != 404:
            return self._upstream.error(refusal)
        asked = request.model or self.model
        hint = f"is there a model {asked!r}, and does the address end in /v1?"
        error = self._upstream.error(refusal, hint=hint)
        if asked == self.model:
            return error
        return EngineFailed("llm", error.message, hint=hint)  # the server itself is well


class _Events(ServerSentEvents):
    """Bytes -> the data of events; an unfinished last one is dropped."""

    def __call__(self, data: bytes | None) -> Iterator[str]:
        return (event.data for event in self.feed(data or b""))


class _Reader(Reading):
    """The data of events -> deltas."""

    def __init__(self, upstream: Upstream, *, awaits_usage: bool) -> None:
        """awaits_usage: whether the server was asked for it; it then follows the last word."""
        super().__init__(upstream)
        self._awaits_usage = awaits_usage

    def read(self, data: str) -> Iterator[Delta]:
        """The deltas of one event. Raises EngineFailed."""
        if data.strip() == DONE:
            self.finish, self.over = self.finish or "stop", True
            return
        try:
            chunk = msgspec.json.decode(data, type=_Chunk)
        except msgspec.MsgspecError as error:
            raise self.garbled(error) from error
        if chunk.error is not None or chunk.object == "error":
            raise self.broken(error_words(data.encode())[0])
        for choice in chunk.choices or []:
            yield from self._take(choice.delta or _Piece())
            self.finish = str(choice.finish_reason or "") or self.finish
        if isinstance(chunk.usage, dict):
            self.usage = usage(chunk.usage.get("prompt_tokens"), chunk.usage.get("completion_tokens"))
        self.over = self.finish is not None and (bool(chunk.usage) or not self._awaits_usage)

    def _take(self, piece: _Piece) -> Iterator[Delta]:
        for call in piece.tool_calls or []:
            function = call.function or _Function()
            self.calls.add(index=call.index, id=call.id, name=function.name, arguments=function.arguments)
        content = _words(piece.content)
        text = self.text(content)
        yield from self.piece(
            text, sign=bool(content or piece.reasoning_content or piece.reasoning or piece.tool_calls)
        )


def _words(content: object) -> str:
    """The text of *content*, which some servers send in typed parts."""
    if isinstance(content, list):
        return "".join(_words(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _as_sent(said: Message) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": said.role, "content": said.content}
    if said.calls:
        sent["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in said.calls
        ]
    if said.role == "tool":
        sent["tool_call_id"] = said.call_id
    return sent


def _ids(body: bytes) -> list[str]:
    try:
        return [model.id for model in msgspec.json.decode(body, type=_Models).data]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
