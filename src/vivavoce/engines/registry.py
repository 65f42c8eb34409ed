"""Which engine serves each role. Besides `app` only this module knows concrete engines.

`auto` takes the best engine that is installed; today the embedded ones. An engine that cannot be loaded stays in its
place and says so: `failure` has the cause, `/ready` shows it, and every use of it raises it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

from vivavoce.engines.base import Engine, Engines, Recognizer, Synthesizer, VoiceActivityDetector
from vivavoce.engines.missing import MissingDetector, MissingModel, MissingRecognizer, MissingSynthesizer
from vivavoce.errors import EngineError, EngineUnavailable, Role, SettingsError
from vivavoce.settings import Settings

log = logging.getLogger(__name__)

START_S = 60.0
"""An engine that has not started by then counts as unavailable."""
OWN_PROCESSES: frozenset[Role] = frozenset({"asr", "tts"})
"""Roles whose engines mostly load in processes of their own."""
SPAWN_S = 0.02
"""How long it takes until those run."""

Factory = Callable[[Settings], Any]


def _silero(settings: Settings) -> VoiceActivityDetector:
    from vivavoce.engines.vad.silero import SileroDetector

    return SileroDetector(tick_s=settings.vad.tick_ms / 1000)


def _pocketsphinx(settings: Settings) -> Recognizer:
    from vivavoce.engines.asr.pocketsphinx import PocketSphinxRecognizer

    return PocketSphinxRecognizer(workers=settings.asr.workers, cache_dir=cache_dir())


def _offline(settings: Settings) -> Any:
    from vivavoce.engines.llm.offline import OfflineChat

    return OfflineChat()


def _espeak(settings: Settings) -> Synthesizer:
    from vivavoce.engines.tts.espeak import EspeakSynthesizer

    return EspeakSynthesizer()


FACTORIES: dict[Role, dict[str, Factory]] = {
    "vad": {"silero": _silero},
    "asr": {"pocketsphinx": _pocketsphinx},
    "llm": {"offline": _offline},
    "tts": {"espeak": _espeak},
}
"""In the order in which `auto` tries them, best first."""

_HINTS: dict[str, str] = {
    "pocketsphinx": "speech is recognised by the embedded PocketSphinx, a small English recogniser",
    "offline": "answers come from built-in rules; no language model is connected",
    "espeak": "the voice is the embedded eSpeak NG",
}


def cache_dir() -> Path:
    """Where engines keep what they have computed once."""
    return Path(platformdirs.user_cache_dir("vivavoce"))


def chosen_names(settings: Settings) -> dict[Role, str]:
    """The engine of each role. Raises SettingsError for names that nobody knows."""
    wanted: dict[Role, str] = {
        "vad": settings.vad.engine,
        "asr": settings.asr.engine,
        "llm": settings.llm.provider,
        "tts": settings.tts.engine,
    }
    problems = []
    for role, name in wanted.items():
        known = FACTORIES[role]
        if name == "auto":
            wanted[role] = next(iter(known))
        elif name not in known:
            problems.append(f"{role} engine {name!r} is not installed; there are: auto, {', '.join(known)}")
    if problems:
        raise SettingsError(problems)
    return wanted


class InstalledEngines:
    """The engines of a process: made, started, watched, closed."""

    def __init__(self, settings: Settings) -> None:
        self.names = chosen_names(settings)
        self._settings = settings
        self._engines: dict[Role, Engine] = {}
        self._failures: dict[Role, EngineError] = {}
        self._started = asyncio.Event()

    @property
    def in_force(self) -> Engines:
        """The engines that sessions use, once `started`."""
        engines: dict[str, Any] = {role: self._engines[role] for role in FACTORIES}
        return Engines(**engines)

    @property
    def ready(self) -> bool:
        """Whether every engine works."""
        return self._started.is_set() and not self._failures

    def failure(self, role: Role) -> EngineError | None:
        """Why the engine of *role* does not work."""
        return self._failures.get(role)

    async def started(self) -> None:
        """Wait until every engine has started, or failed to."""
        await self._started.wait()

    async def start(self) -> None:
        """Load all engines side by side. Never raises EngineError: see `failure`."""
        async with asyncio.TaskGroup() as group:
            for role in OWN_PROCESSES:
                group.create_task(self._start(role))
            await asyncio.sleep(SPAWN_S)  # what the others import keeps this loop busy: the processes load meanwhile
            for role in FACTORIES.keys() - OWN_PROCESSES:
                group.create_task(self._start(role))
        self._started.set()

    async def close(self) -> None:
        """Close all engines; idempotent."""
        for engine in self._engines.values():
            await engine.close()

    def report(self) -> dict[str, dict[str, Any]]:
        """For `/ready` and the page: each role's engine, whether it works, and why not."""
        rows: dict[str, dict[str, Any]] = {}
        for role, name in self.names.items():
            failure = self._failures.get(role)
            detail = failure.message if failure else "" if role in self._engines else "starting"
            rows[role] = {"name": name, "ready": role in self._engines and failure is None, "detail": detail}
        return rows

    def hints(self) -> list[str]:
        """What a person could improve, a sentence each."""
        failures = [f"{failure.message}. {failure.hint}".strip() for failure in self._failures.values()]
        return failures + [_HINTS[name] for name in self.names.values() if name in _HINTS]

    async def _start(self, role: Role) -> None:
        name = self.names[role]
        engine: Engine | None = None
        try:
            engine = FACTORIES[role][name](self._settings)
            async with asyncio.timeout(START_S):
                await engine.start()
        except TimeoutError:
            failure: EngineError = EngineUnavailable(role, f"{name} did not start within {START_S:g} s")
        except EngineError as error:
            failure = error
        except ImportError as error:
            failure = EngineUnavailable(
                role, f"{name} cannot be imported: {error}", hint="install it, or choose another"
            )
        else:
            self._engines[role] = engine
            return
        log.error("%s engine %s does not work: %s", role, name, failure.message)
        if engine is not None:
            await engine.close()
        missing = {"vad": MissingDetector, "asr": MissingRecognizer, "llm": MissingModel, "tts": MissingSynthesizer}
        self._failures[role] = failure
        self._engines[role] = missing[role](name, failure)
