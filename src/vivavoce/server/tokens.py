"""Credentials that pass for the key for a while. Pure: time comes as an argument."""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple


class _Grant(NamedTuple):
    owner: str
    until: float


class Tokens:
    """Random strings of 256 bits, each standing for an owner until it expires.

    Only their digests are kept: neither a look into the memory nor the time of a look-up tells one. Beyond *capacity*
    the oldest goes first.
    """

    def __init__(self, lifetime_s: float, *, capacity: int = 1000) -> None:
        self.lifetime_s = lifetime_s
        self._capacity = capacity
        self._grants: dict[bytes, _Grant] = {}
        """Oldest first, so soonest to expire first."""

    def issue(self, owner: str, now: float) -> str:
        """A new token for *owner*, good for `lifetime_s` from *now*."""
        self._forget_expired(now)
        while len(self._grants) >= self._capacity:
            del self._grants[next(iter(self._grants))]
        token = secrets.token_urlsafe(32)
        self._grants[_digest(token)] = _Grant(owner, now + self.lifetime_s)
        return token

    def owner(self, token: str, now: float) -> str | None:
        """Whom *token* stands for; None if it is unknown, used or expired."""
        self._forget_expired(now)
        grant = self._grants.get(_digest(token))
        return grant.owner if grant else None

    def redeem(self, token: str, now: float) -> str | None:
        """As `owner`, and the token is used up."""
        owner = self.owner(token, now)
        self._grants.pop(_digest(token), None)
        return owner

    def _forget_expired(self, now: float) -> None:
        for digest, grant in list(self._grants.items()):
            if grant.until > now:
                break
            del self._grants[digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
