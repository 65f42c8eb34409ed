"""A model whose every answer is written down, and a host that confirms when it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from kit import FakeModel
from vivavoce.agent import Asked
from vivavoce.engines.base import ChatRequest, Delta, Message, ToolCall, Usage
from vivavoce.events import ServerMessage
from vivavoce.tools import Toolbox
from vivavoce.tools.loop import ToolLimits, answer_with_tools
from vivavoce.tools.toolbox import specs


def call(name: str, id: str = "c1", raw: str | None = None, **arguments: Any) -> ToolCall:
    return ToolCall(id=id, name=name, arguments=json.dumps(arguments) if raw is None else raw)


class Scripted(FakeModel):
    """Gives the next of *answers* to each request: texts (words of an answer), numbers (pauses), and calls at the end.

    The last answer is given for ever.
    """

    def __init__(self, *answers: Sequence[str | float | ToolCall] | str, gap_s: float = 0.02) -> None:
        super().__init__("", gap_s=gap_s)
        self.answers = [[one] if isinstance(one, str) else list(one) for one in answers]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        self.streams += 1
        calls = tuple(piece for piece in answer if isinstance(piece, ToolCall))
        usage = Usage(prompt_tokens=10, answer_tokens=1)
        try:
            for piece in answer:
                await asyncio.sleep(piece if isinstance(piece, float) else self.gap_s)
                if isinstance(piece, str):
                    yield Delta(piece)
            yield Delta(finish="tool_calls" if calls else "stop", calls=calls, usage=usage)
        finally:
            self.streams -= 1


class Host:
    """Certain from the start, or when `certain` is set."""

    timers = None

    def __init__(self, *, certain: bool = True) -> None:
        self.certain = asyncio.Event()
        if certain:
            self.certain.set()

    async def confirmed(self) -> None:
        await self.certain.wait()


class Asking:
    """A turn outside of a session: what it says, sends and remembers."""

    def __init__(
        self,
        llm: FakeModel,
        tools: Sequence[Any] = (),
        *,
        host: Host | None = None,
        limits: ToolLimits | None = None,
        language: str = "en_US",
        filler: str | None = None,
        session: Any = None,
    ) -> None:
        self.events: list[ServerMessage] = []
        self.remembered: list[Message] = []
        self.deltas: list[tuple[float, Delta]] = []
        self.tools = Toolbox(tools).present()
        request = ChatRequest(
            messages=(Message(role="user", content="go"),),
            host=host or Host(),
            language=language,
            tools=specs(self.tools),
        )
        self.asked = Asked(
            request=request,
            llm=llm,
            session=session,
            emit=self.events.append,
            remember=self.remembered.append,
            tools=limits or ToolLimits(),
        )
        self._filler = filler

    def stream(self) -> AsyncGenerator[Delta, None]:
        return answer_with_tools(self.asked, self.tools, filler=self._filler)

    async def run(self) -> str:
        """The whole answer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async for delta in self.stream():
            self.deltas.append((loop.time() - began, delta))
        return self.text

    @property
    def text(self) -> str:
        return "".join(delta.text for _, delta in self.deltas)

    @property
    def results(self) -> list[str]:
        """What the model was told of its calls."""
        return [message.content for message in self.remembered if message.role == "tool"]


def consistent(messages: Sequence[Message]) -> bool:
    """Whether every call is followed by its result, and every result follows its call."""
    rest = list(messages)
    while rest:
        message = rest.pop(0)
        if message.role == "tool":
            return False
        for wanted in message.calls:
            if not rest or rest.pop(0).call_id != wanted.id:
                return False
    return True
