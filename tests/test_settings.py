"""The settings tree: every name, the precedence, the refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from vivavoce.errors import SettingsError
from vivavoce.settings import OPTIONS, Loaded, ModelOptions, Profile, Settings, load, schema, secrets

ROOT = Path(__file__).parents[1]


def loaded(
    environ: dict[str, str] | None = None,
    *,
    flags: dict[str, Any] | None = None,
    file: Path | None = None,
    dotenv: Path = Path("nowhere"),
    profile: Profile = "full",
) -> Loaded:
    return load(flags=flags or {}, environ=environ or {}, config_file=file, dotenv_dir=dotenv, profile=profile)


def value(settings: Settings, path: str) -> Any:
    section, name = path.split(".")
    return getattr(getattr(settings, section), name)


def path_of(variable: str) -> str:
    return next(path for path, option in OPTIONS.items() if variable in option.names)


def problems(*args: Any, **kwargs: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(*args, **kwargs)
    return caught.value.problems


def test_without_any_layer_every_value_is_its_default() -> None:
    result = loaded()
    assert result.settings == Settings()
    assert {origin.kind for origin in result.origins.values()} == {"default"}
    assert result.warnings == []


def test_every_default_is_allowed() -> None:
    for option in OPTIONS.values():
        if option.default is not None:
            assert option.parse(option.default) == option.default, option.path
        text = option.format(option.default)
        if text and not option.secret:
            assert option.parse(text) == option.default, option.path


@pytest.mark.parametrize(
    ("name", "text", "path", "expected"),
    [
        ("STREAM_MODEL_WHISPER", "large-v3-int8_float16", "asr.model", "large-v3-int8_float16"),
        ("STREAM_VAD_SILENCE_MS", "500", "stream.vad_silence_ms", 500),
        ("STREAM_VAD_SILENCE_MS", "0.5s", "stream.vad_silence_ms", 500),
        ("STREAM_PARTIAL_INTERVAL_MS", "300ms", "stream.partial_interval_ms", 300),
        ("STREAM_PCM_CHUNK_SIZE", "1600", "stream.pcm_chunk_size", 1600),
        ("STREAM_MAX_UTTERANCE_MS", "1min", "stream.max_utterance_ms", 60000),
        ("STREAM_BACKPRESSURE_THRESHOLD", "7", "stream.backpressure_threshold", 7),
        ("STREAM_BACKPRESSURE_SKIP_FRAMES", "2", "stream.backpressure_skip_frames", 2),
        ("STREAM_LLM_TIMEOUT_S", "12", "llm.timeout_s", 12.0),
        ("STREAM_LLM_TOKEN_TIMEOUT_S", "1500ms", "llm.token_timeout_s", 1.5),
        ("STREAM_ASR_TIMEOUT_S", "3s", "asr.timeout_s", 3.0),
        ("STREAM_INACTIVITY_MS", "900", "stream.inactivity_ms", 900),
        ("STREAM_TTS_ENGINE", "piper", "tts.engine", "piper"),
        ("STREAM_TTS_MAX_PHRASE_LENGTH", "80", "tts.max_phrase_length", 80),
        ("STREAM_TTS_THREAD_WORKERS", "4", "tts.thread_workers", 4),
        ("STREAM_TTS_TIMEOUT_S", "2", "tts.timeout_s", 2.0),
        ("STREAM_MAX_PENDING_PHRASES", "9", "stream.max_pending_phrases", 9),
        ("STREAM_SAVE_DIR", "finals", "stream.save_dir", "finals"),
        ("STREAM_DEBUG", "yes", "stream.debug", True),
        ("STREAM_ENABLED", "0", "stream.enabled", False),
        ("STREAM_LOG_LATENCY", "off", "stream.log_latency", False),
        ("STREAM_MIN_PARTIAL_CHARS", "3", "stream.min_partial_chars", 3),
        ("LOG_LEVEL", "DEBUG", "log.level", "debug"),
        ("LOG_FILE", "a.log", "log.file", "a.log"),
        ("LOG_FORMAT", "json", "log.format", "json"),
        ("LOG_TRANSCRIPTS", "true", "log.transcripts", True),
        ("OLLAMA_MODEL", "qwen3:4b", "ollama.model", "qwen3:4b"),
        ("OLLAMA_BASE_URL", "http://127.0.0.1:1", "ollama.base_url", "http://127.0.0.1:1"),
        ("VIVAVOCE_ASR__DEVICE", "cuda", "asr.device", "cuda"),
        ("VIVAVOCE_TTS__DEVICE", "cpu", "tts.device", "cpu"),
        ("VIVAVOCE_MEMORY__PERSIST", "false", "memory.persist", False),
        ("VIVAVOCE_MEMORY__RETENTION_DAYS", "7", "memory.retention_days", 7),
        ("VIVAVOCE_MODELS__DOWNLOAD", "true", "models.download", True),
        ("VIVAVOCE_API_KEY", "k3y", "server.api_key", "k3y"),
        ("VIVAVOCE_ALLOWED_HOSTS", "a.example, b.example:8", "server.allowed_hosts", ("a.example", "b.example:8")),
        ("VIVAVOCE_ALLOWED_ORIGINS", "https://a.example", "server.allowed_origins", ("https://a.example",)),
        ("VIVAVOCE_DATA_DIR", "data", "memory.data_dir", "data"),
        ("OPENAI_API_KEY", "sk-x", "openai.api_key", "sk-x"),
        ("OPENAI_BASE_URL", "https://a.example/v1", "openai.base_url", "https://a.example/v1"),
        ("OPENAI_MODEL", "m", "openai.model", "m"),
        ("OPENAI_MAX_TOKENS", "99", "openai.max_tokens", 99),
        ("OPENAI_TEMPERATURE", "0", "openai.temperature", 0.0),
        ("LLM_PROVIDER", "offline", "llm.provider", "offline"),
        ("LLM_BASE_URL", "http://127.0.0.1:8080/v1", "llm.base_url", "http://127.0.0.1:8080/v1"),
        ("LLM_API_KEY", "x", "llm.api_key", "x"),
        ("LLM_MODEL", "phi", "llm.model", "phi"),
        ("LLM_HEADERS", "OpenAI-Project=p1, X-Route = a=b", "llm.headers", {"OpenAI-Project": "p1", "X-Route": "a=b"}),
        ("LLM_HEADERS", '{"Accept-Language": "en, fr"}', "llm.headers", {"Accept-Language": "en, fr"}),
        (
            "LLM_ROUTES",
            "command=qwen3:1.7b,long=openai:big",
            "llm.routes",
            {"command": "qwen3:1.7b", "long": "openai:big"},
        ),
        ("LLM_MODELS", '{"big": {"max_tokens": 900}}', "llm.models", {"big": ModelOptions(max_tokens=900)}),
        ("VIVAVOCE_OLLAMA__KEEP_ALIVE", "1h", "ollama.keep_alive", 3600),
        ("VIVAVOCE_OLLAMA__KEEP_ALIVE", "-1", "ollama.keep_alive", -1),
        ("STREAMING_ENABLED", "false", "streaming.enabled", False),
        ("STREAMING_OLLAMA_URL", "http://127.0.0.1:2", "streaming.ollama_url", "http://127.0.0.1:2"),
        ("STREAMING_MODEL", "m", "streaming.model", "m"),
        ("STREAMING_MAX_BUFFER_TIME", "1500ms", "streaming.max_buffer_time", 1.5),
        ("STREAMING_MAX_TOKENS_PER_PHRASE", "20", "streaming.max_tokens_per_phrase", 20),
        ("STREAMING_AUDIO_CONCURRENCY", "5", "streaming.audio_concurrency", 5),
        ("STREAMING_VISUAL_FEEDBACK_DELAY", "20ms", "streaming.visual_feedback_delay", 0.02),
        ("STREAMING_INTERRUPT_TIMEOUT", "1s", "streaming.interrupt_timeout", 1.0),
        ("STREAMING_FALLBACK_ENABLED", "false", "streaming.fallback_enabled", False),
        ("STREAMING_METRICS_ENABLED", "false", "streaming.metrics_enabled", False),
        ("LIVEKIT_URL", "wss://lk.example", "livekit.url", "wss://lk.example"),
        ("LIVEKIT_API_KEY", "k", "livekit.api_key", "k"),
        ("LIVEKIT_API_SECRET", "s", "livekit.api_secret", "s"),
        ("PORT", "9001", "server.port", 9001),
        ("VIVAVOCE_TURNS__HOLD_MS", "450", "turns.hold_ms", 450),
        ("VIVAVOCE_CACHE__PRELOAD", "Hello., One moment.", "cache.preload", ("Hello.", "One moment.")),
    ],
)
def test_each_variable_sets_its_option(name: str, text: str, path: str, expected: object) -> None:
    result = loaded({name: text})
    assert value(result.settings, path) == expected
    assert result.origins[path].name == name
    assert result.warnings == []


def test_every_option_has_a_variable_of_its_own() -> None:
    names = [name for option in OPTIONS.values() for name in option.names]
    assert len(names) == len(set(names))
    for option in OPTIONS.values():
        assert option.names[0] == f"VIVAVOCE_{option.section}__{option.name}".upper()
        assert option.help


def test_each_layer_hides_those_below_it(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("server: {port: 1}\nstream: {vad_silence_ms: 111, inactivity_ms: 2s}\nlog: {level: error}\n")
    (tmp_path / ".env").write_text("PORT=2\nSTREAM_VAD_SILENCE_MS=222\nSTREAM_DEBUG=true\n")
    found = [loaded(file=file), loaded(file=file, dotenv=tmp_path)]
    (tmp_path / ".env.local").write_text("export PORT='3'  # mine\n")
    found.append(loaded(file=file, dotenv=tmp_path))
    found.append(loaded({"PORT": "4"}, file=file, dotenv=tmp_path))
    found.append(loaded({"PORT": "4"}, flags={"server.port": 5, "log.level": None}, file=file, dotenv=tmp_path))
    assert [result.settings.server.port for result in found] == [1, 2, 3, 4, 5]
    assert [result.origins["server.port"].kind for result in found] == [
        "file", "dotenv", "dotenv", "environment", "flag",
    ]  # fmt: skip
    last = found[-1]
    assert (last.settings.stream.vad_silence_ms, last.settings.stream.inactivity_ms) == (222, 2000)
    assert (last.settings.stream.debug, last.settings.log.level) == (True, "error")
    assert str(last.origins["stream.vad_silence_ms"]) == "STREAM_VAD_SILENCE_MS in .env"


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("tts: {engine: espeak}\n")
    assert loaded({"VIVAVOCE_CONFIG": str(file)}).settings.tts.engine == "espeak"


def test_an_empty_variable_means_the_default_and_hides_lower_layers(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-test\nPORT=2\n")
    settings = loaded({"OPENAI_API_KEY": "", "PORT": " "}, dotenv=tmp_path).settings
    assert (settings.openai.api_key, settings.server.port) == (None, 8000)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("OPENAI_MODEL=plain", "plain"),
        ("OPENAI_MODEL = spaced", "spaced"),
        ("export OPENAI_MODEL=exported", "exported"),
        ('OPENAI_MODEL="a \\"b\\" # c"', 'a "b" # c'),
        ("OPENAI_MODEL='a # b' # comment", "a # b"),
        ("OPENAI_MODEL=a#b # comment", "a#b"),
        ("OPENAI_MODEL=two words # comment", "two words"),
        ("# OPENAI_MODEL=commented", "gpt-3.5-turbo"),
        ("OPENAI_MODEL=", "gpt-3.5-turbo"),
        ("OPENAI_MODEL=$HOME", "$HOME"),
    ],
)
def test_dotenv_lines(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / ".env").write_text(f"\n{line}\n")
    assert loaded(dotenv=tmp_path).settings.openai.model == expected


def test_models_fall_back_to_each_other() -> None:
    assert loaded({"STREAMING_MODEL": "a"}).settings.ollama.model == "a"
    assert loaded({"OLLAMA_MODEL": "b"}).settings.streaming.model == "b"
    both = loaded({"STREAMING_MODEL": "a", "OLLAMA_MODEL": "b"})
    assert (both.settings.ollama.model, both.settings.streaming.model) == ("b", "a")
    assert str(loaded({"OLLAMA_MODEL": "b"}).origins["streaming.model"]) == "from OLLAMA_MODEL"


def test_the_more_specific_name_wins() -> None:
    assert loaded({"PORT": "1", "VIVAVOCE_SERVER__PORT": "2"}).settings.server.port == 2


def test_the_lean_service_knows_its_own_names_and_port() -> None:
    environ = {"MODEL_WHISPER": "tiny", "SAVE_DIR": "out"}
    lean = loaded(environ, profile="lean").settings
    assert (lean.asr.model, lean.stream.save_dir, lean.server.port) == ("tiny", "out", 8100)
    assert loaded(environ | {"STREAM_MODEL_WHISPER": "base"}, profile="lean").settings.asr.model == "base"
    full = loaded(environ).settings
    assert (full.asr.model, full.stream.save_dir, full.server.port) == ("small-int8", None, 8000)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("PORT", "70000", "from 0 to 65535"),
        ("PORT", "eighty", "a whole number"),
        ("STREAM_VAD_SILENCE_MS", "-1", "duration"),
        ("STREAM_VAD_SILENCE_MS", "5 parsecs", "duration"),
        ("STREAM_VAD_SILENCE_MS", "1.5", "duration"),
        ("STREAM_LLM_TIMEOUT_S", "nan", "from 0.01s to 3600s"),
        ("STREAM_LLM_TIMEOUT_S", "inf", "duration"),
        ("STREAM_DEBUG", "maybe", "true or false"),
        ("STREAMING_VISUAL_FEEDBACK_DELAY", "50", "from 0s to 5s"),
        ("VIVAVOCE_STREAMING__ROLLOUT_PERCENT", "101", "from 0 to 100"),
        ("LLM_PROVIDER", "opanai", "one of"),
        ("LLM_BASE_URL", "localhost:11434", "http"),
        ("LOG_FORMAT", "xml", "console, json"),
        ("LLM_ROUTES", "command", "command=NAME"),
        ("LLM_ROUTES", "=x", "command=NAME"),
        ("LLM_ROUTES", "short=a,short=b", "command=NAME"),
        ("LLM_ROUTES", "story=a", "Invalid enum value 'story'"),
        ("LLM_MODELS", '{"big": {"temprature": 1}}', "unknown field `temprature`"),
        ("LLM_MODELS", '{"big": {"temperature": 3}}', "$[...].temperature"),
        ("LLM_MODELS", '{"big"', "in a variable: JSON"),
        ("STREAM_MODEL_WHISPER", "large", "did you mean large-v3"),
        ("STREAM_MODEL_WHISPER", "small-int4", "tiny, base, small"),
        ("VIVAVOCE_ALLOWED_ORIGINS", "example.org", "https://example.org"),
        ("VIVAVOCE_VAD__RELEASE", "0.9", "vad.threshold"),
        ("VIVAVOCE_SERVER__HOST", "0.0.0.0", "VIVAVOCE_API_KEY"),
        ("VIVAVOCE_SERVER__HOST", "myhost.example", "VIVAVOCE_API_KEY"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(name: str, text: str, says: str) -> None:
    [line] = problems({name: text})
    assert line.startswith(name)
    assert says in line
    assert text in line or OPTIONS[path_of(name)].kind == "mapping"
    assert "\n" not in line


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert loaded(flags={"server.host": host}).settings.server.host == host


def test_beyond_loopback_with_a_key() -> None:
    environ = {"VIVAVOCE_API_KEY": "secret-word"}
    assert loaded(environ, flags={"server.host": "0.0.0.0"}).settings.server.host == "0.0.0.0"


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    assert loaded({"STREAM_MODEL_WHISPER": str(tmp_path)}).settings.asr.model == str(tmp_path)


def test_all_problems_come_at_once_and_unknown_keys_name_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "stream: {vad_silense_ms: 5, max_utterance_ms: [1]}\nservers: {}\nlog: loud\nserver: {port: true}\n"
    )
    (tmp_path / ".env").write_text("what is this\n")
    lines = problems({"PORT": "x"}, flags={"server.prot": 1}, file=file, dotenv=tmp_path)
    text = "\n".join(lines)
    assert len(lines) == len(set(lines)) == 7
    for part in (
        "did you mean stream.vad_silence_ms",
        "no section servers (did you mean server?)",
        "log must be a section",
        ".env line 1",
        "server.prot: there is no such option (did you mean server.port?)",
        "PORT: 'x'",
        "stream.max_utterance_ms in",
    ):
        assert part in text


@pytest.mark.parametrize("content", ["a: [", "- 1\n", "\x00", "!!python/object/apply:os.getcwd []"])
def test_files_that_are_no_settings(tmp_path: Path, content: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(content)
    [line] = problems(file=file)
    assert str(file) in line
    assert str(tmp_path / "no.yaml") in problems(file=tmp_path / "no.yaml")[0]


def test_an_unknown_variable_warns_with_the_nearest_name() -> None:
    environ = {"STREAM_VAD_SILENCE": "1", "VIVAVOCE_STREAM__DEBUGG": "1", "OLLAMA_MODELS": "/x", "LLM_KEY": "k3yvalue"}
    environ |= {"VIVAVOCE_SERVICE_HOST": "10.0.0.1", "VIVAVOCE_PORT_8000_TCP": "tcp://10.0.0.1:8000"}
    warnings = loaded(environ).warnings
    assert [line.split(":")[0] for line in warnings] == ["LLM_KEY", "STREAM_VAD_SILENCE", "VIVAVOCE_STREAM__DEBUGG"]
    assert "did you mean STREAM_VAD_SILENCE_MS?" in warnings[1]
    assert "k3yvalue" not in "".join(warnings)


def test_no_secret_is_ever_shown() -> None:
    names = {path: option.names[-1] for path, option in OPTIONS.items() if option.secret}
    assert set(names) == {
        "server.api_key", "llm.api_key", "llm.headers", "openai.api_key", "livekit.api_key", "livekit.api_secret",
    }  # fmt: skip
    texts = {name: "X-Key=hunter2" if path == "llm.headers" else "hunter2" for path, name in names.items()}
    result = loaded(texts)
    assert "hunter2" not in repr(result) + str(result.settings)
    assert "api_key=set" in repr(result.settings.server)
    assert "api_key=unset" in repr(Settings().server)
    assert secrets(result.settings) == ["hunter2"] * len(names)
    for path, name in names.items():
        assert OPTIONS[path].format(value(result.settings, path)) == "set"
        assert OPTIONS[path].shown(value(result.settings, path)) == "set"
        [line] = problems({name: "hunter2 with blanks"})
        assert "hunter2" not in line


def test_secrets_within_a_mapping_are_secrets_too() -> None:
    option = OPTIONS["llm.models"]
    models = '{"big": {"api_key": "hunter2", "headers": {"X-Key": "hunter3"}, "max_tokens": 9}}'
    settings = loaded({"LLM_MODELS": models}).settings
    assert settings.llm.models["big"].api_key == "hunter2"
    assert sorted(secrets(settings)) == ["hunter2", "hunter3"]
    plain = {"big": {"max_tokens": 9, "api_key": "set", "headers": "set"}}
    assert option.shown(settings.llm.models) == plain
    assert json.loads(option.format(settings.llm.models)) == plain
    [line] = problems({"LLM_MODELS": models.replace("9", "true")})
    for shown in (repr(settings), option.format(settings.llm.models), line):
        assert "hunter" not in shown


@pytest.mark.parametrize(
    "mapping", [{}, {"short": "a"}, {"short": "a:b", "long": "c=d"}, {"command": "a,b"}, {"long": "{"}]
)
def test_a_mapping_is_written_as_it_is_read(mapping: dict[str, str]) -> None:
    option = OPTIONS["llm.routes"]
    text = option.format(mapping)
    assert option.parse(text) == mapping if text else not mapping


def test_a_mapping_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "llm:\n  headers: {OpenAI-Organization: org-1}\n  routes: {long: openai:big}\n"
        "  models:\n    qwen3:1.7b: {temperature: 0, instructions: Be brief.}\n"
    )
    llm = loaded(file=file).settings.llm
    assert llm.headers == {"OpenAI-Organization": "org-1"}
    assert llm.routes == {"long": "openai:big"}
    assert llm.models == {"qwen3:1.7b": ModelOptions(temperature=0.0, instructions="Be brief.")}
    file.write_text("llm: {headers: {X-Number: 5}, routes: [a], models: {m: 3}}\n")
    lines = problems(file=file)
    assert [line.partition(" ")[0] for line in lines] == ["llm.headers", "llm.routes", "llm.models"]
    file.write_text('llm: {headers: {"X-A": "a\\r\\nX-B: b"}}\n')
    assert len(problems(file=file)) == 1


def test_yaml_takes_every_key_of_the_streaming_section(tmp_path: Path) -> None:
    content = {
        "enabled": False, "ollama_url": "http://127.0.0.1:9", "model": "m", "max_buffer_time": "1s",
        "max_tokens_per_phrase": 10, "audio_concurrency": 2, "visual_feedback_delay": "10ms",
        "interrupt_timeout": "250ms", "fallback_enabled": False, "metrics_enabled": False,
    }  # fmt: skip
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump({"streaming": content}))
    streaming = loaded(file=file).settings.streaming
    assert (streaming.max_buffer_time, streaming.visual_feedback_delay, streaming.interrupt_timeout) == (1, 0.01, 0.25)
    assert (streaming.model, streaming.audio_concurrency, streaming.enabled) == ("m", 2, False)


def test_the_schema_names_every_option_and_is_json() -> None:
    document = json.loads(json.dumps(schema()))
    for option in OPTIONS.values():
        described = document["$defs"][option.section.capitalize()]["properties"][option.name]
        assert described["description"] == option.help
