"""The client of `/ws` that `talk` and `chat` share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Union

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from vivavoce.cli import Failed
from vivavoce.events import AnyClientMessage, Error, Info, ServerMessage, Start

DEFAULT_URL = "ws://127.0.0.1:8000/ws"
KEY_HINT = "set VIVAVOCE_API_KEY to the server's key"
MAX_MESSAGE_BYTES = 16 << 20

_types: Any = Union[tuple(ServerMessage.__subclasses__())]  # noqa: UP007 - made of a list
_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(_types)


class NoServer(Failed):
    """Nobody answers at the address."""


class VoiceClient:
    """One connection to `/ws`. Sends messages and audio; iterate `messages()` for what comes back."""

    def __init__(self, socket: ClientConnection, info: Info) -> None:
        self._socket = socket
        self.info = info
        """What answered `start`."""

    async def send(self, message: AnyClientMessage | bytes) -> None:
        """Send a message, or audio. Raises Failed when the connection has ended."""
        try:
            await self._socket.send(
                message if isinstance(message, bytes) else msgspec.json.encode(_without_unset(message)).decode()
            )
        except ConnectionClosed as closed:
            raise _ended(closed) from closed

    async def messages(self) -> AsyncGenerator[ServerMessage, None]:
        """All that the server sends, without the types that this client does not know. Ends with the connection;
        raises Failed when it did not end well."""
        try:
            async for data in self._socket:
                if isinstance(data, str) and (message := decode(data)) is not None:
                    yield message
        except ConnectionClosed as closed:
            raise _ended(closed) from closed


def decode(text: str) -> ServerMessage | None:
    """A server's message; None for a type that this client does not know."""
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError:
        return None


def socket_address(url: str) -> str:
    """The WebSocket of a server; *url* may also be the address of its page, which is what it prints."""
    scheme, mark, place = url.partition("://")
    if mark and scheme.lower() in ("http", "https"):
        return f"ws{scheme[4:].lower()}://{place.rstrip('/')}/ws"
    return url


@asynccontextmanager
async def connected(url: str, start: Start, api_key: str | None = None) -> AsyncIterator[VoiceClient]:
    """A started session at *url*. Raises NoServer when nobody answers there, Failed when it refuses."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        socket = await connect(
            socket_address(url),
            additional_headers=headers,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            proxy=None,
            open_timeout=10,
        )
    except InvalidStatus as refused:
        raise _refused(url, refused) from refused
    except InvalidURI as error:
        raise Failed(f"{url} is not a WebSocket address", hint=f"such as {DEFAULT_URL}") from error
    except (OSError, InvalidHandshake) as error:
        hint = "start one with `vivavoce serve`, name another with --url, or add --local"
        raise NoServer(f"no vivavoce server answers at {url}", hint=hint) from error
    async with socket:
        yield await _start(socket, start)


async def _start(socket: ClientConnection, start: Start) -> VoiceClient:
    with suppress(ConnectionClosed):  # what was sent before the close is read first: it says why
        await socket.send(msgspec.json.encode(_without_unset(start)).decode())
    try:
        async for data in socket:
            message = decode(data) if isinstance(data, str) else None
            if isinstance(message, Info) and message.session_id:
                return VoiceClient(socket, message)
            if isinstance(message, Error):
                hint = KEY_HINT if message.code == "UNAUTHORIZED" else message.hint or ""
                raise Failed(f"{message.code}: {message.message}", hint=hint)
    except ConnectionClosed as closed:
        raise _ended(closed) from closed
    raise Failed("the server closed the connection before the session began")


def _without_unset(message: AnyClientMessage) -> dict[str, Any]:
    """As it goes on the wire: fields that are None are left away."""
    fields = {key: value for key, value in msgspec.structs.asdict(message).items() if value is not None}
    return {"type": message.__struct_config__.tag, **fields}


def _refused(url: str, refused: InvalidStatus) -> Failed:
    status = refused.response.status_code
    hint = f"the address ends in /ws, such as {DEFAULT_URL}"
    if status in (401, 403):
        return Failed(f"{url} refuses us ({status})", hint=f"{hint}; {KEY_HINT}")
    return Failed(f"{url} answers {status}, not a WebSocket", hint=hint)


def _ended(closed: ConnectionClosed) -> Failed:
    received = closed.rcvd
    why = f"{received.code} {received.reason}".strip() if received else "without saying why"
    return Failed(f"the server closed the connection ({why})")
