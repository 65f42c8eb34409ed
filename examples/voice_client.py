"""Speak a recording to a running server, and save what it answers.

    python examples/voice_client.py question.wav answer.wav [--url ws://127.0.0.1:8000/ws]

The recording is 16 bit, mono, at 8 to 48 kHz. docs/protocol.md describes every message.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import sys
import wave
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

FRAME_S = 0.1


async def speak(server: ClientConnection, sound: bytes, rate_hz: int) -> None:
    """Send the recording as fast as it was spoken, as a microphone would."""
    size = 2 * int(rate_hz * FRAME_S)
    for at in range(0, len(sound), size):
        await server.send(sound[at : at + size])
        await asyncio.sleep(FRAME_S)
    await server.send(json.dumps({"type": "stop"}))


async def listen(server: ClientConnection, answer: Path) -> bool:
    """Print the conversation and save the speech. True when there was an answer."""
    sound, rate_hz = b"", 0
    async for message in server:
        event = json.loads(message)
        match event["type"]:
            case "final_transcript":
                print("you:  ", event["text"] or "(nothing was understood)")
            case "llm_token":
                print(event["text"], end="\n" if event["done"] else "", flush=True)
            case "tts_chunk":  # each one is a complete WAV
                with wave.open(io.BytesIO(base64.b64decode(event["audio_b64"]))) as chunk:
                    rate_hz = chunk.getframerate()
                    sound += chunk.readframes(chunk.getnframes())
            case "tts_phrase_done":  # a player reports this while it plays; we have "heard" the phrase at once
                report = {"type": "played", "turn_id": event["turn_id"], "seq": event["seq"], "ms": 1e9}
                await server.send(json.dumps(report))
            case "error":
                print(f"{event['code']}: {event['message']}", file=sys.stderr)
                if not event["recoverable"]:
                    return False
            case "metrics":
                break
    if sound:
        with wave.open(str(answer), "wb") as file:
            file.setparams((1, 2, rate_hz, 0, "NONE", ""))
            file.writeframes(sound)
    return bool(sound)


async def main(question: Path, answer: Path, url: str) -> bool:
    with wave.open(str(question)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            sys.exit(f"{question} is not 16 bit mono")
        rate_hz, sound = file.getframerate(), file.readframes(file.getnframes())
    async with connect(url, compression=None, max_size=None) as server:
        await server.send(json.dumps({"type": "start", "sample_rate": rate_hz, "mode": "push_to_talk"}))
        speaking = asyncio.create_task(speak(server, sound, rate_hz))
        try:
            return await listen(server, answer)
        finally:
            speaking.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("question", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--url", default="ws://127.0.0.1:8000/ws")
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(main(options.question, options.answer, options.url)) else 1)
