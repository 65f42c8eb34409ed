"""The HTTP requests of flows: only to servers the operator allows, at addresses looked up once and then kept to.

The name of a server is resolved here, every address is checked, and the connection goes to that very address: a name
that answers differently the second time leads nowhere. No proxy, no cookies, no redirect to another host, no
compression, and no more bytes or seconds than allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from vivavoce.flows.errors import FlowError

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 1 << 20
MAX_URL = 4_096
REDIRECTS = 3
PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.ip_network("64:ff9b::/96")
FORBIDDEN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive",
     "proxy-authorization", "proxy-connection", "accept-encoding"}
)  # fmt: skip
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Answer(msgspec.Struct, frozen=True):
    """What a server answered."""

    status: int
    media: str
    """The media type, without parameters."""
    body: bytes

    def value(self) -> Any:
        """The body as JSON where it is any, else as text. Raises ValueError for JSON that cannot be read."""
        if self.media == "application/json" or self.media.endswith("+json"):
            return msgspec.json.decode(self.body) if self.body else None
        return self.body.decode("utf-8", "replace")


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of *host*. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Fetcher:
    """Asks servers that are allowed."""

    def __init__(self, allow: Sequence[str] = (), *, private: bool = False, resolve: Resolve = resolve) -> None:
        """
        allow: `api.example.org`, `*.example.org`, `127.0.0.1:9000`; one without a port means the scheme's own.
        private: whether an allowed *name* may lead to an address that is not public. An address or `localhost` that is
        itself on the list is meant as it is.
        """
        self._allow = [_target(each) for each in allow]
        self._private = private
        self._resolve = resolve
        self._tls: ssl.SSLContext | None = None

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_s: float = 10.0,
    ) -> Answer:
        """The answer, whatever its status. Raises FlowError: HTTP_FORBIDDEN, HTTP_TIMEOUT, HTTP_FAILED."""
        sent = _checked_headers(headers or {})
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(method, url, sent, content)
        except TimeoutError:
            raise FlowError("HTTP_TIMEOUT", f"{_place(url)} did not answer within {timeout_s:g} s") from None

    async def _follow(self, method: str, url: str, headers: dict[str, str], content: bytes | None) -> Answer:
        import httpx

        first = _split(url)
        if first.scheme == "https" and self._tls is None:  # making it takes 20 ms
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        async with httpx.AsyncClient(
            trust_env=False, timeout=httpx.Timeout(None), follow_redirects=False, verify=self._tls or False
        ) as client:
            for _ in range(REDIRECTS + 1):
                parts = _split(url)
                response = await self._ask(client, parts, method, headers, content)
                try:
                    location = response.headers.get("location", "")
                    if response.status_code not in (301, 302, 303, 307, 308) or not location:
                        return await _read(response, parts)
                finally:
                    await response.aclose()
                url = urljoin(url, location)
                there = _split(url)
                if (there.scheme, there.hostname, there.port) != (parts.scheme, parts.hostname, parts.port):
                    raise FlowError("HTTP_FORBIDDEN", f"{parts.hostname} redirects to another server")
                if response.status_code in (301, 302, 303) and method != "HEAD":
                    method, content = "GET", None
        raise FlowError("HTTP_FAILED", f"{first.hostname} redirects too often")

    async def _ask(
        self, client: httpx.AsyncClient, parts: SplitResult, method: str, headers: dict[str, str], content: bytes | None
    ) -> httpx.Response:
        """Send one request to the address that was checked. The response is still to be read and closed."""
        import httpx

        host = parts.hostname or ""
        port = parts.port or PORTS[parts.scheme]
        address = await self._address(host, port)
        shown = f"[{host}]" if ":" in host else host
        own = {"Host": shown if port == PORTS[parts.scheme] else f"{shown}:{port}", "Accept-Encoding": "identity"}
        extensions = {} if _as_address(host) else {"sni_hostname": host}
        try:
            target = httpx.URL(parts.geturl()).copy_with(host=address, port=port)
            request = client.build_request(
                method, target, headers={**headers, **own}, content=content, extensions=extensions
            )
            return await client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise FlowError(
                "HTTP_FAILED", f"{host} could not be asked: {str(error) or type(error).__name__}"
            ) from error

    async def _address(self, host: str, port: int) -> str:
        """The address to connect to. Raises FlowError for a server that is not allowed, by name or by address."""
        literal = _as_address(host)
        entry = next((each for each in self._allow if each.matches(host, port)), None)
        if entry is None:
            hint = f"if flows may ask it, add {host}:{port} to VIVAVOCE_FLOWS__HTTP_ALLOW"
            raise FlowError("HTTP_FORBIDDEN", f"{host}:{port} is not a server that flows may ask", hint=hint)
        if literal is not None:
            return str(literal)
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise FlowError("HTTP_FAILED", f"{host} has no address") from error
        addresses = [address for each in found if (address := _as_address(each.partition("%")[0])) is not None]
        if not addresses:
            raise FlowError("HTTP_FAILED", f"{host} has no address")
        local = host == "localhost" and all(address.is_loopback for address in addresses)
        if not (self._private or local) and not all(map(is_public, addresses)):
            hint = "set VIVAVOCE_FLOWS__HTTP_PRIVATE if the names on your list may lead into your network"
            raise FlowError("HTTP_FORBIDDEN", f"{host} leads to an address that is not public", hint=hint)
        return str(addresses[0])


class _Target(msgspec.Struct, frozen=True):
    """One entry of the list."""

    host: str
    port: int | None
    below: bool
    """Every name below `host` is meant, not `host` itself."""

    def matches(self, host: str, port: int) -> bool:
        fits = host.endswith("." + self.host) if self.below else host == self.host
        return fits and (port == self.port if self.port is not None else port in PORTS.values())


def _target(entry: str) -> _Target:
    below = entry.startswith("*.")
    parts = urlsplit(f"//{entry.removeprefix('*.')}")
    host = (parts.hostname or "").rstrip(".")
    address = _as_address(host)
    return _Target(str(address) if address else host, parts.port, below)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also when it wraps another one."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None:
            return False
        if wrapped is not None:
            return is_public(wrapped)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _as_address(host: str) -> Address | None:
    """*host* as an address; also the old ways to write one, which a resolver would take (`127.1`, `0x7f000001`)."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if not host or not all(character in "0123456789abcdefABCDEFxX." for character in host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _split(url: str) -> SplitResult:
    """The parts of an address that can be asked, its host in small letters. Raises FlowError."""
    if len(url) > MAX_URL or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url):
        raise FlowError("HTTP_FAILED", f"{url[:80]!r} is no address that can be asked")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise FlowError("HTTP_FAILED", f"{url[:80]!r} is no address: {error}") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise FlowError("HTTP_FAILED", f"{url[:80]!r} is no http:// or https:// address")
    if "@" in parts.netloc or "\\" in parts.netloc:
        raise FlowError("HTTP_FORBIDDEN", "an address with a user name is not asked")
    host = parts.hostname.rstrip(".")
    address = _as_address(host)
    if address is not None:
        host = f"[{address}]" if address.version == 6 else str(address)
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    return parts._replace(netloc=netloc, fragment="")


