"""A request as messages that servers take: instructions first, and every result of a tool behind its call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from vivavoce.engines.base import ChatRequest, Message
from vivavoce.text.notes import note

CUT_OFF = "—"
ASK_FOR_JSON = "Answer with one JSON document of this schema, and nothing before or after it:\n"


def conversation(request: ChatRequest, *, tools: bool = True, schema: bool = True) -> list[Message]:
    """The messages to send; the first is what the model is told, if anything.

    tools: whether the server takes calls of tools and their results; else they are left out. schema: whether it takes a
    schema of the answer; else it is described in words. Of an interrupted answer what was heard is sent, with a dash
    where it was cut; an answer of which nothing was heard, and which called nothing, is left out. What is remembered of
    earlier talk stands in the same message as the instructions, as data: many templates know only one such message.
    """
    told = "\n\n".join(filter(None, (request.instructions, note(request.pins, request.summary))))
    if request.answer_schema is not None and not schema:
        told = f"{told}\n\n{ASK_FOR_JSON}{msgspec.json.encode(request.answer_schema).decode()}".strip()
    first = [Message(role="system", content=told)] if told else []
    return first + [_marked(said) for said in _matched(request.messages, tools=tools)]


def _marked(said: Message) -> Message:
    """An answer that was cut off, with the sign that writers put there: a model that takes it up says nothing odd."""
    if not said.interrupted or not said.content:
        return said
    return msgspec.structs.replace(said, content=said.content.rstrip().removesuffix(CUT_OFF) + CUT_OFF)


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
