"""The gate in front of every route and upgrade: where from, how often, and who.

In this order, and the first that fails decides: the address's limits, `Host`, `Origin`, the credential. What passes has
`scope["state"]["owner"]` set: the credential's own name, to which conversations belong; `local` where no key is set;
None for a stranger on one of the few public paths. Tokens are taken out of the scope before anybody can log them.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from secrets import compare_digest
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec import UNSET
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.events import Error
from vivavoce.server.body import WholeBody
from vivavoce.server.errors import problem, retry_after
from vivavoce.server.hosts import OwnNames
from vivavoce.server.limits import PerAddress, address_of
from vivavoce.server.paths import own_path
from vivavoce.server.tokens import Tokens
from vivavoce.settings import Server

log = logging.getLogger("vivavoce.audit")

Headers = Mapping[bytes, list[bytes]]
Credential = Literal["key", "page", "token", "local", "none"]

TOKEN_LIFETIME_S = 60.0
"""How long a WebSocket's token waits to be used."""
PAGE_TOKEN_LIFETIME_S = 12 * 3600.0
CONNECTIONS_PER_MINUTE = 60
TURNS_PER_MINUTE = 120
SUBPROTOCOL = "vivavoce"
_SUBPROTOCOL_TOKEN = "token."  # noqa: S105 - the prefix of one
_PAGES = frozenset({"/", "/health", "/ready"})
_LINKED = _PAGES | {"/docs"}
"""Where a link on another site may lead."""

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
        "media-src 'self' blob:; worker-src 'self' blob:; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self)",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request does not pass."""

    status: int
    code: str
    message: str
    hint: str = ""
    retry_after_s: float | None = None


class Access:
    """Who may come in. Rules and tables; it sends nothing."""

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = server.api_key.encode() if server.api_key else None
        self._names = OwnNames(server.allowed_hosts, server.allowed_origins)
        self._connections = PerAddress(server.connections_per_minute, CONNECTIONS_PER_MINUTE)
        self._failures = PerAddress(server.connections_per_minute, CONNECTIONS_PER_MINUTE)
        self._turns = PerAddress(server.turns_per_minute, TURNS_PER_MINUTE)
        self._tokens = Tokens(TOKEN_LIFETIME_S)
        self._page_tokens = Tokens(PAGE_TOKEN_LIFETIME_S)
        self._clock = clock
        self._owner = owner_of_key(server.api_key) if server.api_key else "local"

    def issue(self, credential: Credential) -> tuple[str, str | None]:
        """A token for one WebSocket; and, for who came with the key itself, one for the page's other requests."""
        now = self._clock()
        token = self._tokens.issue(self._owner, now)
        return token, self._page_tokens.issue(self._owner, now) if credential in ("key", "local") else None

    def turn_wait_s(self, scope: Mapping[str, Any]) -> float:
        """Count a turn of this client and return 0.0; or, over its limit, the seconds until it may have another."""
        return self._turns.hit(address_of(scope), self._clock())

    def judge(self, scope: Scope) -> Refusal | None:
        """Why the request may not pass; None if it may, and then its scope says whose it is."""
        headers = _headers(scope)
        offered = _take_token(scope)
        address, now = address_of(scope), self._clock()
        refusal = self._too_many(scope, address, now) or self._misplaced(scope, headers)
        if refusal is not None:
            return refusal
        credential = self._credential(headers, offered, now)
        state = scope.setdefault("state", {})
        state["access"] = self
        state["credential"] = credential
        state["owner"] = None if credential == "none" else self._owner
        if credential != "none" or _is_public(scope):
            return None
        self._failures.hit(address, now)
        return Refusal(
            status=401,
            code="UNAUTHORIZED",
            message="This server wants its API key.",
            hint="Send 'Authorization: Bearer KEY'; a browser's WebSocket takes '?token=' from POST /api/token.",
        )

    def _too_many(self, scope: Scope, address: str, now: float) -> Refusal | None:
        wait = 0.0 if _is_public(scope) else self._failures.wait_s(address, now)
        if scope["type"] == "websocket":
            wait = wait or self._connections.hit(address, now)
        if not wait:
            return None
        message = "Too many attempts from this address."
        return Refusal(status=429, code="RATE_LIMITED", message=message, retry_after_s=round(wait, 1))

    def _misplaced(self, scope: Scope, headers: Headers) -> Refusal | None:
        server = scope.get("server")
        host = _only(headers, b"host")
        if host is None or not self._names.knows_host(host, server):
            hint = "If this name is the server's own, add it to VIVAVOCE_ALLOWED_HOSTS."
            return Refusal(status=403, code="FORBIDDEN_HOST", message="This server has another name.", hint=hint)
        if b"origin" in headers:
            origin = _only(headers, b"origin")
            foreign = origin is None or not self._names.knows_origin(origin, host, server)
        else:
            site = _only(headers, b"sec-fetch-site")
            foreign = site in ("cross-site", "same-site") and own_path(scope) not in _LINKED
        if foreign:
            hint = "If this page may use the server, add its origin to VIVAVOCE_ALLOWED_ORIGINS."
            return Refusal(status=403, code="FORBIDDEN_ORIGIN", message="Pages of other sites may not.", hint=hint)
        return None

    def _credential(self, headers: Headers, offered: str | None, now: float) -> Credential:
        if self._key is None:
            return "local"
        authorization = headers.get(b"authorization", [])
        scheme, _, secret = authorization[0].partition(b" ") if len(authorization) == 1 else (b"", b"", b"")
        secret = secret.strip()
        if scheme.lower() == b"bearer" and secret:
            if compare_digest(secret, self._key):
                return "key"
            if self._page_tokens.owner(secret.decode("latin-1"), now):
                return "page"
        return "token" if offered and self._tokens.redeem(offered, now) else "none"


