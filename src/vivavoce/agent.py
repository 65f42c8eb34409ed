"""What people write against: an agent's words, tools and hooks.

    from vivavoce import Agent

    def opening_hours(day: str) -> str:
        "When the shop is open on a day of the week."
        return "closed" if day.lower() == "sunday" else "nine to six"

    agent = Agent(instructions="You work in a bicycle shop.", tools=[opening_hours], greeting="Hello, bicycle shop.")

`vivavoce serve shop.py` serves it, `app.mount("/voice", create_app(agent=agent))` puts it into an application of one's
own. A flow (vivavoce.flows) and a set of commands (vivavoce.commands) are agents too: whoever answers a session's turns
is an `Agent`, and the session knows nothing else about it.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager, aclosing
from typing import Any, Protocol

import msgspec

from vivavoce.engines.base import ChatModel, ChatRequest, Delta, Message, Timers
from vivavoce.events import ServerMessage
from vivavoce.settings import Settings
from vivavoce.tools.base import Successor, given_to_tools
from vivavoce.tools.loop import ToolLimits, answer_with_tools
from vivavoce.tools.toolbox import Toolbox, specs

STILL_THERE = "Are you still there?"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


class NoReply(Exception):
    """Raised by `on_user_turn`, or by whatever else answers: this turn gets no (further) answer."""


@given_to_tools
class AgentSession(Protocol):
    """What an agent sees of the session it serves: hooks and tools get it."""

    @property
    def id(self) -> str: ...

    @property
    def conversation_id(self) -> str: ...

    @property
    def language(self) -> str:
        """As in `en_US`."""

    @property
    def agent(self) -> Agent:
        """Who answers now."""

    @property
    def userdata(self) -> MutableMapping[str, Any]:
        """The agent's own notes; they last as long as the session."""

    @property
    def messages(self) -> Sequence[Message]:
        """What was said and heard so far, oldest first."""

    @property
    def pins(self) -> Sequence[str]:
        """What is to be remembered as long as the conversation is kept, oldest first."""

    def pin(self, text: str) -> None:
        """Remember *text* (a line of at most 300 characters; the newest 50 are kept), also when the turn in which it
        was said is shown no longer. What the user expressly asks to remember, in English, is pinned without this."""

    def unpin(self, text: str | None = None) -> bool:
        """Forget one pin, or all of them for None; whether there was any."""

    @property
    def timers(self) -> Timers: ...

    def say(self, text: str, *, interruptible: bool = True) -> None:
        """Say *text* as soon as the floor is free, as a turn of the agent's own. Returns at once."""

    def hand_off(self, agent: Agent) -> None:
        """From now on *agent* answers. A tool that returns an agent does the same."""

    def uninterruptible(self) -> AbstractContextManager[None]:
        """While the block lasts, nobody talks over the running answer."""

    def show(self, name: str, value: Any) -> None:
        """Let the client show *value* (anything JSON can say) as the present state of *name*."""

    def emit(self, message: ServerMessage) -> None:
        """Send a message of our wire."""


