"""What is remembered of conversations, and where."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from vivavoce.memory.base import ConversationStore
from vivavoce.memory.sqlite import SqliteStore
from vivavoce.memory.volatile import MemoryStore

FILE_NAME = "conversations.sqlite3"


def conversation_store(*, persist: bool, data_dir: str | None) -> ConversationStore:
    """The store that the settings ask for, not yet open. data_dir: None for the user's own data folder."""
    if not persist:
        return MemoryStore()
    folder = Path(data_dir).expanduser() if data_dir else Path(platformdirs.user_data_dir("vivavoce", appauthor=False))
    return SqliteStore(folder / FILE_NAME)
