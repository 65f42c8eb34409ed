"""The options, section by section, with their defaults, ranges and environment names."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from vivavoce.layered import Section, opt

URL = Annotated[str, Meta(pattern=r"^https?://[^\s/]+\S*$", extra={"allowed": "an http:// or https:// address"})]
Key = Annotated[str, Meta(pattern=r"^[!-~]+$", extra={"secret": True, "allowed": "printable, without blanks"})]
Hosts = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[^\s/]+$")], ...],
    Meta(extra={"allowed": "host names, separated by commas, each as example.org or example.org:8000"}),
]
Origins = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^https?://[^\s/]+$")], ...],
    Meta(extra={"allowed": "origins, separated by commas, each as https://example.org"}),
]
Rate = Annotated[int, Meta(ge=1, le=1_000_000)]
Device = Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$", extra={"allowed": "auto, cpu, cuda or cuda:N"})]
Language = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]+)*$", extra={"allowed": "as en or en_US"})]
Silence = Annotated[float, Meta(ge=1, le=86_400)]
Phrase = Annotated[str, Meta(pattern=r"\w", extra={"allowed": "words"})]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+$", extra={"allowed": "an engine's name"})]
Headers = Annotated[
    dict[
        Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")],
        Annotated[str, Meta(pattern=r"^[!-~]([ -~]*[!-~])?$")],
    ],
    Meta(extra={"secret": True, "allowed": "HTTP headers, as `Name=value, Other=value` or as JSON"}),
]
"""Values may be secrets. (HTTP's own rules: RFC 9110, 5.1 and 5.5, without bytes beyond ASCII.)"""
Model = Annotated[str, Meta(pattern=r"^\S+$", extra={"allowed": "a model's name"})]

FlowId = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", extra={"allowed": "1 to 64 of A-Z a-z 0-9 . _ -"})
]
HttpTargets = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^(\*\.)?[A-Za-z0-9._-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$")], ...],
    Meta(extra={"allowed": "host names or addresses, separated by commas, as api.example.org:8443 or *.example.org"}),
]
FlowVariables = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[A-Za-z_]\w*=.*$")], ...],
    Meta(extra={"allowed": "name=value, separated by commas"}),
]


class Server(Section, frozen=True):
    host: Annotated[str, opt("Address to listen on; beyond loopback only with an API key")] = "127.0.0.1"
    port: Annotated[int, opt("Port to listen on; 0 takes a free one", "PORT", ge=0, le=65535)] = 8000
    api_key: Annotated[Key | None, opt("Key that clients must send", "VIVAVOCE_API_KEY")] = None
    allowed_hosts: Annotated[Hosts, opt("Host names besides the server's own", "VIVAVOCE_ALLOWED_HOSTS")] = ()
    allowed_origins: Annotated[
        Origins, opt("Origins of browser pages besides the server's own", "VIVAVOCE_ALLOWED_ORIGINS")
    ] = ()
    reload: Annotated[bool, opt("Start again when a source file changes", "RELOAD")] = False
    drain_s: Annotated[float, opt("How long running turns may go on after a stop", ge=0, le=600)] = 30.0
    request_timeout_s: Annotated[float, opt("A request must be complete within this", ge=1, le=300)] = 10.0
    ping_interval_s: Annotated[float, opt("WebSocket heartbeat", ge=1, le=300)] = 10.0
    ping_timeout_s: Annotated[float, opt("A heartbeat unanswered for this long ends it", ge=1, le=300)] = 10.0
    max_message_bytes: Annotated[int, opt("A longer WebSocket message closes the connection", ge=65536, le=1 << 26)] = (
        1 << 20
    )
    max_body_bytes: Annotated[
        int, opt("A longer request is refused; uploads have their own limit", ge=4096, le=1 << 26)
    ] = 1 << 20
    max_sessions: Annotated[int, opt("Sessions at a time", ge=1, le=100_000)] = 100
    connections_per_minute: Annotated[Rate | None, opt("Per address; unset: 60, and no limit for loopback")] = None
    """Per address; None: 60, and no limit for loopback."""
    turns_per_minute: Annotated[Rate | None, opt("Per address; unset: 120, and no limit for loopback")] = None
    """Per address; None: 120, and no limit for loopback."""


