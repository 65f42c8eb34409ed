"""A session as its agent sees it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from vivavoce.agent import Agent
from vivavoce.core import moves
from vivavoce.engines.base import Message, Timers
from vivavoce.events import Event, ServerMessage, State
from vivavoce.session.conversation import Conversation
from vivavoce.session.options import Options
from vivavoce.session.timers import SessionTimers


class Stage(Protocol):
    """What the view needs of the session."""

    id: str
    agent: Agent
    options: Options
    conversation: Conversation
    timers: SessionTimers

    @property
    def reply(self) -> int | None:
        """Number of the running answer."""

    def emit(self, event: Event) -> None: ...

    def handle(self, event: moves.Event) -> None: ...

    def say(self, text: str, *, interruptible: bool = True) -> None: ...

    def follow(self, agent: Agent) -> None: ...


class AgentView:
    """`vivavoce.agent.AgentSession` on top of a session."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.userdata: MutableMapping[str, Any] = {}

    @property
    def id(self) -> str:
        return self._stage.id

    @property
    def conversation_id(self) -> str:
        return self._stage.conversation.id

    @property
    def language(self) -> str:
        return self._stage.options.language

    @property
    def agent(self) -> Agent:
        return self._stage.agent

    @property
    def messages(self) -> Sequence[Message]:
        return tuple(self._stage.conversation.messages)

    @property
    def pins(self) -> Sequence[str]:
        return self._stage.conversation.notes.pins

    def pin(self, text: str) -> None:
        self._stage.conversation.pin(text)

    def unpin(self, text: str | None = None) -> bool:
        return self._stage.conversation.unpin(text)

    @property
    def timers(self) -> Timers:
        return self._stage.timers

    def say(self, text: str, *, interruptible: bool = True) -> None:
        self._stage.say(text, interruptible=interruptible)

    def hand_off(self, agent: Agent) -> None:
        self._stage.follow(agent)

    @contextmanager
    def uninterruptible(self) -> Iterator[None]:
        number = self._stage.reply
        if number is None:
            yield
            return
        self._stage.handle(moves.Shielded(number, on=True))
        try:
            yield
        finally:
            self._stage.handle(moves.Shielded(number, on=False))

    def show(self, name: str, value: Any) -> None:
        # As it is now: the agent may go on changing the object, and what JSON cannot say is refused to its face.
        self._stage.emit(State(name=name, value=msgspec.json.decode(msgspec.json.encode(value))))

    def emit(self, message: ServerMessage) -> None:
        msgspec.json.encode(message)  # the same
        self._stage.emit(message)
