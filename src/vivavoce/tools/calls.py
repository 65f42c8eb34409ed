"""The calls that a model wants at once: made presentable, run side by side, each within its time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from vivavoce.engines.base import Message, ToolCall
from vivavoce.events import ServerMessage, ToolDone, ToolStarted
from vivavoce.tools.base import AnyTool, Successor, ToolError, clean, error_text, result_text
from vivavoce.tools.toolbox import usable

log = logging.getLogger(__name__)

SHOWN_CHARS = 500
"""How much of a result a client is shown."""
ARGUMENTS_CHARS = 64_000
DEPTH = 32
GRACE_S = 1.0
"""A tool that was cancelled may take this long to end; then nobody waits for it any more."""


class Job(msgspec.Struct, frozen=True):
    """One call, ready to be run; or why it is not."""

    call: ToolCall
    """As it can be said back to a model: with an id of its own, a possible name, and arguments that are an object."""
    arguments: dict[str, Any]
    problem: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What came of a call."""

    ok: bool
    text: str
    successor: Successor | None = None


def jobs_of(calls: Iterable[ToolCall], known: Mapping[str, AnyTool], taken: set[str]) -> list[Job]:
    """Make what a model wrote presentable. *taken*: the ids used in this turn; those of *calls* are added."""
    jobs = []
    for call in calls:
        call_id = _fresh(call.id, taken)
        taken.add(call_id)
        name = usable(call.name) or "unnamed"
        arguments: dict[str, Any] = {}
        if call.name not in known:
            problem = f"there is no tool {clean(call.name)[:64]!r}; there are: {', '.join(known) or 'none'}"
        else:
            arguments, problem = _arguments(call.arguments)
        text = msgspec.json.encode(arguments).decode()
        jobs.append(Job(ToolCall(id=call_id, name=name, arguments=text), arguments, problem))
    return jobs


