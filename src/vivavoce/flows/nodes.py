"""The executors of the nodes that talk, listen and decide; `actions` has those that act on the world."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from vivavoce.assistant import dates
from vivavoce.engines.base import ChatRequest, Delta, Message
from vivavoce.errors import EngineTimeout
from vivavoce.flows.events import LLMDone
from vivavoce.flows.expressions import Expression
from vivavoce.flows.filters import FILTERS
from vivavoce.flows.node import Label, Node, Step, Variable, node
from vivavoce.flows.templates import Template, Tree

MAX_ANSWER = 20_000
"""Characters of a model's answer."""
Temperature = Annotated[float, Meta(ge=0, le=2)]


# --- talking --------------------------------------------------------------------------------------------------------


@node("say")
class Say(Node, frozen=True):
    """Says a text."""

    speaks: ClassVar[bool] = True
    text: Template

    async def run(self, step: Step) -> str | None:
        await step.say(self.text.text(step.scope))
        return None


@node("listen")
class Listen(Node, frozen=True):
    """Waits for the user's words. The flow rests here between two inputs; `heard` takes the next one."""

    waits: ClassVar[bool] = True
    into: Variable | None = None
    prompt: Template | None = None
    """Said before waiting."""
    expect: Literal["any", "number", "yes_no", "date"] = "any"
    """What the words must hold; that, and not the words, goes into the variable."""
    reprompt: Template | None = None
    """Said when they do not; without it, the prompt again."""
    tries: Annotated[int, Meta(ge=1, le=20)] = 3
    """After so many misses the edge `invalid` is followed, where there is one."""

    @property
    def optional_labels(self) -> frozenset[str]:
        return frozenset({"invalid"})

    def heard(self, text: str) -> Any:
        """What the variable gets; None for words without what is expected."""
        match self.expect:
            case "number":
                return FILTERS["first_number"].call(text)
            case "yes_no":
                return FILTERS["yes_no"].call(text)
            case "date":
                return first_date(text)
        return text

    async def run(self, step: Step) -> str | None:
        """Ask."""
        if self.prompt is not None:
            await step.say(self.prompt.text(step.scope))
        return None

    async def ask_again(self, step: Step) -> None:
        """The words did not hold what is expected."""
        words = self.reprompt or self.prompt
        await step.say("Sorry, I did not get that." if words is None else words.text(step.scope))


def first_date(text: str, today: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone()) -> str | None:
    """The first day that *text* names, as in 2027-03-01: "on friday", "the third of march", "in ten days"."""
    words = re.findall(r"[\w'-]+", text[:500].lower())[:40]
    for at in range(len(words)):
        for size in range(min(7, len(words) - at), 0, -1):
            found = dates.day(" ".join(words[at : at + size]), today().date())
            if found is not None:
                return found.date.isoformat()
    return None


@node("llm")
class LLM(Node, frozen=True):
    """Has the language model answer, token by token."""

    speaks: ClassVar[bool] = True
    system: Template | None = None
    """The instructions; without it, those of the session."""
    prompt: Template = Template("{{input}}")
    model: str | None = None
    temperature: Temperature | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    history: bool = False
    """Whether the model sees the conversation so far."""
    into: Variable | None = None
    quiet: bool = False
    """Whether the answer goes only into the variable, and is not said."""

    async def run(self, step: Step) -> str | None:
        if step.muted and self.into is None:
            return None
        prompt = self.prompt.text(step.scope)
        past = tuple(step.turn.history) if self.history else ()
        request = ChatRequest(
            messages=(*past, Message(role="user", content=prompt)),
            pins=step.turn.pins if self.history else (),
            summary=step.turn.summary if self.history else "",
            host=step.turn.host,
            instructions=step.turn.instructions if self.system is None else self.system.text(step.scope),
            language=step.turn.language,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            model=self.model,
        )
        pieces: list[str] = []
        try:
            async with aclosing(answer(request, step)) as deltas:
                async for delta in deltas:
                    pieces.append(delta.text)
                    if not self.quiet:
                        await step.say(delta.text)
        finally:  # of an interrupted answer, what there was of it
            text = "".join(pieces).strip()
            if self.into is not None:
                step.set(self.into, text)
        await step.turn.emit(LLMDone(node=self.id, text=text))
        return None


