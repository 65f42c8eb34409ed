"""A turn in which the model has things done before it answers.

ask the model -> text, spoken at once -> calls? -> wait until the turn is certain -> run them -> ask again -> ... answer
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import msgspec

from vivavoce.engines.base import ChatModel, ChatRequest, Delta, Message, ToolCall
from vivavoce.events import ServerMessage
from vivavoce.tools.base import AnyTool, Successor
from vivavoce.tools.calls import Step, jobs_of

HEARTBEAT_S = 0.25
"""How often a turn that waits for a tool says that it is alive: the deadline between tokens is not meant for tools."""
FILLERS = {
    "de": "Einen Moment.",
    "en": "One moment.",
    "es": "Un momento.",
    "fr": "Un instant.",
    "it": "Un momento.",
    "nl": "Een moment.",
    "pl": "Chwileczkę.",
    "pt": "Um momento.",
}


class ToolLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and counts; each is a setting."""

    steps: int = 5
    """How often tools are run in a turn before the model must answer."""
    calls: int = 16
    """Calls in a turn."""
    timeout_s: float = 10.0
    """For one call."""
    filler_s: float = 0.7
    """After this time without a word something is said; 0: nothing is."""
    filler: str | None = None
    """What; None: by the language. Empty: nothing."""


class Question(Protocol):
    """What the loop needs of `vivavoce.agent.Asked`."""

    @property
    def request(self) -> ChatRequest: ...
    @property
    def llm(self) -> ChatModel: ...
    @property
    def session(self) -> Any: ...
    @property
    def emit(self) -> Callable[[ServerMessage], None]: ...
    @property
    def remember(self) -> Callable[[Message], None]: ...
    @property
    def tools(self) -> ToolLimits: ...
    @property
    def take_over(self) -> Callable[[Any, ToolLimits], AsyncGenerator[Delta, None]] | None: ...


class Answer:
    """What was said in a turn so far: pieces that were written apart are joined by a space."""

    def __init__(self) -> None:
        self.said = False
        """Whether there was a word."""
        self._last = ""
        self._joining = False

    def part(self) -> None:
        """What follows was written without knowing what was said."""
        self._joining = True

    def join(self, text: str) -> str:
        if not text:
            return ""
        if self._joining:
            if self._last:
                text = text.lstrip()
                if not text:
                    return ""
                text = text if self._last.isspace() else " " + text
            self._joining = False
        self._last = text[-1]
        self.said = self.said or any(map(str.isalnum, text))
        return text


async def answer_with_tools(
    asked: Question, tools: Mapping[str, AnyTool], *, filler: str | None = None
) -> AsyncGenerator[Delta, None]:
    """Answer one turn, with calls of those *tools* that the request offers.

    filler: said while a tool takes long, instead of the configured words; empty for none. What was exchanged with
    tools is remembered, each call with its result, even if the turn is cut off. Closing cancels the tools and closes
    the model's stream; engines' errors pass through. See `ChatModel.stream`.
    """
    turn = _Turn(asked, tools, asked.tools.filler if filler is None else filler)
    while True:
        async with aclosing(turn.listen()) as deltas:
            async for delta in deltas:
                yield delta
        if not turn.wanted:
            return
        async with aclosing(turn.work()) as beats:
            async for delta in beats:
                yield delta
        if turn.successor is not None:
            async with aclosing(turn.successor) as deltas:
                async for delta in deltas:
                    yield turn.joined(delta)
            return


