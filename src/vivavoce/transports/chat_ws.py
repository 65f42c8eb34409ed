"""`/ws/chat/stream`: one typed message in the URL, the answer as text and speech (section 2 of the contracts).

The same session core as `/ws`, with a typed turn and no ears. `ChatDialect` puts the session's messages into the words
of this protocol as they are sent; all of the turn, its deadlines, memory and backpressure are the session's.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.websockets import WebSocket, WebSocketDisconnect

from vivavoce.engines.base import Engines, pick_voice
from vivavoce.errors import ClientError, ServerBusy, VivavoceError
from vivavoce.events import InterruptReason, Start, TTSChunk
from vivavoce.memory.base import is_conversation_id, new_conversation_id
from vivavoce.server.state import ServerState
from vivavoce.session.options import normal_language
from vivavoce.session.outbox import Outbox
from vivavoce.session.session import Session
from vivavoce.session.sessions import new_session_id
from vivavoce.settings import Settings
from vivavoce.transports.chat_wire import SHOWN, ChatDialect, Failure, Streaming, as_text
from vivavoce.transports.connection import SocketConnection, outbox_limits

log = logging.getLogger(__name__)

MAX_MESSAGE = 8192
"""Characters."""
MAX_NAME = 128
"""Characters of a voice's, a language's or a flow's name."""
PHRASE = 50
"""Characters after which a phrase is spoken that has no boundary."""
STARTING_S = 20.0
"""How long a chat waits for engines that are still loading."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LANGUAGE = re.compile(r"[A-Za-z0-9_-]{1,35}")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the URL asks."""

    message: str
    language: str | None = None
    voice: str | None = None
    conversation_id: str | None = None
    flow: str | None = None
    audio: bool = True

    @classmethod
    def read(cls, parameters: Iterable[tuple[str, str]]) -> Question:
        """The question of a query. Parameters that are empty count as absent, unknown ones are ignored.

        Raises ClientError (BAD_MESSAGE, or NOT_FOUND for a language that cannot be one).
        """
        given: dict[str, str] = {}
        for name, value in parameters:
            if name not in cls.__struct_fields__:
                continue
            if name in given:
                raise ClientError("BAD_MESSAGE", f"{name} is there twice")
            given[name] = value
        message = _CONTROL.sub(" ", given.pop("message", "")).strip()
        if not message:
            raise ClientError("BAD_MESSAGE", "message is missing or empty", hint="/ws/chat/stream?message=Hello")
        if len(message) > MAX_MESSAGE:
            raise ClientError("BAD_MESSAGE", f"message may have {MAX_MESSAGE} characters, not {len(message)}")
        audio = given.pop("audio", "").lower() or "true"
        if audio not in ("true", "1", "false", "0"):
            raise ClientError("BAD_MESSAGE", "audio must be true or false")
        named = {name: value for name, value in given.items() if value}
        for name, value in named.items():
            if len(value) > MAX_NAME or not value.isprintable():
                raise ClientError("BAD_MESSAGE", f"{name} must be 1 to {MAX_NAME} printable characters")
        if not is_conversation_id(named.get("conversation_id", "-")):
            raise ClientError("BAD_MESSAGE", "conversation_id must be 1 to 128 characters of A-Z a-z 0-9 . _ -")
        if "language" in named:
            named["language"] = _language(named["language"])
        return cls(message=message, audio=audio in ("true", "1"), **named)


def _language(text: str) -> str:
    """A language as `en_US`. Raises ClientError."""
    if not _LANGUAGE.fullmatch(text):
        raise ClientError("BAD_MESSAGE", "language must be a tag such as en, en-US or fr_FR")
    try:
        return normal_language(text)
    except ClientError:
        raise unknown_language(text) from None


def unknown_language(language: str) -> ClientError:
    return ClientError("NOT_FOUND", f"no voice speaks {language}", hint="GET /voices lists the voices")


