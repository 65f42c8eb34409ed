"""What was said and heard: the memory of one conversation, shared by the connections that are in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vivavoce.engines.base import Message
from vivavoce.memory.base import ConversationStore, Turn

REMEMBERED_TURNS = 200
"""Turns of a conversation that are loaded when somebody returns to it."""


class Conversation:
    """One conversation while somebody is in it."""

    def __init__(self, id: str, owner: str, store: ConversationStore, turns: list[Turn]) -> None:
        self.id = id
        self.owner = owner
        self.floor = asyncio.Lock()
        """Held for the length of a turn: two connections on one conversation take turns."""
        self.messages: list[Message] = [message for turn in turns for message in _messages(turn)]
        self._store = store

    def remember(self, turn: Turn) -> None:
        """Take *turn* into memory; what an interrupted turn says is what was heard."""
        self.messages.extend(_messages(turn))
        del self.messages[: -2 * REMEMBERED_TURNS]

    async def store(self, turn: Turn) -> None:
        """Make *turn* durable; it is whole when this returns."""
        if turn.user or turn.assistant:
            await self._store.append(turn, self.owner)


class Conversations:
    """The conversations that somebody is in, each once."""

    def __init__(self, store: ConversationStore) -> None:
        self._store = store
        self._open: dict[tuple[str, str], tuple[Conversation, int]] = {}
        self._loading = asyncio.Lock()

    @asynccontextmanager
    async def enter(self, id: str, owner: str) -> AsyncIterator[Conversation | None]:
        """The conversation *id* of *owner*, new or gone on with; None when it is somebody else's."""
        key = (id, owner)
        async with self._loading:
            if key in self._open:
                conversation, users = self._open[key]
                self._open[key] = (conversation, users + 1)
            elif await self._store.claim(id, owner):
                turns = await self._store.load(id, owner, REMEMBERED_TURNS)
                conversation = Conversation(id, owner, self._store, list(turns))
                self._open[key] = (conversation, 1)
            else:
                conversation = None
        try:
            yield conversation
        finally:
            if conversation is not None:
                _, users = self._open[key]
                if users > 1:
                    self._open[key] = (conversation, users - 1)
                else:
                    del self._open[key]

    def forget(self, id: str, owner: str) -> None:
        """Whoever is in the conversation goes on without its past."""
        if (id, owner) in self._open:
            self._open[id, owner][0].messages.clear()


def _messages(turn: Turn) -> list[Message]:
    messages = [Message(role="user", content=turn.user)] if turn.user else []
    messages += turn.steps
    if turn.assistant:
        messages.append(Message(role="assistant", content=turn.assistant, interrupted=turn.interrupted))
    return messages