class _Turn:
    """The state of one turn between its requests."""

    def __init__(self, asked: Question, tools: Mapping[str, AnyTool], filler: str | None) -> None:
        request = asked.request
        self.wanted: tuple[ToolCall, ...] = ()
        """What the model wants done before it goes on."""
        self.successor: AsyncGenerator[Delta, None] | None = None
        """Who goes on instead."""
        self._asked = asked
        self._limits = asked.tools
        self._offered = {spec.name for spec in request.tools}
        self._tools = {name: tool for name, tool in tools.items() if name in self._offered}
        self._messages = list(request.messages)
        self._answer = Answer()
        self._written = ""  # in this step, as the model wrote it
        self._steps = self._calls = 0
        self._ids = {call.id for message in request.messages for call in message.calls}
        self._failed: dict[tuple[str, str], str] = {}
        if filler is None:
            filler = FILLERS.get(request.language.partition("_")[0].lower(), "")
        self._filler = filler.strip() if self._limits.filler_s > 0 else ""

    def joined(self, delta: Delta) -> Delta:
        return msgspec.structs.replace(delta, text=self._answer.join(delta.text))

    async def listen(self) -> AsyncGenerator[Delta, None]:
        """Ask the model, and pass on what it says. Afterwards `wanted` says whether that was all."""
        self.wanted, self._written = (), ""
        self._answer.part()
        may = self._steps < self._limits.steps and self._calls < self._limits.calls
        request = msgspec.structs.replace(
            self._asked.request, messages=tuple(self._messages), tools=self._asked.request.tools if may else ()
        )
        async with aclosing(self._asked.llm.stream(request)) as deltas:
            async for delta in deltas:
                self._written += delta.text
                text = self._answer.join(delta.text)
                if delta.finish is None:
                    yield Delta(text, usage=delta.usage)
                    continue
                if delta.finish == "tool_calls" and request.tools and delta.calls:
                    self.wanted = delta.calls
                    yield Delta(text, usage=delta.usage)
                else:
                    finish = "stop" if delta.finish == "tool_calls" else delta.finish
                    yield Delta(text, finish=finish, usage=delta.usage)
                return

    async def work(self) -> AsyncGenerator[Delta, None]:
        """Have done what is wanted, once the turn is certain; yields signs of life, and words when it takes long."""
        step = self._begin()
        work = asyncio.create_task(self._run(step), name="tools of a turn")
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=self._pause_s(step))
                if not work.done():
                    yield Delta(self._words(step))
            work.result()
        finally:
            work.cancel()
            await asyncio.wait({work})
            for message in step.exchanged():  # what was said is remembered as it was heard, with the answer
                self._asked.remember(message)
        self._messages += step.exchanged(self._written)
        for job in step.jobs:
            if not step.outcomes[job.call.id].ok:
                self._failed[job.call.name, job.call.arguments] = step.outcomes[job.call.id].text
        if step.successor is not None:
            self.successor = self._handed_over(step.successor)

    def _handed_over(self, successor: Successor) -> AsyncGenerator[Delta, None] | None:
        """The answer of *successor*; None where it can only answer the turns to come."""
        if self._asked.take_over is None:
            self._asked.session.hand_off(successor)
            return None
        self._answer.part()
        left = msgspec.structs.replace(
            self._limits,
            steps=max(0, self._limits.steps - self._steps),  # two agents cannot pass a turn on for ever
            filler_s=0.0 if self._answer.said else self._limits.filler_s,
        )
        return self._asked.take_over(successor, left)

    def _begin(self) -> Step:
        most = 2 * self._limits.calls  # of what a model wants beyond all measure nobody needs to tell it
        jobs = jobs_of(self.wanted[:most], self._tools, self._ids)
        room = self._limits.calls - self._calls
        for at, job in enumerate(jobs):
            problem = job.problem
            if at >= room:
                problem = f"not done: there may be {self._limits.calls} calls in a turn; answer with what you know"
            elif not problem and (before := self._failed.get((job.call.name, job.call.arguments))):
                problem = f"not done again: this very call has failed ({before.removeprefix('error: ')})"
            jobs[at] = msgspec.structs.replace(job, problem=problem)
        self._steps += 1
        self._calls += len(jobs)
        asked = self._asked
        return Step(jobs, self._tools, session=asked.session, emit=asked.emit, timeout_s=self._limits.timeout_s)

    async def _run(self, step: Step) -> None:
        await self._asked.request.host.confirmed()
        await step.run()

    def _pause_s(self, step: Step) -> float:
        """Until the next sign of life."""
        if not self._may_fill() or step.began_at is None:
            return HEARTBEAT_S
        due = step.began_at + self._limits.filler_s - asyncio.get_running_loop().time()
        return min(HEARTBEAT_S, max(0.0, due))

    def _may_fill(self) -> bool:
        return bool(self._filler) and not self._answer.said

    def _words(self, step: Step) -> str:
        """The filler, when it is time for it."""
        if not self._may_fill() or step.began_at is None:
            return ""
        if asyncio.get_running_loop().time() < step.began_at + self._limits.filler_s:
            return ""
        self._answer.part()
        return self._answer.join(self._filler)
