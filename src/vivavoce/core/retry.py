"""When to try again, and when to leave a server alone. Pure: time and chance are arguments."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait between attempts, in seconds: longer each time, and by chance, so that clients spread out."""

    first_s: float = 0.2
    factor: float = 2.0
    most_s: float = 2.0
    jitter: float = 0.5
    """The share of the wait that is left to chance."""

    def wait_s(self, failures: int, chance: float) -> float:
        """The wait after that many failures (1 or more). chance: 0 to 1, evenly drawn; 1 waits longest."""
        whole = min(self.most_s, self.first_s * self.factor ** min(failures - 1, 64))
        return whole * (1 - self.jitter * (1 - chance))


def retry_after_s(value: str, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header (RFC 9110, 10.2.3: seconds or a date) asks for; None for what is neither.

    Fractions of seconds are taken too, as some servers send them. A date in the past asks for none.
    """
    value = value.strip()
    if value.replace(".", "", 1).isdecimal() and value.isascii():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


class State(enum.Enum):
    """Of a circuit breaker."""

    CLOSED = enum.auto()
    """Requests pass."""
    OPEN = enum.auto()
    """None passes until a trial at `trial_at`."""
    TRYING = enum.auto()
    """A trial went well: requests pass, and the first of them decides."""


class Breaker:
    """Keeps requests away from a server that does not work, so that they do not wait for it.

    A failure opens it for `rest_s`, each time in a row for twice as long, up to `most_s`. Then a trial, made by the
    owner, lets requests pass again (`tried`) or opens it anew (`failed`). Only a request that succeeds resets the rest.
    """

    def __init__(self, *, rest_s: float = 5.0, most_s: float = 60.0) -> None:
        self.state = State.CLOSED
        self.trial_at: float | None = None
        """When the next trial is due; None while requests pass."""
        self._first_s = rest_s
        self._most_s = most_s
        self._rest_s = rest_s

    @property
    def open(self) -> bool:
        """Whether requests are kept away."""
        return self.state is State.OPEN

    def failed(self, now: float, *, rest_s: float = 0.0) -> None:
        """A request or a trial failed. rest_s: the least that the server wants to be left alone.

        Requests that were under way when it opened, and fail later, change nothing.
        """
        if self.trial_at is not None and now < self.trial_at:
            return
        self.state = State.OPEN
        self.trial_at = now + max(self._rest_s, rest_s)
        self._rest_s = min(self._most_s, 2 * self._rest_s)

    def tried(self) -> None:
        """A trial went well."""
        self.state = State.TRYING
        self.trial_at = None

    def succeeded(self) -> None:
        """A request was answered."""
        if self.state is not State.OPEN:  # else it had begun before the failure
            self.state = State.CLOSED
            self._rest_s = self._first_s
