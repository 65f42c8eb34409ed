"""A language model server that says how fast, and remembers when it sent each token.

The user's words choose: `ID COUNT RATE`, RATE tokens a second, 0 for as fast as they can be written. `GET /sent/ID`
gives the moments (seconds of the machine's monotonic clock) at which the tokens were handed to the socket.

    python -m benchmarks.timed_llm PORT
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

WORDS = (
    "Well, once upon a time there was a small lighthouse, and in it lived a keeper who loved the sea. "
    "Every evening she lit the lamp, watched the ships go by, and wrote down what she saw. "
    "One night the wind blew so hard that nobody could sleep, but the lamp stayed bright until the morning came. "
)
TOKENS = [word + " " for word in WORDS.split()]
BURST = 16
"""Tokens between two looks at the client, when there is no rate."""


def token(at: int) -> str:
    """The *at*-th token of every answer."""
    return TOKENS[at % len(TOKENS)]


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return chunk(b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n")


EVENTS = [event({"content": text}) for text in TOKENS]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TAIL = event({}, "stop") + chunk(b"data: [DONE]\n\n") + chunk(b"")


class TimedLLM:
    """One server; `sent` has the moments of each answer's tokens by the question's id."""

    def __init__(self) -> None:
        self.sent: dict[str, list[float]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *fields = head.decode("latin-1").lower().split("\r\n")
                path = first.split()[1]
                length = next((int(line[15:]) for line in fields if line.startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                if path.endswith("/chat/completions"):
                    await self._answer(writer, json.loads(body)["messages"][-1]["content"])
                else:
                    moments = self.sent.pop(path.removeprefix("/sent/"), [])
                    answer = json.dumps({"data": [{"id": "timed"}], "sent": moments}).encode()
                    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, question: str) -> None:
        name, count, rate = question.split()
        moments = self.sent[name] = []
        writer.write(HEAD)
        gap_s = 1 / float(rate) if float(rate) else 0.0
        due = time.perf_counter() + random.random() * gap_s  # streams do not keep step with each other
        for at in range(int(count)):
            if gap_s:
                due += gap_s
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            elif at % BURST == 0:
                await writer.drain()
                await asyncio.sleep(0)
            moments.append(time.perf_counter())
            writer.write(EVENTS[at % len(EVENTS)])
        writer.write(TAIL)
        await writer.drain()


async def main(port: int) -> None:
    server = await asyncio.start_server(TimedLLM().serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
