"""Functions that carry commands out, by intent."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, get_type_hints

import msgspec

from vivavoce.agent import AgentSession
from vivavoce.commands.intents import Intents
from vivavoce.commands.model import Command, one_line
from vivavoce.engines.base import Timers

log = logging.getLogger(__name__)

HANDLER_S = 10.0
"""How long one may take."""

Function = TypeVar("Function", bound=Callable[..., Any])


class CannotDo(Exception):
    """Raised by a handler: the command is not carried out, and the message is said."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is to be carried out, for handlers that have a parameter of this type."""

    command: Command
    session: AgentSession | None = None
    """None where nobody is in a session."""
    timers: Timers | None = None


class _Handler(msgspec.Struct, frozen=True):
    function: Callable[..., Any]
    slots: Any
    """A struct with the handler's parameters, to check entities against."""
    call: str
    """The parameter that takes the Call; empty for none."""
    answers: bool

    async def run(self, call: Call) -> str | None:
        """Raises msgspec.ValidationError for entities that the function does not take, and what it raises."""
        entities = msgspec.convert(call.command.entities, self.slots, strict=False)
        given = {name: getattr(entities, name) for name in call.command.entities}
        if self.call:
            given[self.call] = call
        found: Awaitable[str | None] | str | None = self.function(**given)
        if inspect.isawaitable(found):
            async with asyncio.timeout(HANDLER_S):
                found = await found
        return None if found is None else str(found)


class Commands:
    """A set of handlers.

        commands = Commands()

        @commands.on("HassTurnOn")
        def turn_on(name: str | None = None, area: str | None = None, domain: str | None = None) -> str | None:
            ...

    A handler takes the entities of its intent as keyword parameters, typed, and perhaps a `Call`. It may be async; a
    plain function must not block. What it returns is said where nothing was said yet; None has the usual words said.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, _Handler] = {}

    def on(self, *intents: str, answers: bool = False) -> Callable[[Function], Function]:
        """Carry out *intents* with the decorated function.

        answers: whether only it knows what is to be said, as of a question; a model's own answer is then not said.
        Raises ValueError for an intent that has a handler, TypeError for a function with other than named parameters.
        """

        def register(function: Function) -> Function:
            handler = _handler(function, answers=answers)
            for intent in intents:
                if intent in self._handlers:
                    raise ValueError(f"{intent} has a handler already: {self._handlers[intent].function.__name__}")
                self._handlers[intent] = handler
            return function

        return register

    @property
    def intents(self) -> frozenset[str]:
        """Those that have a handler."""
        return frozenset(self._handlers)

    @property
    def answered(self) -> frozenset[str]:
        """Those whose handler has the answer."""
        return frozenset(name for name, handler in self._handlers.items() if handler.answers)

    def problems(self, intents: Intents) -> list[str]:
        """What of the handlers does not fit *intents*, a line each."""
        found, offered = [], dict[int, set[str]]()
        for name, handler in self._handlers.items():
            offered.setdefault(id(handler), set()).update(intents.slots.get(name, ()))
        for name, handler in self._handlers.items():
            where = f"handler {handler.function.__name__} of {name}"
            if name not in intents.slots:
                found.append(f"{where}: there is no such intent")
                continue
            unknown = set(handler.slots.__struct_fields__) - offered[id(handler)]
            needed = {field.name for field in msgspec.structs.fields(handler.slots) if field.required}
            if more := sorted(unknown | needed - intents.slots[name].keys()):
                found.append(f"{where}: the intent has no slot {', '.join(more)}")
        return found

    async def carry_out(self, call: Call, intents: Intents) -> tuple[str | None, bool]:
        """(what is to be said, whether it was done). Whatever the handler does, this returns, but when cancelled."""
        command = call.command
        handler = self._handlers.get(command.intent)
        if handler is None:
            return intents.saying("unsupported"), False
        try:
            return await handler.run(call), True
        except CannotDo as refusal:
            return str(refusal) or intents.saying("failed"), False
        except msgspec.ValidationError as error:
            log.warning("[COMMAND] %s: %s", command.intent, one_line(error))
            return intents.saying("incomplete"), False
        except TimeoutError:
            log.warning("[COMMAND] %s was not done within %g s", command.intent, HANDLER_S)
            return intents.saying("failed"), False
        except Exception:  # the application's code: the user is told, the session lives on
            log.exception("[COMMAND] the handler of %s broke", command.intent)
            return intents.saying("failed"), False


def _handler(function: Callable[..., Any], *, answers: bool) -> _Handler:
    name = getattr(function, "__name__", type(function).__name__)
    hints = get_type_hints(function)
    fields: list[Any] = []
    call = ""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{name}: parameter {parameter.name} must be a plain, named one")
        kind = hints.get(parameter.name, Any)
        if kind is Call:
            call = parameter.name
        elif parameter.default is parameter.empty:
            fields.append((parameter.name, kind))
        else:
            fields.append((parameter.name, kind, parameter.default))
    slots = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)
    return _Handler(function, slots, call, answers)