class Stream(Section, frozen=True):
    enabled: Annotated[bool, opt("Voice over WebSocket", "STREAM_ENABLED")] = True
    debug: Annotated[bool, opt("Send `debug` messages to clients", "STREAM_DEBUG")] = False
    log_latency: Annotated[bool, opt("Log each turn's metrics as one JSON line", "STREAM_LOG_LATENCY")] = True
    save_dir: Annotated[str | None, opt("Folder that keeps final transcripts", "STREAM_SAVE_DIR")] = None
    vad_silence_ms: Annotated[int, opt("Silence that ends an utterance", "STREAM_VAD_SILENCE_MS", ge=50, le=10_000)] = (
        700
    )
    partial_interval_ms: Annotated[
        int, opt("At most one partial transcript in this time", "STREAM_PARTIAL_INTERVAL_MS", ge=10, le=60_000)
    ] = 1000
    pcm_chunk_size: Annotated[
        int, opt("Samples in a client's usual audio frame", "STREAM_PCM_CHUNK_SIZE", ge=80, le=48_000)
    ] = 5120
    max_utterance_ms: Annotated[int, opt("Speech is cut after this", "STREAM_MAX_UTTERANCE_MS", ge=100, le=600_000)] = (
        30000
    )
    inactivity_ms: Annotated[
        int, opt("Frames missing for this long end an utterance", "STREAM_INACTIVITY_MS", ge=100, le=600_000)
    ] = 2000
    backpressure_threshold: Annotated[
        int,
        opt(
            "Messages waiting for a slow client from which on some are skipped",
            "STREAM_BACKPRESSURE_THRESHOLD",
            ge=1,
            le=100_000,
        ),
    ] = 50
    backpressure_skip_frames: Annotated[
        int, opt("Then every n-th droppable message is skipped", "STREAM_BACKPRESSURE_SKIP_FRAMES", ge=1, le=1000)
    ] = 3
    max_pending_phrases: Annotated[
        int, opt("Phrases that may wait for synthesis", "STREAM_MAX_PENDING_PHRASES", ge=1, le=1000)
    ] = 5
    min_partial_chars: Annotated[
        int, opt("Shorter partials are noise (ASR-only service)", "STREAM_MIN_PARTIAL_CHARS", ge=0, le=1000)
    ] = 2
    idle_timeout_s: Annotated[float, opt("A session without audio or text ends", ge=1, le=86_400)] = 900.0
    turn_timeout_s: Annotated[float, opt("A whole turn must end within this", ge=1, le=3600)] = 60.0
    resume_window_s: Annotated[float, opt("A lost client may resume its session", ge=0, le=3600)] = 30.0
    resume_bytes: Annotated[int, opt("Messages kept for a lost client, bytes", ge=0, le=1 << 30)] = 1 << 20
    outgoing_bytes: Annotated[
        int, opt("Bytes that may wait for a slow client before the reply waits", ge=65_536, le=1 << 30)
    ] = 1 << 20
    """Audio and text that may wait for a slow client before the reply waits."""
    send_timeout_s: Annotated[float, opt("A client that takes nothing for this long is closed", ge=1, le=600)] = 10.0


class Turns(Section, frozen=True):
    """The rules of the floor."""

    barge_in_min_speech_ms: Annotated[int, opt("Speech that holds a reply", ge=0, le=10_000)] = 200
    barge_in_min_words: Annotated[int, opt("Words that cut a reply", ge=1, le=100)] = 1
    hold_ms: Annotated[int, opt("A held reply goes on after this without a word", ge=0, le=10_000)] = 600
    """How long a reply is held after speech was detected over it, before it goes on if no word was heard."""
    preempt: Annotated[bool, opt("Begin the reply on a stable transcript, before the utterance has ended")] = True
    """Start the reply on a stable transcript, during the endpointing silence."""
    preempt_silence_ms: Annotated[int, opt("Silence before that", ge=0, le=10_000)] = 250
    interruptible: Annotated[bool, opt("Speech may interrupt a reply")] = True


class Vad(Section, frozen=True):
    engine: Annotated[Name, opt("Voice activity detection; auto: the best installed")] = "auto"
    threshold: Annotated[float, opt("Probability from which on a window is speech", ge=0.01, le=0.99)] = 0.5
    release: Annotated[float, opt("Probability below which speech pauses", ge=0.01, le=0.99)] = 0.35
    min_speech_ms: Annotated[int, opt("Speech that opens an utterance; less is a click", ge=0, le=5000)] = 96
    tick_ms: Annotated[float, opt("Windows of all sessions are judged together this often", ge=0, le=100)] = 3.0


