"""Every option, as one frozen tree: `tree` says which there are, this module where their values come from.

Only this module reads the environment. Precedence: command line > environment > `.env.local` > `.env` > YAML file >
default. An option's environment names are `VIVAVOCE_<SECTION>__<NAME>` and those beside it in the tree; the first that
is set wins.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from vivavoce import layered
from vivavoce.errors import SettingsError
from vivavoce.layered import Option, Origin
from vivavoce.settings.tree import (
    Agent,
    Asr,
    Cache,
    Commands,
    Flows,
    Livekit,
    Llm,
    Log,
    Memory,
    ModelOptions,
    Models,
    Ollama,
    Openai,
    Server,
    Settings,
    Stream,
    Streaming,
    Tools,
    Tts,
    Turns,
    Vad,
)

__all__ = [
    "CONFIG_VARIABLE",
    "FALLBACKS",
    "LEAN_DEFAULTS",
    "LEAN_NAMES",
    "OPTIONS",
    "Agent",
    "Asr",
    "Cache",
    "Commands",
    "Flows",
    "Livekit",
    "Llm",
    "Loaded",
    "Log",
    "Memory",
    "ModelOptions",
    "Models",
    "Ollama",
    "Openai",
    "Profile",
    "Server",
    "Settings",
    "Stream",
    "Streaming",
    "Tools",
    "Tts",
    "Turns",
    "Vad",
    "from_environment",
    "is_loopback",
    "limit_math_threads",
    "load",
    "load_from_environment",
    "schema",
    "secrets",
]

PREFIX = "VIVAVOCE"
OPTIONS: dict[str, Option] = layered.options(Settings, PREFIX)
"""All options by path, such as `stream.vad_silence_ms`."""
CONFIG_VARIABLE = "VIVAVOCE_CONFIG"
"""Names the YAML file where the command line names none."""

LEAN_NAMES = {"asr.model": ("MODEL_WHISPER",), "stream.save_dir": ("SAVE_DIR",)}
LEAN_DEFAULTS = {"server.port": 8100}

FALLBACKS = {
    "streaming.model": "ollama.model",
    "streaming.ollama_url": "ollama.base_url",
    "ollama.model": "streaming.model",
    "ollama.base_url": "streaming.ollama_url",
    "openai.max_tokens": "llm.max_tokens",
    "openai.temperature": "llm.temperature",
}
"""An option that nobody set takes the value of another that somebody set."""

OUR_PREFIXES = ("STREAM_", "STREAMING_", "VIVAVOCE_", "LLM_")
"""Unknown names that begin so get a warning. (OPENAI_, OLLAMA_, LIVEKIT_ and LOG_ have other programs' names too.)"""
NOT_OURS = re.compile(r"VIVAVOCE_(SERVICE_(HOST|PORT)|PORT)(_|$)")  # what Kubernetes sets for a service of that name

WHISPER_SIZES = ("tiny", "base", "small", "medium", "large-v3", "turbo", "distil-large-v3")
WHISPER = re.compile(rf"({'|'.join(WHISPER_SIZES)})(-(int8|int8_float16|float16|float32))?")

Profile = Literal["full", "lean"]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, where each came from, and what its reader should know."""

    settings: Settings
    origins: dict[str, Origin]
    """By path, for every option."""
    warnings: list[str]


def load(
    *,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    config_file: Path | None,
    dotenv_dir: Path,
    profile: Profile = "full",
) -> Loaded:
    """Put the layers together and check every value.

    flags: by path (`server.port`); None was not given. profile: `lean` knows two more environment names and has
    another default port. Raises SettingsError with all problems at once.
    """
    problems: list[str] = []
    table = _table(profile)
    dotenv = {name: layered.read_dotenv(dotenv_dir / name, problems) for name in (".env.local", ".env")}
    layers = [layered.flag_layer(table, flags, problems), layered.environment_layer(table, environ)]
    layers += [layered.environment_layer(table, values, name) for name, values in dotenv.items()]
    variables = dotenv[".env"] | dotenv[".env.local"] | dict(environ)
    if config_file is None and variables.get(CONFIG_VARIABLE):
        config_file = Path(variables[CONFIG_VARIABLE])
    if config_file is not None:
        layers.append(layered.file_layer(table, config_file, problems))
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for option, value, origin in layered.resolve(table, layers, problems):
        values[option.path], origins[option.path] = value, origin
    explicit = {path for path, origin in origins.items() if origin.kind != "default"}
    for path, source in FALLBACKS.items():
        if path not in explicit and source in explicit:
            values[path], origins[path] = values[source], Origin("derived", f"from {origins[source]}")
    settings = layered.build(Settings, values)
    problems += _conflicts(settings, origins)
    if problems:
        raise SettingsError(problems)
    return Loaded(settings=settings, origins=origins, warnings=list(_unknown_names(table, variables)))


def from_environment(
    flags: Mapping[str, Any] | None = None, config_file: Path | None = None, profile: Profile = "full"
) -> Loaded:
    """`load` with this process's environment and the `.env` files of its working directory."""
    return load(flags=flags or {}, environ=os.environ, config_file=config_file, dotenv_dir=Path.cwd(), profile=profile)


def load_from_environment() -> Settings:
    """The settings of a process that was not started by our command line."""
    return from_environment().settings


def secrets(settings: Settings) -> list[str]:
    """The values that no log may show."""
    found = (option.secrets(getattr(getattr(settings, option.section), option.name)) for option in OPTIONS.values())
    return [secret for secrets in found for secret in secrets]


def schema() -> dict[str, Any]:
    """The JSON schema of a YAML file."""
    document = msgspec.json.schema(Settings)
    for option in OPTIONS.values():
        fields = document["$defs"][option.section.capitalize()]["properties"]
        if option.unit:
            number = fields[option.name]
            text = {"type": "string", "pattern": r"^[0-9.]+ *(ms|s|m|min|h|d)$"}
            kept = {key: number.pop(key) for key in ("description", "default")}
            fields[option.name] = {"anyOf": [number, text], **kept}
        if option.secret:
            fields[option.name]["writeOnly"] = True
    return document


def limit_math_threads() -> None:
    """Keep numpy's libraries from starting a thread per core; to be called before numpy is imported.

    Our arrays are small: their threads only take time from the audio.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def is_loopback(host: str) -> bool:
    """Can only this machine reach a server that listens on *host*?"""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _table(profile: Profile) -> dict[str, Option]:
    if profile == "full":
        return OPTIONS
    replace = msgspec.structs.replace
    table = {path: replace(item, names=item.names + LEAN_NAMES.get(path, ())) for path, item in OPTIONS.items()}
    return table | {path: replace(table[path], default=value) for path, value in LEAN_DEFAULTS.items()}


def _conflicts(settings: Settings, origins: Mapping[str, Origin]) -> Iterator[str]:
    """What is wrong between values that are each allowed, or needs a look at the disk."""
    server, model = settings.server, settings.asr.model
    if not is_loopback(server.host) and not server.api_key:
        yield (
            f"{origins['server.host']}: {server.host!r} can be reached from other machines, which needs a key: "
            "set VIVAVOCE_API_KEY, or listen on 127.0.0.1"
        )
    if settings.vad.release > settings.vad.threshold:
        yield f"{origins['vad.release']}: {settings.vad.release} is above vad.threshold, {settings.vad.threshold}"
    if not WHISPER.fullmatch(model) and not Path(model).is_dir():
        names = [f"{size}{suffix}" for size in WHISPER_SIZES for suffix in ("", "-int8")]
        yield (
            f"{origins['asr.model']}: {model!r} cannot be used; it must be {', '.join(WHISPER_SIZES)}, each with "
            f"-int8, -int8_float16, -float16 or -float32 if wanted, or a folder{layered.nearest(model, names)}"
        )
    yield from _unusable_servers(settings, origins)


def _unusable_servers(settings: Settings, origins: Mapping[str, Origin]) -> Iterator[str]:
    entries, origin = settings.tools.mcp, origins["tools.mcp"]
    if entries and importlib.util.find_spec("mcp") is None:
        yield f"{origin}: MCP servers need another package: pip install 'vivavoce[mcp]'"
    for entry in entries:
        try:
            usable = bool(shlex.split(entry))
        except ValueError:
            usable = False
        if not usable:
            yield f"{origin}: {entry!r} is neither a command nor an http(s) address"


def _unknown_names(table: Mapping[str, Option], variables: Mapping[str, str]) -> Iterator[str]:
    known = {name for option in table.values() for name in option.names} | {CONFIG_VARIABLE}
    for name in sorted(set(variables) - known):
        if name.startswith(OUR_PREFIXES) and not NOT_OURS.match(name):
            yield f"{name}: there is no such variable, it does nothing{layered.nearest(name, known)}"
