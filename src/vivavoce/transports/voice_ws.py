"""`/ws`: our own messages over a WebSocket, and `/ws_legacy`, which shows only transcripts."""

from __future__ import annotations

import asyncio
import logging
import re

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from vivavoce.agent import Agent
from vivavoce.core.pace import Pace
from vivavoce.errors import ClientError, ServerBusy, VivavoceError
from vivavoce.events import (
    AnyClientMessage,
    Cancel,
    Error,
    FinalTranscript,
    Info,
    PartialTranscript,
    Ping,
    Played,
    Pong,
    Say,
    ServerMessage,
    Start,
    Stop,
    Text,
    Update,
)
from vivavoce.memory.base import is_conversation_id, new_conversation_id
from vivavoce.server.state import ServerState
from vivavoce.session.audio_in import check_rate
from vivavoce.session.options import Options
from vivavoce.session.outbox import Outbox
from vivavoce.session.session import Session
from vivavoce.session.sessions import Parked, new_session_id
from vivavoce.transports.connection import SocketConnection, outbox_limits

log = logging.getLogger(__name__)

LEGACY = (PartialTranscript, FinalTranscript, Error, Info)
MAX_JSON = 64 * 1024
MAX_TEXT = 8_000
"""Characters of a typed turn or an announcement."""

_decoder: msgspec.json.Decoder[AnyClientMessage] = msgspec.json.Decoder(AnyClientMessage)
_TYPE = re.compile(r'"type"\s*:\s*"([^"]{0,40})"')


def decode(text: str) -> AnyClientMessage:
    """A client's message. Raises ClientError that names the message and what is wrong with it."""
    if len(text) > MAX_JSON:
        raise ClientError("FRAME_TOO_LARGE", f"a message may have {MAX_JSON} characters, not {len(text)}")
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        problem = str(error)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ClientError("BAD_MESSAGE", "the message is not JSON that can be read") from None
    found = _TYPE.search(text)
    name = found[1] if found else "message"
    if problem.endswith("`$.type`") or problem.startswith("Invalid value"):
        known = "start, stop, cancel, text, update, say, played, ping"
        raise ClientError("UNKNOWN_TYPE", f"unknown message type {name!r}", hint=f"known types: {known}")
    code = "BAD_SAMPLE_RATE" if "$.sample_rate" in problem else "BAD_MESSAGE"
    raise ClientError(code, f"{name}: {problem}")


