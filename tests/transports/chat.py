"""A client of `/ws/chat/stream`: asks in the URL, and checks what holds for every answer."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

from transports.wire import CHAT, App, Json, MemoryPeer, Peer
from vivavoce.audio import wav


def path(message: str | None = "hello", **parameters: Any) -> str:
    """The path and query of a chat."""
    asked = {"message": message, **parameters}
    return f"{CHAT}?{urlencode({name: value for name, value in asked.items() if value is not None})}"


async def asked(server: App, message: str | None = "hello", **parameters: Any) -> MemoryPeer:
    """A chat, to its end."""
    peer = await server.connect(path(message, **parameters))
    await peer.ended()
    await peer.task
    return peer


def complete(peer: Peer) -> Json:
    """The last message of an answer that obeys the protocol's laws."""
    first, last = peer.messages[0], peer.messages[-1]
    assert (first["type"], first["status"]) == ("status", "streaming")
    assert (last["type"], last["status"]) == ("status", "complete")
    assert peer.closed == (1000, "complete")
    assert len(peer.of("status")) == 2
    assert not peer.of("error")
    assert not peer.frames
    check_tokens(peer)
    assert last["text"] == "".join(token["token"] for token in peer.of("token"))
    for chunk in peer.of("audio_chunk"):
        sound, rate_hz = sound_of(chunk)
        assert sound
        assert rate_hz == chunk["sample_rate"] == first["sample_rate"]
    order = [(chunk["seq"], chunk.get("part", 0)) for chunk in peer.of("audio_chunk")]
    assert order == sorted(set(order))
    assert set(last["metrics"]) >= {"ttft_ms", "tokens_per_s", "first_audio_ms", "total_ms"}
    return last


def failure(peer: Peer) -> tuple[int, int]:
    """The error's code and the close code of a chat that failed; nothing follows the error."""
    last = peer.messages[-1]
    assert last["type"] == "error", peer.kinds()
    assert len(peer.of("error")) == 1
    assert not [status for status in peer.of("status") if status["status"] == "complete"]
    assert last["error"]
    check_tokens(peer)
    assert peer.closed is not None
    return last["code"], peer.closed[0]


def check_tokens(peer: Peer) -> None:
    """Each token says the text so far, itself included."""
    text = ""
    for token in peer.of("token"):
        assert token["token"]
        text += token["token"]
        assert token["text"] == text


def sound_of(chunk: Json) -> tuple[bytes, int]:
    """The samples and the rate of an `audio_chunk`, which is a complete WAV."""
    data = base64.b64decode(chunk["audio"], validate=True)
    assert data[:4] == b"RIFF"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    return wav.read(data)