class Gate:
    """ASGI middleware: lets pass what `Access` lets pass, tells the others why, and adds the security headers."""

    def __init__(
        self,
        app: ASGIApp,
        server: Server,
        *,
        sockets: Iterable[str],
        uploads: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """sockets: the paths of WebSockets. uploads: paths that see to the size and the time of a body themselves."""
        self.access = Access(server, clock)
        self._app = WholeBody(
            app,
            timeout_s=server.request_timeout_s,
            max_bytes=server.max_body_bytes,
            unbounded=frozenset(uploads),
        )
        self._sockets = frozenset(sockets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self.access.judge(scope)
        is_socket = scope["type"] == "websocket"
        if refusal is not None:
            log.warning("refused %s from %s: %s", ascii(scope["path"])[:200], address_of(scope), refusal.code)
        elif not is_socket and own_path(scope) in self._sockets:
            hint = "Connect with a WebSocket client, such as: websocat ws://HOST:PORT/ws"
            refusal = Refusal(status=426, code="UPGRADE_REQUIRED", message="This is a WebSocket.", hint=hint)
        send = _subprotocol_chosen(scope, send) if is_socket else _guarded(scope, send)
        if refusal is None:
            await self._app(scope, receive, send)
        elif not is_socket:
            await _answer(refusal, scope, receive, send)
        elif refusal.status == 403 or own_path(scope) not in self._sockets:
            await _deny(refusal, scope, receive, send)
        else:
            await _tell_and_close(refusal, scope, receive, send)


def owner_of_key(key: str) -> str:
    """The name under which the holder of *key* owns conversations. It does not give the key away."""
    return "key-" + hashlib.sha256(b"vivavoce owner\0" + key.encode()).hexdigest()[:32]


# --- what a request carries -----------------------------------------------------------------------------------------


def _headers(scope: Scope) -> dict[bytes, list[bytes]]:
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value)
    return headers


def _only(headers: Headers, name: bytes) -> str | None:
    """The header's value, if it is there exactly once."""
    values = headers.get(name, [])
    return values[0].decode("latin-1") if len(values) == 1 else None


def _is_public(scope: Scope) -> bool:
    path = own_path(scope)
    return scope["type"] == "http" and (path in _PAGES or path.startswith("/static/"))


def _take_token(scope: Scope) -> str | None:
    """Take the token of a WebSocket out of its query or its subprotocols, in place: servers log this very scope."""
    query = scope.get("query_string", b"")
    found: str | None = None
    if b"token" in query or b"%" in query:  # a name may be percent-encoded
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in pairs if name == "token"]
        if tokens:
            found = tokens[0]
            scope["query_string"] = urlencode([pair for pair in pairs if pair[0] != "token"]).encode()
    if scope["type"] != "websocket":
        return None
    offers: list[str] = scope.get("subprotocols", [])
    if any(offer.startswith(_SUBPROTOCOL_TOKEN) for offer in offers):
        found = found or next(offer for offer in offers if offer.startswith(_SUBPROTOCOL_TOKEN))[len("token.") :]
        scope["subprotocols"] = kept = [offer for offer in offers if not offer.startswith(_SUBPROTOCOL_TOKEN)]
        others = [(name, value) for name, value in scope["headers"] if name.lower() != b"sec-websocket-protocol"]
        scope["headers"] = others + ([(b"sec-websocket-protocol", ", ".join(kept).encode("latin-1"))] if kept else [])
    return found


# --- what is sent ---------------------------------------------------------------------------------------------------


def _guarded(scope: Scope, send: Send) -> Send:
    """*send*, with the security headers; answers are not kept by caches unless they say so themselves."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if not own_path(scope).startswith("/static/"):
                headers.setdefault("cache-control", "no-store")
        await send(message)

    return guarded


def _subprotocol_chosen(scope: Scope, send: Send) -> Send:
    """*send*, choosing our subprotocol where one is offered and none chosen: browsers insist on it."""
    if SUBPROTOCOL not in scope.get("subprotocols", []):
        return send

    async def choosing(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": SUBPROTOCOL}
        await send(message)

    return choosing


async def _answer(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    headers: dict[str, str] = {}
    if refusal.retry_after_s is not None:
        headers = retry_after(refusal.retry_after_s)
    elif refusal.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    elif refusal.status == 426:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    response = problem(refusal.status, refusal.code, refusal.message, refusal.hint, headers=headers)
    await response(scope, receive, send)


async def _deny(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse the handshake itself."""
    await receive()  # websocket.connect
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    response = problem(refusal.status, refusal.code, refusal.message, refusal.hint)
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": response.raw_headers})
    await send({"type": "websocket.http.response.body", "body": response.body})


async def _tell_and_close(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, tell, close: a browser's script learns nothing of a handshake that fails."""
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": _told(refusal, own_path(scope))})
    await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})


def _told(refusal: Refusal, path: str) -> str:
    """The refusal as the protocol at *path* tells errors."""
    if path == "/ws/chat/stream":
        told = {"type": "error", "error": refusal.message, "code": refusal.status, "reason": refusal.code}
        optional = {"hint": refusal.hint, "retry_after_s": refusal.retry_after_s}
        return msgspec.json.encode(told | {name: value for name, value in optional.items() if value}).decode()
    message = Error(
        n=1,
        code=refusal.code,
        message=refusal.message,
        recoverable=False,
        hint=refusal.hint or UNSET,
        retry_after_s=UNSET if refusal.retry_after_s is None else refusal.retry_after_s,
    )
    return msgspec.json.encode(message).decode()