class Asr(Section, frozen=True):
    engine: Annotated[Name, opt("Recogniser; auto: the best whose model is here")] = "auto"
    model: Annotated[str, opt("Whisper model, or a folder that holds one", "STREAM_MODEL_WHISPER")] = "small-int8"
    device: Annotated[Device, opt("Where it runs")] = "auto"
    timeout_s: Annotated[float, opt("A final transcript must be there", "STREAM_ASR_TIMEOUT_S", ge=0.01, le=600)] = 10.0
    workers: Annotated[int, opt("Utterances recognised at the same time", ge=1, le=256)] = 2
    final_wait_ms: Annotated[
        int, opt("How long the final may take after a stop, before the best so far is given", ge=0, le=60_000)
    ] = 500
    final_wait_silence_ms: Annotated[
        int, opt("The same after a silence, in which most of the work was done", ge=0, le=60_000)
    ] = 80


class ModelOptions(Section, frozen=True):
    """What one language model is asked with; what is unset is as for all."""

    temperature: Annotated[Annotated[float, Meta(ge=0, le=2)] | None, opt("Its temperature")] = None
    max_tokens: Annotated[Annotated[int, Meta(ge=1, le=1_000_000)] | None, opt("Tokens in an answer")] = None
    instructions: Annotated[str, opt("What this model is told besides")] = ""
    base_url: Annotated[URL | None, opt("The server that has it, where that is another one")] = None
    api_key: Annotated[Key | None, opt("That server's key")] = None
    headers: Annotated[Headers, opt("Headers for that server")] = field(default_factory=dict)


class Llm(Section, frozen=True):
    provider: Annotated[
        Literal["auto", "openai", "ollama", "offline"], opt("Language model; auto: the first there is", "LLM_PROVIDER")
    ] = "auto"
    base_url: Annotated[URL | None, opt("Any OpenAI-compatible server", "LLM_BASE_URL")] = None
    api_key: Annotated[Key | None, opt("Its key", "LLM_API_KEY")] = None
    model: Annotated[str | None, opt("Its model", "LLM_MODEL")] = None
    headers: Annotated[Headers, opt("Further headers for the language model's server", "LLM_HEADERS")] = field(
        default_factory=dict
    )
    routes: Annotated[
        dict[Literal["command", "short", "long"], Model],
        opt("Models for kinds of requests; a model of another provider as provider:model", "LLM_ROUTES"),
        Meta(extra={"allowed": "models for any of command, short and long, as `command=NAME, long=openai:NAME`"}),
    ] = field(default_factory=dict)
    models: Annotated[
        dict[Model, ModelOptions],
        opt("Options of single models, by their names", "LLM_MODELS"),
        Meta(
            extra={
                "allowed": "a mapping (in a variable: JSON) of names to any of temperature, max_tokens, instructions, "
                "base_url, api_key, headers"
            }
        ),
    ] = field(default_factory=dict)
    instructions: Annotated[str, opt("What the model is told first")] = (
        "You are a friendly voice assistant: people speak to you, and your words are spoken aloud. Answer in the "
        "user's language, in one to three short, plain sentences; say more only when asked for more. No lists, "
        "headings, markup, emoji, code or links; numbers, dates and units as one says them. What you hear comes from "
        "a speech recogniser: where a word does not fit, go by what was probably meant, or ask. An answer of yours "
        "that ends in a dash was interrupted there: the user has not heard the rest."
    )
    max_tokens: Annotated[int, opt("Tokens in an answer", ge=1, le=1_000_000)] = 150
    temperature: Annotated[float, opt("Its temperature", ge=0, le=2)] = 0.7
    connect_timeout_s: Annotated[float, opt("To connect", ge=0.01, le=600)] = 3.0
    first_token_timeout_s: Annotated[float, opt("To the first token", ge=0.01, le=600)] = 10.0
    token_timeout_s: Annotated[float, opt("Between tokens", "STREAM_LLM_TOKEN_TIMEOUT_S", ge=0.01, le=600)] = 5.0
    timeout_s: Annotated[float, opt("For the whole answer", "STREAM_LLM_TIMEOUT_S", ge=0.01, le=3600)] = 30.0


class Agent(Section, frozen=True):
    """Of the agent that answers where no other is served: the model, with `llm.instructions`."""

    greeting: Annotated[str | None, opt("What it says first; unset: nothing")] = None
    still_there_s: Annotated[Silence | None, opt("Silence after which it asks; unset: never")] = None
    still_there: Annotated[Phrase, opt("What it then asks")] = "Are you still there?"
    still_there_times: Annotated[int, opt("How often, until something is said", ge=1, le=100)] = 1


