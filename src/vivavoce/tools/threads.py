"""Blocking functions beside the event loop, in threads that nobody has to wait for.

The loop's own executor would keep the process from ending while one of them hangs, and let sixteen that hang keep
everybody else from a thread. These are daemon threads; how many there may be at a time is bounded.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import itertools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from vivavoce.tools.base import ToolError

R = TypeVar("R")
LIMIT = 64
"""Blocking tools of a process at a time, those that nobody waits for any more included."""
ANSWER_S = 10.0
"""A thread waits this long for the event loop."""

_free = threading.BoundedSemaphore(LIMIT)
_numbers = itertools.count(1)


async def in_thread(function: Callable[..., R], *args: object) -> R:
    """`function(*args)` in a thread of its own. Cancelling stops waiting; the function goes on to its end.

    Raises what the function raises, and ToolError when too many run already.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[R] = loop.create_future()

    def deliver(value: R | None, error: BaseException | None) -> None:
        if result.done():
            return  # nobody waits any more
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, error = None, None
        try:
            value = function(*args)
        except (Exception, SystemExit) as raised:  # the tool's own code: it is told to whoever waits
            # neither may leave a task as it is: one ends loops, the other the process
            unfit = isinstance(raised, StopIteration | SystemExit)
            error = RuntimeError(f"{type(raised).__name__}: {raised}") if unfit else raised
        finally:
            _free.release()
        try:
            loop.call_soon_threadsafe(deliver, value, error)
        except RuntimeError:
            return  # the loop has ended meanwhile

    if not _free.acquire(blocking=False):
        raise ToolError("too many other things are being done, try again later")
    try:
        threading.Thread(target=run, name=f"tool {next(_numbers)}", daemon=True).start()
    except RuntimeError:  # the system has no thread for us
        _free.release()
        raise ToolError("too many other things are being done, try again later") from None
    return await result


class FromThread:
    """An object of the event loop, for a thread: its methods run on the loop, and the thread waits for them.

    What they return that has methods of its own is treated alike, as a session's `timers` are.
    """

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return self._wrapped(getattr(self._target, name))

    def __enter__(self) -> Any:
        return self._on_loop(self._target.__enter__)

    def __exit__(self, *how: object) -> Any:
        return self._on_loop(self._target.__exit__, *how)

    def _wrapped(self, value: Any) -> Any:
        if inspect.isroutine(value):
            return functools.partial(self._on_loop, value)
        own = type(value).__module__.startswith("vivavoce.session") or hasattr(value, "__enter__")
        return FromThread(value, self._loop) if own else value

    def _on_loop(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def run() -> None:
            try:
                done.set_result(function(*args, **kwargs))
            except Exception as error:  # it is raised in the thread, which asked for it
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return self._wrapped(done.result(ANSWER_S))
