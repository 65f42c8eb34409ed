"""`/ws/chat/stream` of the real process: the sample clients, plain WebSockets, real voices, a stop in mid-answer."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import platformdirs
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from fake_llm import fake_llm
from faults.live import Live
from transports.chat import complete, failure, path, sound_of
from transports.wire import a_socket

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.xdist_group("chat process")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server on its embedded engines."""
    server = Live(tmp_path_factory.mktemp("chat"), LLM_PROVIDER="offline")
    try:
        yield server.ready()
    finally:
        server.close()


# --- the sample clients ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node_folder() -> Path:
    """A folder with the Node client and its `ws`, installed once a machine; skips where that cannot be had."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        pytest.skip("there is no Node on this machine")
    folder = Path(platformdirs.user_cache_dir("vivavoce")) / "test-node"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (EXAMPLES / "package.json").read_text(encoding="utf-8")
    stamp = folder / "installed.json"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.copy(EXAMPLES / "package.json", folder)
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=45)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"npm cannot install ws here: {error}")
        stamp.write_text(wanted, encoding="utf-8")
    shutil.copy(EXAMPLES / "test_streaming.js", folder)
    return folder


@pytest.fixture(params=["python", "node"])
def client(request: pytest.FixtureRequest) -> list[str]:
    """The command line of a sample client."""
    if request.param == "python":
        return [sys.executable, str(EXAMPLES / "test_streaming.py")]
    return ["node", str(request.getfixturevalue("node_folder") / "test_streaming.js")]


async def run(client: list[str], *arguments: str, **env: str) -> tuple[int | None, str, str]:
    """Exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        *client,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name in ("PATH", "HOME")} | env,
    )
    async with asyncio.timeout(30):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_a_client_shows_the_answer_and_its_figures(client: list[str], live: Live, tmp_path: Path) -> None:
    answer = tmp_path / "answer.wav"
    url = live.url("/ws/chat/stream")
    code, output, errors = await run(client, "Hello, how are you?", "en_US", "--url", url, "--save", str(answer))
    assert (code, errors) == (0, "")
    text, figures = output.split("\n\n")
    assert "fine" in text
    for label in ("time to first token", "tokens", "first audio", "total"):
        (line,) = [line for line in figures.splitlines() if line.startswith(label)]
        assert float(line[len(label) :].split()[0]) > 0
    assert "tokens/s" in figures
    with wave.open(str(answer)) as file:
        assert file.getframerate() == 22050
        assert 1 < file.getnframes() / 22050 < 10


async def test_a_client_goes_on_with_a_conversation(client: list[str], live: Live) -> None:
    conversation = f"names-{Path(client[0]).name}"
    env = {"CHAT_URL": live.url("/ws/chat/stream")}
    assert (await run(client, "My name is Alice", "en_US", conversation, **env))[0] == 0
    code, output, _ = await run(client, "What is my name?", "en_US", conversation, **env)
    assert code == 0
    assert "Alice" in output
    assert "Alice" not in (await run(client, "What is my name?", **env))[1]


@pytest.mark.parametrize(("arguments", "told"), [([" "], "error 400"), (["hi", "xx_XX"], "error 404")])
async def test_a_client_ends_with_1_on_an_error(client: list[str], live: Live, arguments: list[str], told: str) -> None:
    code, output, errors = await run(client, *arguments, CHAT_URL=live.url("/ws/chat/stream"))
    assert code == 1
    assert not output.strip()
    assert told in errors


async def test_a_client_without_a_server_ends_with_1(client: list[str]) -> None:
    code, _, errors = await run(client, "hi", CHAT_URL="ws://127.0.0.1:9/ws/chat/stream")
    assert code == 1
    assert "127.0.0.1:9" in errors
    assert "Traceback" not in errors


async def test_a_client_without_a_message_says_how_it_is_used(client: list[str]) -> None:
    code, _, errors = await run(client)
    assert code == 2
    assert "usage" in errors


def test_they_fit_on_a_screen() -> None:
    for name in ("test_streaming.py", "test_streaming.js"):
        assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 75


# --- plain clients --------------------------------------------------------------------------------------------------


async def test_a_plain_websocket_gets_an_answer_and_a_clean_close(live: Live) -> None:
    """As `websocat` does: connect, read to the end; compression offered, no subprotocol."""
    async with connect(live.url(path("What is twelve times seven?")), proxy=None) as socket:
        frames = [json.loads(frame) async for frame in socket]
    assert socket.close_code == 1000
    assert [frame["status"] for frame in frames if frame["type"] == "status"] == ["streaming", "complete"]
    assert "84" in frames[-1]["text"]
    assert frames[-1]["metrics"]["ttft_ms"] < 2000


async def test_a_missing_message_is_told_over_the_socket(live: Live) -> None:
    async with connect(live.url("/ws/chat/stream"), proxy=None) as socket:
        assert json.loads(await socket.recv())["code"] == 400
        with pytest.raises(ConnectionClosedError):
            await socket.recv()
    assert socket.close_code == 1008


async def test_a_request_without_an_upgrade_is_told_what_this_is(live: Live) -> None:
    answer = live.get("/ws/chat/stream?message=hello")
    assert answer.status_code == 426
    assert answer.json()["code"] == "UPGRADE_REQUIRED"
    assert answer.json()["hint"]


@pytest.mark.parametrize("message", ["x" * 8192, "🦊" * 8192, "こ" * 8192], ids=["ascii", "emoji", "kana"])
async def test_a_message_of_8_kb_fits_in_the_url(live: Live, message: str) -> None:
    async with a_socket(live.url(path(message))) as peer:
        await peer.ended(10)
    complete(peer)