def _place(url: str) -> str:
    return urlsplit(url).hostname or "the server"


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Raises FlowError for one that would change the request's shape."""
    for name, value in headers.items():
        if name.lower() in FORBIDDEN_HEADERS:
            raise FlowError("HTTP_FAILED", f"header {name} is not a flow's to set")
        if not name.isascii() or not all(c.isalnum() or c in "-_.!#$%&'*+^`|~" for c in name) or not name:
            raise FlowError("HTTP_FAILED", f"{name[:40]!r} is no header")
        if len(value) > 8192 or not value.isascii() or any(ord(c) < 0x20 or ord(c) == 0x7F for c in value):
            raise FlowError("HTTP_FAILED", f"header {name}: {value[:40]!r} cannot be its value")
    return dict(headers)


async def _read(response: httpx.Response, parts: SplitResult) -> Answer:
    import httpx

    host = parts.hostname
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise FlowError("HTTP_FAILED", f"{host} compressed its answer although it was asked not to")
    body = bytearray()
    try:
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_BYTES:
                raise FlowError("HTTP_FAILED", f"the answer of {host} has more than {MAX_BYTES} bytes")
    except httpx.HTTPError as error:
        raise FlowError("HTTP_FAILED", f"{host} broke off: {str(error) or type(error).__name__}") from error
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Answer(response.status_code, media, bytes(body))
