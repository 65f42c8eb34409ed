r"""The streaming command pipeline: one answer of a model is read once, and everybody gets their part of it.

    model --Delta--> JSON --response--> visual tokens (gathered for at most 50 ms)
                      |             \-> PhraseBuffer --> audio phrases
                      \--intent, entities--> checked --> Command

    async with process_command("turn on the kitchen light", model, catalog) as result:
        async for text in result.visual:
            print(text, end="")
        command = await result.command()

When the model cannot be asked, breaks off, stalls, or wants what cannot be meant, the sentence templates decide.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager

import msgspec

from vivavoce.commands.answer import Reading, continued
from vivavoce.commands.intents import Catalog, Intents
from vivavoce.commands.model import CHAT, Command, NotValid, Timings, one_line
from vivavoce.commands.prompt import answer_schema, instructions
from vivavoce.commands.streams import Stream
from vivavoce.engines.base import ChatModel, ChatRequest, Delta, Message, Timers
from vivavoce.errors import EngineError, EngineFailed, EngineTimeout, EngineUnavailable
from vivavoce.settings import Streaming
from vivavoce.text.phrases import PhraseBuffer

log = logging.getLogger(__name__)

SWITCHED_OFF = "switched off"
NO_MODEL = "no language model"
EXPECTED = frozenset({SWITCHED_OFF, NO_MODEL})
"""Reasons that are as somebody wanted it, and no news."""
WAITING = 64
"""Items that a reader may be behind."""
MOST_TEXT = 4000
"""Characters of what was said that a model is shown."""
_UNFINISHED_WORD = re.compile(r"[0-9A-Za-z\u00c0-\u024f'’]{1,32}\Z")


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Past these the templates answer instead."""

    first_token_s: float = 4.0
    token_s: float = 2.5
    total_s: float = 20.0
    max_characters: int = 8000


class CommandCancelled(Exception):
    """`cancel` was called, or the block was left, before the command was known."""


Finish = Callable[[Command], AsyncGenerator[str, None]]
"""What is done with a command once it is known; yields what is to be said about it. What was said is not said again."""


async def say_response(command: Command) -> AsyncGenerator[str, None]:
    """Do nothing, and say the command's own response."""
    yield command.response


class Alone:
    """The host of a command that belongs to no session."""

    timers: Timers | None = None

    async def confirmed(self) -> None:
        """It is."""