def _fresh(wanted: str, taken: set[str]) -> str:
    """*wanted* if it can be an id and is not taken, else one like it."""
    base = wanted if wanted.isascii() and wanted.isprintable() and 0 < len(wanted) <= 64 else "call"
    names = (base, *(f"{base[:50]}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _arguments(text: str) -> tuple[dict[str, Any], str]:
    """The object that *text* is, or what is wrong with it."""
    text = clean(text).strip() or "{}"
    if len(text) > ARGUMENTS_CHARS:
        return {}, f"the arguments are too long: {len(text)} characters, {ARGUMENTS_CHARS} are possible"
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return {}, f"the arguments are not valid JSON: {error}"
    if value is None:
        return {}, ""
    if not isinstance(value, dict):
        return {}, "the arguments must be a JSON object"
    if not _shallow(value, DEPTH):
        return {}, f"the arguments are nested too deeply: {DEPTH} levels are possible"
    return value, ""


def _shallow(value: object, levels: int) -> bool:
    """Whether *value* nests no deeper: what is written again and again on its way must never exhaust the stack."""
    match value:
        case dict():
            return levels > 0 and all(_shallow(one, levels - 1) for one in value.values())
        case list():
            return levels > 0 and all(_shallow(one, levels - 1) for one in value)
    return True


class Step:
    """The calls of one step while they run. `run` them in a task; whatever becomes of it, `exchanged` is consistent."""

    def __init__(
        self,
        jobs: Sequence[Job],
        tools: Mapping[str, AnyTool],
        *,
        session: Any,
        emit: Callable[[ServerMessage], None],
        timeout_s: float,
    ) -> None:
        self.jobs = jobs
        self.outcomes: dict[str, Outcome] = {}
        """By the call's id, for those that have ended."""
        self.began_at: float | None = None
        """When the first one was started, by the event loop's clock."""
        self._tools = tools
        self._session = session
        self._emit = emit
        self._timeout_s = timeout_s
        self._work: dict[str, asyncio.Task[Any]] = {}

    @property
    def successor(self) -> Successor | None:
        """Who answers from now on: the first that a call returned."""
        found = (outcome.successor for job in self.jobs if (outcome := self.outcomes.get(job.call.id)))
        return next((one for one in found if one is not None), None)

    def exchanged(self, said: str = "") -> list[Message]:
        """What goes into the conversation: the calls that have ended, behind *said*, and the result of each."""
        ended = [job.call for job in self.jobs if job.call.id in self.outcomes]
        if not ended:
            return []
        results = [Message(role="tool", content=self.outcomes[call.id].text, call_id=call.id) for call in ended]
        return [Message(role="assistant", content=said, calls=tuple(ended)), *results]

    async def run(self) -> None:
        """Run all that can be run, side by side. Cancelling cancels them; a blocking one goes on in its thread."""
        loop = asyncio.get_running_loop()
        self.began_at = loop.time()
        running = {asyncio.create_task(self._one(job), name=f"tool {job.call.name}"): job for job in self.jobs}
        try:
            await asyncio.wait(running)
        finally:
            for task in running:
                task.cancel()
            left = {task for task in running if not task.done()}
            if left:
                _, left = await asyncio.wait(left, timeout=GRACE_S + 0.1)
            for task in left:
                log.error("tool %s does not end although it was cancelled", running[task].call.name)
            self._settle()

    def _settle(self) -> None:
        """Keep what was done although nobody waited for it any more: it is done."""
        for job in self.jobs:
            work = self._work.get(job.call.id)
            if work is not None and work.done() and not work.cancelled() and job.call.id not in self.outcomes:
                self.outcomes[job.call.id] = _outcome(job.call.name, work)

    async def _one(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        began, call = loop.time(), job.call
        self._emit(ToolStarted(id=call.id, name=call.name, arguments=job.arguments))
        outcome = Outcome(False, f"error: {job.problem}") if job.problem else await self._outcome(job)
        self.outcomes[call.id] = outcome
        ms = round((loop.time() - began) * 1000, 1)
        shown = outcome.text if len(outcome.text) <= SHOWN_CHARS else outcome.text[: SHOWN_CHARS - 1] + "…"
        self._emit(ToolDone(id=call.id, name=call.name, ok=outcome.ok, result=shown, ms=ms))

    async def _outcome(self, job: Job) -> Outcome:
        """Run the tool; whatever it does, there is something to tell the model."""
        tool, name = self._tools[job.call.name], job.call.name
        limit_s = tool.timeout_s if tool.timeout_s is not None else self._timeout_s
        work = asyncio.create_task(tool.call(job.arguments, self._session), name=f"tool {name} itself")
        self._work[job.call.id] = work
        try:
            await asyncio.wait({work}, timeout=limit_s)
            in_time = work.done()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=GRACE_S)
                if not work.done():
                    log.error("tool %s goes on although it was cancelled", name)
                    work.add_done_callback(_forget)
        if in_time or _returned(work):  # one that ends its work when it is cancelled has done it
            return _outcome(name, work)
        log.warning("tool %s was not done within %g s", name, limit_s)
        return Outcome(False, f"error: it was not done within {limit_s:g} s")


def _returned(work: asyncio.Task[Any]) -> bool:
    return work.done() and not work.cancelled() and work.exception() is None


def _outcome(name: str, work: asyncio.Task[Any]) -> Outcome:
    """What a tool that has ended tells the model."""
    if work.cancelled():
        return Outcome(False, "error: it was cancelled")
    error = work.exception()
    if error is None:
        return _told(name, work.result())
    if not isinstance(error, ToolError):
        log.error("tool %s broke", name, exc_info=error)
    return Outcome(False, error_text(error))


def _told(name: str, result: object) -> Outcome:
    if isinstance(result, Successor):
        return Outcome(True, f"{clean(result.name)} answers from now on", result)
    try:
        return Outcome(True, result_text(result))
    except Exception as error:  # an object of the tool's own code that cannot be written down
        log.exception("the result of tool %s cannot be told", name)
        return Outcome(False, error_text(error))


def _forget(task: asyncio.Task[Any]) -> None:
    """Whatever it ended with, nobody asks any more."""
    if not task.cancelled():
        task.exception()