class Openai(Section, frozen=True):
    api_key: Annotated[Key | None, opt("Key of the OpenAI service", "OPENAI_API_KEY")] = None
    base_url: Annotated[URL | None, opt("Its address, when it is not the vendor's", "OPENAI_BASE_URL")] = None
    model: Annotated[str, opt("Its model", "OPENAI_MODEL")] = "gpt-3.5-turbo"
    max_tokens: Annotated[int, opt("Tokens in an answer", "OPENAI_MAX_TOKENS", ge=1, le=1_000_000)] = 150
    temperature: Annotated[float, opt("Its temperature", "OPENAI_TEMPERATURE", ge=0, le=2)] = 0.7


class Ollama(Section, frozen=True):
    base_url: Annotated[URL, opt("Where Ollama answers", "OLLAMA_BASE_URL")] = "http://localhost:11434"
    model: Annotated[str, opt("Its model", "OLLAMA_MODEL")] = "llama3.2:3b"
    keep_alive: Annotated[
        int, opt("How long it keeps an unused model in memory; -1: for ever", ge=-1, le=31_536_000, unit="s")
    ] = 1800


class Tools(Section, frozen=True):
    steps: Annotated[int, opt("How often the model may have tools run before it must answer", ge=0, le=100)] = 5
    calls: Annotated[int, opt("Calls of tools in a turn", ge=1, le=1000)] = 16
    timeout_s: Annotated[float, opt("A tool must be done", ge=0.01, le=3600)] = 10.0
    filler_ms: Annotated[int, opt("Something is said when a tool takes longer; 0: never", ge=0, le=60_000)] = 700
    filler: Annotated[str | None, opt('What is said then; unset: "One moment." by language')] = None
    mcp: Annotated[
        tuple[str, ...],
        opt("MCP servers whose tools the default agent may use: commands, or http(s) addresses"),
    ] = ()


class Tts(Section, frozen=True):
    engine: Annotated[Name, opt("Synthesizer; auto: the best whose voice is here", "STREAM_TTS_ENGINE")] = "auto"
    device: Annotated[Device, opt("Where it runs")] = "auto"
    max_phrase_length: Annotated[int, opt("Characters in a phrase", "STREAM_TTS_MAX_PHRASE_LENGTH", ge=10, le=2000)] = (
        60
    )
    thread_workers: Annotated[
        int, opt("Phrases of a session made at the same time", "STREAM_TTS_THREAD_WORKERS", ge=1, le=64)
    ] = 2
    timeout_s: Annotated[float, opt("A phrase must be made", "STREAM_TTS_TIMEOUT_S", ge=0.01, le=600)] = 10.0
    language: Annotated[Language, opt("Language of the voice when a client names none")] = "en_US"
    voice: Annotated[str | None, opt("Voice when a client names none; unset: the language's default")] = None


class Streaming(Section, frozen=True):
    """The command pipeline, and how text becomes phrases. Times are seconds."""

    enabled: Annotated[bool, opt("The command pipeline; off: traditional parsing", "STREAMING_ENABLED")] = True
    ollama_url: Annotated[URL, opt("Its Ollama", "STREAMING_OLLAMA_URL")] = "http://localhost:11434"
    model: Annotated[str, opt("Its model", "STREAMING_MODEL")] = "llama3.2:3b"
    max_buffer_time: Annotated[
        float, opt("Text without a boundary is spoken", "STREAMING_MAX_BUFFER_TIME", ge=0.05, le=60, unit="s")
    ] = 2.0
    max_tokens_per_phrase: Annotated[
        int, opt("Tokens in a phrase", "STREAMING_MAX_TOKENS_PER_PHRASE", ge=1, le=10_000)
    ] = 50
    audio_concurrency: Annotated[
        int, opt("Phrases of a command made at the same time", "STREAMING_AUDIO_CONCURRENCY", ge=1, le=64)
    ] = 3
    visual_feedback_delay: Annotated[
        float, opt("Tokens for the screen are gathered", "STREAMING_VISUAL_FEEDBACK_DELAY", ge=0, le=5, unit="s")
    ] = 0.05
    interrupt_timeout: Annotated[
        float, opt("Grace of an interrupted session", "STREAMING_INTERRUPT_TIMEOUT", ge=0, le=60, unit="s")
    ] = 0.5
    fallback_enabled: Annotated[bool, opt("Fall back to traditional parsing", "STREAMING_FALLBACK_ENABLED")] = True
    metrics_enabled: Annotated[bool, opt("Measure the pipeline", "STREAMING_METRICS_ENABLED")] = True
    rollout_percent: Annotated[float, opt("Share of sessions that stream", ge=0, le=100)] = 100.0
    ab: Annotated[bool, opt("Measure streaming against traditional parsing")] = False


