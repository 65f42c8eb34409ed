"""The calls of tools that a model makes, put together from the pieces in which a server streams them.

Servers differ: most number their calls, give id and name first and the arguments in fragments; some send every call
whole, without number or id, or give all the same number, or repeat the name, or a fresh id, with every fragment.
"""

from __future__ import annotations

import secrets

import msgspec

from vivavoce.engines.base import ToolCall
from vivavoce.errors import EngineFailed

MOST_CALLS = 16
MOST_BYTES = 65_536
"""Of names and arguments, in all calls of an answer."""


class _Call:
    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    @property
    def whole(self) -> bool:
        """Whether the arguments are a JSON object, so that nothing can follow."""
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(msgspec.json.decode("".join(self.arguments)), dict)
        except msgspec.DecodeError:
            return False


class Calls:
    """Pieces in, calls out."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._room = MOST_BYTES

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, *, index: object = None, id: object = None, name: object = None, arguments: object = None) -> None:
        """Take one piece, whatever its fields are. Raises EngineFailed when it is too much."""
        number = index if type(index) is int else None
        label, called = _text(id), _text(name)
        given = arguments if isinstance(arguments, str) else "" if arguments is None else _json(arguments)
        self._room -= len((label + called + given).encode())
        if self._room < 0:
            raise EngineFailed("llm", f"the model's calls of tools have more than {MOST_BYTES} bytes")
        call = self._continued(number, label, called, fragment=bool(given))
        if call is None:
            if len(self._calls) == MOST_CALLS:
                raise EngineFailed("llm", f"the model called more than {MOST_CALLS} tools at once")
            call = _Call(number)
            self._calls.append(call)
        call.id = call.id or label
        if not call.name or (called != call.name and not call.arguments):
            call.name += called
        if given:
            call.arguments.append(given)

    def take(self, *, whole: bool) -> tuple[ToolCall, ...]:
        """The calls so far, in the order in which they began; one without a name is nothing that can be done.

        whole: the answer did not end as it should, so only calls that cannot lack anything count.
        """
        return tuple(
            ToolCall(
                id=call.id or secrets.token_hex(5)[:9],  # some servers take only nine letters and digits
                name=call.name,
                arguments="".join(call.arguments).strip() or "{}",
            )
            for call in self._calls
            if call.name and (call.whole or not whole)
        )

    def _continued(self, index: int | None, id: str, name: str, *, fragment: bool) -> _Call | None:
        """The call that a piece goes on with; None when it begins another one."""
        if index is not None:
            call = next((each for each in reversed(self._calls) if each.index == index), None)
        elif id and (name or any(each.id == id for each in self._calls)):
            call = next((each for each in self._calls if each.id == id), None)
        else:
            call = self._calls[-1] if self._calls else None
        if call is None or not name or not call.name or (id and id == call.id):
            return call
        if id and call.id:
            return None
        if index is not None:  # a name that goes on or is repeated, unless the call before it is complete
            return None if fragment and call.whole else call
        return None if name != call.name or call.whole else call


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