async def test_a_message_over_the_limit_is_told(live: Live) -> None:
    async with a_socket(live.url(path("x" * 60_000))) as peer:
        await peer.ended(10)
    assert failure(peer) == (400, 1008)


@pytest.mark.parametrize(("line", "headers", "status"), [(140_000, 0, 101), (10, 300, 431)], ids=["line", "headers"])
async def test_no_head_is_left_without_an_answer(live: Live, line: int, headers: int, status: int) -> None:
    """The library of WebSockets reads 128 headers at most; such a connection used to stay open, and silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    extra = "".join(f"X-{number}: y\r\n" for number in range(headers))
    writer.write(
        f"GET /ws/chat/stream?message={'x' * line} HTTP/1.1\r\nHost: 127.0.0.1:{live.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Version: 13\r\n{extra}\r\n".encode()
    )
    try:
        async with asyncio.timeout(5):
            assert int((await reader.readline()).split()[1]) == status
            if status != 101:
                await reader.read()  # to the end: it closes
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_browser_asks_with_a_token(tmp_path: Path) -> None:
    server = await asyncio.to_thread(lambda: Live(tmp_path, LLM_PROVIDER="offline", VIVAVOCE_API_KEY="k" * 16).ready())
    try:
        url = f"http://127.0.0.1:{server.port}/api/token"
        headers = {"Authorization": "Bearer " + "k" * 16}
        async with httpx.AsyncClient(trust_env=False) as http:
            token = (await http.post(url, headers=headers)).json()["token"]
        async with a_socket(server.url(path("Was heißt 2+2 auf Französisch & Co?", token=token))) as peer:
            await peer.ended(10)
        complete(peer)
        async with a_socket(server.url(path("again", token=token))) as peer:
            await peer.ended(10)
        assert failure(peer) == (401, 1008)
    finally:
        await asyncio.to_thread(server.close)


async def test_the_voices_select_real_voices(live: Live) -> None:
    """Every language of `/voices` can be asked for, in each way of writing it."""
    voices = live.get("/voices").json()
    assert {"id", "language", "name", "engine", "sample_rate"} <= set(voices[0])
    of = {voice["language"]: voice["id"] for voice in reversed(voices)}
    assert {"en_US", "en_GB", "fr_FR", "de_DE", "es_ES"} <= set(of)
    lengths: dict[str, int] = {}
    asked = {"en_US": "en_US", "fr_FR": "fr_FR", "fr-FR": "fr_FR", "de": "de_DE", "EN-gb": "en_GB"}
    for language, voice in asked.items():
        async with a_socket(live.url(path("What is twelve times seven?", language=language))) as peer:
            await peer.ended(10)
        complete(peer)
        assert peer.messages[0]["voice"] == of[voice]
        lengths[language] = sum(len(sound_of(chunk)[0]) for chunk in peer.of("audio_chunk"))
    assert lengths["fr_FR"] == pytest.approx(lengths["fr-FR"], rel=0.005)
    assert lengths["fr_FR"] != pytest.approx(lengths["en_US"], rel=0.02), "the same words take each voice another time"
    for unknown in ("xx_XX", "klingon", "qq"):
        async with a_socket(live.url(path("hi", language=unknown))) as peer:
            await peer.ended(10)
        assert failure(peer) == (404, 1008)


async def test_what_was_asked_is_in_no_log(live: Live) -> None:
    async with a_socket(live.url(path("my secret is xylophone-4711"))) as peer:
        await peer.ended(10)
    async with a_socket(live.url("/ws/chat/stream?token=abc&message=" + quote("xylophone-4711") * 700)) as peer:
        await peer.ended(10)
    live.get("/health")
    assert "xylophone" not in "\n".join(live.process.out + live.process.err)


# --- a stop in mid-answer -------------------------------------------------------------------------------------------


@pytest.fixture
async def stalling(tmp_path: Path) -> AsyncIterator[Live]:
    """A server whose model says some words and then nothing."""
    async with fake_llm() as llm:
        env = {"LLM_PROVIDER": "openai", "LLM_BASE_URL": llm.openai_url, "LLM_MODEL": "stall"}
        limits = {"VIVAVOCE_SERVER__DRAIN_S": "1", "STREAM_LLM_TOKEN_TIMEOUT_S": "20"}
        server = await asyncio.to_thread(lambda: Live(tmp_path, keep=True, **env, **limits).ready())
        try:
            yield server
            async with asyncio.timeout(5):
                while not all(connection.closed_at for connection in llm.connections):
                    llm.closed.clear()
                    await llm.closed.wait()
        finally:
            await asyncio.to_thread(server.close)


async def test_a_stop_in_mid_answer_is_told_and_leaves_nothing(stalling: Live) -> None:
    async with a_socket(stalling.url(path("Tell me a story", conversation_id="c1"))) as peer:
        await peer.wait("token", 2, within_s=10)
        stalling.process.signal(signal.SIGTERM)
        await peer.ended(10)
        assert failure(peer) == (503, 1012)
    assert await asyncio.to_thread(stalling.process.wait) == 0


async def test_a_client_that_goes_away_frees_the_model(stalling: Live) -> None:
    async with a_socket(stalling.url(path("Tell me a story", conversation_id="c1"))) as peer:
        await peer.wait("token", 3, within_s=10)  # all there are
        shown = peer.of("token")[-1]["text"].strip()
        await peer.vanish()
    loop = asyncio.get_running_loop()
    left_at = loop.time()
    turns: list[dict[str, str]] = []
    while not turns and loop.time() - left_at < 5:
        remembered = await asyncio.to_thread(stalling.get, "/api/conversations/c1")
        turns = remembered.json().get("turns", [])
    assert loop.time() - left_at < 1.0
    assert [(turn["assistant"], turn["interrupted"]) for turn in turns] == [(shown, True)]
