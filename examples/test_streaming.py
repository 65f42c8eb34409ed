"""Ask a running server one thing, and watch the answer grow: text and speech.

    python examples/test_streaming.py "Hello, how are you?" [en_US] [CONVERSATION] [--save answer.wav]

docs/protocol.md describes every message. Exit code 1 on an error.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import sys
import time
import wave
from pathlib import Path
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


async def ask(url: str, key: str | None, save: Path | None) -> int:
    began, first_token, first_audio, tokens, sound = time.perf_counter(), 0.0, 0.0, 0, []
    headers = {"Authorization": f"Bearer {key}"} if key else None
    async with connect(url, additional_headers=headers, compression=None, max_size=None) as server:
        async for frame in server:
            message, now = json.loads(frame), time.perf_counter() - began
            match message["type"]:
                case "token":
                    tokens, first_token = tokens + 1, first_token or now
                    print(message["token"], end="", flush=True)
                case "audio_chunk":  # each one is a complete WAV: a player queues it here
                    first_audio = first_audio or now
                    sound.append(base64.b64decode(message["audio"]))
                case "error":
                    print(f"error {message['code']}: {message['error']}", file=sys.stderr)
                    return 1
                case "status" if message["status"] == "complete":
                    rate = tokens / (now - first_token) if tokens and now > first_token else 0.0
                    print(f"\n\ntime to first token  {first_token * 1000:7.1f} ms")
                    print(f"tokens               {tokens:7} ({rate:.1f} tokens/s)")
                    print(f"first audio          {first_audio * 1000:7.1f} ms ({len(sound)} chunks)")
                    print(f"total                {now * 1000:7.1f} ms")
                    if sound and save is not None:
                        with wave.open(str(save), "wb") as file:
                            for chunk in map(wave.open, map(io.BytesIO, sound)):
                                if not file.getnframes():
                                    file.setparams(chunk.getparams())
                                file.writeframes(chunk.readframes(chunk.getnframes()))
                    return 0
    print("the server left without completing the answer", file=sys.stderr)
    return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("message")
    parser.add_argument("language", nargs="?", default="en_US")
    parser.add_argument("conversation_id", nargs="?", default="")
    parser.add_argument("--url", default=os.environ.get("CHAT_URL", "ws://127.0.0.1:8000/ws/chat/stream"))
    parser.add_argument("--save", type=Path, help="write the speech to this WAV")
    options = parser.parse_args()
    query = urlencode({name: getattr(options, name) for name in ("message", "language", "conversation_id")})
    try:
        sys.exit(asyncio.run(ask(f"{options.url}?{query}", os.environ.get("VIVAVOCE_API_KEY"), options.save)))
    except (OSError, WebSocketException) as error:
        sys.exit(f"{options.url}: {error}")
