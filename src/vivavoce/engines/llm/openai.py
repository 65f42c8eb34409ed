"""The `openai` chat model: any server that speaks OpenAI's chat completions, streamed as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

import msgspec

from vivavoce.engines.base import ChatRequest, Delta
from vivavoce.engines.upstream import Refusal, Upstream, error_words, messages
from vivavoce.errors import EngineFailed, EngineUnavailable
from vivavoce.text.sse import EventTooLong, ServerSentEvents
from vivavoce.text.thoughts import Thoughts

VENDOR_URL = "https://api.openai.com/v1"
DONE = "[DONE]"
RENAMED = {"max_tokens": "max_completion_tokens"}
"""Parameters that newer models of the vendor know by another name. What has no other name is left out."""


class _Piece(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Piece | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    error: Any = None


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
        temperature: float | None = None,
        max_tokens: int | None = None,
        connect_s: float = 3.0,
    ) -> None:
        """base_url: up to `/v1`. model: None takes the first that the server lists. temperature, max_tokens: where a
        request names none. Raises EngineUnavailable when there can be no such address."""
        self._upstream = Upstream(base_url, api_key=api_key, connect_s=connect_s)
        self._model = model
        self._keyless = base_url == VENDOR_URL and not api_key
        self._defaults = {"temperature": temperature, "max_tokens": max_tokens}
        self._refused: set[str] = set()  # parameters that this model does not take

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
        """Yield the answer. A parameter that the model refuses is not sent again, and the request is repeated."""
        while True:
            body = self._body(request)
            try:
                async with self._upstream.stream("POST", "/chat/completions", body) as answer:
                    decoder, reader = ServerSentEvents(), _Reader()
                    while not answer.complete:
                        if (data := await answer.next()) is None:
                            if not reader.begun:
                                raise self._upstream.never_began()
                            return
                        try:
                            for event in decoder.feed(data):
                                for delta in reader.read(event.data):
                                    answer.complete = delta.finish is not None
                                    yield delta
                                if answer.complete:
                                    return
                        except EventTooLong as error:
                            raise EngineFailed("llm", f"{self._upstream.place} sent {error}") from error
            except Refusal as refusal:
                if refusal.status == 400 and refusal.param in body and refusal.param in self._defaults:
                    self._refused.add(refusal.param)
                    continue
                raise self._upstream.error(refusal, hint=_hint(refusal, self.model)) from refusal

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._model, "messages": messages(request), "stream": True}
        asked = {"temperature": request.temperature, "max_tokens": request.max_tokens}
        for key, value in asked.items():
            name = RENAMED.get(key) if key in self._refused else key
            value = self._defaults[key] if value is None else value
            if name and value is not None:
                body[name] = value
        return body


class _Reader:
    """The data of events -> deltas."""

    def __init__(self) -> None:
        self.begun = False
        """Whether there was any sign of an answer."""
        self._thoughts = Thoughts()

    def read(self, data: str) -> Iterator[Delta]:
        """The deltas of one event; the last one of an answer has `finish`. Raises EngineFailed."""
        if data.strip() == DONE:
            yield Delta(self._thoughts.flush(), finish="stop")
            return
        try:
            chunk = msgspec.json.decode(data, type=_Chunk)
        except msgspec.MsgspecError as error:
            raise EngineFailed("llm", f"the server sent what is no chat completion: {error}") from error
        if chunk.error is not None:
            words, _ = error_words(msgspec.json.encode({"error": chunk.error}))
            raise EngineFailed("llm", f"the server broke off: {words or 'an error without a message'}")
        for choice in chunk.choices or []:
            piece = choice.delta or _Piece()
            text = self._thoughts.feed(piece.content or "")
            if choice.finish_reason:
                text += self._thoughts.flush()
            if text or choice.finish_reason or piece.content or piece.reasoning_content or piece.reasoning:
                self.begun = True
                yield Delta(text, finish=choice.finish_reason or None)


def _ids(body: bytes) -> list[str]:
    try:
        return [model.id for model in msgspec.json.decode(body, type=_Models).data]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []


def _hint(refusal: Refusal, model: str) -> str:
    """What to do about a refusal."""
    if refusal.status == 404:
        return f"is there a model {model!r}, and does the address end in /v1?"
    return ""