async def answer(request: ChatRequest, step: Step) -> AsyncGenerator[Delta, None]:
    """The model's answer within its deadlines. Raises EngineError."""
    limits, loop = step.services.deadlines, asyncio.get_running_loop()
    left_s, size = limits.total_s, 0
    async with aclosing(step.turn.llm.stream(request)) as deltas:
        while True:
            asked = loop.time()
            try:
                async with asyncio.timeout(min(limits.token_s if size else limits.first_token_s, left_s)):
                    delta = await anext(deltas, None)
            except TimeoutError:
                raise EngineTimeout("llm", "the language model did not answer in time") from None
            left_s = max(0.0, left_s - (loop.time() - asked))
            if delta is None:
                return
            size += len(delta.text)
            if delta.text:
                yield delta
            if delta.finish is not None or size > MAX_ANSWER:
                return


# --- deciding -------------------------------------------------------------------------------------------------------


@node("condition")
class Condition(Node, frozen=True):
    """Follows the edge `true` or the edge `false`."""

    test: Expression = msgspec.field(name="if")

    @property
    def labels(self) -> tuple[frozenset[str], bool]:
        return frozenset({"true", "false"}), False

    async def run(self, step: Step) -> str | None:
        return "true" if self.test.holds(step.scope) else "false"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An edge's label, and when it is followed."""

    label: Label
    test: Expression = msgspec.field(name="if")


@node("route")
class Route(Node, frozen=True):
    """Follows the edge of the first rule that holds; else one of `labels`, chosen by the model; else the plain edge."""

    rules: Annotated[tuple[Rule, ...], Meta(max_length=50)] = ()
    choices: Annotated[dict[Label, str], Meta(max_length=50)] = msgspec.field(name="labels", default_factory=dict)
    """Labels with what each stands for."""
    prompt: Template = Template("{{input}}")
    """What the model is to judge."""
    model: str | None = None

    def __post_init__(self) -> None:
        if not self.rules and not self.choices:
            raise ValueError("a route needs rules, or labels for the model to choose from")

    @property
    def labels(self) -> tuple[frozenset[str], bool]:
        return frozenset({rule.label for rule in self.rules} | set(self.choices)), True

    @property
    def reads(self) -> frozenset[str]:
        return frozenset(self.prompt.names if self.choices else ()).union(*(rule.test.names for rule in self.rules))

    async def run(self, step: Step) -> str | None:
        for rule in self.rules:
            if rule.test.holds(step.scope):
                return rule.label
        if not self.choices:
            return None
        text = await self._asked(step)
        said = re.sub(r"[^\w-]+", " ", text.casefold()).strip()
        found = [label for label in self.choices if re.sub(r"[^\w-]+", " ", label.casefold()).strip() == said]
        found = found or [
            label for label in self.choices if re.search(rf"(?<![\w-]){re.escape(label.casefold())}(?![\w-])", said)
        ]
        return found[0] if len(found) == 1 else None

    async def _asked(self, step: Step) -> str:
        listed = "\n".join(f"- {label}: {meaning}" for label, meaning in self.choices.items())
        request = ChatRequest(
            messages=(Message(role="user", content=self.prompt.text(step.scope)),),
            host=step.turn.host,
            instructions=f"Decide which label fits what the user says. Answer with the label alone.\n{listed}",
            language=step.turn.language,
            temperature=0.0,
            max_tokens=20,
            model=self.model,
        )
        async with aclosing(answer(request, step)) as deltas:
            return "".join([delta.text async for delta in deltas])


@node("set")
class Set(Node, frozen=True):
    """Sets variables, in the order they are written."""

    values: dict[Variable, Tree]

    @property
    def sets(self) -> Mapping[str, frozenset[str]]:
        return {name: tree.names for name, tree in self.values.items()}

    @property
    def reads(self) -> frozenset[str]:
        return frozenset[str]().union(*(tree.names for tree in self.values.values()))

    async def run(self, step: Step) -> str | None:
        for name, tree in self.values.items():
            step.set(name, tree.value(step.scope))
        return None


@node("end")
class End(Node, frozen=True):
    """The flow is over; what the user says next begins it anew."""

    ends: ClassVar[bool] = True

    async def run(self, step: Step) -> str | None:  # noqa: ARG002
        return None
