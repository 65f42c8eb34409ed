"""The HTTP server that a language model lives on: requests, streamed answers, and its refusals as our errors."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from vivavoce.core.retry import retry_after_s
from vivavoce.errors import EngineBusy, EngineError, EngineFailed, EngineUnavailable

if TYPE_CHECKING:
    import httpx

OK = 200
LOOK_S = 3.0
"""To answer a small request."""
SEND_S = 10.0
"""To take a request."""
REFUSAL_S = 2.0
"""To say why it refuses."""
REFUSAL_BYTES = 65_536
DRAIN_S = 0.05
"""To end an answer that is complete, so that its connection can be used again; else it is closed."""
ANSWER_BYTES = 16 * 1024 * 1024
"""More than any answer: bytes that never end."""
PIECE_BYTES = 4096
"""What is read at once: a flood keeps the loop busy for no longer than this takes."""
HIDDEN = 6
"""Secrets from this length on are blotted out of a server's words; shorter ones could be any word."""
IDLE_S = 120.0
"""An unused connection is kept for so long."""
MOST_REST_S = 3600.0
SHOWN = 300
"""Characters of a server's own words in our error."""


class Refusal(Exception):
    """The server answered with another status than 200. `param` is the field it does not take, if it says so."""

    def __init__(self, status: int, message: str, param: str, retry_after: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.retry_after = retry_after


class Answer:
    """A streamed answer with status 200."""

    def __init__(self, response: httpx.Response) -> None:
        self.complete = False
        """To be set by the reader when nothing that matters follows."""
        self._body: AsyncGenerator[bytes, None] = response.aiter_bytes()  # type: ignore[assignment]
        self._left = ANSWER_BYTES
        self._rest = b""
        self._taken = 0  # bytes since others had their turn

    async def next(self) -> bytes | None:
        """The next bytes as they come, at most PIECE_BYTES; None at the end, also when the server broke off.

        Raises EngineFailed.
        """
        if self._taken >= PIECE_BYTES:
            self._taken = 0
            await asyncio.sleep(0)
        if not self._rest:
            self._rest = await self._receive()
        data, self._rest = self._rest[:PIECE_BYTES], self._rest[PIECE_BYTES:]
        self._taken += len(data)
        return data or None

    async def _receive(self) -> bytes:
        """What has come; empty at the end."""
        import httpx

        try:
            data = await anext(self._body)
        except (StopAsyncIteration, httpx.RemoteProtocolError):
            return b""
        except httpx.HTTPError as error:
            raise EngineFailed("llm", f"the connection broke: {_reason(error)}") from error
        self._left -= len(data)
        if self._left < 0:
            raise EngineFailed("llm", f"the answer has more than {ANSWER_BYTES} bytes")
        return data

    async def close(self) -> None:
        """Read the little that may be left of a complete answer, and let go of it."""
        try:
            if self.complete:
                async with asyncio.timeout(DRAIN_S):
                    while await self.next() is not None:
                        pass
        except (TimeoutError, EngineError):
            pass  # its connection is closed instead
        finally:
            await self._body.aclose()


class Upstream:
    """One server. Connections are kept between requests; `close` ends them."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        connect_s: float = 3.0,
    ) -> None:
        """base_url: without the path of a request. headers: sent with every request; they may hold secrets, and one
        called Authorization stands for the key. Imports httpx, which takes a moment."""
        import httpx

        own = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        sent = httpx.Headers(own)
        sent.update(headers or {})
        words = [api_key or "", *(word for value in (headers or {}).values() for word in (value, *value.split()))]
        self._secrets = sorted({word for word in words if len(word) >= HIDDEN}, key=len, reverse=True)
        try:
            parts = urlsplit(base_url)
            _ = parts.port  # raises for one that cannot be
            self._client = httpx.AsyncClient(
                base_url=base_url,
                headers=sent,
                timeout=httpx.Timeout(connect=connect_s, write=SEND_S, pool=SEND_S, read=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=IDLE_S),
                verify=parts.scheme == "https",  # making a TLS context takes 20 ms
                trust_env=not _is_here(parts.hostname or ""),  # no proxy leads to this machine
            )
        except (ValueError, httpx.InvalidURL) as error:
            raise EngineUnavailable("llm", f"{base_url!r} is not an address: {error}") from error
        self.place = parts.netloc.rpartition("@")[2]
        """Host and port, for people."""

    async def close(self) -> None:
        """End all connections; idempotent."""
        await self._client.aclose()

    async def get(self, path: str, *, within_s: float = LOOK_S) -> bytes:
        """The body of a small answer. Raises Refusal, EngineUnavailable."""
        return await self._exchange("GET", path, None, within_s)

    async def post(self, path: str, body: dict[str, Any], *, within_s: float) -> bytes:
        """The body of a small answer. Raises Refusal, EngineUnavailable."""
        return await self._exchange("POST", path, body, within_s)

    async def _exchange(self, method: str, path: str, body: dict[str, Any] | None, within_s: float) -> bytes:
        try:
            async with asyncio.timeout(within_s), self.stream(method, path, body) as answer:
                data = bytearray()
                while (part := await answer.next()) is not None:
                    data += part
                return bytes(data)
        except TimeoutError as error:
            raise self._unreachable(f"no answer within {within_s:g} s") from error

    @asynccontextmanager
    async def stream(self, method: str, path: str, body: dict[str, Any] | None) -> AsyncIterator[Answer]:
        """Send a request; the answer is read as it comes. Leaving the block ends it, and closes the connection if the
        answer is not complete.

        Raises Refusal, or EngineUnavailable when the server cannot be reached. Only to connect has a time limit.
        """
        import httpx

        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = self._client.build_request(method, path, content=content, headers=headers)
        try:
            response = await self._client.send(request, stream=True)
        except httpx.ConnectTimeout as error:
            raise self._unreachable("no connection within the time allowed") from error
        except httpx.HTTPError as error:
            raise self._unreachable(_reason(error)) from error
        try:
            if response.status_code != OK:
                raise await self._refusal(response)
            answer = Answer(response)
            try:
                yield answer
            finally:
                await answer.close()
        finally:
            await response.aclose()

    def _unreachable(self, why: str) -> EngineUnavailable:
        error = EngineUnavailable("llm", f"{self.place}: {why}", hint="start the server, or correct its address")
        error.transient = True
        return error

    async def _refusal(self, response: httpx.Response) -> Refusal:
        """What a status other than 200 says."""
        answer, data = Answer(response), bytearray()
        try:
            async with asyncio.timeout(REFUSAL_S):
                while len(data) < REFUSAL_BYTES and (part := await answer.next()) is not None:
                    data += part
        except (TimeoutError, EngineError):
            pass  # the status says enough
        finally:
            await answer.close()
        message, param = error_words(bytes(data))
        return Refusal(response.status_code, self.hidden(message), param, response.headers.get("Retry-After", ""))

    def hidden(self, words: str) -> str:
        """*words* of the server without our secrets."""
        for secret in self._secrets:
            words = words.replace(secret, "***")
        return words

    def never_began(self) -> EngineError:
        """The error of an answer with status 200 and nothing in it."""
        error = EngineFailed("llm", f"{self.place}: the answer ended before it began")
        error.transient = True
        return error

    def error(self, refusal: Refusal, *, hint: str = "") -> EngineError:
        """A refusal as the error of an engine."""
        status = refusal.status
        words = refusal.message or client.responses.get(status, "")
        text = f"{self.place}: HTTP {status}{f', {words}' if words else ''}"
        error: EngineError
        match status:
            case 401:
                hint = hint or "check the API key"
                error = EngineUnavailable("llm", f"{self.place}: HTTP 401, the API key is refused", hint=hint)
            case 402 | 403 | 404 | 405:
                error = EngineUnavailable("llm", text, hint=hint or "check the address, the model's name and the key")
            case 429 | 503:
                error = EngineBusy("llm", text, hint=hint)
            case _:
                error = EngineFailed("llm", text, hint=hint)
        error.transient = status in (408, 429) or status >= 500
        error.retry_after_s = min(MOST_REST_S, retry_after_s(refusal.retry_after, datetime.now(UTC)) or 0.0)
        return error


def error_words(body: bytes) -> tuple[str, str]:
    """(message, field that is not taken) of a server's error object, as the servers in use write it."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", ""
    found = document.get("error", document) if isinstance(document, dict) else ""
    if isinstance(found, str):
        return found[:SHOWN], ""
    if not isinstance(found, dict):
        return "", ""
    message = next((found[key] for key in ("message", "detail", "error") if isinstance(found.get(key), str)), "")
    if not message and found.get("detail"):
        message = str(found["detail"])  # a list of what is wrong, and where
    param = found.get("param")
    return message[:SHOWN], param if isinstance(param, str) else ""


def _reason(error: Exception) -> str:
    """Why a request failed, as the system says it: `connection refused`."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            number = cause.errno or 0  # those of name resolution are negative
            return (os.strerror(number) if number > 0 else cause.strerror).lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
