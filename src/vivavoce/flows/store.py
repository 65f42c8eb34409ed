"""The flows of a server: a table in memory, beside a folder of YAML files where there is one.

A name from outside is looked up in the table. It becomes a part of a path only when a flow is saved, and then it has
been matched against the whole alphabet of ids. A file that cannot be used is told about and never stops anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from vivavoce.errors import ClientError, ServerBusy
from vivavoce.flows.agent import FlowAgent, Places
from vivavoce.flows.documents import MAX_BYTES, Document, write_yaml
from vivavoce.flows.errors import BadFlow, Problem
from vivavoce.flows.model import FLOW_ID, Flow, parse, read
from vivavoce.flows.node import Services, json_size

log = logging.getLogger("vivavoce.flows")

MAX_FLOWS = 500
SUFFIXES = (".yaml", ".yml", ".json")
LARGE = 16 * 1024
"""Bytes of a flow that is checked in a thread: it may take a fifth of a second."""
LOOK_S = 2.0
"""How often the folder is looked at."""
Stamp = tuple[int, int]


class BadFile(msgspec.Struct, frozen=True):
    """A file that is no flow that can be used."""

    file: str
    """Its name."""
    problems: list[Problem]


class _File(msgspec.Struct, frozen=True):
    stamp: Stamp
    flow: Flow | None
    problems: list[Problem]


class FlowStore:
    """Flows by id. Methods belong to the event loop; what touches the disk runs in a thread."""

    def __init__(self, folder: Path | None, services: Services, own: Iterable[Flow] = ()) -> None:
        """folder: None for flows that are kept in memory alone. own: flows that are there beside those of the folder,
        until one of the same id is saved or found."""
        self.folder = folder
        self.services = services
        self.broken: list[BadFile] = []
        self._files: dict[str, _File] = {}  # by name; only those in the folder
        self._own = {flow.id: flow for flow in own}
        self._flows: dict[str, Flow] = dict(self._own)
        self._agents: dict[str, FlowAgent] = {}
        self._places: dict[str, Places] = {}
        self._changing = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._flows)

    def get(self, flow_id: str) -> Flow | None:
        return self._flows.get(flow_id)

    def all(self) -> list[Flow]:
        """In the order of their ids."""
        return [self._flows[flow_id] for flow_id in sorted(self._flows)]

    def agent(self, flow_id: str) -> FlowAgent | None:
        """The agent that speaks a flow, as it is now; a session that has begun keeps the one it has."""
        flow = self._flows.get(flow_id)
        if flow is None:
            return None
        agent = self._agents.get(flow_id)
        if agent is None or agent.flow is not flow:
            places = self._places.setdefault(flow_id, Places())
            agent = self._agents[flow_id] = FlowAgent(flow, services=self.services, places=places)
        return agent

    async def save(self, flow_id: str, document: Document) -> tuple[Flow, bool]:
        """Check a flow and keep it; returns it, and whether it is new. Raises BadFlow, ClientError, ServerBusy."""
        if not FLOW_ID.fullmatch(flow_id):
            raise ClientError("BAD_REQUEST", "A flow's id is 1 to 64 characters of A-Z a-z 0-9 . _ -")
        written = document.value
        if isinstance(written, dict):
            written = {"id": flow_id, **written}
            if written["id"] != flow_id:
                said = str(written["id"])[:64]
                raise ClientError("BAD_REQUEST", f"The flow says it is {said!r}, the address says {flow_id!r}.")
        document = msgspec.structs.replace(document, value=written)
        large = json_size(written) > LARGE
        flow = await asyncio.to_thread(parse, document) if large else parse(document)
        async with self._changing:
            new = flow_id not in self._flows
            if new and len(self._flows) >= MAX_FLOWS:
                raise ClientError("TOO_MANY", f"There are {MAX_FLOWS} flows already; delete one.")
            if self.folder is not None:
                try:
                    name, stamp = await asyncio.to_thread(_write, self.folder, self._file_of(flow_id), written)
                except OSError as error:
                    log.warning("flow %s could not be saved: %s", flow_id, error.strerror)
                    raise ServerBusy("STORAGE_FAILED", f"The flow could not be saved: {error.strerror}.") from error
                self._files[name] = _File(stamp, flow, [])
                self._index()
            self._flows[flow_id] = flow
        return flow, new

    async def delete(self, flow_id: str) -> bool:
        """Forget a flow, on disk too; False if there is none. Raises ServerBusy."""
        async with self._changing:
            if flow_id not in self._flows:
                return False
            name = next((name for name, file in self._files.items() if file.flow is self._flows[flow_id]), None)
            if self.folder is not None and name is not None:
                try:
                    await asyncio.to_thread((self.folder / name).unlink, missing_ok=True)
                except OSError as error:
                    raise ServerBusy("STORAGE_FAILED", f"The flow could not be deleted: {error.strerror}.") from error
                del self._files[name]
            del self._flows[flow_id]
            self._own.pop(flow_id, None)
            self._agents.pop(flow_id, None)
            self._places.pop(flow_id, None)
            self._index()
        return True

    def forget_conversation(self, conversation: str) -> None:
        """The conversation was deleted: what the flows know of it goes too."""
        for places in self._places.values():
            places.forget(conversation)

    # --- the folder -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read the folder; what is wrong in it is logged."""
        if self.folder is not None:
            await self.refresh()

    async def watch(self) -> None:
        """Read again what changes in the folder, until cancelled. Returns at once where there is none."""
        while self.folder is not None:
            await asyncio.sleep(LOOK_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Take up what has changed in the folder. Never raises for what is in there."""
        if self.folder is None:
            return
        async with self._changing:
            try:
                changed = await asyncio.to_thread(_scan, self.folder, dict(self._files))
            except OSError as error:
                log.warning("the folder of flows cannot be read: %s", error.strerror)
                return
            if changed is None:
                return
            for name, file in changed.items():
                if file is not self._files.get(name) and file.flow is None:
                    log.warning("[FLOW] file=%s cannot be used: %s", name, _told(file.problems))
            self._files = changed
            self._index()

    def _file_of(self, flow_id: str) -> str:
        """The file in which a flow is kept, or is to be."""
        known = self._flows.get(flow_id)
        found = (name for name, file in self._files.items() if known is not None and file.flow is known)
        name = next(found, f"{flow_id}.yaml")
        return f"{flow_id}.yaml" if name.endswith(".json") else name

    def _index(self) -> None:
        """The table, from the files as they were read."""
        if self.folder is None:
            return
        flows: dict[str, Flow] = {}
        self.broken = []
        for name, file in sorted(self._files.items()):
            if file.flow is None:
                self.broken.append(BadFile(name, file.problems))
            elif file.flow.id in flows:
                problem = Problem(message=f"another file has the flow {file.flow.id!r} already", field="id")
                self.broken.append(BadFile(name, [problem]))
            else:
                flows[file.flow.id] = file.flow
        self._flows = self._own | flows


def _told(problems: list[Problem]) -> str:
    return "; ".join(f"line {each.line}: {each}" if each.line else str(each) for each in problems[:5])


def _scan(folder: Path, known: Mapping[str, _File]) -> dict[str, _File] | None:
    """The files of the folder, those that have not changed as they are in *known*; None if nothing has."""
    found: dict[str, _File] = {}
    if not folder.is_dir():
        return found if known else None
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name.endswith(SUFFIXES) and not entry.name.startswith(".") and entry.is_file()
        )
    for name in names[:MAX_FLOWS]:
        path = folder / name
        try:
            stamp = _stamp(path)
            old = known.get(name)
            found[name] = old if old is not None and old.stamp == stamp else _load(path, stamp)
        except OSError:
            continue  # gone since it was listed, or not ours to read
    same = found.keys() == known.keys() and all(found[name] is known[name] for name in found)
    return None if same else found


def _load(path: Path, stamp: Stamp) -> _File:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        return _File(stamp, read(data, json=path.suffix == ".json"), [])
    except BadFlow as error:
        return _File(stamp, None, error.problems)


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _write(folder: Path, name: str, document: Mapping[str, Any]) -> tuple[str, Stamp]:
    """Replace a file as a whole: whoever reads it finds the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(write_yaml(dict(document)))
            file.flush()
            os.fsync(file.fileno())
        path = folder / name
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return name, _stamp(path)


async def read_folder(folder: Path | None) -> FlowStore:
    """The flows of a folder as they are now, for looking at them."""
    store = FlowStore(folder, Services())
    await store.open()
    return store
