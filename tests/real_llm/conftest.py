"""A language model server that is not ours: llama-cpp-python's, with a tiny model made on the spot."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

PYTHON = os.environ.get("REAL_LLM_PYTHON", "")
"""The interpreter that has llama-cpp-python; `make test-real-llm` makes it and names it."""
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not PYTHON:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="opt-in, since its build takes minutes: make test-real-llm"))


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server, up to `/v1`; it has begun to start."""
    folder = tmp_path_factory.mktemp("real-llm")
    subprocess.run([PYTHON, str(HERE / "tiny_gguf.py"), "tiny.gguf"], cwd=folder, check=True, timeout=50)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    options = {"model": "tiny.gguf", "n_ctx": "2048", "host": "127.0.0.1", "port": port, "n_threads": "1"}
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [PYTHON, "-m", "llama_cpp.server", *flags, "--verbose", "False"], cwd=folder, stdout=log, stderr=log
        )
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
async def url(peer: str) -> str:
    """The address of the server, which answers."""
    async with asyncio.timeout(50), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                await client.get(f"{peer}/models")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)  # there is no event to wait for: it is another process
    return peer