def _now(call: Callable[[], None]) -> None:
    call()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that is to be answered."""

    request: ChatRequest
    """The conversation, the instructions in force, and the host that says when effects are allowed."""
    llm: ChatModel
    session: AgentSession
    emit: Callable[[ServerMessage], None]
    """Sends a message as part of this turn: numbered with it, held back while it is only a guess."""
    remember: Callable[[Message], None]
    """Has memory keep what was exchanged with tools, between the user's words and the answer's."""
    when_certain: Callable[[Callable[[], None]], None] = _now
    """Calls a function as soon as the turn is certain, never if it is discarded; an answer need not wait for it."""
    tools: ToolLimits = ToolLimits()
    """How far a turn may go with tools."""
    take_over: Callable[[Agent, ToolLimits], AsyncGenerator[Delta, None]] | None = None
    """Hands the session to an agent, whose answer to this very turn it gives; None where there is no such turn."""

    @property
    def text(self) -> str:
        """What the user said; empty where the agent begins the turn."""
        last = self.request.messages[-1] if self.request.messages else None
        return last.content if last is not None and last.role == "user" else ""


def _check_texts(**texts: object) -> None:
    """Raises TypeError for an argument that is given and no text."""
    for argument, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{argument} must be text, not {type(text).__name__}")


class Agent(Successor):
    """Answers the turns of sessions. One object may serve many sessions: what belongs to one is in `session.userdata`.

    A hook is a method to override, or a function given to the constructor; both are called with the same arguments.
    """

    def __init__(
        self,
        instructions: str | None = None,
        *,
        name: str = "agent",
        tools: Sequence[Any] = (),
        filler: str | None = None,
        voice: str | None = None,
        language: str | None = None,
        greeting: str | None = None,
        model: ChatModel | str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        interruptible: bool = True,
        still_there_s: float | None = None,
        still_there: str = STILL_THERE,
        still_there_times: int = 1,
        client_instructions: bool = False,
        on_user_turn: Callable[[AgentSession, str], Awaitable[str | None]] | None = None,
        before_llm: Callable[[AgentSession, ChatRequest], Awaitable[ChatRequest | None]] | None = None,
        before_speech: Callable[[AgentSession, str], Awaitable[str | None]] | None = None,
        on_interrupted: Callable[[AgentSession, str], Awaitable[None]] | None = None,
    ) -> None:
        """
        instructions: None for the configured ones. tools: functions, `Tool`s, MCP servers. filler: said while a tool
        takes long; None for the configured words, empty for none. model: another chat model,
        or the name of another model of the configured server. still_there_s: seconds of silence after which the agent
        asks *still_there*, at most *still_there_times* in a row. client_instructions: whether a client's own
        `instructions` replace these.

        Raises ValueError or TypeError for what cannot be meant.
        """
        _check_texts(instructions=instructions, name=name, voice=voice, language=language, greeting=greeting)
        if language is not None and not _LANGUAGE.fullmatch(language):
            raise ValueError(f"language must be a tag such as en or fr_FR, not {language!r}")
        if still_there_s is not None and not (still_there_s > 0 and still_there.strip()):
            raise ValueError("still_there_s must be seconds above 0, and still_there must say something")
        if not (model is None or isinstance(model, str) or hasattr(model, "stream")):
            raise TypeError(f"model must be a model's name or a ChatModel, not {type(model).__name__}")
        self.instructions = instructions
        self.name = name
        self.tools = tuple(tools)
        self.toolbox = Toolbox(tools)
        self.filler = filler
        self.voice = voice
        self.language = language
        self.greeting = greeting
        self.model = model
        self.temperature = temperature
        self.max_tokens = max_tokens
        self.interruptible = interruptible
        self.still_there_s = still_there_s
        self.still_there = still_there
        self.still_there_times = still_there_times
        self.client_instructions = client_instructions
        self.syntheses: int | None = None
        """Phrases of an answer that are made at the same time; None for the configured number."""
        self._hook(
            on_user_turn=on_user_turn,
            before_llm=before_llm,
            before_speech=before_speech,
            on_interrupted=on_interrupted,
        )

    def _hook(self, **functions: Callable[..., Awaitable[Any]] | None) -> None:
        """Put the given functions in the places of the methods. Raises TypeError for a hook that is not async."""
        for hook, given in functions.items():
            if given is not None:
                setattr(self, hook, given)
            function = getattr(self, hook)
            own_call = getattr(function, "__call__", None)  # noqa: B004 - an object's own
            if not any(map(inspect.iscoroutinefunction, (inspect.unwrap(function), own_call))):
                raise TypeError(f"{hook} must be an async function")

    def hooks(self, name: str) -> bool:
        """Whether hook *name* does anything here."""
        return name in self.__dict__ or getattr(type(self), name) is not getattr(Agent, name)

    # --- life -------------------------------------------------------------------------------------------------------

    def configure(self, settings: Settings) -> None:
        """Told before `start`, and whenever it takes over a session, under which settings it works."""

    @property
    def needs_start(self) -> bool:
        """Whether there is anything to start: a model of its own, a tool with a connection, a `start` of a subclass."""
        return bool(self._parts()) or type(self).start is not Agent.start or type(self).close is not Agent.close

    async def start(self) -> None:
        """Called once by the server that serves the agent, before its first session; an agent that others hand over to
        starts at its first turn. Whoever overrides it calls this one too. Raises EngineUnavailable."""
        await asyncio.gather(*(part.start() for part in self._parts()))

    async def close(self) -> None:
        """Called at that server's end. Idempotent."""
        await asyncio.gather(*(part.close() for part in self._parts()))

    def _parts(self) -> list[Any]:
        """What lives as long as the agent."""
        own = [] if isinstance(self.model, str) else [self.model]
        return [part for part in (*own, *self.tools) if hasattr(part, "start") and hasattr(part, "close")]

    # --- hooks ------------------------------------------------------------------------------------------------------

    async def on_user_turn(self, session: AgentSession, text: str) -> str | None:  # noqa: ARG002
        """The user's turn is over. Return other words for the model to read; raise NoReply for no answer.

        Of a pre-emptive reply it is called once the turn is certain.
        """
        return None

    async def before_llm(self, session: AgentSession, request: ChatRequest) -> ChatRequest | None:  # noqa: ARG002
        """The model is about to be asked; return another request to change it. May run for a turn that is discarded."""
        return None

    async def before_speech(self, session: AgentSession, text: str) -> str | None:  # noqa: ARG002
        """A phrase is about to be spoken; return other words for the voice, or none. The shown text stays as it is.

        May run for two phrases at once, and for the first phrase of a turn that is discarded.
        """
        return None

    async def on_interrupted(self, session: AgentSession, heard: str) -> None:
        """The user cut the answer off after *heard*. The turn is closed by then; nothing waits for this."""

    # --- answers ----------------------------------------------------------------------------------------------------

    @property
    def opens(self) -> bool:
        """Whether the agent speaks first."""
        return bool(self.greeting)

    async def opening(self, asked: Asked) -> AsyncGenerator[Delta, None]:  # noqa: ARG002
        """The agent's first words in a session; called only where it `opens`."""
        yield Delta(self.greeting or "", finish="stop")

    async def respond(self, asked: Asked) -> AsyncGenerator[Delta, None]:
        """Answer one turn, as a model would: see `ChatModel.stream` for closing and errors."""
        tools = await self.toolbox.offered()
        offered = msgspec.structs.replace(asked.request, tools=specs(tools))
        request = await self.before_llm(asked.session, offered) or offered
        asked = msgspec.structs.replace(asked, request=request)
        async with aclosing(answer_with_tools(asked, tools, filler=self.filler)) as deltas:
            async for delta in deltas:
                yield delta
