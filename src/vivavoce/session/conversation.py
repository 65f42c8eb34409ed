"""What was said and heard: the memory of one conversation, shared by the connections that are in it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice

import msgspec

from vivavoce.agent import Agent
from vivavoce.assistant.pins import noted, slot
from vivavoce.core import context
from vivavoce.engines.base import ChatModel, Message
from vivavoce.errors import ServerBusy
from vivavoce.memory.base import ConversationStore, Notes, Turn
from vivavoce.settings import Settings
from vivavoce.text.notes import MOST_PINS, PIN_CHARS, SUMMARY_CHARS, note, quotable
from vivavoce.tools.toolbox import specs

log = logging.getLogger(__name__)

REMEMBERED_TURNS = 200
"""Turns of a conversation that are loaded when somebody returns to it."""
LEAST_ROOM = 256
"""Tokens that the user's last words may always have, however long the instructions are."""
SHORT_WORDS = 40
"""Tokens of what a user usually says."""
PIN_TOKENS = 16
"""What a pin takes besides its text."""
RESULTS_SHARE = 4
"""Where there are tools, a quarter of the tokens is left to what they return in this turn."""
RESULT_TOKENS = 1_000
"""Of a tool's result in an earlier turn; what mattered in it was said."""


class Remembered(msgspec.Struct, frozen=True):
    """A turn as models are shown it."""

    key: str
    at: float
    messages: tuple[Message, ...]
    tokens: int
    """Counted once."""

    @classmethod
    def of(cls, turn: Turn) -> Remembered:
        messages = tuple(_messages(turn))
        return cls(turn.key, turn.at, messages, sum(map(size, messages)))


class Context(msgspec.Struct, frozen=True):
    """What a model is shown of a conversation."""

    messages: tuple[Message, ...]
    pins: tuple[str, ...]
    summary: str


