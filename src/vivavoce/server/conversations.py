"""`/api/conversations` and `/api/token`: what is remembered, and the way in for browsers."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vivavoce.engines.base import Message
from vivavoce.errors import ClientError, ServerBusy
from vivavoce.events import Outcome
from vivavoce.memory.base import ConversationStore, Summary, is_conversation_id, one_line
from vivavoce.server.answers import json_answer
from vivavoce.server.auth import PAGE_TOKEN_LIFETIME_S, TOKEN_LIFETIME_S, Access
from vivavoce.server.state import ServerState
from vivavoce.text.notes import MOST_PINS, PIN_CHARS

LISTED = 50
LISTED_AT_MOST = 200
TURNS_AT_MOST = 1000


class ConversationPage(msgspec.Struct, frozen=True):
    """Conversations, latest first."""

    conversations: list[Summary]
    next: str | None
    """What `before` is to be for the next page; null if this is the last."""


class RememberedTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn: what was said, and what was heard of the answer."""

    turn_id: int
    user: str | None
    """null when the agent began the turn."""
    assistant: str
    interrupted: bool
    outcome: Outcome
    at: float
    """Unix seconds."""
    language: str
    steps: tuple[Message, ...] = ()
    """What was exchanged with tools before the answer; left out where there was nothing."""


class RememberedConversation(msgspec.Struct, frozen=True):
    """A conversation with its latest turns, oldest first."""

    id: str
    title: str
    updated: float
    turns: list[RememberedTurn]
    pins: tuple[str, ...] = ()
    """What the user asked to be remembered, oldest first."""
    summary: str = ""
    """What was said before the turns that a model is still shown, as a model has put it (`memory.summary`)."""


class ConversationChange(msgspec.Struct, frozen=True):
    """What to change of a conversation; at least one of both."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    """What to call it."""
    pins: (
        Annotated[
            list[Annotated[str, msgspec.Meta(min_length=1, max_length=PIN_CHARS)]], msgspec.Meta(max_length=MOST_PINS)
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    """All that is to be remembered, in place of what was; none: forget every pin, on disk too."""


class ClientToken(msgspec.Struct, frozen=True):
    """What a browser uses instead of the key."""

    token: str
    """For one WebSocket: as `?token=`, or as the subprotocol `token.…` offered beside `vivavoce`."""
    expires_in: float
    """Seconds in which it must be used."""
    page_token: str | None
    """In place of the key in `Authorization` for further requests; null if the request itself came with one."""
    page_expires_in: float


async def list_conversations(request: Request) -> Response:
    """The caller's conversations."""
    limit = _limit(request, LISTED, LISTED_AT_MOST)
    before = parse_before(text) if (text := request.query_params.get("before")) else None
    found = await _store(request).conversations(_owner(request), limit + 1, before)
    page = found[:limit]
    more = f"{page[-1].updated!r},{page[-1].id}" if len(found) > limit else None
    return json_answer(ConversationPage(page, more))


async def one_conversation(request: Request) -> Response:
    """One route for all its methods: a wrong one is then told which are right."""
    match request.method:
        case "PATCH":
            return await change(request)
        case "DELETE":
            return await delete(request)
        case _:
            return await show(request)


async def show(request: Request) -> Response:
    """The remembered turns of one conversation."""
    conversation_id, owner, store = _id(request), _owner(request), _store(request)
    limit = _limit(request, TURNS_AT_MOST, TURNS_AT_MOST)
    summary = await store.summary(conversation_id, owner)
    if summary is None:
        raise _missing(store)
    turns = [
        msgspec.convert(turn, RememberedTurn, from_attributes=True)
        for turn in await store.load(conversation_id, owner, limit)
    ]
    notes = await store.notes(conversation_id, owner)
    return json_answer(
        RememberedConversation(summary.id, summary.title, summary.updated, turns, notes.pins, notes.summary)
    )


