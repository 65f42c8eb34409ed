"""The folder of flows: saved as a whole, read again when it changes, and never a reason not to start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from vivavoce.errors import ClientError, ServerBusy
from vivavoce.flows.documents import Document, read_yaml
from vivavoce.flows.model import parse
from vivavoce.flows.node import Services
from vivavoce.flows.services import folder_of
from vivavoce.flows.store import FlowStore
from vivavoce.settings import Flows, Memory, Settings

FLOW = "id: {0}\nnodes: [{{id: hi, type: say, text: {1}}}]\n"


async def a_store(folder: Path | None) -> FlowStore:
    store = FlowStore(folder, Services())
    await store.open()
    return store


def document(name: str = "one", text: str = "Hello.") -> Document:
    return read_yaml(FLOW.format(name, text))


async def test_what_is_saved_is_there_after_a_start(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "flows"
    store = await a_store(folder)
    assert (await store.save("one", document()))[1]
    assert not (await store.save("one", document(text="Again.")))[1]
    assert [path.name for path in folder.iterdir()] == ["one.yaml"]
    again = await a_store(folder)
    flow = again.get("one")
    assert flow is not None
    assert flow.document["nodes"][0]["text"] == "Again."
    assert await again.delete("one")
    assert not list(folder.iterdir())
    assert not await again.delete("one")


async def test_a_bad_file_is_reported_and_the_others_are_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad.yaml").write_text("id: bad\nnodes: [{id: a, type: sya}]\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\x00")
    (tmp_path / "good.yml").write_text(FLOW.format("good", "Hi."))
    (tmp_path / "same.yaml").write_text(FLOW.format("good", "Me too."))
    (tmp_path / "notes.txt").write_text("no flow")
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    store = await a_store(tmp_path)
    assert [flow.id for flow in store.all()] == ["good"]
    assert sorted(each.file for each in store.broken) == ["bad.yaml", "binary.yaml", "same.yaml"]
    assert "file=bad.yaml cannot be used: line 2: node a, type" in caplog.text


async def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(FLOW.format("one", "Hello."))
    store = await a_store(tmp_path)
    agent, flow = store.agent("one"), store.get("one")
    await store.refresh()
    assert store.get("one") is flow
    assert store.agent("one") is agent
    path.write_text(FLOW.format("one", "Changed."))
    os.utime(path, ns=(1, 1))
    await store.refresh()
    changed = store.agent("one")
    assert changed is not None
    assert changed is not agent
    assert changed.flow.document["nodes"][0]["text"] == "Changed."
    path.write_text("id: [")
    await store.refresh()
    assert store.get("one") is None
    path.unlink()
    await store.refresh()
    assert store.all() == []
    assert store.broken == []


async def test_the_folder_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivavoce.flows.store.LOOK_S", 0.01)
    store = await a_store(tmp_path)
    seen = asyncio.Event()
    index = store._index

    def noted() -> None:
        index()
        seen.set()

    monkeypatch.setattr(store, "_index", noted)
    watching = asyncio.create_task(store.watch())
    (tmp_path / "new.yaml").write_text(FLOW.format("new", "Hi."))
    async with asyncio.timeout(5):
        await seen.wait()
    assert store.get("new") is not None
    watching.cancel()
    await asyncio.wait({watching})


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", ".x", "x" * 65, "é", "a\x00b", "a b"])
async def test_names_never_become_paths(tmp_path: Path, name: str) -> None:
    store = await a_store(tmp_path / "flows")
    with pytest.raises(ClientError):
        await store.save(name, Document({"id": name, "nodes": [{"id": "a", "type": "end"}]}))
    assert store.get(name) is None
    assert not await store.delete(name)
    assert list(tmp_path.iterdir()) == []


async def test_a_flow_stays_in_the_file_it_came_in(tmp_path: Path) -> None:
    (tmp_path / "My flow.yml").write_text(FLOW.format("one", "Hello."))
    store = await a_store(tmp_path)
    await store.save("one", document(text="Changed."))
    assert [path.name for path in tmp_path.iterdir()] == ["My flow.yml"]
    await store.delete("one")
    assert not list(tmp_path.iterdir())


async def test_a_disk_that_cannot_be_written_keeps_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await a_store(tmp_path)
    await store.save("one", document())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ServerBusy, match="No space left"):
        await store.save("one", document(text="Changed."))
    flow = store.get("one")
    assert flow is not None
    assert flow.document["nodes"][0]["text"] == "Hello."
    assert [path.name for path in tmp_path.iterdir()] == ["one.yaml"]


async def test_an_agent_s_own_flow_is_there_until_one_is_saved(tmp_path: Path) -> None:
    own = parse(document(text="Own."))
    for folder in (None, tmp_path):
        store = FlowStore(folder, Services(), [own])
        await store.open()
        assert store.get("one") is own
        assert not (await store.save("one", document(text="Saved.")))[1]
        assert store.get("one") is not own
        await store.refresh()
        assert await store.delete("one")
        await store.refresh()
        assert store.get("one") is None


async def test_a_large_flow_is_saved_too(tmp_path: Path) -> None:
    nodes = [{"id": f"n{at}", "type": "say", "text": "{{input | upper}}" * 20} for at in range(150)]
    edges = [[f"n{at}", f"n{at + 1}"] for at in range(149)]
    store = await a_store(tmp_path)
    flow, _ = await store.save("large", Document({"nodes": nodes, "edges": edges}))
    again = (await a_store(tmp_path)).get("large")
    assert again is not None
    assert again.document == flow.document


def test_where_flows_are_kept(tmp_path: Path) -> None:
    assert folder_of(Settings(memory=Memory(persist=False))) is None
    assert folder_of(Settings(memory=Memory(data_dir=str(tmp_path)))) == tmp_path / "flows"
    assert folder_of(Settings(flows=Flows(folder="/x"), memory=Memory(persist=False))) == Path("/x")