class Conversation:
    """One conversation while somebody is in it."""

    def __init__(
        self, id: str, owner: str, store: ConversationStore, turns: Sequence[Turn], notes: Notes | None = None
    ) -> None:
        self.id = id
        self.owner = owner
        self.floor = asyncio.Lock()
        """Held for the length of a turn: two connections on one conversation take turns."""
        self.notes = notes or Notes()
        self.turns: deque[Remembered] = deque(map(Remembered.of, turns), maxlen=REMEMBERED_TURNS)
        self.summarising: asyncio.Task[None] | None = None
        """Whoever has a model summarise it at the moment; cancelled when the past is forgotten."""
        self._kept = self.notes  # as the store has them
        self._store = store

    @property
    def messages(self) -> list[Message]:
        """Everything that is remembered, oldest first."""
        return [message for turn in self.turns for message in turn.messages]

    # --- what a model is shown --------------------------------------------------------------------------------------

    def context(self, heard: str | None, room: int | None, steps: Sequence[Message] = ()) -> Context:
        """What to show of it in at most *room* tokens; all of it for None.

        heard: what is to be answered. steps: what was exchanged with tools for that already. Pins take at most a
        quarter of the room, the newest first, and the summary an eighth; then come the user's last words, which are cut
        in their middle if they are too long for the rest; then the newest whole turns that fit.
        """
        notes = self.notes
        heard = heard and sendable(heard)
        if room is None:
            own = () if heard is None else (Message(role="user", content=heard),)
            return Context((*self.messages, *own, *steps), notes.pins, notes.summary)
        room = max(room - sum(map(size, steps)), LEAST_ROOM)
        pins, summary = self._notes_within(room)
        room -= context.tokens(note(pins, summary))
        own = ()
        if heard is not None:
            own = (Message(role="user", content=context.cut(heard, room - context.PER_MESSAGE)),)
        first = self.first_shown(room - sum(map(size, own)))
        shown = (message for turn in islice(self.turns, first, None) for message in turn.messages)
        return Context((*shown, *own, *steps), pins, summary)

    def first_shown(self, room: int) -> int:
        """The first of `turns` that is shown where there are *room* tokens for them."""
        return max(self.covered, context.newest([turn.tokens for turn in self.turns], room))

    def falling_out(self, room: int) -> list[Remembered]:
        """The turns that a summary should tell of, so that the others take half of *room*; none while all fit."""
        room = max(room, LEAST_ROOM)
        room -= context.tokens(note(*self._notes_within(room))) + SHORT_WORDS
        covered = self.covered
        if self.first_shown(room) == covered:
            return []
        return list(islice(self.turns, covered, self.first_shown(room // 2)))

    @property
    def covered(self) -> int:
        """How many of `turns` the summary tells of."""
        covers = self.notes.covers
        return next((at for at, turn in enumerate(self.turns, 1) if turn.key == covers), 0) if covers else 0

    def _notes_within(self, room: int) -> tuple[tuple[str, ...], str]:
        """The pins and the summary for a request of *room* tokens."""
        pins = self.notes.pins
        newest = context.newest([context.tokens(pin) + PIN_TOKENS for pin in pins], room // 4)
        return pins[newest:], context.cut(self.notes.summary, room // 8)

    # --- what is remembered -----------------------------------------------------------------------------------------

    def remember(self, turn: Turn) -> None:
        """Take *turn* into memory; what an interrupted turn says is what was heard, and a cancelled one leaves nothing
        to be shown."""
        self.turns.append(Remembered.of(turn))
        if turn.user and not _cancelled(turn):
            self._pinned(noted(self.notes.pins, turn.user))

    def pin(self, text: str) -> None:
        """Keep *text* in sight of the model for as long as the conversation is kept.

        It is bounded and put on one line. It takes the place of what was pinned of the same; too many push out the
        oldest. It is stored with the next turn, or when the last connection leaves.
        """
        if fact := quotable(text, PIN_CHARS):
            same = slot(fact)
            self._pinned((*(each for each in self.notes.pins if slot(each) != same), fact))

    def unpin(self, text: str | None = None) -> bool:
        """Forget what was pinned as *text*, or every pin for None; whether there was any."""
        left = () if text is None else tuple(each for each in self.notes.pins if each != quotable(text, PIN_CHARS))
        was, self.notes = self.notes, msgspec.structs.replace(self.notes, pins=left)
        return left != was.pins

    def _pinned(self, pins: tuple[str, ...]) -> None:
        if pins != self.notes.pins:
            clean = tuple(quotable(pin, PIN_CHARS) for pin in pins[-MOST_PINS:])
            self.notes = msgspec.structs.replace(self.notes, pins=clean)

    async def store(self, turn: Turn) -> None:
        """Make *turn* durable, and the notes with it; it is whole when this returns."""
        if turn.user or turn.assistant:
            notes = self.notes
            await self._store.append(turn, self.owner, notes if notes != self._kept else None)
            self._kept = notes

    async def save(self) -> None:
        """Make the notes durable that were changed since the last turn."""
        notes = self.notes
        if notes == self._kept:
            return
        try:
            if await self._store.annotate(self.id, self.owner, notes):
                self._kept = notes
        except ServerBusy as busy:
            log.warning("notes of a conversation are not stored yet: %s", busy)

    def summarised(self, summary: str, told: Sequence[Remembered]) -> None:
        """*summary* tells of all that went before, and of the turns *told*, which models are no longer shown."""
        since = self.notes.since if self.notes.summary else told[0].at
        text = quotable(summary, SUMMARY_CHARS)
        self.notes = Notes(pins=self.notes.pins, summary=text, covers=told[-1].key, since=since)

    def forget(self) -> Past:
        """Go on without a past; what it was is returned, in case it cannot be deleted."""
        past = Past(tuple(self.turns), self.notes, self._kept)
        self.turns.clear()
        self.notes = self._kept = Notes()
        if self.summarising is not None:
            self.summarising.cancel()
        return past

    def take_back(self, past: Past) -> None:
        """It was not deleted: take back what was forgotten, before what was said since."""
        since = tuple(self.turns)
        self.turns.clear()
        self.turns.extend((*past.turns, *since))
        pins = (*past.notes.pins, *self.notes.pins)[-MOST_PINS:]
        self.notes, self._kept = msgspec.structs.replace(past.notes, pins=pins), past.kept


class Past(msgspec.Struct, frozen=True):
    """What a conversation held when it was to be forgotten."""

    turns: tuple[Remembered, ...]
    notes: Notes
    kept: Notes


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
                notes = await self._store.notes(id, owner)
                conversation = Conversation(id, owner, self._store, turns, notes)
                self._open[key] = (conversation, 1)
            else:
                conversation = None
        try:
            yield conversation
        finally:
            if conversation is not None:
                await self._leave(key)

    async def _leave(self, key: tuple[str, str]) -> None:
        conversation, users = self._open[key]
        try:
            if users == 1:
                await conversation.save()  # nobody else must load it before
        finally:
            conversation, users = self._open.pop(key)
            if users > 1:
                self._open[key] = (conversation, users - 1)

    async def pin(self, id: str, owner: str, pins: Sequence[str]) -> bool:
        """Remember *pins* in place of what was pinned before, which is then off the disk too.

        False if there is no such conversation. Raises ServerBusy while the store is degraded.
        """
        async with self._loading:  # nobody may load it as it was before
            live = self._open[id, owner][0] if (id, owner) in self._open else None
            notes = live.notes if live else await self._store.notes(id, owner)
            wanted = Conversation(id, owner, self._store, (), msgspec.structs.replace(notes, pins=()))
            for pin in pins:
                wanted.pin(pin)
            if live:
                live.notes = wanted.notes  # first: a turn stored meanwhile must not bring the others back
            done = False
            try:
                done = await self._store.annotate(id, owner, wanted.notes)
            finally:
                if live and not done:
                    live.notes = msgspec.structs.replace(live.notes, pins=notes.pins)
        return done

    async def delete(self, id: str, owner: str) -> bool:
        """Forget a conversation, on disk too; whoever is in it goes on without its past.

        False, and nothing is forgotten, if there is no such conversation. Raises ServerBusy while degraded.
        """
        conversation = self._open[id, owner][0] if (id, owner) in self._open else None
        past = conversation.forget() if conversation else None  # first: a turn stored meanwhile must not bring it back
        deleted = False
        try:
            deleted = await self._store.delete(id, owner)
        finally:
            if conversation and past and not deleted:
                conversation.take_back(past)
        return deleted


def room_for(settings: Settings, agent: Agent, instructions: str, llm: ChatModel) -> int | None:
    """Tokens that a conversation may take of a request to *llm*; None for all there is of it.

    What the instructions, the descriptions of tools, what they may return, and the answer take is set aside.
    """
    if llm.name == "offline":
        return None  # it has no window, and knows only what it is shown
    answer = agent.max_tokens or max(settings.llm.max_tokens, settings.openai.max_tokens)
    most = settings.memory.max_tokens
    room = most - answer - context.tokens(instructions) - context.PER_MESSAGE
    if agent.toolbox:
        tools = msgspec.json.encode(specs(agent.toolbox.present())).decode()
        room -= context.tokens(tools) + most // RESULTS_SHARE
    return room


def sendable(text: str) -> str:
    """*text* without halves of characters, which no request can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def size(message: Message) -> int:
    """At most how many tokens *message* is."""
    calls = sum(context.tokens(call.name + call.arguments) + context.PER_MESSAGE for call in message.calls)
    return context.PER_MESSAGE + context.tokens(message.content) + calls


def _cancelled(turn: Turn) -> bool:
    """Whether the turn was taken back by the user, rather than cut short."""
    return turn.outcome == "interrupted" and not turn.interrupted


def _messages(turn: Turn) -> list[Message]:
    if _cancelled(turn):
        return []
    messages = [Message(role="user", content=sendable(turn.user))] if turn.user else []
    messages += (_shortened(step) for step in turn.steps)
    if turn.assistant:
        messages.append(Message(role="assistant", content=turn.assistant, interrupted=turn.interrupted))
    return messages


def _shortened(step: Message) -> Message:
    if step.role != "tool" or len(step.content) <= RESULT_TOKENS:  # no shorter text has more tokens than may be
        return step
    return msgspec.structs.replace(step, content=context.cut(step.content, RESULT_TOKENS))
