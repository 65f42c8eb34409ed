"""The log: its forms, what it hides, and how a turn can be followed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vivavoce import events
from vivavoce.errors import SettingsError
from vivavoce.observe import logs
from vivavoce.settings import Log, Stream

SID = "9f3c"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.FOREIGN}
    token = logs.current_session.set("")
    yield
    logs.current_session.reset(token)
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


def broken(message: str) -> None:
    raise ValueError(message)


class Written:
    """What a log of the given settings holds."""

    def __init__(self, folder: Path, secrets: tuple[str, ...] = (), **options: Any) -> None:
        self.file = folder / "v.log"
        self.settings = Log(file=str(self.file), **options)
        logs.configure(self.settings, secrets)

    @property
    def lines(self) -> list[str]:
        """Without the time."""
        lines = self.file.read_text().splitlines()
        return [line.partition(" ")[2] for line in lines] if self.settings.format == "console" else lines


def one_turn(log: Log, *, log_latency: bool = True) -> None:
    """The events of one spoken turn and an interrupted one."""
    observe = logs.SessionLog(log, Stream(log_latency=log_latency), SID)
    opened = events.SessionOpened(
        transport="voice_ws", conversation_id="c1", sample_rate=16000, asr="pocketsphinx", llm="offline", tts="espeak"
    )
    observe(opened, 0.0)
    observe(events.FramesReceived(frame=50, samples=480), 0.9)
    observe(events.UtteranceOpened(id="u1", lead_s=0.1), 1.0)
    observe(events.PartialTranscript(text="what time"), 1.7)
    observe(events.PartialTranscript(text="what time is it"), 2.2)
    observe(events.FinalTranscript(text="what time is it ?", id="u1", turn_id=1), 2.5)
    observe(events.ReplyStarted(turn_id=1, preemptive=False), 2.5)
    for at, text in enumerate(["It", " is", " ten", " to", " nine", ",", " good", " morning", " to", " you", "."]):
        observe(events.LLMToken(text=text, turn_id=1), 2.5 + at / 10)
    observe(events.LLMToken(text="", done=True, turn_id=1), 3.7)
    answer = "It is ten to nine, good morning to you, my friend."
    observe(events.ReplyText(turn_id=1, text=answer, tokens=11, seconds=1.21), 3.7)
    observe(events.ReplyText(turn_id=1, text=answer, tokens=11, seconds=1.21, prompt_tokens=90, answer_tokens=12), 3.7)
    observe(events.Phrase(seq=1, text=answer, turn_id=1), 3.7)
    observe(events.PhraseSpoken(turn_id=1, seq=1, audio_s=1.234, busy_s=0.0021), 3.8)
    observe(events.Interrupted(reason="user_speech", heard_text="It is ten", turn_id=1), 4.0)
    observe(events.Metrics(turn_id=1, t0_ms=0.0, voice_to_voice_ms=310.5, interrupted=True, outcome="interrupted"), 4.0)
    observe(events.SessionClosed(reason="disconnect", turns=1, seconds=5.04), 5.0)


def test_a_turn_can_be_followed_by_its_tags(tmp_path: Path) -> None:
    written = Written(tmp_path)
    one_turn(written.settings)
    metrics = next(line for line in written.lines if "[METRICS]" in line)
    assert [line for line in written.lines if line is not metrics and line != metrics] == [
        f"[INFO] [ASR-INIT] session={SID}, engine=pocketsphinx, rate=16000, transport=voice_ws, conversation=c1",
        f"[INFO] [LLM-INIT] session={SID}, engine=offline, voice=espeak",
        f"[INFO] [STREAM-RX] Session={SID}, Frame=50, Samples=480 session={SID}",
        f"[INFO] [ASR-START] session={SID}, utterance=u1",
        f"[INFO] [ASR] chunk 1 → <9 chars> (0.8s) session={SID}",
        f"[INFO] [ASR] chunk 2 → <15 chars> (1.3s) session={SID}",
        f"[INFO] [ASR-FINAL] Triggering LLM for: <17 chars> session={SID}",
        f"[INFO] [LLM-START] session={SID}, turn=1, preemptive=False",
        f"[INFO] [LLM-TOKEN] chunk 5 → <17 chars> (0.4s) session={SID}",
        f"[INFO] [LLM-TOKEN] chunk 10 → <38 chars> (0.9s) session={SID}",
        f"[INFO] [LLM-FINAL] session={SID}, tokens=11, time=1.2s, response=<50 chars>",
        f"[INFO] [LLM-FINAL] session={SID}, tokens=11, time=1.2s, response=<50 chars>, usage=90+12",
        f"[INFO] [TTS-QUEUE] Added response: <50 chars> session={SID}",
        f"[INFO] [TTS] session={SID}, turn=1, phrase=1, audio=1.23s, time=0.002s",
        f"[INFO] [INTERRUPT] session={SID}, turn=1, reason=user_speech, heard=<9 chars>",
        f"[INFO] [CLEANUP] session={SID}, reason=disconnect, turns=1, time=5.0s",
    ]
    measured = json.loads(metrics.removeprefix("[INFO] [METRICS] "))
    assert measured["voice_to_voice_ms"] == 310.5
    assert measured["outcome"] == "interrupted"
    assert measured["asr_rtf"] is None
    assert measured["session"] == SID


def test_texts_appear_only_when_asked_for(tmp_path: Path) -> None:
    written = Written(tmp_path, transcripts=True)
    one_turn(written.settings)
    text = "\n".join(written.lines)
    assert '[ASR] chunk 2 → "what time is it" (1.3s)' in text
    assert '[ASR-FINAL] Triggering LLM for: "what time is it ?"' in text
    assert '[LLM-TOKEN] chunk 5 → "It is ten to nine" (0.4s)' in text
    queued = next(line for line in written.lines if "[TTS-QUEUE]" in line)
    assert queued.split('"')[1] == "It is ten to nine, good morning to you,…"
    assert len(queued.split('"')[1]) == 40


def test_the_same_as_json(tmp_path: Path) -> None:
    written = Written(tmp_path, format="json")
    one_turn(written.settings)
    lines = [json.loads(line) for line in written.lines]
    assert [line["tag"] for line in lines][:7] == [
        "ASR-INIT", "LLM-INIT", "STREAM-RX", "ASR-START", "ASR", "ASR", "ASR-FINAL",
    ]  # fmt: skip
    assert all(line["session"] == SID and line["level"] == "info" and line["time"].endswith("Z") for line in lines)
    token = next(line for line in lines if line["tag"] == "LLM-TOKEN")
    assert (token["chunk"], token["text"], token["seconds"]) == (5, "<17 chars>", 0.4)
    metrics = next(line for line in lines if line["tag"] == "METRICS")
    assert (metrics["turn_id"], metrics["voice_to_voice_ms"], metrics["t1_first_partial_ms"]) == (1, 310.5, None)
    assert "what time" not in written.file.read_text()


def test_without_log_latency_no_metrics(tmp_path: Path) -> None:
    written = Written(tmp_path)
    one_turn(written.settings, log_latency=False)
    assert not [line for line in written.lines if "METRICS" in line]


def test_a_lower_level_writes_errors_only(tmp_path: Path) -> None:
    written = Written(tmp_path, level="error")
    one_turn(written.settings)
    observe = logs.SessionLog(written.settings, Stream(), SID)
    observe(events.Error(code="LLM_TIMEOUT", message="slow", turn_id=2), 1.0)
    observe(events.Error(code="INTERNAL", message="broke", recoverable=False, turn_id=3), 1.0)
    assert written.lines == [f"[ERROR] [FAILED] session={SID}, turn=3, code=INTERNAL: broke"]


def test_a_refined_and_an_empty_final_trigger_nothing(tmp_path: Path) -> None:
    written = Written(tmp_path, transcripts=True)
    observe = logs.SessionLog(written.settings, Stream(), SID)
    observe(events.FinalTranscript(text="", id="u1"), 1.0)
    observe(events.FinalTranscript(text="better", id="u1", revision=1), 1.0)
    assert written.lines == [
        f'[INFO] [ASR-FINAL] Heard: "" session={SID}',
        f'[INFO] [ASR-FINAL] Revised: "better" session={SID}',
    ]


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    "evil", ["a\nb", "a\r\n[INFO] [CLEANUP] b", "a\x1b[31mb", "a\u2028b", "a\u202eb", "a\x85b\x00"]
)
def test_what_is_said_cannot_forge_a_line(tmp_path: Path, form: Any, evil: str) -> None:
    written = Written(tmp_path, format=form, transcripts=True)
    observe = logs.SessionLog(written.settings, Stream(), SID)
    observe(events.PartialTranscript(text=evil + " {session} %s"), 1.0)
    text = written.file.read_text()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert not logs.UNPRINTABLE.search(text[:-1])
    assert "{session} %s" in text


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    "message",
    [
        "asked https://user:hunter2@a.example/v1",
        "GET /ws?token=hunter2&x=1",
        "Authorization: Bearer hunter2",
        'body {"api_key": "hunter2"}',
        "api-key=hunter2;",
        "OPENAI_API_KEY=hunter2",
        "bad key sk-hunter2hunter2",
        "the plain word configured-secret",
    ],
)
def test_secrets_are_hidden(tmp_path: Path, form: Any, message: str) -> None:
    written = Written(tmp_path, ("configured-secret", ""), format=form)
    log = logging.getLogger("vivavoce.test")
    log.warning("%s", message)
    try:
        broken(message)
    except ValueError:
        log.exception("it broke")
    text = written.file.read_text()
    assert "hunter2" not in text
    assert "configured-secret" not in text
    assert "***" in text
    assert text.count("\n") == 2


def test_counts_are_no_secrets(tmp_path: Path) -> None:
    written = Written(tmp_path)
    logging.getLogger("x").info("tokens=23, monkey=1")
    assert written.lines == ["[INFO] tokens=23, monkey=1"]


def test_an_exception_stays_on_one_line_and_says_where(tmp_path: Path) -> None:
    written = Written(tmp_path)
    try:
        broken("first\nsecond")
    except ValueError:
        logging.getLogger("x").exception("it broke")
    [line] = written.lines
    assert line.startswith("[ERROR] it broke: ValueError: first\\nsecond (at test_logs.py:")


async def test_engines_log_with_the_session_they_work_for(tmp_path: Path) -> None:
    written = Written(tmp_path)

    async def session(name: str) -> None:
        observe = logs.SessionLog(written.settings, Stream(), name)
        opened = events.SessionOpened(
            transport="voice_ws", conversation_id="c", sample_rate=16000, asr="a", llm="l", tts="t"
        )
        observe(opened, 0.0)
        await asyncio.create_task(reply())

    async def reply() -> None:
        logging.getLogger("vivavoce.engines.llm").warning("[LLM-RETRY] attempt %d of 3", 2)

    await asyncio.gather(session("s1"), session("s2"))
    retries = [line for line in written.lines if "LLM-RETRY" in line]
    assert retries == [f"[WARN] [LLM-RETRY] attempt 2 of 3 session={name}" for name in ("s1", "s2")]


def test_the_console_has_no_time_and_json_has_the_tag(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(Log())
    logging.getLogger("vivavoce.x").info("hello")
    logs.configure(Log(format="json"))
    logging.getLogger("vivavoce.x").info("[READY] %s", "hello")
    first, second = capfd.readouterr().err.splitlines()
    assert first == "[INFO] hello"
    line = json.loads(second)
    assert (line["tag"], line["message"], line["level"]) == ("READY", "hello", "info")


def test_a_file_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LOG_FILE"):
        logs.configure(Log(file=str(tmp_path / "no" / "v.log")))
