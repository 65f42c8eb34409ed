"""What is done when a chat model cannot answer: try again, or let another one answer.

Both wrap a ChatModel and are one, and both act only while nothing of an answer was yielded: what may have been spoken
already is never said again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from random import Random

from vivavoce.core.retry import Backoff, Breaker
from vivavoce.engines.base import ChatModel, ChatRequest, Delta
from vivavoce.engines.wrapped import Wrapped
from vivavoce.errors import EngineError, EngineUnavailable

log = logging.getLogger(__name__)


class Retrying(Wrapped):
    """Asks *model* again when it failed before its first delta, and may well do better in a moment."""

    def __init__(
        self,
        model: ChatModel,
        *,
        attempts: int = 3,
        budget_s: float = 5.0,
        backoff: Backoff | None = None,
        chance: Random | None = None,
    ) -> None:
        """budget_s: no attempt begins later than this after the first, whatever the server asks for."""
        super().__init__(model)
        self._attempts = attempts
        self._budget_s = budget_s
        self._backoff = backoff or Backoff()
        self._chance = chance or Random()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the answer of the first attempt that gives one. Raises the error of the last."""
        clock = asyncio.get_running_loop().time
        began, attempt = clock(), 1
        while True:
            begun = False
            try:
                async with aclosing(self.inner.stream(request)) as deltas:
                    async for delta in deltas:
                        begun = True
                        yield delta
            except EngineError as error:
                wait_s = max(error.retry_after_s, self._backoff.wait_s(attempt, self._chance.random()))
                late = clock() - began + wait_s > self._budget_s
                if begun or not error.transient or attempt == self._attempts or late:
                    raise
                attempt += 1
                log.warning("[LLM-RETRY] attempt %d in %.1f s: %s", attempt, wait_s, error.message)
            else:
                return
            await asyncio.sleep(wait_s)


class Fallback:
    """Lets *second* answer what *first* cannot begin to, and *more* in turn what that one cannot.

    A first that does not work is left alone for a while, so that it costs no turn any time. A task of this object's own
    then looks whether it can be started again.
    """

    def __init__(
        self,
        first: ChatModel,
        second: ChatModel,
        *more: ChatModel,
        breaker: Breaker | None = None,
        patience_s: float = 9.0,
    ) -> None:
        """
        breaker: of the first; each other one that is followed by another has its own. patience_s: a caller that gives
        up after this time without any delta has found a first that does not work.
        """
        self.first = first
        self.second: ChatModel = Fallback(second, *more, patience_s=patience_s) if more else second
        self.failure: EngineError | None = None
        """Why the second answers; None while the first does."""
        self._breaker = breaker or Breaker()
        self._patience_s = patience_s
        self._opened = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def in_force(self) -> ChatModel:
        """The model that answers the next request."""
        return self.second if self._breaker.open else self.first

    @property
    def name(self) -> str:
        return self.in_force.name

    @property
    def model(self) -> str:
        return self.in_force.model

    async def start(self) -> None:
        """Start both; `failure` says whether the first could be. Raises EngineUnavailable if the second can not."""
        await self.second.start()
        try:
            await self.first.start()
        except EngineError as error:
            self._rest(error)
        except Exception as error:  # a defect of the first is no reason to do without the second
            log.exception("%s broke while it started", self.first.name)
            self._rest(EngineUnavailable("llm", f"{self.first.name} broke while it started: {error}"))
        self._watch = asyncio.create_task(self._look(), name=f"look for {self.first.name}")

    async def close(self) -> None:
        """End the task, and close both; idempotent."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self.first.close()
        await self.second.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Yield the first's answer, or the second's if the first failed before its first delta.

        Who asks for JSON has a fallback of its own: the second's words would be no answer. Raises why there is none.
        """
        if not self._breaker.open:
            clock = asyncio.get_running_loop().time
            asked, begun, failed = clock(), False, False
            try:
                async with aclosing(self.first.stream(request)) as deltas:
                    async for delta in deltas:
                        if not begun:
                            begun = True
                            self._breaker.succeeded()
                        yield delta
            except EngineError as error:
                failed = True
                if begun:
                    raise
                self._turned_down(error)
                if not self._second_may(request):
                    raise
            else:
                return
            finally:
                if not begun and not failed and clock() - asked >= self._patience_s:
                    self._failed(EngineUnavailable("llm", f"no answer within {clock() - asked:.0f} s"))
        elif not self._second_may(request):
            raise self.failure or EngineUnavailable("llm", f"{self.first.name} does not work")
        async with aclosing(self.second.stream(request)) as deltas:
            async for delta in deltas:
                yield delta

    def _second_may(self, request: ChatRequest) -> bool:
        """Whether the second can answer in the shape that is asked for."""
        return request.answer_schema is None or getattr(self.second, "answers_by_schema", True)

    def _turned_down(self, error: EngineError) -> None:
        """The first did not begin. That it refuses this one request says nothing of the next."""
        if error.transient or isinstance(error, EngineUnavailable):
            self._failed(error)
        else:
            log.warning("[LLM-FALLBACK] %s answers this time: %s", self.second.name, error.message)

    def _failed(self, error: EngineError) -> None:
        log.warning("[LLM-FALLBACK] %s answers: %s: %s", self.second.name, self.first.name, error.message)
        self._rest(error)

    def _rest(self, error: EngineError) -> None:
        self.failure = error
        self._breaker.failed(asyncio.get_running_loop().time(), rest_s=error.retry_after_s)
        self._opened.set()

    async def _look(self) -> None:
        """Whenever the first has rested, see whether it works again."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._opened.wait()
            while (due := self._breaker.trial_at) is not None:
                await asyncio.sleep(max(0.0, due - clock()))
                try:
                    await self.first.start()
                except EngineError as error:
                    self._rest(error)
                except Exception:  # the boundary of a task that must not end: a defect of an engine is logged
                    log.exception("%s could not be started", self.first.name)
                    self._breaker.failed(clock())
                else:
                    self._recovered()
            self._opened.clear()

    def _recovered(self) -> None:
        self._breaker.tried()
        self.failure = None
        log.info("[LLM-FALLBACK] %s answers again", self.first.name)
