"""Typed Python functions as tools: what a model is told of them, and the check of what it wrote."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from vivavoce.engines.base import ToolSpec
from vivavoce.tools.base import GIVEN, NAME, ToolError
from vivavoce.tools.schema import Unspeakable, object_schema
from vivavoce.tools.threads import FromThread, in_thread


class Parameter(msgspec.Struct, frozen=True):
    """One thing that the model says."""

    type: Any
    required: bool
    default: Any = None


class Tool:
    """A function that a model may call. Calling the object calls the function."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """
        description: by default the first paragraph of the docstring. timeout_s: by default the configured one.
        An async function runs on the event loop and is cancelled with its turn; any other runs in a thread, with a copy
        of the context, and goes on to its end even when nobody waits for it any more.
        Raises TypeError or ValueError, which say what is wrong with the function.
        """
        self.function = function
        name = name or str(getattr(function, "__name__", ""))
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a tool: 1 to 64 of A-Z a-z 0-9 _ - (give tool() a name)")
        if timeout_s is not None and not timeout_s > 0:
            raise ValueError(f"tool {name}: timeout_s must be above 0, not {timeout_s}")
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise TypeError(f"tool {name}: a generator cannot be a tool; return the result")
        self.timeout_s = timeout_s
        self._async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004
        )
        self._parameters, self._given = _parameters(name, function)
        self.spec = ToolSpec(
            name=name,
            description=description if description is not None else _first_paragraph(function, name),
            parameters=_schema(name, self._parameters),
        )

    @property
    def name(self) -> str:
        return self.spec.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name})"

    async def call(self, arguments: Mapping[str, Any], session: Any = None) -> Any:
        """See `AnyTool.call`. Raises ToolError for arguments that do not fit, naming all that is wrong."""
        values = self.checked(arguments)
        if self._given and session is None:
            raise ToolError("this works only in a conversation")
        if self._async:
            return await self.function(**values, **dict.fromkeys(self._given, session))
        values |= dict.fromkeys(self._given, FromThread(session, asyncio.get_running_loop()))
        result = await in_thread(contextvars.copy_context().run, functools.partial(self.function, **values))
        return await result if inspect.isawaitable(result) else result

    def checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The values for the function, of its own types. Raises ToolError."""
        values, problems = {}, []
        for name, parameter in self._parameters.items():
            if name in arguments:
                try:
                    values[name] = _converted(arguments[name], parameter.type)
                except msgspec.ValidationError as error:
                    problems.append(f"{name}: {_plain(str(error))}{self._choices(name)}")
            elif parameter.required:
                problems.append(f"{name} is missing")
        if unknown := sorted(set(arguments) - set(self._parameters)):
            known = ", ".join(self._parameters) or "none"
            problems.append(f"there is no {', '.join(unknown)[:200]} (there is: {known})")
        if problems:
            raise ToolError("wrong arguments: " + "; ".join(problems))
        return values

    def _choices(self, name: str) -> str:
        """What an argument may be, where it is one of a few."""
        choices = self.spec.parameters["properties"][name].get("enum")
        return f" (it is one of {', '.join(map(str, choices))})" if choices else ""


@typing.overload
def tool(
    function: Callable[..., Any],
    *,
    name: str | None = ...,
    description: str | None = ...,
    timeout_s: float | None = ...,
) -> Tool: ...


@typing.overload
def tool(
    *, name: str | None = ..., description: str | None = ..., timeout_s: float | None = ...
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(function: Callable[..., Any] | None = None, **how: Any) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a `Tool`: `tool(f)`, `tool(f, name="look_up")`, or as a decorator with or without arguments."""
    return Tool(function, **how) if function is not None else functools.partial(Tool, **how)


def _parameters(name: str, function: Callable[..., Any]) -> tuple[dict[str, Parameter], list[str]]:
    """What the model says, and the names of what the caller gives."""
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(_definition(function), include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        raise TypeError(
            f"tool {name}: its annotations cannot be read: {error} (is it imported only for type checkers?)"
        ) from None
    parameters, given = {}, []
    for parameter in signature.parameters.values():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD and parameter.kind is not parameter.KEYWORD_ONLY:
            raise TypeError(f"tool {name}: {parameter} cannot be given by name")
        if parameter.name not in hints:
            raise TypeError(f"tool {name}: parameter {parameter.name} has no type")
        hint = hints[parameter.name]
        if _is_given(hint):
            given.append(parameter.name)
        else:
            required = parameter.default is parameter.empty
            default = None if required else parameter.default
            parameters[parameter.name] = Parameter(_described(hint), required, default)
    return parameters, given


def _definition(function: Callable[..., Any]) -> Any:
    """Where *function* was written: behind a partial, or in the class of an object that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _is_given(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _is_given(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return any(map(_is_given, get_args(hint)))
    return isinstance(hint, type) and hint in GIVEN


def _described(hint: Any) -> Any:
    """With the text of `Annotated[str, "text"]` where msgspec looks for it."""
    if get_origin(hint) is not Annotated:
        return hint
    inner, *extras = get_args(hint)
    for extra in extras:
        if isinstance(extra, str):
            inner = Annotated[inner, msgspec.Meta(description=extra)]
        elif isinstance(extra, msgspec.Meta):
            inner = Annotated[inner, extra]
    return inner


def _schema(name: str, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    try:
        schema = object_schema({key: parameter.type for key, parameter in parameters.items()})
    except Unspeakable as error:
        raise TypeError(f"tool {name}: {error}") from None
    for key, parameter in parameters.items():
        if parameter.required:
            continue
        schema["required"].remove(key)
        try:
            schema["properties"][key]["default"] = msgspec.to_builtins(parameter.default, str_keys=True)
        except (TypeError, msgspec.MsgspecError):
            continue  # a default that JSON cannot say is still the function's
    return schema


def _first_paragraph(function: Callable[..., Any], name: str) -> str:
    text = inspect.getdoc(_definition(function)) or ""
    return " ".join(text.split("\n\n")[0].split()) or name.replace("_", " ")


def _converted(value: Any, kind: Any) -> Any:
    """*value* as *kind*; models write numbers and truth as text now and then."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return msgspec.convert(value, kind, strict=False)


def _plain(message: str) -> str:
    """msgspec's words for people: "Expected `int`, got `str` - at `$.a`" is "a: expected int, got str"."""
    found = re.fullmatch(r"(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?", message, re.DOTALL)
    what, where = (found[1], found[2]) if found else (message, None)
    what = (what[:1].lower() + what[1:]).replace("`", "").replace("null", "nothing")
    return f"{where}: {what}" if where else what
