"""The tools of MCP servers: a child process, or a server over HTTP.

One task holds the connection: it connects, keeps the list of tools, and connects again, ever more rarely, when the
server is gone. Calls never wait for it for long: a server that is away is told to the model, and the turn goes on.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import random
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vivavoce.engines.base import ToolSpec
from vivavoce.tools.base import ToolError

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

log = logging.getLogger(__name__)

HINT = "pip install 'vivavoce[mcp]'"
CONNECT_S = 30.0
START_WAIT_S = 4.0
"""Starting waits this long for the list of tools; less than a turn waits for its next sign of life."""
LIST_S = 10.0
PATIENCE_S = 2.0
"""A call waits this long for a server that is just coming back."""
CHECK_S = 20.0
"""A server that cannot tell about its end (one over HTTP) is asked for its tools this often."""
CLOSE_S = 8.0
"""A child is asked to end, after two seconds told to, after four killed."""
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STEADY_S = 10.0
"""A connection that lasted this long was a good one: the next attempt comes soon."""
MOST_PAGES = 20
MOST_TOOLS = 256
DESCRIPTION_CHARS = 4_000


class MCPServer:
    """A server of tools: `MCPServer(command=["uvx", "mcp-server-time"])`, or `MCPServer(url="https://…/mcp")`."""

    def __init__(
        self,
        command: Sequence[str] | str | None = None,
        *,
        url: str | None = None,
        env: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """
        command: run as a child process, which gets *env* beside PATH, HOME and the like, and nothing else of our
        environment. url: a server over streamable HTTP; *headers* go with every request. name: put before names of
        tools that are taken. timeout_s: for one call; None for the configured limit.
        Raises ImportError without the package, ValueError for what cannot be meant.
        """
        if importlib.util.find_spec("mcp") is None:
            raise ImportError(f"MCP servers need another package: {HINT}")
        words = shlex.split(command) if isinstance(command, str) else list(command or ())
        if bool(words) == bool(url):
            raise ValueError("MCPServer takes either a command or a url")
        if url and urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url!r} is no http:// or https:// address")
        if (words and headers) or (url and env):
            raise ValueError("headers go with a url, env goes with a command")
        if timeout_s is not None and not timeout_s > 0:
            raise ValueError(f"timeout_s must be above 0, not {timeout_s}")
        self.name = name or (urlsplit(url).hostname or "mcp" if url else PurePath(words[0]).stem)
        self.timeout_s = timeout_s
        self.trouble = ""
        """Why it cannot be used now."""
        self.tools: tuple[MCPTool, ...] = ()
        """Its tools as last known; they stay while it is away."""
        self._command = words
        self._url = url or ""
        self._env = dict(env or {})
        self._headers = dict(headers or {})
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._up = asyncio.Event()
        self._news = asyncio.Event()
        self._gone = self._stale = self._closing = False

    def __repr__(self) -> str:
        return f"MCPServer({self.name})"

    async def start(self) -> None:
        """Connect, and stay connected. Waits for the tools, but not long. Never raises: see `trouble`. Idempotent."""
        if self._task is None or self._task.get_loop() is not asyncio.get_running_loop():
            self._closing, self._client = False, None
            self._settled, self._up, self._news = asyncio.Event(), asyncio.Event(), asyncio.Event()
            self._task = asyncio.create_task(self._stay(), name=f"MCP server {self.name}")
            with suppress(TimeoutError):
                async with asyncio.timeout(START_WAIT_S):
                    await self._settled.wait()

    async def close(self) -> None:
        """End the connection, and the child with all its children. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        self._closing = True
        self._news.set()
        if self._client is None:
            task.cancel()  # it connects, or waits to do so
        _, left = await asyncio.wait({task}, timeout=CLOSE_S)
        if left:
            task.cancel()
            await asyncio.wait(left, timeout=1.0)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call tool *name*. Cancelling tells the server. Raises ToolError."""
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT
        from pydantic import ValidationError

        client = await self._connected()
        try:
            result = await client.call_tool(name, dict(arguments))
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                self._lost("the connection was closed")
                raise ToolError(f"{self.name} went away in the middle; it may or may not have been done") from None
            if error.code == REQUEST_TIMEOUT:
                raise ToolError(f"{self.name} did not answer in time") from None
            self._changed()  # a server that was restarted does not know us: its list says whether it is there
            raise ToolError(error.message) from None
        except (ValidationError, RuntimeError) as error:
            log.warning("MCP server %s gave a result that is none: %s", self.name, error)
            raise ToolError(f"{self.name} gave a result that cannot be read") from None
        text = text_of(result)
        if result.is_error:
            raise ToolError(text)
        return text

    async def _connected(self) -> Client:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._up.wait()
        except TimeoutError:
            raise ToolError(f"{self.name} cannot be reached at the moment") from None
        client = self._client
        if client is None:
            raise ToolError(f"{self.name} has just gone away")
        return client

    # --- the connection ---------------------------------------------------------------------------------------------

    async def _stay(self) -> None:
        """Connect again and again, until closed."""
        loop, delay_s = asyncio.get_running_loop(), FIRST_DELAY_S
        while not self._closing:
            self._news.clear()
            began = loop.time()
            try:
                await self._converse()
            except Exception as error:  # whatever a server or the library does: it is away, and may come back
                self._lost(_reason(error))
            if self._closing:
                return
            self._settled.set()
            if self.trouble:
                log.warning("MCP server %s: %s", self.name, self.trouble)
            delay_s = FIRST_DELAY_S if loop.time() - began > STEADY_S else min(2 * delay_s, LONGEST_DELAY_S)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))

    async def _converse(self) -> None:
        """One connection, from its beginning to its end."""
        self._gone = self._stale = False
        async with asyncio.timeout(CONNECT_S) as deadline:
            async with self._connection() as client:
                self.tools = await self._listed(client)
                deadline.reschedule(None)
                self._client, self.trouble = client, ""
                self._up.set()
                self._settled.set()
                log.info("MCP server %s has %d tools", self.name, len(self.tools))
                listener = asyncio.create_task(self._listen(client), name=f"MCP changes {self.name}")
                try:
                    await self._follow(client)
                finally:
                    self._client = None
                    self._up.clear()
                    listener.cancel()
                    await asyncio.wait({listener})

    async def _follow(self, client: Client) -> None:
        """Keep the list of tools, until the server is gone or we are to close."""
        while not (self._closing or self._gone):
            if self._stale:
                self._stale = False
                self.tools = await self._listed(client)
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._news.wait()
            self._stale = self._stale or not self._news.is_set()
            self._news.clear()

    async def _listed(self, client: Client) -> tuple[MCPTool, ...]:
        """Its tools, as they are now. Raises what the connection raises; no answer in time is one."""
        found: list[MCPTool] = []
        cursor = None
        async with asyncio.timeout(LIST_S):
            for _ in range(MOST_PAGES):
                page = await client.list_tools(cursor=cursor, cache_mode="bypass")
                for one in page.tools:
                    description = (one.description or one.title or one.name)[:DESCRIPTION_CHARS]
                    schema = {"properties": {}, **one.input_schema, "type": "object"}
                    found.append(MCPTool(self, ToolSpec(name=one.name, description=description, parameters=schema)))
                cursor = page.next_cursor
                if cursor is None or len(found) >= MOST_TOOLS:
                    break
        return tuple(found[:MOST_TOOLS])

    async def _listen(self, client: Client) -> None:
        """Hear of changes, where the protocol has a stream for them; older servers notify (see `_heard`)."""
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        try:
            async with client.listen(tools_list_changed=True) as changes:
                self._changed()  # what changed before it was heard is not told again
                async for _ in changes:
                    self._changed()
        except (ListenNotSupportedError, MCPError, TimeoutError):
            return  # then it is asked now and then
        except SubscriptionLost:
            self._changed()

    async def _heard(self, message: object) -> None:
        from mcp.types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._changed()

    def _changed(self) -> None:
        """The list of tools is to be asked for again."""
        self._stale = True
        self._news.set()

    def _lost(self, why: str) -> None:
        self.trouble = why
        self._gone = True
        self._up.clear()
        self._news.set()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Client]:
        """A client whose handshake is done."""
        import httpx2
        from mcp import Client, StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.types import Implementation

        info = Implementation(name="vivavoce", version="1")
        if self._command:
            parameters = StdioServerParameters(command=self._command[0], args=self._command[1:], env=self._env)
            child = _noticing(stdio_client(parameters), self._ended)
            async with Client(child, message_handler=self._heard, client_info=info, cache=None) as client:
                yield client
            return
        timeout = httpx2.Timeout(CONNECT_S, read=300.0)  # a stream of changes may be silent
        async with httpx2.AsyncClient(headers=self._headers, timeout=timeout) as http:
            transport = streamable_http_client(self._url, http_client=http)
            async with Client(transport, message_handler=self._heard, client_info=info, cache=None) as client:
                yield client

    def _ended(self) -> None:
        if not self._closing:
            self._lost("its process has ended")


def configured_server(entry: str) -> MCPServer:
    """The server that *entry* of the settings names: an address, or a command as one would type it."""
    if entry.lower().startswith(("http://", "https://")):
        return MCPServer(url=entry)
    return MCPServer(entry)


class MCPTool:
    """One tool of a server."""

    def __init__(self, server: MCPServer, spec: ToolSpec) -> None:
        self._server = server
        self.spec = spec

    @property
    def timeout_s(self) -> float | None:
        return self._server.timeout_s

    async def call(self, arguments: Mapping[str, Any], session: Any = None) -> str:  # noqa: ARG002
        return await self._server.call(self.spec.name, arguments)


def text_of(result: CallToolResult) -> str:
    """*result* as a model reads it: its texts, what else there is by name, else its structured content."""
    parts = []
    for block in result.content:
        if block.type == "text":
            parts.append(block.text)
        elif block.type == "resource":
            parts.append(getattr(block.resource, "text", f"[{block.resource.uri}]"))
        elif block.type == "resource_link":
            parts.append(f"[{block.uri}]")
        else:
            parts.append(f"[{block.type}]")
    if parts:
        return "\n".join(parts)
    if result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "it did not work" if result.is_error else "done"


class _Noticing:
    """A transport's incoming messages; calls *ended* when there will be no more."""

    def __init__(self, stream: Any, ended: Any) -> None:
        self._stream = stream
        self._ended = ended

    async def receive(self) -> Any:
        try:
            return await self._stream.receive()
        except Exception:
            self._ended()
            raise

    def __aiter__(self) -> _Noticing:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except Exception:  # the end of the stream among them
            self._ended()
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> _Noticing:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *how: Any) -> Any:
        return await self._stream.__aexit__(*how)


@asynccontextmanager
async def _noticing(transport: AbstractAsyncContextManager[Any], ended: Any) -> AsyncGenerator[Any, None]:
    """*transport*, with a word when it ends by itself."""
    async with transport as (incoming, outgoing):
        yield _Noticing(incoming, ended), outgoing


def _reason(error: BaseException) -> str:
    """The first cause, in a line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError) and not str(error):
        return "it does not answer"
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
