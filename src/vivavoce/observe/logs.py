"""The log: one line per record, for people or as JSON, without secrets, and a session's turns as tagged lines.

    [INFO] [ASR-FINAL] Triggering LLM for: <17 chars> session=9f…
    {"time": "…", "level": "info", "tag": "ASR-FINAL", "session": "9f…", "text": "<17 chars>", …}

Whatever is logged within a session's tasks, by engines too, gets its `session=`.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from vivavoce import events
from vivavoce.errors import SettingsError
from vivavoce.settings import Log, Stream

logger = logging.getLogger("vivavoce.session")

current_session: ContextVar[str] = ContextVar("current_session", default="")
"""The session whose task this is; SessionLog sets it as the session opens, and its later tasks inherit it."""

LEVELS = {logging.WARNING: "WARN", logging.CRITICAL: "ERROR"}
LEVEL_OF = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
FOREIGN = ("asyncio", "client", "httpcore", "httpcore2", "httpx", "httpx2", "mcp", "uvicorn", "websockets")
"""Libraries whose lower levels would log what clients send, or every request's address."""
HANDLER = "vivavoce"
TAG = re.compile(r"\[([A-Z][A-Z-]+)\] ")
# Controls of C1, separators of lines and paragraphs, and the marks that turn the direction of writing.
MARKS = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
UNPRINTABLE = re.compile(r"[\x00-\x1f]|" + MARKS.pattern)
SECRETS = (
    re.compile(r"(?i)(\bbearer\s+)[^\s\"',;]+"),
    re.compile(r"(?i)((?:\b|_)(?:api[_-]?key|api[_-]?secret|access[_-]?token|token|key|secret|password)[\"']?\s*[=:]\s*[\"']?)"
               r"[^\s\"'&,;)}]+"),
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"),
    re.compile(r"(\bsk-)[A-Za-z0-9_-]{6,}"),
)  # fmt: skip


class Tagged(msgspec.Struct, frozen=True):
    """A log message with fields; its text is made only when a line is written."""

    tag: str
    session: str
    line: str
    """The text, with the names of fields in braces."""
    fields: dict[str, Any]

    def __str__(self) -> str:
        return f"[{self.tag}] {self.line.format_map(self.fields | {'session': self.session})}"


