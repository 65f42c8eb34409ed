"""Every option, as one frozen tree. Only this module reads the environment."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of options."""


class Server(Section, frozen=True):
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    drain_s: float = 30.0
    max_sessions: int = 100
    connections_per_minute: int | None = None
    """Per address; None: 60, and no limit for loopback."""
    turns_per_minute: int | None = None
    """Per address; None: 120, and no limit for loopback."""


class Stream(Section, frozen=True):
    enabled: bool = True
    debug: bool = False
    log_latency: bool = True
    save_dir: str | None = None
    vad_silence_ms: int = 700
    partial_interval_ms: int = 1000
    pcm_chunk_size: int = 5120
    max_utterance_ms: int = 30000
    inactivity_ms: int = 2000
    backpressure_threshold: int = 50
    backpressure_skip_frames: int = 3
    max_pending_phrases: int = 5
    min_partial_chars: int = 2
    idle_timeout_s: float = 900.0
    turn_timeout_s: float = 60.0
    resume_window_s: float = 30.0
    resume_bytes: int = 1 << 20
    outgoing_bytes: int = 1 << 20
    """Audio and text that may wait for a slow client before the reply waits."""
    send_timeout_s: float = 10.0


class Turns(Section, frozen=True):
    """The rules of the floor."""

    barge_in_min_speech_ms: int = 200
    barge_in_min_words: int = 1
    hold_ms: int = 600
    """How long a reply is held after speech was detected over it, before it goes on if no word was heard."""
    preempt: bool = True
    """Start the reply on a stable transcript, during the endpointing silence."""
    preempt_silence_ms: int = 250
    interruptible: bool = True


class Vad(Section, frozen=True):
    engine: str = "auto"
    threshold: float = 0.5
    release: float = 0.35
    min_speech_ms: int = 96
    tick_ms: float = 3.0


class Asr(Section, frozen=True):
    engine: str = "auto"
    model: str = "small-int8"
    device: str = "auto"
    timeout_s: float = 10.0
    workers: int = 2
    final_wait_ms: int = 500


class Llm(Section, frozen=True):
    provider: str = "auto"
    base_url: str | None = None
    api_key: str | None = None
    model: str | None = None
    instructions: str = (
        "You are a friendly voice assistant. Your words are spoken aloud: "
        "answer in short, plain sentences, without lists or markup."
    )
    max_tokens: int = 150
    temperature: float = 0.7
    connect_timeout_s: float = 3.0
    first_token_timeout_s: float = 10.0
    token_timeout_s: float = 5.0
    timeout_s: float = 30.0


class Tts(Section, frozen=True):
    engine: str = "auto"
    device: str = "auto"
    max_phrase_length: int = 60
    thread_workers: int = 2
    timeout_s: float = 10.0
    language: str = "en_US"
    voice: str | None = None


class Memory(Section, frozen=True):
    persist: bool = True
    retention_days: int = 30
    data_dir: str | None = None


class Log(Section, frozen=True):
    level: str = "info"
    format: str = "console"
    file: str | None = None
    transcripts: bool = False


class Streaming(Section, frozen=True):
    """The command pipeline, and how text becomes phrases."""

    enabled: bool = True
    max_buffer_time: float = 2.0
    max_tokens_per_phrase: int = 50
    audio_concurrency: int = 3


class Settings(Section, frozen=True):
    server: Server = Server()
    stream: Stream = Stream()
    turns: Turns = Turns()
    vad: Vad = Vad()
    asr: Asr = Asr()
    llm: Llm = Llm()
    tts: Tts = Tts()
    memory: Memory = Memory()
    log: Log = Log()
    streaming: Streaming = Streaming()