class Commands(Section, frozen=True):
    """Sentence templates, and when they answer in the place of the model's stream."""

    source: Annotated[
        Literal["built-in", "home-assistant", "none"],
        opt("Whose templates; home-assistant needs the extra of that name"),
    ] = "built-in"
    intents_file: Annotated[
        str | None, opt("Templates of your own, a YAML file or a folder with one for each language")
    ] = None
    first_token_timeout_s: Annotated[float, opt("They answer when no token came", ge=0.05, le=600)] = 4.0
    token_timeout_s: Annotated[float, opt("They answer when the stream stalls", ge=0.05, le=600)] = 2.5


class Flows(Section, frozen=True):
    """Conversation graphs, and what their HTTP nodes may reach."""

    folder: Annotated[str | None, opt("Where flows are kept, one YAML file each; unset: in the data folder")] = None
    default: Annotated[FlowId | None, opt("The flow of sessions that name none")] = None
    http_allow: Annotated[
        HttpTargets, opt("Servers that a flow's HTTP nodes may ask, as api.example.org or 127.0.0.1:9000")
    ] = ()
    http_private: Annotated[bool, opt("Allowed names may lead to private addresses")] = False
    variables: Annotated[FlowVariables, opt("Variables of every flow, as api=https://api.example.org; no secrets")] = ()
    max_sessions: Annotated[int, opt("Sessions of flows over HTTP that are kept", ge=1, le=100_000)] = 1000
    session_idle_s: Annotated[float, opt("Such a session is forgotten when unused", ge=1, le=86_400)] = 900.0
    resume_grace_s: Annotated[
        float, opt("A lost stream's answer is still made for so long, so that its client may come back", ge=0, le=60)
    ] = 0.5


class Livekit(Section, frozen=True):
    url: Annotated[
        Annotated[str, Meta(pattern=r"^(ws|http)s?://[^\s/]+\S*$", extra={"allowed": "a ws:// or wss:// address"})]
        | None,
        opt("The LiveKit server", "LIVEKIT_URL"),
    ] = None
    api_key: Annotated[Key | None, opt("Its key", "LIVEKIT_API_KEY")] = None
    api_secret: Annotated[Key | None, opt("Its secret", "LIVEKIT_API_SECRET")] = None
    flow_id: Annotated[str | None, opt("The flow that the worker speaks", "FLOW_ID")] = None
    backend_url: Annotated[URL | None, opt("The server that runs that flow", "BACKEND_URL")] = None


class Memory(Section, frozen=True):
    persist: Annotated[bool, opt("Keep conversations on disk")] = True
    retention_days: Annotated[int, opt("How long", ge=1, le=36_500)] = 30
    data_dir: Annotated[str | None, opt("Where; unset: the user's data folder", "VIVAVOCE_DATA_DIR")] = None
    max_tokens: Annotated[
        int, opt("Tokens of a request and its answer; of a longer conversation the newest turns", ge=512, le=10_000_000)
    ] = 4096
    summary: Annotated[bool, opt("The model sums up what no longer fits, when nobody speaks")] = False


class Models(Section, frozen=True):
    download: Annotated[bool, opt("An engine named explicitly may fetch its model at start")] = False
    folder: Annotated[str | None, opt("Where models are kept; unset: the user's data folder")] = None


class Cache(Section, frozen=True):
    preload: Annotated[tuple[str, ...], opt("Answers whose speech is made soon after the start")] = ()


class Log(Section, frozen=True):
    level: Annotated[Literal["debug", "info", "warn", "warning", "error"], opt("What is logged", "LOG_LEVEL")] = "info"
    format: Annotated[Literal["console", "json"], opt("For people or for programs", "LOG_FORMAT")] = "console"
    file: Annotated[str | None, opt("Log to this file; unset: to standard error", "LOG_FILE")] = None
    transcripts: Annotated[bool, opt("Log what is said; off: only its length", "LOG_TRANSCRIPTS")] = False


class Settings(Section, frozen=True):
    server: Server = Server()
    stream: Stream = Stream()
    turns: Turns = Turns()
    vad: Vad = Vad()
    asr: Asr = Asr()
    llm: Llm = Llm()
    agent: Agent = Agent()
    openai: Openai = Openai()
    ollama: Ollama = Ollama()
    tools: Tools = Tools()
    tts: Tts = Tts()
    streaming: Streaming = Streaming()
    memory: Memory = Memory()
    models: Models = Models()
    cache: Cache = Cache()
    commands: Commands = Commands()
    flows: Flows = Flows()
    livekit: Livekit = Livekit()
    log: Log = Log()
