"""Which `Host` and `Origin` headers are ours. Pure.

A page of another site can make a browser talk to a server on loopback, and can bend its own name onto our address
(DNS rebinding). It can choose neither the `Host` nor the `Origin` that the browser then sends: so both must be known.
A request without an `Origin` comes from no page's script; what a page can still send without one (images, links) is
told by `Sec-Fetch-Site`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""No name server can be made to point these elsewhere."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)


class Place(NamedTuple):
    """A host and its port, None where none is named."""

    host: str
    port: int | None


def parse_place(text: str) -> Place | None:
    """`host`, `host:port`, `[v6]:port`; None for anything else."""
    match = _HOST.fullmatch(text)
    if match is None:
        return None
    host, port = match[1].lower(), match[2]
    if port is not None and int(port) > 65535:
        return None
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return None
    return Place(host, None if port is None else int(port))


def parse_origin(text: str) -> tuple[str, Place] | None:
    """(scheme, place with its port) of a web page's origin; None for `null`, extensions and nonsense."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    place = parse_place(rest)
    if not separator or scheme not in _DEFAULT_PORTS or place is None:
        return None
    return scheme, Place(place.host, place.port or _DEFAULT_PORTS[scheme])


class OwnNames:
    """The allow-lists, and the rule for the server's own names."""

    def __init__(self, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]) -> None:
        """allowed_hosts: `name` (at any port) or `name:port`. allowed_origins: exactly as a browser sends them."""
        self._hosts = {place for text in allowed_hosts if (place := parse_place(text))}
        self._origins = {origin for text in allowed_origins if (origin := parse_origin(text.rstrip("/")))}
        self._other_origins = {text for text in allowed_origins if parse_origin(text.rstrip("/")) is None}

    def knows_host(self, header: str, server: tuple[str, int | None] | None) -> bool:
        """Whether *header* names this server. server: the local address the request arrived at."""
        place = parse_place(header)
        if place is None:
            return False
        ports = (None, *_DEFAULT_PORTS.values()) if place.port is None else (None, place.port)
        return any(Place(place.host, port) in self._hosts for port in ports) or _is_own(place, server)

    def knows_origin(self, header: str, host: str, server: tuple[str, int | None] | None) -> bool:
        """Whether a page of origin *header* may talk to us. host: the request's own, already known, `Host`.

        That is a page of ours: its origin has the very host and port of the request (at either scheme, since a proxy
        in front of us may speak TLS), or is one of our own names.
        """
        if header in self._other_origins:
            return True
        origin = parse_origin(header)
        if origin is None:
            return False
        scheme, page = origin
        asked = parse_place(host)
        same = asked is not None and page == Place(asked.host, asked.port or _DEFAULT_PORTS[scheme])
        return same or origin in self._origins or _is_own(page, server)


def _is_own(place: Place, server: tuple[str, int | None] | None) -> bool:
    """A name of loopback, or the address that was connected to; at our port, if any is named."""
    if server is None:
        return False
    address, port = server
    if place.port is not None and place.port != port:
        return False
    return place.host in LOOPBACK_NAMES or place.host == _spelled(address)


def _spelled(address: str) -> str | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None  # the path of a Unix socket
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else f"[{parsed.compressed}]"
    return str(parsed)
