"""Agents mounted into an application of one's own, behind a real server on loopback."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette

from kit import FakeModel
from server.asgi import client
from transports.wire import a_socket, chosen_engines
from vivavoce.agent import Agent
from vivavoce.app import Application, create_app
from vivavoce.cli.serving import listen
from vivavoce.errors import SettingsError
from vivavoce.settings import Memory, Server, Settings

FORGETFUL = Settings(memory=Memory(persist=False))


class EchoModel(FakeModel):
    """Answers with its instructions."""

    def __init__(self) -> None:
        super().__init__("")

    async def stream(self, request):  # type: ignore[no-untyped-def, override]
        self.answer = [f"I am {request.instructions}."]
        async for delta in super().stream(request):
            yield delta


def host(**mounted: Application) -> FastAPI:
    """An application with a route of its own, and those mounted under their names."""
    app = FastAPI()

    @app.get("/hello")
    def hello() -> dict[str, str]:
        return {"hello": "host"}

    for name, application in mounted.items():
        app.mount(f"/{name}", application)
    return app


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """*app* behind uvicorn as anybody starts it; yields host and port."""
    sock = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    running = asyncio.create_task(server._serve([sock]))  # without its signal handlers
    try:
        while not server.started:  # noqa: ASYNC110 - it sets a flag
            await asyncio.sleep(0.01)
        yield f"127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        sock.close()


async def end(application: Application) -> None:
    """What the end of the event loop does to one that started by itself."""
    assert application._start is not None
    task, _ = application._start
    task.cancel()
    await asyncio.wait([task])


async def test_a_mounted_agent_serves_its_page_its_sockets_and_its_documents() -> None:
    voice = create_app(FORGETFUL, agent=Agent("the shop", name="shop", greeting="Good day."))
    with chosen_engines(llm=EchoModel()):
        async with served(host(voice=voice)) as address, httpx.AsyncClient(base_url=f"http://{address}") as web:
            assert (await web.get("/hello")).json() == {"hello": "host"}
            assert (await web.get("/voice")).headers["location"].endswith("/voice/")
            page = await web.get("/voice/")
            assert page.status_code == 200
            assert page.headers["x-frame-options"] == "DENY"
            for link in re.findall(r'(?:src|href)="([^"#]+)"', page.text):
                assert not link.startswith("/"), "relative to the mount"
                assert (await web.get(f"/voice/{link}")).status_code == 200
            assert (await web.get("/voice/health")).json()["status"] == "ok"
            async with a_socket(f"ws://{address}/voice/ws") as peer:
                await peer.start()
                assert (await peer.wait("phrase"))["text"] == "Good day."
                await peer.ask("who are you")
                assert peer.of("phrase")[-1]["text"].strip() == "I am the shop."
            assert (await web.get("/voice/ready")).json()["agent"]["name"] == "shop"
            assert (await web.get("/voice/ws")).json()["code"] == "UPGRADE_REQUIRED"
            document = (await web.get("/voice/openapi.json")).json()
            assert document["servers"] == [{"url": "/voice"}]
            described = (await web.get("/voice/docs")).text
            for link in re.findall(r'href="([^"#]+)"', described):
                assert (await web.get(httpx.URL(f"http://{address}/voice/docs").join(link))).status_code == 200
        await end(voice)


async def test_two_agents_in_one_application_are_two() -> None:
    shop, office = (create_app(FORGETFUL, agent=Agent(f"the {name}", name=name)) for name in ("shop", "office"))
    with chosen_engines(llm=EchoModel()):
        async with served(host(shop=shop, office=office)) as address:
            for name in ("shop", "office"):
                async with a_socket(f"ws://{address}/{name}/ws") as peer:
                    await peer.start()
                    await peer.ask("who are you")
                    assert peer.of("phrase")[-1]["text"].strip() == f"I am the {name}."
        await end(shop)
        await end(office)


async def test_a_key_guards_what_is_mounted_and_nothing_else() -> None:
    voice = create_app(Settings(memory=Memory(persist=False), server=Server(api_key="k1")))
    with chosen_engines():
        async with served(host(voice=voice)) as address, httpx.AsyncClient(base_url=f"http://{address}") as web:
            assert (await web.get("/hello")).status_code == 200
            for public in ("/voice/", "/voice/health", "/voice/static/app.js"):
                assert (await web.get(public)).status_code == 200, public
            assert (await web.get("/voice/voices")).json()["code"] == "UNAUTHORIZED"
            key = {"Authorization": "Bearer k1"}
            assert (await web.get("/voice/voices", headers=key)).status_code == 200
            async with a_socket(f"ws://{address}/voice/ws") as peer:
                assert (await peer.wait("error"))["code"] == "UNAUTHORIZED"
            token = (await web.post("/voice/api/token", headers=key)).json()["token"]
            async with a_socket(f"ws://{address}/voice/ws?token={token}") as peer:
                await peer.start()
        await end(voice)


async def test_a_host_may_start_it_with_itself() -> None:
    agent = Agent(name="host's")
    voice = create_app(FORGETFUL, agent=agent)
    with chosen_engines():
        for app in (FastAPI(lifespan=voice.lifespan), Starlette(lifespan=voice.lifespan)):
            app.mount("/voice", voice)
            async with served(app) as address, httpx.AsyncClient(base_url=f"http://{address}") as web:
                assert voice._loop is not None, "before the first request"
                assert (await web.get("/voice/health")).status_code == 200
            assert voice._loop is None
            assert voice._start is None


async def test_a_start_that_fails_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from vivavoce import app as module

    opened = module.open_store

    def unusable(settings: Memory) -> Any:
        raise SettingsError(["the folder is not yours"])

    voice = create_app(FORGETFUL)
    with chosen_engines():
        async with client(host(voice=voice)) as web:
            monkeypatch.setattr(module, "open_store", unusable)
            assert (await web.get("/voice/health")).status_code == 500
            monkeypatch.setattr(module, "open_store", opened)
            answers = await asyncio.gather(*(web.get("/voice/health") for _ in range(5)))
            assert [answer.status_code for answer in answers] == [200] * 5
        await end(voice)


def test_every_event_loop_has_its_own() -> None:
    """As where each request of a test runs in a loop of its own."""
    voice = create_app(FORGETFUL)

    async def ask() -> int:
        async with client(host(voice=voice)) as web:
            return (await web.get("/voice/health")).status_code

    with chosen_engines():
        assert [asyncio.run(ask()), asyncio.run(ask())] == [200, 200]
    assert voice._loop is None, "it ended with the loop"


async def test_it_does_not_run_in_two_loops_at_a_time() -> None:
    voice = create_app(FORGETFUL)

    async def ask() -> None:
        async with client(voice) as web:
            assert (await web.get("/health")).status_code == 200

    with chosen_engines():
        async with voice.lifespan():
            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, voice._started())
            await ask()


PROGRAM = """
import uvicorn
from fastapi import FastAPI
from vivavoce.app import create_app

app = FastAPI()
app.mount("/voice", create_app())
uvicorn.run(app, port={port}, log_level="info")
"""


def children(pid: int) -> set[int]:
    """All descendants of a process."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(path.parent.name)
            found |= {child} | children(child)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_the_host(number: int, tmp_path: Path) -> None:
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    sock.close()
    environment = {"PATH": "", "VIVAVOCE_MEMORY__PERSIST": "false", "HOME": str(tmp_path)}
    program = [sys.executable, "-c", PROGRAM.format(port=port)]
    with subprocess.Popen(program, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "running on" in line:
                    break
            assert httpx.get(f"http://127.0.0.1:{port}/voice/voices", timeout=50).status_code == 200
            workers = [os.pidfd_open(pid) for pid in children(process.pid)]
            assert workers
            process.send_signal(number)
            process.stderr.read()
            process.wait(timeout=30)
            for worker in workers:
                assert select.select([worker], [], [], 10.0)[0], "it is gone"
                os.close(worker)
        finally:
            process.kill()
