"""The command pipeline: what it adds to a model's stream, and how fast templates understand.

The model is a script in this process, so that only our own time is measured.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable

from benchmarks.figures import Figure
from vivavoce.commands import Catalog, Entity, process_command
from vivavoce.commands.streams import Stream
from vivavoce.engines.base import ChatRequest, Delta

PROGRESS = Callable[[str], None]
STREAMS = 10
TOKENS_PER_S = 150
SENTENCES = (
    "turn on the kitchen light", "turn off all the lights in the living room", "dim the bedroom lamp to ten percent",
    "set the living room light to blue", "set a pizza timer for an hour and a half", "how much time is left",
    "set the thermostat to twenty one point five degrees", "lock the front door", "turn the volume up by ten percent",
    "is the kitchen light on", "turn on the light in the attic", "what is the capital of france", "never mind",
)  # fmt: skip
COLD = """
import time
began = time.perf_counter()
from vivavoce.commands import Catalog, Entity
Catalog([Entity(name="kitchen light", kind="light")]).default.match("turn on the kitchen light")
print(1000 * (time.perf_counter() - began))
"""


class Script:
    """A model that writes one answer, token after token, at a rate or as fast as it is read."""

    name = model = "script"

    def __init__(self, words: int, gap_s: float) -> None:
        response = json.dumps("This is a word, and " * (words // 5))
        head = '{"intent": "chat", "entities": [], "confidence": 0.9, "response": '
        self.tokens = [head[at : at + 4] for at in range(0, len(head), 4)]
        self.spoken = len(self.tokens)
        self.tokens += [response[at : at + 4] for at in range(0, len(response), 4)] + ["}"]
        self.gap_s = gap_s
        self.spoke_at = 0.0
        """When the second token of the response came: with it, its first word is whole."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:  # noqa: ARG002
        began = time.perf_counter()
        for count, token in enumerate(self.tokens):
            await asyncio.sleep(max(0.0, began + count * self.gap_s - time.perf_counter()))
            if count == self.spoken + 1:
                self.spoke_at = time.perf_counter()
            yield Delta(token)
        yield Delta(finish="stop")


def home() -> Catalog:
    areas = ("kitchen", "living room", "bedroom", "hall", "bathroom")
    lights = [Entity(name=f"{area} {kind}", kind="light", area=area) for area in areas for kind in ("light", "lamp")]
    return Catalog([*lights, Entity(name="front door", kind="lock")], lists={"scene": ("movie night",)})


def commands(runs: int, progress: PROGRESS) -> list[Figure]:
    """All figures of the pipeline."""
    catalog = home()
    catalog.warm()
    progress("streams")
    screen_ms, rates = asyncio.run(_paced(catalog, 5 * runs))
    single_ms = [asyncio.run(_flat_out(catalog, 1)) for _ in range(3 * runs)]
    many_ms = [asyncio.run(_flat_out(catalog, STREAMS)) for _ in range(3 * runs)]
    progress("templates")
    parse_ms = []
    for _ in range(20 * runs):
        for sentence in SENTENCES:
            began = time.thread_time()  # so that what else runs on the machine is not counted
            catalog.default.match(sentence)
            parse_ms.append(1000 * (time.thread_time() - began))
    cold_ms = [float(subprocess.check_output([sys.executable, "-c", COLD])) for _ in range(runs)]
    slowest = 1000 / TOKENS_PER_S
    return [
        Figure("command: first token to the screen", "ms", screen_ms, "worst", 55.0, "of a stream of 200 tokens/s"),
        Figure("command: time between tokens of such a stream", "ms", rates, "median", slowest, "150 tokens/s"),
        Figure("command: own time for a token", "ms", single_ms, "median", slowest, "all three streams read"),
        Figure(f"command: the same, {STREAMS} streams at once", "ms", many_ms, "median", slowest, "of each stream"),
        Figure("command: understood by template", "ms", parse_ms, "p95", 10.0, "of processor time, warm"),
        Figure("command: the first one by template", "ms", cold_ms, "median", None, "imports and loading included"),
    ]


async def _paced(catalog: Catalog, runs: int) -> tuple[list[float], list[float]]:
    """(ms from the first spoken token to the screen, ms between tokens) of streams at the promised rate."""
    screen_ms, gaps_ms = [], []
    for _ in range(runs):
        model = Script(100, 0.75 / TOKENS_PER_S)
        async with process_command("talk", model, catalog) as result:
            await anext(result.visual)
            screen_ms.append(1000 * (time.perf_counter() - model.spoke_at))
            await result.command()
        gaps_ms.append(1000 / (result.timings.tokens_per_s or 1))
    return screen_ms, gaps_ms


async def _flat_out(catalog: Catalog, streams: int) -> float:
    """ms for each token, of *streams* that come as fast as they are read."""
    models = [Script(1000, 0.0) for _ in range(streams)]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for model in models:
            group.create_task(_read(catalog, model))
    return 1000 * (time.perf_counter() - began) / len(models[0].tokens)


async def _read(catalog: Catalog, model: Script) -> None:
    async with process_command("talk", model, catalog) as result, asyncio.TaskGroup() as group:
        for stream in (result.tokens, result.visual, result.phrases):
            group.create_task(_drain(stream))


async def _drain(stream: Stream[str]) -> None:
    async for _ in stream:
        pass
