"""What is remembered of conversations, and where."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from vivavoce.memory.base import ConversationStore
from vivavoce.memory.sqlite import SqliteStore
from vivavoce.memory.volatile import MemoryStore
from vivavoce.settings import Memory

FILE_NAME = "conversations.sqlite3"


def open_store(settings: Memory) -> ConversationStore:
    """The store that the settings ask for; `open()` is still to be awaited."""
    if not settings.persist:
        return MemoryStore()
    folder = settings.data_dir or platformdirs.user_data_dir("vivavoce", appauthor=False)
    return SqliteStore(Path(folder).expanduser() / FILE_NAME)