async def change(request: Request) -> Response:
    """Give a conversation another title, or other pins."""
    conversation_id, owner, store = _id(request), _owner(request), _store(request)
    try:
        wanted = msgspec.json.decode(await request.body(), type=ConversationChange)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ClientError("BAD_MESSAGE", str(error), hint='Send {"title": "…"}, 1 to 200 characters.') from error
    if wanted.title is msgspec.UNSET and wanted.pins is msgspec.UNSET:
        raise ClientError("BAD_MESSAGE", "There is neither a title nor pins.", hint='Send {"title": "…"}.')
    if wanted.title is not msgspec.UNSET:
        title = one_line(wanted.title)
        if not title:
            raise ClientError("BAD_MESSAGE", "A title has at least one letter.")
        if not await store.rename(conversation_id, owner, title):
            raise _missing(store)
    if wanted.pins is not msgspec.UNSET:
        state: ServerState = request.app.state.server
        if not await state.conversations.pin(conversation_id, owner, wanted.pins):
            raise _missing(store)
    summary = await store.summary(conversation_id, owner)
    if summary is None:  # deleted in between
        raise _missing(store)
    return json_answer(summary)


async def delete(request: Request) -> Response:
    """Forget a conversation, on disk too."""
    store, conversation_id, owner = _store(request), _id(request), _owner(request)
    state: ServerState = request.app.state.server
    if not await state.conversations.delete(conversation_id, owner):
        raise _missing(store)
    state.flows.forget_conversation(conversation_id)
    return Response(status_code=204)


async def token(request: Request) -> Response:
    """A short-lived token for a browser's WebSocket."""
    access: Access = request.scope["state"]["access"]
    for_socket, for_page = access.issue(request.scope["state"]["credential"])
    return json_answer(ClientToken(for_socket, TOKEN_LIFETIME_S, for_page, PAGE_TOKEN_LIFETIME_S))


def routes() -> list[Route]:
    return [
        Route("/api/conversations", list_conversations),
        Route("/api/conversations/{conversation_id}", one_conversation, methods=["GET", "PATCH", "DELETE"]),
        Route("/api/token", token, methods=["POST"]),
    ]


def parse_before(text: str) -> tuple[float, str]:
    """`before` as (time, id): a page's `next`, or just a time, in Unix seconds or as ISO 8601 (UTC unless it says)."""
    time, _, conversation_id = text.partition(",")
    if conversation_id and not is_conversation_id(conversation_id):
        raise _bad_before(text)
    try:
        moment = float(time)
    except ValueError:
        try:
            parsed = datetime.fromisoformat(
                time.replace(" ", "+") if "T" in time else time
            )  # a '+' in a URL is a space
        except ValueError:
            raise _bad_before(text) from None
        moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(moment):
        raise _bad_before(text)
    return moment, conversation_id


def _bad_before(text: str) -> ClientError:
    return ClientError("BAD_REQUEST", f"before={text[:80]!r} is no time.", hint="Send the `next` of the page before.")


def _limit(request: Request, default: int, most: int) -> int:
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise ClientError("BAD_REQUEST", f"limit is a whole number from 1 to {most}.")
    return int(text)


def _id(request: Request) -> str:
    conversation_id: str = request.path_params["conversation_id"]
    if not is_conversation_id(conversation_id):
        raise ClientError("BAD_REQUEST", "A conversation id is 1 to 128 characters of A-Z a-z 0-9 . _ -")
    return conversation_id


def _owner(request: Request) -> str:
    owner: str = request.scope["state"]["owner"]
    return owner


def _store(request: Request) -> ConversationStore:
    store: ConversationStore = request.app.state.server.store
    return store


def _missing(store: ConversationStore) -> ClientError | ServerBusy:
    """Not found; or, while the store cannot be read, not known."""
    if store.degraded:
        return ServerBusy("OVERLOADED", f"The conversation store: {store.degraded}.", retry_after_s=5.0)
    return ClientError("NOT_FOUND", "There is no such conversation.")
