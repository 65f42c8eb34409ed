"""A request as messages that servers take: instructions first, and every result of a tool behind its call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from vivavoce.engines.base import ChatRequest, Message

ASK_FOR_JSON = "Answer with one JSON document of this schema, and nothing before or after it:\n"


def conversation(request: ChatRequest, *, tools: bool = True, schema: bool = True) -> list[Message]:
    """The messages to send; the first is what the model is told, if anything.

    tools: whether the server takes calls of tools and their results; else they are left out. schema: whether it takes a
    schema of the answer; else it is described in words. Of an interrupted answer what was heard is sent; an answer of
    which nothing was heard, and which called nothing, is left out.
    """
    told = request.instructions
    if request.answer_schema is not None and not schema:
        told = f"{told}\n\n{ASK_FOR_JSON}{msgspec.json.encode(request.answer_schema).decode()}".strip()
    first = [Message(role="system", content=told)] if told else []
    return first + list(_matched(request.messages, tools=tools))


def _matched(messages: Sequence[Message], *, tools: bool) -> Iterator[Message]:
    """*messages*, in which each call has its result and each result its call, as servers demand.

    What forgetting or an interruption has parted is left out.
    """
    place = 0
    while place < len(messages):
        said = messages[place]
        place += 1
        if said.role == "tool":
            continue
        if not said.calls:
            if said.content:
                yield said
            continue
        results: dict[str, Message] = {}
        while place < len(messages) and messages[place].role == "tool":
            results[messages[place].call_id] = messages[place]
            place += 1
        calls = tuple(call for call in said.calls if call.id in results) if tools else ()
        if calls or said.content:
            yield msgspec.structs.replace(said, calls=calls)
        yield from (results[call.id] for call in calls)