class VoiceConnection(SocketConnection):
    """A client of `/ws`."""

    def __init__(self, websocket: WebSocket, server: ServerState, *, legacy: bool = False) -> None:
        outbox = Outbox(outbox_limits(server.settings), only=LEGACY if legacy else (ServerMessage,))
        super().__init__(websocket, server, outbox)
        self._legacy = legacy
        self._pace = Pace()
        self._agent = server.agent
        self._told_not_started = float("-inf")

    async def _refuse(self, busy: ServerBusy) -> None:
        error = Error(code=busy.code, message=busy.message, recoverable=False, retry_after_s=busy.retry_after_s, n=1)
        await self._websocket.send_text(msgspec.json.encode(error).decode())
        await self._websocket.close(1012 if busy.code == "SHUTTING_DOWN" else 1013, busy.message)

    def _left(self, code: int) -> None:
        if self.session is not None and code != 1000:
            # Not before now: only what has been numbered can be sent again.
            self._server.sessions.park(self.session, self._owner)

    # --- reading ----------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            start, parked = await self._first_start()
            await self._converse(start, parked)
        except WebSocketDisconnect as gone:
            self.end(1000 if gone.code == 1000 else 1006, "the peer closed", "disconnect")
        except Exception:  # the boundary of a connection: a defect of ours must not take the server down
            log.exception("a voice connection broke")
            self.send(Error(code="INTERNAL", message="the connection broke", recoverable=False))
            self.end(1011, "internal error", "error")

    async def _first_start(self) -> tuple[Start, Parked | None]:
        """Everything before the session: only `start` and `ping` have a meaning."""
        while True:
            message = await self._receive()
            if isinstance(message, Start):
                try:
                    await self._server.started()
                    return message, await self._checked(message)
                except ClientError as error:
                    self._complain(error)
            elif isinstance(message, Ping):
                self.send(Pong(id=message.id))
            elif isinstance(message, bytes):
                self._not_started()
            elif message is not None:
                self._complain(ClientError("NOT_STARTED", f"{message.__struct_config__.tag}: send start first"))

    async def _checked(self, start: Start) -> Parked | None:
        """Refuse what cannot be started. Returns the parked session that *start* resumes."""
        if start.conversation_id is not None and not is_conversation_id(start.conversation_id):
            raise ClientError("BAD_MESSAGE", "conversation_id must be 1 to 128 characters of A-Z a-z 0-9 . _ -")
        check_rate(Options.default(self._server.settings).started(start).sample_rate)
        self._agent = self._agent_for(start)
        if start.session_id is None:
            return None
        return await self._server.sessions.resume(start.session_id, self._owner)

    def _agent_for(self, start: Start) -> Agent:
        """Who answers. Raises ClientError for a flow that is not there."""
        flow = None if self._legacy else start.flow
        try:
            return self._server.agent_for(flow)
        except ClientError as error:
            raise ClientError("BAD_MESSAGE", f"start: {error.message}", hint=error.hint) from error

    async def _converse(self, start: Start, parked: Parked | None) -> None:
        conversation_id = parked.conversation_id if parked else start.conversation_id or new_conversation_id()
        async with self._server.conversations.enter(conversation_id, self._owner) as conversation:
            if conversation is None:
                self.send(Error(code="BAD_MESSAGE", message="there is no such conversation", recoverable=False))
                self.end(1008, "no such conversation", "error")
                return
            resumed = self._go_on(start, parked)
            session_id = start.session_id if parked and start.session_id else new_session_id()
            session = Session(
                session_id,
                self._server.engines.in_force,
                self._server.settings,
                conversation,
                self._outbox,
                self._server.observers(session_id),
                self._turn_wait_s,
                self._agent,
                self._server.agents,
            )
            if parked is not None:
                session.go_on(parked.options, parked.turn, parked.agent, parked.userdata)
            async with session.running("voice_ws" if not self._legacy else "ws_legacy"):
                self.session = session
                self._start(session, start, message="listening" if not resumed else "resumed", resumed=resumed)
                self._warn()
                session.open()
                while True:
                    await self._take(session, await self._receive())

    def _go_on(self, start: Start, parked: Parked | None) -> bool | None:
        """Send again what a lost socket swallowed. None when nothing was to be resumed, False when it is gone."""
        if start.session_id is None:
            return None
        if parked is None:
            return False
        self._outbox.go_on(parked.n, parked.replay)
        missed = self._outbox.since(start.last_n if start.last_n is not None else parked.n)
        for text in missed or ():
            self._outbox.put_text(text)
        return missed is not None

    def _start(self, session: Session, start: Start, *, message: str, resumed: bool | None = None) -> None:
        if self._legacy:
            start = msgspec.structs.replace(start, mode="asr_only")
        session.start(start)
        self.send(
            Info(
                message=message,
                session_id=session.id,
                conversation_id=session.conversation.id,
                output_sample_rate=session.engines.tts.sample_rate,
                audio_out=session.options.audio_out,
                warning=session.warning,
                resumed=resumed,
                session=session.options.shown(),
            )
        )

    def _warn(self) -> None:
        """Say at once what does not work here, rather than at the first word."""
        failure = self._server.engines.failure("asr")
        if failure is not None:
            self.send(Error(code=failure.code, message=failure.message, hint=failure.hint or msgspec.UNSET))

    async def _take(self, session: Session, message: AnyClientMessage | bytes | None) -> None:
        """One message of a running session."""
        try:
            match message:
                case bytes():
                    await self._hear(session, message)
                case Start():
                    self._restart(session, message)
                case Stop():
                    session.stop()
                case Cancel():
                    session.cancel()
                case Text() | Say() if self._legacy:
                    self._complain(ClientError("UNKNOWN_TYPE", "/ws_legacy only transcribes", hint="/ws answers"))
                case Text(text):
                    session.type(_spoken(text))
                case Say(text, interruptible):
                    session.say(_spoken(text), interruptible=interruptible)
                case Update():
                    session.update(message if not self._legacy else msgspec.structs.replace(message, mode=None))
                    shown = session.options.shown()
                    self.send(Info(message="updated", warning=session.warning, session=shown))
                case Played():
                    session.played(message)
                case Ping(id):
                    self.send(Pong(id=id))
        except ClientError as error:
            self._complain(error)

    def _restart(self, session: Session, start: Start) -> None:
        if session.utterance_open or session.fresh:
            raise ClientError("ALREADY_STARTED", "an utterance is open: send stop or cancel first")
        if start.conversation_id not in (None, session.conversation.id):
            raise ClientError("BAD_MESSAGE", "start: another conversation needs another connection")
        if start.flow is not None and (agent := self._agent_for(start)) is not session.agent:
            session.follow(agent)
        self._start(session, start, message="listening")

    async def _hear(self, session: Session, data: bytes) -> None:
        if len(data) > session.max_frame_bytes:
            limit = session.max_frame_bytes
            raise ClientError("FRAME_TOO_LARGE", f"an audio message may have {limit} bytes, not {len(data)}")
        seconds = session.hear(data)
        if session.options.mode == "asr_only":
            await session.room()
            return
        loop = asyncio.get_running_loop()
        wait_s = self._pace.take(seconds, loop.time())
        if wait_s > 0:
            if self._pace.flooded(loop.time()):
                self.send(Error(code="RATE_LIMITED", message="audio comes faster than it is spoken"))
            await asyncio.sleep(wait_s)

    async def _receive(self) -> AnyClientMessage | bytes | None:
        """The next message; None for one that was refused. Raises WebSocketDisconnect."""
        await self._outbox.bearable()
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1006))
        if (data := received.get("bytes")) is not None:
            return bytes(data)
        try:
            return decode(received.get("text") or "")
        except ClientError as error:
            self._complain(error)
            return None

    def _not_started(self) -> None:
        """Audio before `start`: said once a second, not once a frame."""
        now = asyncio.get_running_loop().time()
        if now - self._told_not_started >= 1.0:
            self._told_not_started = now
            self.send(Error(code="NOT_STARTED", message="audio before start: send start first"))

    def _complain(self, error: VivavoceError) -> None:
        """Tell the client what was wrong; one that does not stop is closed."""
        self.send(Error(code=error.code, message=error.message, hint=error.hint or msgspec.UNSET))
        self._count_bad()


def _spoken(text: str) -> str:
    """A typed text that can be a turn. Raises ClientError."""
    text = text.strip()
    if not text:
        raise ClientError("BAD_MESSAGE", "text is empty")
    if len(text) > MAX_TEXT:
        raise ClientError("BAD_MESSAGE", f"text may have {MAX_TEXT} characters, not {len(text)}")
    return text


async def voice(websocket: WebSocket) -> None:
    """The endpoint of `/ws` and `/ws2`."""
    await websocket.accept()
    await VoiceConnection(websocket, websocket.app.state.server).run()


async def legacy(websocket: WebSocket) -> None:
    """The endpoint of `/ws_legacy`."""
    await websocket.accept()
    await VoiceConnection(websocket, websocket.app.state.server, legacy=True).run()
