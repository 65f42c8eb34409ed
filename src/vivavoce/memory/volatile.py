"""The store that keeps nothing on disk (`VIVAVOCE_MEMORY__PERSIST=false`)."""

from __future__ import annotations

from itertools import islice

import msgspec

from vivavoce.errors import ClientError
from vivavoce.memory.base import Notes, Summary, Turn, checked, checked_notes, title_of


class _Conversation(msgspec.Struct):
    owner: str
    title: str = ""
    updated: float = 0.0
    turns: dict[str, Turn] = {}
    notes: Notes = Notes()

    def summary(self, conversation_id: str) -> Summary:
        return Summary(id=conversation_id, title=self.title, updated=self.updated, turns=len(self.turns))


class MemoryStore:
    """A ConversationStore in this process only. The conversations longest unused go first when there are too many."""

    def __init__(self, *, max_conversations: int = 10_000, max_turns: int = 1_000) -> None:
        """max_turns: of one conversation; the oldest are forgotten."""
        self._max_conversations = max_conversations
        self._max_turns = max_turns
        self._conversations: dict[str, _Conversation] = {}
        """Least recently used first."""

    @property
    def degraded(self) -> str | None:
        return None

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        self._conversations.clear()

    async def claim(self, conversation_id: str, owner: str) -> bool:
        known = self._conversations.pop(conversation_id, None) or _Conversation(owner)
        self._conversations[conversation_id] = known
        while len(self._conversations) > self._max_conversations:
            del self._conversations[next(iter(self._conversations))]
        return known.owner == owner

    async def load(self, conversation_id: str, owner: str, limit: int) -> list[Turn]:
        found = self._find(conversation_id, owner)
        return list(islice(reversed(found.turns.values()), limit))[::-1] if found else []

    async def append(self, turn: Turn, owner: str, notes: Notes | None = None) -> None:
        turn = checked(turn)
        notes = checked_notes(notes) if notes else None
        if not await self.claim(turn.conversation_id, owner):
            raise ClientError("NOT_FOUND", "There is no such conversation.")
        conversation = self._conversations[turn.conversation_id]
        conversation.title = conversation.title or title_of(turn.user)
        conversation.updated = turn.at
        conversation.turns[turn.key] = turn
        while len(conversation.turns) > self._max_turns:
            del conversation.turns[next(iter(conversation.turns))]
        conversation.notes = notes or conversation.notes

    async def notes(self, conversation_id: str, owner: str) -> Notes:
        found = self._find(conversation_id, owner)
        return found.notes if found else Notes()

    async def annotate(self, conversation_id: str, owner: str, notes: Notes) -> bool:
        notes = checked_notes(notes)
        found = self._find(conversation_id, owner)
        if found is None or not found.turns:
            return False
        found.notes = notes
        return True

    async def summary(self, conversation_id: str, owner: str) -> Summary | None:
        found = self._find(conversation_id, owner)
        return found.summary(conversation_id) if found and found.turns else None

    async def conversations(self, owner: str, limit: int, before: tuple[float, str] | None = None) -> list[Summary]:
        mine = (
            found.summary(id_) for id_, found in self._conversations.items() if found.owner == owner and found.turns
        )
        older = (entry for entry in mine if before is None or (entry.updated, entry.id) < before)
        return sorted(older, key=lambda entry: (entry.updated, entry.id), reverse=True)[:limit]

    async def rename(self, conversation_id: str, owner: str, title: str) -> bool:
        found = self._find(conversation_id, owner)
        if found is None or not found.turns:
            return False
        found.title = title
        return True

    async def delete(self, conversation_id: str, owner: str) -> bool:
        found = self._find(conversation_id, owner)
        if found is None or not found.turns:
            return False
        del self._conversations[conversation_id]
        return True

    async def purge(self, older_than: float) -> int:
        purged = 0
        for conversation_id, found in list(self._conversations.items()):
            kept = {key: turn for key, turn in found.turns.items() if turn.at >= older_than}
            purged += len(found.turns) - len(kept)
            if not kept:
                del self._conversations[conversation_id]
            found.turns = kept
            if found.notes.summary and found.notes.since < older_than:
                found.notes = Notes(pins=found.notes.pins)
        return purged

    def _find(self, conversation_id: str, owner: str) -> _Conversation | None:
        found = self._conversations.get(conversation_id)
        return found if found is not None and found.owner == owner else None
