"""Agents that people write in files: a Python file that makes one, or the YAML file of a flow."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from vivavoce.agent import Agent
from vivavoce.cli import Failed

FLOWS = (".yaml", ".yml", ".json")
EXAMPLE = 'agent = Agent("You work in a bicycle shop.")'


def check(path: Path) -> None:
    """Raises Failed for what cannot be the file of an agent."""
    if not path.is_file():
        raise Failed(f"there is no file {path}")
    if path.suffix not in (".py", *FLOWS):
        raise Failed(f"{path} holds no agent", hint="name a Python file that makes one, or the YAML file of a flow")


def load(path: Path) -> Agent:
    """The agent that *path* makes. Raises Failed, with the line of that file which is to blame."""
    check(path)
    if path.suffix in FLOWS:
        from vivavoce.flows.agent import FlowAgent
        from vivavoce.flows.errors import BadFlow

        try:
            return FlowAgent.from_file(path)
        except (BadFlow, OSError) as error:
            raise Failed(f"{path}: {error}") from error
    return _agent_of(_module(path), path)


def sources(path: Path) -> Iterator[Path]:
    """The file itself, and the Python files in and below its folder; installed packages left out."""
    yield path
    for folder, below, names in os.walk(path.parent):
        below[:] = [name for name in below if not name.startswith((".", "__")) and name != "node_modules"]
        below[:] = [name for name in below if not Path(folder, name, "pyvenv.cfg").exists()]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


def _module(path: Path) -> ModuleType:
    """*path*, run as a module of its name; what lies beside it can be imported, as in a program."""
    file = path.resolve()
    name = file.stem if file.stem not in sys.modules else f"agent_file_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise Failed(f"{path} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[name] = module  # where annotations and pickles look for it
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the boundary to somebody else's file
        del sys.modules[name]
        raise _blamed(path, file, error) from error
    return module


def _agent_of(module: ModuleType, path: Path) -> Agent:
    """`agent`, or what a function `agent` makes; else the only one there is."""
    found = getattr(module, "agent", None)
    if callable(found) and not isinstance(found, Agent):
        try:
            found = found()
        except (Exception, SystemExit) as error:  # the same boundary
            raise _blamed(path, path.resolve(), error) from error
        if inspect.iscoroutine(found):
            found.close()
            raise Failed(f"{path}: agent() must be a plain function that returns an Agent, not an async one")
    if isinstance(found, Agent):
        return found
    if found is not None:
        raise Failed(f"{path}: `agent` is {_a(found)}, no Agent", hint=f"such as: {EXAMPLE}")
    named = {name: value for name, value in vars(module).items() if isinstance(value, Agent)}
    agents = {id(agent): agent for agent in named.values()}
    if len(agents) == 1:
        return agents.popitem()[1]
    if agents:
        raise Failed(f"{path} makes several agents: {', '.join(named)}", hint="call the one that is to answer `agent`")
    raise Failed(f"there is no agent in {path}", hint=f"make one, such as: {EXAMPLE}")


def _a(value: Any) -> str:
    """What kind of thing *value* is, in words."""
    return f"a module ({value.__name__})" if isinstance(value, ModuleType) else f"of type {type(value).__name__}"


def _blamed(path: Path, file: Path, error: BaseException) -> Failed:
    """*error* as one line that names the line of *file* which led to it."""
    text = str(error).partition("\n")[0]
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    line = lines[-1] if lines else None
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line, text = error.lineno, error.msg
    where = f"{path}, line {line}" if line else str(path)
    return Failed(f"{where}: {type(error).__name__}" + (f": {text}" if text else ""))
