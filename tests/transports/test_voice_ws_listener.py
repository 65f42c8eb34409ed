"""`/ws` over loopback, behind the listener that `vivavoce serve` uses: what only a real socket can show."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.frames import Frame, Opcode

from kit import FakeModel, FakeRecognizer, FakeVoice
from transports.wire import Listening, a_socket, check_laws, listening, pieces, sound_of, tone
from vivavoce.settings import Server, Settings, Stream

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."
QUICK = FakeModel("Fine.", gap_s=0.0)


async def settled(condition: Callable[[], bool], within_s: float) -> float:
    """Poll what a server does by itself; how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - it is seen from outside only
            await asyncio.sleep(0.005)
    return loop.time() - began


def open_sockets() -> int:
    links = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    return sum(str(link).startswith("socket:") for link in links)


async def test_a_spoken_turn_over_a_socket() -> None:
    async with listening(llm=QUICK) as server:
        async with a_socket(server.url()) as peer:
            await peer.start(vad_silence_ms=300)
            await peer.speak(0.7)
            await peer.hush(0.6)
            metrics = await peer.wait("metrics", within_s=10)
        assert metrics["outcome"] == "done"
        assert peer.of("final_transcript")[0]["text"] == "hello there"
        assert sound_of(peer.of("tts_chunk")[0])[0]
        check_laws(peer)
        await settled(lambda: not len(server.state.sessions), 2.0)


async def test_over_the_hard_limit_the_connection_ends() -> None:
    async with listening() as server, a_socket(server.url()) as peer:
        await peer.start()
        await peer.send_raw(bytes(1 << 20))
        assert (await peer.wait("error"))["code"] == "FRAME_TOO_LARGE"
        await peer.send_raw(bytes((1 << 20) + 1))
        assert (await peer.ended(10))[0] == 1009


async def test_endless_fragments_end_at_the_limit() -> None:
    async with listening() as server, a_socket(server.url()) as peer:
        await peer.start()

        async def endless():  # type: ignore[no-untyped-def]
            while True:
                yield bytes(60_000)

        feeding = asyncio.create_task(peer.socket.send(endless()))
        assert (await peer.ended(10))[0] == 1009
        await asyncio.wait({feeding})
        feeding.exception()


async def test_a_fragmented_message_is_one_message() -> None:
    async with listening(asr=FakeRecognizer(["one two three"])) as server, a_socket(server.url()) as peer:
        await peer.socket.send(iter(['{"type": ', '"start"', "}"]))
        await peer.wait("info")
        await peer.socket.send(pieces(tone(0.6), 999))
        await peer.send("stop")
        assert (await peer.wait("final_transcript"))["text"] == "one two three"


async def test_text_that_is_no_utf8_ends_the_connection_as_the_protocol_wants() -> None:
    async with listening() as server, a_socket(server.url()) as peer:
        await peer.start()
        peer.socket.transport.write(Frame(Opcode.TEXT, b'{"type": "\xff\xfe"}').serialize(mask=True))
        assert (await peer.ended(10))[0] == 1007


async def test_close_codes_of_the_client_are_answered() -> None:
    async with listening() as server:
        for code in (1000, 1001, 4321):
            async with a_socket(server.url()) as peer:
                await peer.start()
                await peer.socket.close(code, "bye")
                assert (await peer.ended(5))[0] == code
        await settled(lambda: not len(server.state.sessions), 2.0)


@pytest.mark.parametrize("moment", ["connected", "listening", "speaking"])
async def test_a_reset_frees_all_within_two_seconds(moment: str) -> None:
    model, voice = FakeModel(STORY * 50), FakeVoice()
    recognizer = FakeRecognizer(["well"], final_delay_s=30.0)
    async with listening(llm=model, tts=voice, asr=recognizer) as server:
        before = open_sockets()
        async with a_socket(server.url()) as peer:
            if moment != "connected":
                await peer.start(audio_out="pcm")
            if moment == "listening":
                await peer.speak(0.5)
            if moment == "speaking":
                await peer.send("text", text="story")
                await peer.until(lambda: len(peer.frames) > 3)
            await peer.vanish()
            assert await settled(lambda: not model.streams, 1.0) < 1.0
            assert await settled(lambda: not len(server.state.sessions), 2.0) < 2.0
        assert recognizer.streams == voice.streams == 0
        await settled(lambda: open_sockets() == before, 2.0)
        assert not [t for t in asyncio.all_tasks() if t.get_name().startswith(("voice ", "turn ", "recognize"))]


async def test_a_silent_peer_is_found_by_the_heartbeat() -> None:
    """Nothing comes any more, not even an answer to a ping."""
    settings = msgspec.structs.replace(Settings(), server=Server(ping_interval_s=1.0, ping_timeout_s=1.0))
    async with listening(settings) as server:
        mute = await opened(server)
        try:
            mute.sendall(Frame(Opcode.TEXT, b'{"type": "start"}').serialize(mask=True))
            await settled(lambda: any(c.session for c in server.state.sessions.connections), 2.0)
            assert await settled(lambda: not len(server.state.sessions), 4.0) < 3.5
        finally:
            mute.close()


async def opened(server: Listening, *, buffer: int | None = None) -> socket.socket:
    """A WebSocket whose owner never reads unless it is told to."""
    raw = socket.socket()
    if buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", server.port))
    head = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await loop.sock_sendall(raw, head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += await loop.sock_recv(raw, 4096)
    assert answer.startswith(b"HTTP/1.1 101")
    return raw


async def test_a_reader_that_stopped_is_closed_and_its_socket_freed() -> None:
    """Its kernel takes what it can; then our writing stands still, and after send_timeout_s it is over."""
    model = FakeModel(STORY * 200, gap_s=0.0)
    settings = Settings(stream=Stream(send_timeout_s=1.0, outgoing_bytes=65_536, turn_timeout_s=3600.0))
    async with listening(settings, llm=model) as server:
        before = open_sockets()
        slow = await opened(server, buffer=4096)
        try:
            for message in ({"type": "start"}, {"type": "text", "text": "talk"}):
                slow.send(Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=True))
            async with a_socket(server.url()) as other:
                await other.start()
                await settled(lambda: model.streams == 1, 2.0)
                await settled(lambda: len(server.state.sessions) == 1, 20.0)
                assert model.streams == 0
                await other.send("ping")
                await other.wait("pong")
            await settled(lambda: open_sockets() == before + 1, 5.0)  # ours is open still, the server's is not
        finally:
            slow.close()


async def test_health_counts_sessions() -> None:
    async with listening() as server, httpx.AsyncClient(base_url=server.http, trust_env=False) as http:
        async with a_socket(server.url()) as peer:
            await peer.start()
            assert (await http.get("/health")).json()["active_sessions"] == 1
        await settled(lambda: not len(server.state.sessions), 2.0)
        assert (await http.get("/health")).json()["active_sessions"] == 0


async def test_a_reset_while_audio_is_held_back_is_noticed() -> None:
    """A client floods, its audio waits to be used, and it vanishes."""
    async with listening() as server:
        raw = await opened(server)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, Frame(Opcode.TEXT, b'{"type": "start"}').serialize(mask=True))
        frame = Frame(Opcode.BINARY, bytes(32_000)).serialize(mask=True)
        for _ in range(18):
            await loop.sock_sendall(raw, frame)
        await settled(lambda: any(c.session for c in server.state.sessions.connections), 2.0)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        assert await settled(lambda: not len(server.state.sessions), 8.0) < 5.0
