"""How much one address may ask for in a minute. Pure: time comes as an argument."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Mapping
from typing import Any

WINDOW_S = 60.0


def address_of(scope: Mapping[str, Any]) -> str:
    """The client that an ASGI scope names, as limits count it: an IPv6 network of /64 is one client."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_loopback(address: str) -> bool:
    """Whether *address*, as `address_of` gives it, is this machine. A Unix socket's peer (no address) is."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return not address


class PerAddress:
    """At most *limit* events of each address in any window of 60 s.

    It remembers the time of each event counted, for a bounded number of addresses; beyond that the address not seen
    for longest starts afresh.
    """

    def __init__(self, limit: int | None, default: int, *, max_addresses: int = 4096) -> None:
        """limit: as it was set; None: *default*, and none at all for loopback."""
        self._limit = default if limit is None else limit
        self._spares_loopback = limit is None
        self._max_addresses = max_addresses
        self._times: dict[str, deque[float]] = {}

    def wait_s(self, address: str, now: float) -> float:
        """How long until *address* may act again; 0.0: now. Counts nothing."""
        times = self._times.get(address)
        if times is None:
            return 0.0
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        if not times:
            del self._times[address]
            return 0.0
        return max(0.0, times[0] + WINDOW_S - now) if len(times) >= self._limit else 0.0

    def hit(self, address: str, now: float) -> float:
        """Count an event of *address* and return 0.0; or, when it is over the limit, how long until it may."""
        if self._spares_loopback and is_loopback(address):
            return 0.0
        if wait := self.wait_s(address, now):
            return wait
        times = self._times.pop(address, None)
        if times is None:
            times = deque()
            while len(self._times) >= self._max_addresses:
                del self._times[next(iter(self._times))]
        times.append(now)
        self._times[address] = times
        return 0.0
