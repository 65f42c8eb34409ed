"""An agent that carries out commands, and chats about everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec

from vivavoce.agent import Agent, Asked
from vivavoce.commands.handlers import Call, Commands
from vivavoce.commands.intents import Catalog, Intents
from vivavoce.commands.model import CHAT, Command, Entity
from vivavoce.commands.pipeline import StreamLimits, process_command
from vivavoce.engines import language_models
from vivavoce.engines.base import ChatModel, ChatRequest, Delta
from vivavoce.errors import EngineFailed, SettingsError
from vivavoce.events import CommandUnderstood
from vivavoce.settings import Settings

LIFE_S = 1.0
"""While nothing is to be shown, this often a delta without text says that there is work going on."""
PATIENCE = 0.8
"""The share of a reply's own deadlines within which the pipeline decides to fall back."""


class CommandAgent(Agent):
    """Understands commands about *entities* and has *commands* carry them out; one model's stream does it all.

        agent = CommandAgent(commands, [Entity(name="kitchen light", kind="light", area="kitchen")])

    Everything works without a model too: by sentence templates, and by the offline assistant for the rest.
    """

    def __init__(
        self,
        commands: Commands,
        entities: Iterable[Entity] = (),
        *,
        lists: Mapping[str, Sequence[str]] | None = None,
        intents_file: str | Path | None = None,
        chat: ChatModel | None = None,
        **agent: Any,
    ) -> None:
        """
        lists: values of further lists of the templates, such as `scene`. intents_file: None for the configured one.
        chat: who answers what is no command when there is no model; None for the offline assistant. agent: what every
        `Agent` takes, but tools. Raises TypeError for what cannot be meant.
        """
        if agent.get("tools"):
            raise TypeError("a CommandAgent has commands, no tools")
        super().__init__(**agent)
        self.commands = commands
        self._entities = tuple(entities)
        self._lists = dict(lists or {})
        self._file = intents_file
        self._chat = chat or language_models.offline()
        self._own: ChatModel | None = None  # the model of the command pipeline, where it has one of its own
        self._settings = Settings()
        self._catalog: Catalog | None = None

    # --- life -------------------------------------------------------------------------------------------------------

    def configure(self, settings: Settings) -> None:
        """See `Agent.configure`."""
        self._settings = settings
        self.syntheses = settings.streaming.audio_concurrency

    async def start(self) -> None:
        """Load the templates, which takes half a second, and start the models. Raises SettingsError."""
        await super().start()
        if self._catalog is None:
            await asyncio.to_thread(self.load)
        await self._chat.start()
        if self._own is None and (own := language_models.for_commands(self._settings)) is not None:
            await own.start()
            self._own = own

    async def close(self) -> None:
        """Close the models. Idempotent."""
        await super().close()
        await self._chat.close()
        own, self._own = self._own, None
        if own is not None:
            await own.close()

    @property
    def cold(self) -> bool:
        """Whether the templates are still to be loaded."""
        return self._catalog is None

    def load(self) -> Catalog:
        """The templates, loaded and warm. Raises SettingsError, a line for each problem."""
        if self._catalog is None:
            own = self._settings.commands
            catalog = Catalog(self._entities, lists=self._lists, file=self._file or own.intents_file, source=own.source)
            if problems := self.commands.problems(catalog.default):
                raise SettingsError(problems)
            catalog.warm()
            self._catalog = catalog
        return self._catalog

    # --- answers ----------------------------------------------------------------------------------------------------

    async def parse(self, text: str, *, llm: ChatModel | None = None, language: str = "en") -> Command:
        """The command in *text*, which is not carried out. Raises EngineError where nobody may decide."""
        async with process_command(
            text, llm, self._templates(), language=language, settings=self._settings.streaming,
            limits=stream_limits(self._settings), answered=self.commands.answered,
        ) as result:  # fmt: skip
            return await result.command()

    async def respond(self, asked: Asked) -> AsyncGenerator[Delta, None]:
        """Answer one turn: the response while it is written; the command is carried out once the turn is certain."""
        request = await self.before_llm(asked.session, asked.request) or asked.request
        catalog = self._templates()
        llm = self._own if self._own is not None and self.model is None else asked.llm
        finish = partial(self._finish, asked, catalog.of(request.language), request)
        async with process_command(
            asked.text, llm, catalog, request=request, settings=self._settings.streaming, finish=finish,
            limits=stream_limits(self._settings), answered=self.commands.answered, session=asked.session.id,
        ) as result:  # fmt: skip
            while True:
                try:
                    async with asyncio.timeout(LIFE_S):
                        text = await anext(result.visual)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    text = ""
                yield Delta(text)
            if result.failure is not None:
                raise result.failure
        yield Delta(finish="stop")

    async def _finish(
        self, asked: Asked, intents: Intents, request: ChatRequest, command: Command
    ) -> AsyncGenerator[str, None]:
        """Carry *command* out, and say what is to be said of it."""
        if command.intent == CHAT:
            if command.source == "fallback":
                healthy = not self._settings.streaming.enabled  # the model was not even asked
                async with aclosing((asked.llm if healthy else self._chat).stream(request)) as deltas:
                    async for delta in deltas:
                        yield delta.text
            return
        await request.host.confirmed()
        if command.problem:  # clients may act on what they are told, so they are not told of this
            yield command.response
            return
        call = Call(command=command, session=asked.session, timers=request.host.timers)
        own, done = await self.commands.carry_out(call, intents)
        answered = command.source == "fallback" or command.intent in self.commands.answered
        said = (own if own is not None and (answered or not done) else command.response) or intents.saying("done")
        asked.emit(
            CommandUnderstood(
                intent=command.intent, entities=command.entities, confidence=command.confidence,
                response=said, source=command.source,
            )
        )  # fmt: skip
        yield said

    def _templates(self) -> Catalog:
        """Raises EngineFailed where they could not be loaded."""
        try:
            return self.load()
        except SettingsError as error:
            raise EngineFailed("llm", f"the commands cannot be loaded: {error.problems[0]}") from error


def stream_limits(settings: Settings) -> StreamLimits:
    """When the templates answer instead; before the reply itself gives up."""
    own, llm = settings.commands, settings.llm
    return StreamLimits(
        first_token_s=min(own.first_token_timeout_s, PATIENCE * llm.first_token_timeout_s),
        token_s=min(own.token_timeout_s, PATIENCE * llm.token_timeout_s),
        total_s=PATIENCE * llm.timeout_s,
    )


class _Turn(Protocol):
    """What a flow's node says of its turn."""

    @property
    def llm(self) -> ChatModel: ...


class FlowCommands:
    """Understands commands for the `command` nodes of flows: those of the server's agent, or the built-in ones."""

    def __init__(self, agent: Agent, settings: Settings) -> None:
        self._agent = agent if isinstance(agent, CommandAgent) else CommandAgent(Commands())
        self._agent.configure(settings)

    async def __call__(self, text: str, turn: _Turn) -> dict[str, Any]:
        """The members of a Command. Raises EngineError."""
        if self._agent.cold:
            await asyncio.to_thread(self._agent.load)
        language = getattr(turn, "language", "en")
        command = await self._agent.parse(text, llm=turn.llm, language=language)
        found: dict[str, Any] = msgspec.to_builtins(command)
        return found
