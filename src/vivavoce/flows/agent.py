"""A flow as the agent of a session: what it says is the answer, what it waits for is the user's next turn."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from vivavoce.agent import Agent, Asked
from vivavoce.engines.base import Delta
from vivavoce.flows.events import FlowEvent, Token
from vivavoce.flows.executor import Advance, FlowRun, FlowState, Walk
from vivavoce.flows.model import Flow, read_file
from vivavoce.flows.node import Services, Turn
from vivavoce.flows.services import services_of
from vivavoce.settings import Settings

WORKING_S = 1.0
"""After so long without a word the session is told that the flow is at work: its nodes have deadlines of their own."""
AHEAD = 8
"""Tokens that a flow may be ahead of its session."""


class Places:
    """Where conversations stand, beyond the end of a session: a chat has a new session for every message."""

    def __init__(self, *, limit: int = 1000, idle_s: float = 900.0) -> None:
        self._limit = limit
        self._idle_s = idle_s
        self._states: OrderedDict[str, tuple[float, FlowState]] = OrderedDict()

    def find(self, conversation: str) -> FlowState | None:
        self._sweep()
        found = self._states.get(conversation)
        return found[1] if found is not None else None

    def keep(self, conversation: str, state: FlowState) -> None:
        self._states.pop(conversation, None)
        self._states[conversation] = (asyncio.get_running_loop().time(), state)
        while len(self._states) > self._limit:
            self._states.popitem(last=False)
        self._sweep()

    def forget(self, conversation: str) -> None:
        self._states.pop(conversation, None)

    def _sweep(self) -> None:
        """Forget what was not used for long; the oldest come first."""
        now = asyncio.get_running_loop().time()
        while self._states and next(iter(self._states.values()))[0] + self._idle_s < now:
            self._states.popitem(last=False)


class FlowAgent(Agent):
    """Answers the turns of sessions by a flow; where each stands is in its `session.userdata`."""

    def __init__(
        self,
        flow: Flow,
        *,
        services: Services | None = None,
        tools: Sequence[Any] = (),
        places: Places | None = None,
    ) -> None:
        """
        services: what the nodes may use; without them the server's, once it serves this agent. tools: functions that
        `tool` nodes name, in place of those of *services*. places: where the conversations of an earlier object for
        this flow stand.
        """
        super().__init__(
            name=flow.name,
            tools=tools,
            voice=flow.voice,
            language=flow.language,
            interruptible=flow.interruptible,
            still_there_s=flow.still_there_s,
        )
        self.flow = flow
        self.services = services
        self._places = places or Places()

    @classmethod
    def from_file(cls, path: Path | str, *, services: Services | None = None, tools: Sequence[Any] = ()) -> FlowAgent:
        """The agent of a flow in a YAML or JSON file. Raises BadFlow, or OSError."""
        return cls(read_file(Path(path)), services=services, tools=tools)

    def configure(self, settings: Settings) -> None:
        """See `Agent.configure`."""
        if self.services is None:
            self.services = services_of(settings, self)

    @property
    def opens(self) -> bool:
        return self.flow.opens

    def opening(self, asked: Asked) -> AsyncGenerator[Delta, None]:
        return self._answer(asked, None)

    def respond(self, asked: Asked) -> AsyncGenerator[Delta, None]:
        return self._answer(asked, asked.text)

    async def _answer(self, asked: Asked, text: str | None) -> AsyncGenerator[Delta, None]:
        """What the flow says to *text*.

        The flow moves on only if the turn becomes certain. Closing the generator interrupts it: see `Walk.interrupted`.
        """
        notes, key = asked.session.userdata, f"flow {self.flow.id}"
        conversation = asked.session.conversation_id
        known = notes.get(key) or self._places.find(conversation)
        run = FlowRun(self.flow, self._equipment(), known)
        pipe = _Pipe()
        walk = run.begin(self._turn(asked, text, pipe))
        task = asyncio.create_task(walk.run(), name=f"flow {self.flow.id}")
        task.add_done_callback(pipe.wake)
        try:
            while True:
                while pipe.tokens:
                    yield Delta(pipe.take())
                if task.done():
                    break
                if not await pipe.news(WORKING_S):
                    yield Delta()
            task.result()
        finally:
            state = await _settled(task, walk)
            if state is not None:
                asked.when_certain(partial(self._moved, notes, conversation, state))
        yield Delta(finish="stop")

    def _moved(self, notes: MutableMapping[str, Any], conversation: str, state: FlowState) -> None:
        notes[f"flow {self.flow.id}"] = state
        self._places.keep(conversation, state)

    def _equipment(self) -> Services:
        services = self.services or Services()
        if not self.tools:
            return services
        return Services(
            fetcher=services.fetcher,
            tools=self.toolbox,
            commands=services.commands,
            variables=services.variables,
            deadlines=services.deadlines,
        )

    def _turn(self, asked: Asked, text: str | None, pipe: _Pipe) -> Turn:
        request = asked.request
        history = request.messages if text is None else request.messages[:-1]
        return Turn(
            text=text,
            llm=asked.llm,
            host=request.host,
            emit=pipe.put,
            send=asked.emit,
            session_id=asked.session.id,
            language=request.language,
            instructions=request.instructions,
            history=history,
            pins=request.pins,
            summary=request.summary,
            agent_session=asked.session,
        )


async def _settled(task: asyncio.Task[Advance], walk: Walk) -> FlowState | None:
    """Where the flow stands once nobody takes its answer any more; None where it failed and has not moved."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if task.cancelled():
        return walk.interrupted()
    return walk.state if task.exception() is None else None


class _Pipe:
    """From the flow, which pushes, to the session, which pulls."""

    def __init__(self) -> None:
        self.tokens: deque[str] = deque()
        self._news = asyncio.Event()
        self._taken = asyncio.Event()

    async def put(self, event: FlowEvent) -> None:
        if not isinstance(event, Token):
            return
        self.tokens.append(event.text)
        self._news.set()
        while len(self.tokens) >= AHEAD:
            self._taken.clear()
            await self._taken.wait()

    def take(self) -> str:
        self._taken.set()
        return self.tokens.popleft()

    async def news(self, within_s: float) -> bool:
        """Wait for a token or the end; False if neither came."""
        self._news.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def wake(self, _: object) -> None:
        self._news.set()
