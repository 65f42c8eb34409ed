"""`/api/flows/{flowId}/stream/{sessionId}`: one input of a flow, answered as server-sent events.

Events are `{"type":"token","content":"…"}`, and at the end `{"type":"done",…}` or `{"type":"error",…}`. Each has an id,
`<run>.<n>`; a client that lost its connection sends the last one as `Last-Event-ID` and gets what it missed.
"""

from __future__ import annotations

import asyncio
import logging
import re

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from vivavoce.errors import ClientError, ServerBusy
from vivavoce.flows.sessions import MAX_INPUT, Answer, FlowInput
from vivavoce.memory.base import is_conversation_id
from vivavoce.server.errors import problem, retry_after
from vivavoce.server.state import ServerState
from vivavoce.session.options import normal_language

log = logging.getLogger("vivavoce.flows")

PING_S = 10.0
STARTING_S = 10.0
"""An input waits so long for the engines to load."""
RETRY_MS = 250
"""When a browser is to come back: within the grace of its answer."""
EVENT_ID = re.compile(r"([0-9a-f]{8})\.(\d{1,9})")


async def stream(request: Request) -> Response:
    """One input's answer, or the rest of one that was lost."""
    if request.method == "HEAD":  # Starlette's gift to every GET; this one acts
        raise HTTPException(405, headers={"Allow": "GET, POST"})
    server: ServerState = request.app.state.server
    flow_id, session_id = request.path_params["flow_id"], request.path_params["session_id"]
    owner: str = request.scope["state"]["owner"]
    if not is_conversation_id(session_id):
        raise ClientError("BAD_REQUEST", "A session id is 1 to 128 characters of A-Z a-z 0-9 . _ -")
    flow = server.flows.get(flow_id)
    if flow is None:
        raise ClientError("NOT_FOUND", "There is no such flow.", hint="GET /api/flows lists them.")
    every = request.query_params.get("events") == "all"
    if (last := request.headers.get("last-event-id")) is not None:
        return _resumed(server, owner, flow_id, session_id, last, every=every)
    text = await _input(request)
    language = normal_language(flow.language or server.settings.tts.language)
    _admit(server)
    if (wait_s := _turn_wait_s(request)) > 0:
        message = "Too many turns in a minute from this address."
        return problem(429, "RATE_LIMITED", message, headers=retry_after(wait_s))
    try:
        async with asyncio.timeout(STARTING_S):
            await server.started()
    except TimeoutError:
        raise ServerBusy("OVERLOADED", "The engines are still loading.", retry_after_s=5.0) from None
    sessions = server.flow_sessions
    session = sessions.open(owner, flow_id, session_id)
    answer = sessions.begin(session, flow, text, server.engines.in_force.llm, language=language)
    return EventStream(answer, server, every=every)


def _resumed(server: ServerState, owner: str, flow_id: str, session_id: str, last: str, *, every: bool) -> Response:
    """What a lost client missed. 204 for one that missed nothing: it tells browsers not to ask again."""
    found, session = EVENT_ID.fullmatch(last), server.flow_sessions.find(owner, flow_id, session_id)
    answer = session.answer if session is not None else None
    if found is None or answer is None or answer.run != found[1] or int(found[2]) > len(answer.events):
        hint = "Send the input anew, without Last-Event-ID."
        return problem(404, "NOT_FOUND", "There is nothing to go on with under this Last-Event-ID.", hint)
    if answer.finished and int(found[2]) == len(answer.events):
        return Response(status_code=204)
    return EventStream(answer, server, sent=int(found[2]), every=every)


async def _input(request: Request) -> str | None:
    """The user's words; None where there are none. Raises ClientError."""
    text: str | None = request.query_params.get("input")
    if request.method == "POST" and (body := await request.body()):
        try:
            text = msgspec.json.decode(body, type=FlowInput).input
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ClientError("BAD_MESSAGE", str(error), hint='Send {"input": "…"}.') from error
    if text is not None and len(text) > MAX_INPUT:
        raise ClientError("BAD_REQUEST", f"An input may have {MAX_INPUT} characters, not {len(text)}.")
    return (text or "").strip() or None


def _admit(server: ServerState) -> None:
    """Raises ServerBusy while no answer may be begun."""
    sessions = server.sessions
    if sessions.draining:
        raise ServerBusy("SHUTTING_DOWN", "The server is shutting down.", retry_after_s=2.0)
    if not sessions.enabled:
        raise ServerBusy("OVERLOADED", "Streaming is switched off (STREAM_ENABLED).", retry_after_s=60.0)
    if len(sessions) + server.flow_sessions.running >= sessions.limit:
        raise ServerBusy("SESSION_LIMIT", f"All {sessions.limit} sessions are taken.", retry_after_s=5.0)


def _turn_wait_s(request: Request) -> float:
    """Count a turn of this client's address."""
    access = request.scope["state"].get("access")
    return access.turn_wait_s(request.scope) if access is not None else 0.0


class EventStream(Response):
    """An answer's events as they are made. A client that goes away stops the making after a short grace."""

    def __init__(self, answer: Answer, server: ServerState, *, sent: int = 0, every: bool = False) -> None:
        """sent: how many events the client has. every: whether it wants those of the nodes too."""
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "X-Flow-Run": answer.run}
        super().__init__(headers=headers, media_type="text/event-stream")
        del self.headers["content-length"]
        self._answer = answer
        self._sent = sent
        self._every = every
        self._sent_at = 0.0
        self._grace_s = server.settings.flows.resume_grace_s
        self._send_s = server.settings.stream.send_timeout_s
        answer.attach()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        writer = asyncio.create_task(self._write(send), name="flow events")
        gone = asyncio.create_task(_gone(receive), name="flow client")
        try:
            await asyncio.wait({writer, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._answer.detach(self._grace_s)
            writer.cancel()
            gone.cancel()
            await asyncio.wait({writer, gone})
        if not writer.cancelled() and (error := writer.exception()) is not None:
            if not isinstance(error, OSError | TimeoutError):
                raise error
            log.info("[FLOW] a client went away: %s", type(error).__name__)

    async def _write(self, send: Send) -> None:
        await self._put(send, {"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._body(send, b"retry: %d\n\n" % RETRY_MS)
        while True:
            try:
                async with asyncio.timeout_at(self._sent_at + PING_S):
                    events = await self._answer.after(self._sent)
            except TimeoutError:
                await self._body(send, b": ping\n\n")
                continue
            if events is None:
                await self._put(send, {"type": "http.response.body", "body": b"", "more_body": False})
                return
            first = self._sent + 1
            self._sent += len(events)
            run = self._answer.run.encode()
            lines = [
                b"id: %s.%d\ndata: %s\n\n" % (run, first + at, event.data)
                for at, event in enumerate(events)
                if event.plain or self._every
            ]
            if lines:
                await self._body(send, b"".join(lines))
            self._answer.seen(self._sent)

    async def _body(self, send: Send, data: bytes) -> None:
        await self._put(send, {"type": "http.response.body", "body": data, "more_body": True})

    async def _put(self, send: Send, message: Message) -> None:
        """Send within the time that a client may take to read. Raises TimeoutError, OSError."""
        async with asyncio.timeout(self._send_s):
            await send(message)
        self._sent_at = asyncio.get_running_loop().time()


async def _gone(receive: Receive) -> None:
    """Wait until the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def routes() -> list[Route]:
    return [Route("/api/flows/{flow_id}/stream/{session_id}", stream, methods=["GET", "POST"])]