class StreamingCommand:
    """What becomes of one sentence. Its parts may be read at the same time, later, or not at all."""

    def __init__(
        self, text: str, intents: Intents, settings: Streaming, limits: StreamLimits, answered: frozenset[str]
    ) -> None:
        self.tokens: Stream[str] = Stream(WAITING)
        """What the model writes, as it comes."""
        self.visual: Stream[str] = Stream(WAITING)
        """The response for the screen; joined it is what is said."""
        self.phrases: Stream[str] = Stream(WAITING)
        """The response for the voice."""
        self.errors: list[EngineError] = []
        """What went wrong with the model."""
        self.failure: EngineError | None = None
        """Why there is no answer at all, if there is none."""
        self.timings = Timings()
        self.said = ""
        """The response as far as it was given out."""
        self._text = text
        self._intents = intents
        self._settings = settings
        self._limits = limits
        self._reading = Reading(intents, answered)
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._began = loop.time()
        self._first_at = self._last_at = 0.0
        self._characters = 0
        self._problem: NotValid | None = None
        self._known: asyncio.Future[Command] = loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._word = ""  # the unfinished last word: half of one is never said
        self._unseen = ""
        self._seen_at = -math.inf
        self._phraser = PhraseBuffer(
            max_tokens_per_phrase=settings.max_tokens_per_phrase, max_buffer_time=settings.max_buffer_time
        )
        self._seeing: asyncio.TimerHandle | None = None
        self._late: asyncio.TimerHandle | None = None

    # --- for consumers ----------------------------------------------------------------------------------------------

    async def command(self) -> Command:
        """The command, as soon as it is known; from now on nobody's slow reading delays it.

        Raises EngineError where neither the model nor the templates answer, CommandCancelled after `cancel`.
        """
        for stream in (self.tokens, self.visual, self.phrases):
            stream.hurry()
        return await asyncio.shield(self._known)

    @property
    def known(self) -> bool:
        """Whether there is a command."""
        return self._known.done() and self._known.exception() is None

    def cancel(self) -> None:
        """Stop at once: the model's stream is closed, nothing more comes. Idempotent."""
        if self._task is not None:
            self._task.cancel()

    # --- the one reader ---------------------------------------------------------------------------------------------

    def start(self, model: ChatModel | None, request: ChatRequest, finish: Finish) -> asyncio.Task[None]:
        """Begin, in a task that `process_command` owns."""
        self._task = asyncio.create_task(self._run(model, request, finish), name="command")
        self._task.add_done_callback(self._ended)
        return self._task

    async def _run(self, model: ChatModel | None, request: ChatRequest, finish: Finish) -> None:
        """Read the answer to its end, and fall back where it is none."""
        try:
            reason = await self._read(model, request)
            self._word = self._word if not reason else ""
            command = self._fallen_back(reason) if reason else self._streamed()
            self._mark("command_ms")
            self._known.set_result(command)
            await self._finish(command, finish)
        except EngineError as error:
            self.failure = error
            self.errors += [error] if error not in self.errors else []

    def _ended(self, _task: asyncio.Task[None]) -> None:
        """Nothing more comes, whether the task ran to its end or never began."""
        if not self._known.done():
            self._known.set_exception(self.failure or CommandCancelled())
            self._known.exception()  # nobody has to ask for it
        for timer in (self._seeing, self._late):
            if timer is not None:
                timer.cancel()
        for stream in (self.tokens, self.visual, self.phrases):
            stream.close()

    async def _read(self, model: ChatModel | None, request: ChatRequest) -> str:
        """Model -> tokens, response, command. Returns why that is no answer, else nothing."""
        if not self._settings.enabled:
            return SWITCHED_OFF
        if model is None or model.name == "offline":
            return NO_MODEL
        loop, finish = asyncio.get_running_loop(), None
        left_s, asked = self._limits.total_s, self._clock()
        try:
            async with aclosing(model.stream(request)) as deltas, asyncio.timeout(self._limits.first_token_s) as limit:
                async for delta in deltas:
                    limit.reschedule(None)  # what follows waits for readers
                    left_s -= self._clock() - asked
                    self._take(delta)
                    finish = delta.finish
                    if finish is not None:
                        break
                    await self._room()
                    asked = self._clock()
                    limit.reschedule(loop.time() + min(self._limits.token_s, max(0.0, left_s)))
            self._show(self._reading.end(finish))
        except NotValid as problem:
            self._problem = problem
            return problem.problem
        except TimeoutError:
            self.errors.append(EngineTimeout("llm", "the language model did not answer in time"))
            return "no token in time" if self.timings.tokens == 0 else "the answer stalled"
        except EngineError as error:
            self.errors.append(error)
            return f"{error.code}: {one_line(error.message)}"
        return ""

    def _take(self, delta: Delta) -> None:
        """One delta. Raises NotValid as soon as the answer is none."""
        if not delta.text:
            return
        self._last_at = self._clock()
        if not self.timings.tokens:
            self._first_at = self._last_at
            self._mark("first_token_ms")
        self.timings.tokens += 1
        self._characters += len(delta.text)
        if self._characters > self._limits.max_characters:
            raise NotValid("the answer is too long")
        self.tokens.put(delta.text)
        self._show(self._reading.feed(delta.text))

    async def _room(self) -> None:
        for stream in (self.tokens, self.visual, self.phrases):
            await stream.room()

    # --- what it comes to -------------------------------------------------------------------------------------------

    def _streamed(self) -> Command:
        reading = self._reading
        intent, entities = reading.intent or CHAT, reading.entities or {}
        said = (self.said + self._word).strip()
        response = said or ("" if intent == CHAT or reading.silent else self._intents.response(intent, entities))
        return Command(
            intent=intent, entities=entities, confidence=reading.confidence, response=response, source="stream",
            text=self._text,
        )  # fmt: skip

    def _fallen_back(self, reason: str) -> Command:
        """What the templates make of it. Raises EngineError where they are not to be asked."""
        self.timings.fallback, self.timings.reason = True, reason
        if not self._settings.fallback_enabled and reason != SWITCHED_OFF:
            if self.errors:
                raise self.errors[-1]
            if reason == NO_MODEL:
                raise EngineUnavailable("llm", "there is no language model, and no fallback to templates")
            raise EngineFailed("llm", f"the language model's answer is no command: {reason}")
        match, problem = self._intents.match(self._text), self._problem
        if match is not None:
            return Command(
                intent=match.intent, entities=match.entities, confidence=match.confidence, response=match.response,
                problem=match.problem, text=self._text,
            )  # fmt: skip
        if problem is not None and problem.saying and self._reading.intent not in (None, CHAT):
            response = self._intents.saying(problem.saying, value=problem.value)
            return Command(
                intent=self._reading.intent or CHAT, confidence=self._reading.confidence, response=response,
                problem=problem.problem, text=self._text,
            )  # fmt: skip
        return Command(intent=CHAT, confidence=0.0, text=self._text)

    async def _finish(self, command: Command, finish: Finish) -> None:
        """Say what is still to be said; after an answer that broke off, what goes on from there."""
        self._show("", last=command.source == "stream")
        before, texts = self.said, []
        async with aclosing(finish(command)) as pieces:
            async for piece in pieces:
                if before.strip():
                    texts.append(piece)
                else:
                    self._show(piece)
                    await self._room()
        self._show(continued(before, "".join(texts)) if texts else "", last=True)
        for phrase in self._phraser.flush():
            self._utter(phrase)
        self._see()

    # --- giving it out ----------------------------------------------------------------------------------------------

    def _show(self, text: str, *, last: bool = False) -> None:
        """Give out the whole words of the response so far."""
        text = self._word + text
        unfinished = None if last else _UNFINISHED_WORD.search(text)
        whole = len(text) if unfinished is None else unfinished.start()
        text, self._word = text[:whole], text[whole:]
        if not text:
            return
        self.said += text
        self._unseen += text
        loop = asyncio.get_running_loop()
        due = self._seen_at + self._settings.visual_feedback_delay
        if self._clock() >= due:
            self._see()
        elif self._seeing is None:
            self._seeing = loop.call_at(due, self._see)
        for phrase in self._phraser.feed(text, self._clock()):
            self._utter(phrase)
        if self._late is not None:
            self._late.cancel()
        due = self._phraser.deadline or 0.0
        self._late = loop.call_at(due, self._tick) if due else None

    def _see(self) -> None:
        """Gathered text goes to the screen."""
        if self._seeing is not None:
            self._seeing.cancel()
            self._seeing = None
        if self._unseen:
            self._mark("first_visual_ms")
            self.visual.put(self._unseen)
            self._unseen, self._seen_at = "", self._clock()

    def _utter(self, phrase: str) -> None:
        self._mark("first_phrase_ms")
        self.phrases.put(phrase)

    def _tick(self) -> None:
        """What has waited too long for a boundary is a phrase."""
        for phrase in self._phraser.tick(self._clock()):
            self._utter(phrase)

    def _mark(self, name: str) -> None:
        timings = self.timings
        if self._settings.metrics_enabled and getattr(timings, name) is None:
            setattr(timings, name, round(1000 * (self._clock() - self._began), 2))
        span_s = self._last_at - self._first_at
        if self._settings.metrics_enabled and timings.tokens > 1 and span_s > 0:
            timings.tokens_per_s = round((timings.tokens - 1) / span_s, 1)


