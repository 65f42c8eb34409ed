"""`vivavoce serve`: what it prints, what it refuses, how it listens and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Callable

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from cli.runs import Process, Run

pytestmark = pytest.mark.xdist_group("cli")
Serve = Callable[..., Process]


def test_it_prints_the_page_and_the_engines_and_stops_cleanly(serve: Serve) -> None:
    process = serve()
    page = process.until(r"vivavoce is at (http://127\.0\.0\.1:\d+/)$")[1]
    ready = process.until(r"\[READY\] (.*)")[1]
    assert httpx.get(page).status_code == 200
    health = httpx.get(f"{page}health")
    assert health.json()["status"] == "ok"
    assert "server" not in health.headers
    report = httpx.get(f"{page}ready").json()["engines"]
    process.signal()
    assert process.wait() == 0
    for role in ("vad", "asr", "llm", "tts"):
        assert f"{role}={report[role]['name']}" in ready
        assert f"  {role}: {report[role]['name']}" in process.out
    assert any("SIGTERM" in line for line in process.err)


def test_json_logs_are_the_only_output(serve: Serve) -> None:
    process = serve("--log-format", "json")
    process.until(r'"tag": "READY"')
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert process.out == []
    tags = [json.loads(line)["tag"] for line in process.err]
    assert {"READY", "HINT", "STOP"} <= set(tags)


def test_a_second_signal_stops_at_once_while_the_engines_load(serve: Serve) -> None:
    process = serve()
    process.until("vivavoce is at")
    process.signal()
    process.until(r"\[STOP\]")
    process.signal()
    assert process.wait() == 0
    assert not any("Traceback" in line for line in process.err)


def test_a_port_in_use_is_one_clear_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", env={"PORT": str(port)})
    assert result.returncode == 1
    first, second = result.stderr.splitlines()
    assert first == f"Error: port {port} on 127.0.0.1 is in use"
    assert f"--port {port + 1}" in second
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "env", "says"),
    [
        (["--host", "0.0.0.0"], {}, "VIVAVOCE_API_KEY"),
        ([], {"STREAM_TTS_ENGINE": "nosuch"}, "tts engine 'nosuch'"),
        ([], {"STREAM_VAD_SILENCE_MS": "soon"}, "STREAM_VAD_SILENCE_MS: 'soon' cannot be used"),
        (["--config", "nowhere.yaml"], {}, "nowhere.yaml"),
        (["--host", "no.such.host.invalid"], {"VIVAVOCE_API_KEY": "k"}, "cannot listen on no.such.host.invalid"),
    ],
)
def test_what_it_refuses_to_start_with(run: Run, arguments: list[str], env: dict[str, str], says: str) -> None:
    result = run("serve", "--port", "0", *arguments, env=env)
    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert "Error: " in result.stderr.splitlines()[0]


def test_reload_serves_from_a_child_and_stops_with_it(serve: Serve) -> None:
    process = serve("--reload")
    page = process.until(r"vivavoce is at (http://\S+)")[1]
    assert httpx.get(f"{page}health").json()["status"] == "ok"
    process.signal()
    assert process.wait() == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{page}health")


def test_an_unfinished_request_is_not_waited_for(serve: Serve) -> None:
    process = serve("--set", "server.request_timeout_s=1")
    port = int(process.until(r"http://127\.0\.0\.1:(\d+)/")[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_a_head_without_end_is_refused(serve: Serve) -> None:
    process = serve()
    port = int(process.until(r"http://127\.0\.0\.1:(\d+)/")[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 40_000)
        assert re.match(rb"HTTP/1.1 4\d\d", client.recv(100))


async def test_sockets_are_not_compressed_and_messages_have_a_limit(server: str) -> None:
    async with connect(server, compression="deflate", proxy=None) as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
        await client.send(b"\0" * ((1 << 20) + 2))
        with pytest.raises(ConnectionClosed) as closed:
            async for _ in client:
                pass
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_clients_are_told_before_it_stops(serve: Serve) -> None:
    process = serve()
    port = process.until(r"http://127\.0\.0\.1:(\d+)/")[1]
    async with connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as client:
        await client.send('{"type": "start"}')
        assert json.loads(await client.recv())["session_id"]
        process.signal()
        notice = json.loads(await client.recv())
        assert notice["type"] == "info"
        assert notice["retry_after_s"] > 0
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert process.wait() == 0
