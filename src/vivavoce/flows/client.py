"""A client of flows that run on another server: for a voice agent in a process of its own.

client = FlowClient("http://127.0.0.1:8000", "booking", "room-7")
text = await stream_with_sentences(client.process_user_input_streaming("a table for two"), speak)
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec

from vivavoce.flows.errors import FlowError
from vivavoce.text.sse import EventTooLong, ServerSentEvents

if TYPE_CHECKING:
    import httpx

CONNECT_S = 3.0
SILENT_S = 30.0
"""The server sends a ping every ten seconds; one that is silent for longer is gone."""
AGAIN_S = (0.02, 0.1, 0.3)
"""Pauses before asking for the rest of a lost answer; the server keeps making it for less than a second."""


class FlowClient:
    """One session of one flow on a server. To be closed; also an async context manager."""

    def __init__(self, backend_url: str, flow_id: str, session_id: str, *, api_key: str | None = None) -> None:
        """backend_url: such as `http://127.0.0.1:8000`. Raises ValueError for what is no address."""
        parts = urlsplit(backend_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{backend_url!r} is no http:// or https:// address")
        base = backend_url.rstrip("/")
        self._url = f"{base}/api/flows/{quote(flow_id, safe='')}/stream/{quote(session_id, safe='')}"
        self._place = parts.netloc.rpartition("@")[2]
        self._local = _is_local(parts.hostname)
        self._secure = parts.scheme == "https"
        self._headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        self._http: httpx.AsyncClient | None = None

    async def process_user_input_streaming(self, text: str | None) -> AsyncGenerator[str, None]:
        """Yield the tokens of the flow's answer to *text* (None: the flow begins).

        A lost connection is taken up again where it broke. Closing the generator (leaving `contextlib.aclosing`)
        closes the stream, and the server stops the answer. Raises FlowError with the server's code.
        """
        request: tuple[str, dict[str, str], bytes | None] = ("POST", {}, msgspec.json.encode({"input": text}))
        last = ""
        pauses = iter(AGAIN_S)
        while True:
            method, headers, body = request
            async with aclosing(self._events(method, headers, body)) as events:
                async for event_id, event in events:
                    last = event_id or last
                    match event.get("type"):
                        case "token":
                            pauses = iter(AGAIN_S)
                            yield str(event.get("content", ""))
                        case "done":
                            return
                        case "error":
                            code = str(event.get("code", "FLOW_FAILED"))
                            raise FlowError(code, str(event.get("content", "")), hint=str(event.get("hint", "")))
            pause = next(pauses, None)
            if not last or pause is None:
                raise FlowError("UNREACHABLE", f"{self._place}: the connection broke before the answer was whole")
            await asyncio.sleep(pause)
            request = ("GET", {"Last-Event-ID": last}, None)

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def __aenter__(self) -> FlowClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _events(
        self, method: str, headers: dict[str, str], body: bytes | None
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """(id, event) of one connection, which may end before the answer does; first one of no type, with the id from
        which on to ask again. Raises FlowError for a refusal."""
        import httpx

        decoder = ServerSentEvents()
        try:
            async with self._client().stream(
                method, self._url, headers=self._headers | headers, content=body
            ) as response:
                if response.status_code != 200:
                    raise await _refusal(response)
                if method == "POST" and (run := response.headers.get("x-flow-run")):
                    yield f"{run}.0", {}
                async for data in response.aiter_bytes():
                    for event in decoder.feed(data):
                        yield event.id, _decoded(event.data)
        except httpx.ConnectError as error:
            if not headers.get("Last-Event-ID"):
                raise FlowError("UNREACHABLE", f"{self._place} cannot be reached: {error}") from error
        except httpx.TransportError:
            return  # broken off
        except (EventTooLong, httpx.InvalidURL) as error:
            raise FlowError("FLOW_FAILED", f"{self._place}: {error}") from error

    def _client(self) -> httpx.AsyncClient:
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=httpx.Timeout(SILENT_S, connect=CONNECT_S),
                trust_env=not self._local,  # no proxy leads to this machine
                verify=self._secure,  # making a TLS context takes 20 ms
            )
        return self._http


async def _refusal(response: httpx.Response) -> FlowError:
    """What another status than 200 says."""
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > 65_536:
            break
    told = _decoded(bytes(data))
    wait = response.headers.get("retry-after", "")
    return FlowError(
        str(told.get("code") or "HTTP_STATUS"),
        str(told.get("error") or f"HTTP {response.status_code}"),
        hint=str(told.get("hint", "")),
        retry_after_s=float(wait) if wait.isdecimal() else 0.0,
    )


def _decoded(data: str | bytes) -> dict[str, Any]:
    """An object of JSON; an empty one for anything else."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