@asynccontextmanager
async def process_command(
    text: str,
    model: ChatModel | None,
    catalog: Catalog,
    *,
    request: ChatRequest | None = None,
    settings: Streaming | None = None,
    limits: StreamLimits | None = None,
    finish: Finish = say_response,
    answered: Iterable[str] = (),
    language: str = "en",
    session: str = "",
) -> AsyncIterator[StreamingCommand]:
    """Understand *text*: see `StreamingCommand`. Leaving the block stops whatever still runs.

    model: None leaves it to the templates. request: the conversation it belongs to, *text* last; its instructions come
    before ours. answered: intents that *finish* has the answer to, so that the model's own is not said.
    language: where there is no *request*. session: its id, for the log.
    """
    settings = settings or Streaming()
    own = request or ChatRequest(
        messages=(Message(role="user", content=text[:MOST_TEXT]),), host=Alone(), language=language
    )
    intents = catalog.of(own.language)
    asked = msgspec.structs.replace(
        own, instructions=instructions(intents, own.instructions), answer_schema=answer_schema(intents)
    )
    result = StreamingCommand(text, intents, settings, limits or StreamLimits(), frozenset(answered))
    task = result.start(model, asked, finish)
    try:
        yield result
    finally:
        task.cancel()
        await asyncio.wait([task])
        report(result, session)
    if not task.cancelled():
        task.result()


def report(result: StreamingCommand, session: str) -> None:
    """One line of the log for each command."""
    timings, where = result.timings, session or "-"
    if timings.fallback:
        level = logging.INFO if timings.reason in EXPECTED else logging.WARNING
        log.log(level, "⚠️ Streaming test failed session=%s reason=%s", where, one_line(timings.reason))
    else:
        reason = "done" if result.known else "cancelled"
        log.info("🌊 Streaming command completed session=%s reason=%s", where, reason)