class Measured(msgspec.Struct, frozen=True):
    """A turn's metrics as a log message."""

    session: str
    metrics: events.Metrics

    @property
    def fields(self) -> dict[str, Any]:
        return {"tag": "METRICS", "session": self.session, **msgspec.to_builtins(self.metrics)}

    def __str__(self) -> str:
        return f"[METRICS] {json.dumps(self.fields)}"


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_one_line(error: BaseException) -> str:
    """An exception (of a group, the first) and where it was raised, innermost first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__}: {error} (at {where})"


def escape(text: str) -> str:
    """*text* on one line, without control characters."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Redaction:
    """Hides keys and tokens: the configured ones wherever they stand, others by how they are written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, found))) if found else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub("***", text)
        for pattern in SECRETS:
            text = pattern.sub(r"\1***", text)
        return text


class ConsoleFormatter(logging.Formatter):
    """`[LEVEL] [TAG] message`; with *stamped*, the UTC time before it."""

    def __init__(self, redact: Redaction, *, stamped: bool) -> None:
        super().__init__()
        self._redact = redact
        self._stamped = stamped

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        session = current_session.get()
        if session and "session" not in message:
            message = f"{message} session={session}"
        if record.exc_info and record.exc_info[1]:
            message = f"{message}: {_in_one_line(record.exc_info[1])}"
        level = LEVELS.get(record.levelno, record.levelname)
        stamp = f"{_time(record)} " if self._stamped else ""
        return f"{stamp}[{level}] {self._redact(escape(message))}"


class JSONFormatter(logging.Formatter):
    """One JSON object per line: `time`, `level`, `tag`, `session`, the fields, or `message`."""

    def __init__(self, redact: Redaction) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower()}
        if isinstance(record.msg, Measured):
            line |= record.msg.fields
        elif isinstance(record.msg, Tagged):
            line |= {"tag": record.msg.tag, "session": record.msg.session, **record.msg.fields}
        else:
            message = record.getMessage()
            tag = TAG.match(message)
            line |= {"tag": tag[1] if tag else record.name, "session": current_session.get() or None}
            line["message"] = message[tag.end() :] if tag else message
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(self._hide(line), ensure_ascii=False, default=str)

    def _hide(self, value: Any) -> Any:
        """Redact the texts within. (JSON itself escapes the controls; the rest of the unprintable is escaped here.)"""
        match value:
            case str():
                return self._redact(MARKS.sub(lambda found: escape(found[0]), value))
            case dict():
                return {key: self._hide(item) for key, item in value.items()}
            case list() | tuple():
                return [self._hide(item) for item in value]
        return value


def configure(log: Log, secrets: Iterable[str] = ()) -> None:
    """Send the log of the whole process where *log* says. Replaces what was configured before.

    secrets: values that must never appear. Raises SettingsError when the file cannot be written.
    """
    redact = Redaction(secrets)
    handler: logging.Handler
    if log.file:
        try:
            handler = logging.handlers.WatchedFileHandler(log.file, encoding="utf-8")  # follows logrotate
        except OSError as error:
            raise SettingsError([f"LOG_FILE: {log.file} cannot be written: {error.strerror}"]) from error
    else:
        handler = logging.StreamHandler(sys.stderr)
    stamped = log.file is not None  # journald and containers stamp standard error themselves
    handler.setFormatter(JSONFormatter(redact) if log.format == "json" else ConsoleFormatter(redact, stamped=stamped))
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.name == HANDLER]:
        root.removeHandler(old)
        old.close()
    handler.name = HANDLER
    root.addHandler(handler)
    root.setLevel(LEVEL_OF[log.level])
    for name in FOREIGN:
        logging.getLogger(name).setLevel(max(LEVEL_OF[log.level], logging.WARNING))


def mute() -> None:
    """Write nothing more to standard error, as what would be logged is told in another way; a file goes on."""
    for handler in logging.getLogger().handlers:
        if handler.name == HANDLER and not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.CRITICAL)


class SessionLog:
    """Writes one session's events as tagged lines. An observer: call it with each event and its monotonic time."""

    def __init__(self, log: Log, stream: Stream, session_id: str) -> None:
        self._session = session_id
        self._transcripts = log.transcripts
        self._log_latency = stream.log_latency
        self._answers = True
        self._heard_from_s = 0.0
        self._partials = 0
        self._replying_from_s = 0.0
        self._tokens = 0
        self._answer: list[str] = []
        self._writers: dict[type, Callable[[Any, float], None]] = {
            events.SessionOpened: self._opened,
            events.UtteranceOpened: self._utterance_opened,
            events.FramesReceived: self._frames,
            events.PartialTranscript: self._partial,
            events.FinalTranscript: self._final,
            events.ReplyStarted: self._reply_started,
            events.LLMToken: self._token,
            events.ReplyText: self._reply_text,
            events.Phrase: self._phrase,
            events.PhraseSpoken: self._spoken,
            events.Interrupted: self._interrupted,
            events.Error: self._error,
            events.Metrics: self._metrics,
            events.SessionClosed: self._closed,
        }

    def __call__(self, event: events.Event, at_s: float) -> None:
        writer = self._writers.get(type(event))
        if writer is not None and logger.isEnabledFor(logging.ERROR if type(event) is events.Error else logging.INFO):
            writer(event, at_s)

    def _say(self, tag: str, line: str, /, level: int = logging.INFO, **fields: Any) -> None:
        known = {name: None if value is msgspec.UNSET else value for name, value in fields.items()}
        logger.log(level, Tagged(tag, self._session, line, known))

    def _shown(self, text: str, most: int | None = None) -> str:
        """A text that was spoken, or only its length."""
        if not self._transcripts:
            return f"<{len(text)} chars>"
        return f'"{text}"' if most is None or len(text) <= most else f'"{text[: most - 1]}…"'

    def _opened(self, event: events.SessionOpened, at_s: float) -> None:
        current_session.set(self._session)
        self._answers = bool(event.llm)
        self._heard_from_s = at_s
        self._say(
            "ASR-INIT", "session={session}, engine={engine}, rate={sample_rate}, transport={transport}, "
            "conversation={conversation}", engine=event.asr, sample_rate=event.sample_rate, transport=event.transport,
            conversation=event.conversation_id,
        )  # fmt: skip
        if event.llm:
            self._say(
                "LLM-INIT", "session={session}, engine={engine}, voice={voice}", engine=event.llm, voice=event.tts
            )

    def _utterance_opened(self, event: events.UtteranceOpened, at_s: float) -> None:
        self._heard_from_s, self._partials = at_s - event.lead_s, 0
        self._say("ASR-START", "session={session}, utterance={id}", id=event.id)

    def _frames(self, event: events.FramesReceived, _at_s: float) -> None:
        text = "Session={session}, Frame={frame}, Samples={samples} session={session}"
        self._say("STREAM-RX", text, frame=event.frame, samples=event.samples)

    def _partial(self, event: events.PartialTranscript, at_s: float) -> None:
        self._partials += 1
        self._say(
            "ASR", "chunk {chunk} → {text} ({seconds}s) session={session}", chunk=self._partials,
            text=self._shown(event.text), seconds=round(at_s - self._heard_from_s, 1),
        )  # fmt: skip

    def _final(self, event: events.FinalTranscript, _at_s: float) -> None:
        begin = "Revised: " if event.revision else "Triggering LLM for: " if self._answers and event.text else "Heard: "
        self._say(
            "ASR-FINAL", begin + "{text} session={session}", text=self._shown(event.text), id=event.id,
            turn_id=event.turn_id, revision=event.revision,
        )  # fmt: skip

    def _reply_started(self, event: events.ReplyStarted, at_s: float) -> None:
        self._replying_from_s, self._tokens, self._answer = at_s, 0, []
        text = "session={session}, turn={turn_id}, preemptive={preemptive}"
        self._say("LLM-START", text, turn_id=event.turn_id, preemptive=event.preemptive)

    def _token(self, event: events.LLMToken, at_s: float) -> None:
        self._answer.append(event.text)
        if not event.text:
            return
        self._tokens += 1
        if self._tokens % 5 == 0:
            self._answer = ["".join(self._answer)]
            self._say(
                "LLM-TOKEN", "chunk {chunk} → {text} ({seconds}s) session={session}", chunk=self._tokens,
                text=self._shown(self._answer[0]), seconds=round(at_s - self._replying_from_s, 1),
            )  # fmt: skip

    def _reply_text(self, event: events.ReplyText, _at_s: float) -> None:
        text = "session={session}, tokens={tokens}, time={seconds}s, response={text}"
        counts: dict[str, Any] = {}
        if event.prompt_tokens is not None:
            text += ", usage={prompt_tokens}+{answer_tokens}"
            counts = {"prompt_tokens": event.prompt_tokens, "answer_tokens": event.answer_tokens}
        self._say(
            "LLM-FINAL", text, tokens=event.tokens, seconds=round(event.seconds, 1), text=self._shown(event.text),
            turn_id=event.turn_id, **counts,
        )  # fmt: skip

    def _phrase(self, event: events.Phrase, _at_s: float) -> None:
        text = "Added response: {text} session={session}"
        self._say("TTS-QUEUE", text, text=self._shown(event.text, 40), seq=event.seq, turn_id=event.turn_id)

    def _spoken(self, event: events.PhraseSpoken, _at_s: float) -> None:
        self._say(
            "TTS", "session={session}, turn={turn_id}, phrase={seq}, audio={audio_s}s, time={busy_s}s",
            turn_id=event.turn_id, seq=event.seq, audio_s=round(event.audio_s, 2), busy_s=round(event.busy_s, 3),
        )  # fmt: skip

    def _interrupted(self, event: events.Interrupted, _at_s: float) -> None:
        text = "session={session}, turn={turn_id}, reason={reason}, heard={text}"
        self._say("INTERRUPT", text, turn_id=event.turn_id, reason=event.reason, text=self._shown(event.heard_text))

    def _error(self, event: events.Error, _at_s: float) -> None:
        level = logging.WARNING if event.recoverable else logging.ERROR
        text = "session={session}, turn={turn_id}, code={code}: {message}"
        self._say("FAILED", text, level, turn_id=event.turn_id, code=event.code, message=event.message)

    def _metrics(self, event: events.Metrics, _at_s: float) -> None:
        if self._log_latency:
            logger.info(Measured(self._session, event))

    def _closed(self, event: events.SessionClosed, _at_s: float) -> None:
        text = "session={session}, reason={reason}, turns={turns}, time={seconds}s"
        self._say("CLEANUP", text, reason=event.reason, turns=event.turns, seconds=round(event.seconds, 1))