class ChatConnection(SocketConnection):
    """One question, and its answer."""

    def __init__(self, websocket: WebSocket, server: ServerState, question: Question) -> None:
        self._dialect = ChatDialect(asyncio.get_running_loop().time)
        only = (*SHOWN, TTSChunk) if question.audio else SHOWN
        super().__init__(websocket, server, Outbox(outbox_limits(server.settings), only=only, dialect=self._dialect))
        self._question = question

    def end(self, code: int, reason: str, interrupt: InterruptReason) -> None:
        if interrupt == "shutdown" and self.session is not None and self.session.turns:
            return  # the answer is complete: what waits to be sent, and a close, are on their way
        super().end(code, reason, interrupt)

    async def _refuse(self, busy: ServerBusy) -> None:
        await tell(self._websocket, Failure.from_error(busy))

    def _sent(self) -> None:
        if self._dialect.goodbye is not None:
            self.end(*self._dialect.goodbye, "disconnect")

    async def _read(self) -> None:
        try:
            await self._converse()
        except WebSocketDisconnect as gone:
            self.end(1000 if gone.code == 1000 else 1006, "the peer closed", "disconnect")
        except VivavoceError as error:
            self._fail(Failure.from_error(error))
        except Exception:  # the boundary of a connection: a defect of ours must not take the server down
            log.exception("a chat broke")
            self._fail(Failure.of("INTERNAL", "the chat broke"))

    def _fail(self, failure: Failure) -> None:
        self._outbox.put_text(as_text(failure))
        self.end(failure.close_code, failure.reason, "error")

    async def _converse(self) -> None:
        server, question = self._server, self._question
        if (wait_s := self._turn_wait_s()) > 0:
            raise ServerBusy("RATE_LIMITED", "too many turns in a minute", retry_after_s=wait_s)
        agent = server.agent_for(question.flow)
        try:
            async with asyncio.timeout(STARTING_S):
                await server.started()
        except TimeoutError:
            raise ServerBusy("OVERLOADED", "the engines are still loading", retry_after_s=5.0) from None
        engines = server.engines.in_force
        check_language(engines, question.language)
        conversation_id = question.conversation_id or new_conversation_id()
        async with server.conversations.enter(conversation_id, self._owner) as conversation:
            if conversation is None:
                raise ClientError("NOT_FOUND", "there is no such conversation")
            session_id = new_session_id()
            session = Session(
                session_id,
                engines,
                chat_settings(server.settings),
                conversation,
                self._outbox,
                server.observers(session_id),
                agent=agent,
                agents=server.agents,
            )
            async with session.running("chat_ws"):
                self.session = session
                self._ask(session)
                while True:
                    self._take(session, await self._websocket.receive())

    def _ask(self, session: Session) -> None:
        question, dialect, tts = self._question, self._dialect, session.engines.tts
        session.start(Start(language=question.language, voice=question.voice))
        dialect.conversation_id, dialect.sample_rate = session.conversation.id, tts.sample_rate
        voice = session.voice if question.audio else None
        warning = ""
        if voice is None and question.audio:
            failure = self._server.engines.failure("tts")
            why = failure.message if failure is not None else "there is no voice"
            warning = dialect.warning = f"no speech: {why}"
        elif question.voice not in (None, voice) and voice is not None:
            warning = f"there is no voice {question.voice}: {voice} speaks"
        streaming = Streaming(
            message="the answer is being made",
            conversation_id=session.conversation.id,
            language=session.options.language,
            voice=voice,
            sample_rate=tts.sample_rate,
            warning=warning or UNSET,
        )
        self._outbox.put_text(as_text(streaming))
        session.type(question.message)

    def _take(self, session: Session, received: MutableMapping[str, Any]) -> None:
        """A frame of the client: only `cancel` has a meaning."""
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1006))
        if is_cancel(received.get("text")):
            session.cancel()
        if self._count_bad():
            self._dialect.failure = Failure.of("RATE_LIMITED", "too many messages")


class _Typed(msgspec.Struct):
    type: str


def is_cancel(text: object) -> bool:
    """Whether a text frame is `{"type": "cancel"}`, extra fields or not."""
    if not isinstance(text, str) or len(text) > 1000:
        return False
    try:
        return msgspec.json.decode(text, type=_Typed).type == "cancel"
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def chat_settings(settings: Settings) -> Settings:
    """Those of a chat: speech begins after PHRASE characters, or fewer."""
    tts = settings.tts
    shorter = msgspec.structs.replace(tts, max_phrase_length=min(PHRASE, tts.max_phrase_length))
    return msgspec.structs.replace(settings, tts=shorter)


def check_language(engines: Engines, language: str | None) -> None:
    """Raise ClientError for a language that no voice speaks; without any voice, all are answered in writing."""
    voices = engines.tts.voices
    if language is not None and voices and pick_voice(voices, language) is None:
        raise unknown_language(language)


async def tell(websocket: WebSocket, failure: Failure) -> None:
    """Tell an error to a client that has no session, and close."""
    with suppress(RuntimeError, WebSocketDisconnect):  # the peer was faster
        await websocket.send_text(as_text(failure))
        await websocket.close(failure.close_code, failure.reason)


async def chat(websocket: WebSocket) -> None:
    """The endpoint of `/ws/chat/stream`."""
    await websocket.accept()
    try:
        question = Question.read(websocket.query_params.multi_items())
    except ClientError as error:
        await tell(websocket, Failure.from_error(error))
        return
    await ChatConnection(websocket, websocket.app.state.server, question).run()
