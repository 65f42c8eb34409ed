"""Which engine serves each role. Besides `app` only this module, and `language_models`, know concrete engines.

`auto` takes the best engine that is installed; today the embedded ones, and the language model that is configured, or
Ollama's. An engine that cannot be loaded stays in its place and says so: `failure` has the cause, `/ready` shows it,
and every use of it raises it. A language model elsewhere is no such engine: while it does not work, the offline
assistant answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs

from vivavoce.engines import language_models
from vivavoce.engines.base import ChatModel, Engine, Engines, Recognizer, Synthesizer, VoiceActivityDetector
from vivavoce.engines.fallback import Fallback
from vivavoce.engines.missing import MissingDetector, MissingModel, MissingRecognizer, MissingSynthesizer
from vivavoce.engines.routing import Routed
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


def _espeak(settings: Settings) -> Synthesizer:  # noqa: ARG001
    from vivavoce.engines.tts.espeak import EspeakSynthesizer

    return EspeakSynthesizer()


FACTORIES: dict[Role, dict[str, Factory]] = {
    "vad": {"silero": _silero},
    "asr": {"pocketsphinx": _pocketsphinx},
    "llm": {provider: partial(language_models.make, provider) for provider in language_models.PROVIDERS},
    "tts": {"espeak": _espeak},
}
"""By name. `auto` takes the first, of the language models what `auto_provider` says."""

_HINTS: dict[str, str] = {
    "pocketsphinx": "speech is recognised by the embedded PocketSphinx, a small English recogniser",
    "offline": "answers come from built-in rules, as no language model is connected: start Ollama and run "
    "`ollama pull llama3.2:3b`, or set `LLM_BASE_URL` (and `LLM_MODEL`, `LLM_API_KEY`), or `OPENAI_API_KEY`",
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
            best = language_models.auto_provider(settings) if role == "llm" else ""
            wanted[role] = best if best in known else next(iter(known))
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
        self._llm_is_optional = self.names["llm"] == "ollama" and settings.llm.provider == "auto"
        self._engines: dict[Role, Engine] = {}
        self._failures: dict[Role, EngineError] = {}
        self._started = asyncio.Event()

    @property
    def in_force(self) -> Engines:
        """The engines that sessions use, once `started`."""
        engines: dict[str, Any] = {role: self._engines[role] for role in FACTORIES}
        return Engines(**engines)

    @property
    def unguarded(self) -> Engines:
        """The same without what answers for an engine that was asked for and does not work; for probes."""
        in_force = self.in_force
        llm = in_force.llm.main if isinstance(in_force.llm, Routed) else in_force.llm
        if isinstance(llm, Fallback):
            llm = llm.second if llm.failure and self._llm_is_optional else llm.first
        return Engines(vad=in_force.vad, asr=in_force.asr, llm=llm, tts=in_force.tts)

    @property
    def further_models(self) -> dict[str, ChatModel]:
        """The language models beside the main one, by the names that the settings know; for probes, too."""
        llm = self.in_force.llm
        others = llm.others if isinstance(llm, Routed) else {}
        return {name: model.first if isinstance(model, Fallback) else model for name, model in others.items()}

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
            engine = self._engines.get(role)
            detail = failure.message if failure else "starting" if engine is None else self._fallback_detail(engine)
            shown = engine.name if engine is not None else name
            rows[role] = {"name": shown, "ready": engine is not None and failure is None, "detail": detail}
        return rows

    def _fallback_detail(self, engine: Engine) -> str:
        """Why another engine than the one that was asked for is in force; nothing when none was asked for."""
        if isinstance(engine, Routed):
            engine = engine.main
        if not isinstance(engine, Fallback) or engine.failure is None or self._llm_is_optional:
            return ""
        return f"fallback active: {engine.first.name}: {engine.failure.message}"

    def hints(self) -> list[str]:
        """What a person could improve, a sentence each."""
        failures = [f"{failure.message}. {failure.hint}".strip() for failure in self._failures.values()]
        llm = self._engines.get("llm")
        if isinstance(llm, Routed):
            for name, other in llm.others.items():
                if isinstance(other, Fallback) and other.failure is not None:
                    why = f"{other.failure.message}. {other.failure.hint}".strip()
                    failures.append(f"the further language model {name} does not work: {why}")
            llm = llm.main
        down = llm.failure if isinstance(llm, Fallback) else None
        if down is not None and not (
            self._llm_is_optional and down.transient
        ):  # an Ollama that nobody named may be absent
            name = self.names["llm"]
            failures.append(f"the language model {name} does not work: {down.message}. {down.hint}".strip())
        in_force = [engine.name for engine in self._engines.values()]
        return failures + [_HINTS[name] for name in in_force if name in _HINTS]

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
        except Exception as error:  # the boundary of an engine: a defect of one must not keep the others waiting
            log.exception("%s broke while it started", name)
            failure = EngineUnavailable(role, f"{name} broke while it started: {type(error).__name__}: {error}")
        else:
            self._engines[role] = engine
            if detail := self._fallback_detail(engine):
                log.warning("%s: %s", role, detail)
            return
        log.error("%s engine %s does not work: %s", role, name, failure.message)
        if engine is not None:
            await engine.close()
        missing = {"vad": MissingDetector, "asr": MissingRecognizer, "llm": MissingModel, "tts": MissingSynthesizer}
        self._failures[role] = failure
        self._engines[role] = missing[role](name, failure)
