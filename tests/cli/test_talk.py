"""`talk`, `chat`, `say`, `transcribe`, `doctor`: for real, with the embedded engines."""

from __future__ import annotations

import io
import json
import re
import socket
import wave
from pathlib import Path

import pytest

import speech
from cli.runs import Run
from vivavoce.audio import wav
from vivavoce.audio.resample import resample
from vivavoce.cli.client import socket_address
from vivavoce.cli.devices import Loudspeaker
from vivavoce.cli.terminal import Transcript

pytestmark = pytest.mark.xdist_group("cli")


def recording(folder: Path, name: str, rate_hz: int | None = None) -> Path:
    """A clip as a file, with a second of silence around it."""
    clip = speech.clip(name)
    silence = bytes(2 * clip.rate // 2)
    path = folder / f"{name}.wav"
    path.write_bytes(wav.encode(silence + clip.pcm + silence, rate_hz or clip.rate))
    return path


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getnframes() / file.getframerate()


def words_in_common(text: str, expected: str) -> float:
    said = set(expected.split())
    return len(said & set(text.lower().split())) / len(said)


def test_talk_speaks_a_recording_and_saves_the_answer(run: Run, server: str, tmp_path: Path) -> None:
    clip = recording(tmp_path, "ps_goforward")
    result = run("talk", "--url", server, "--wav", clip, "--save", "answer.wav")
    assert result.returncode == 0, result.stderr
    heard, answer = re.findall(r"^(you|agent)> (.+)$", result.stdout, re.MULTILINE)
    assert (heard[0], answer[0]) == ("you", "agent")
    assert words_in_common(heard[1], speech.clip("ps_goforward").text) >= 0.4
    assert "\r" not in result.stdout
    assert re.search(r"\[turn 1 done: voice to voice \d+ ms", result.stderr)
    assert seconds(tmp_path / "answer.wav") > 0.03 * len(answer[1])


def test_talk_with_typed_text(run: Run, server: str, tmp_path: Path) -> None:
    result = run("talk", "--url", server, "--text", "What is two plus three?", "--save", "answer.wav")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^agent> .*(five|5)", result.stdout, re.MULTILINE)
    assert seconds(tmp_path / "answer.wav") > 0.3


def test_what_the_agent_says_first_is_shown_once(run: Run, tmp_path: Path) -> None:
    """A recording, since a typed text would cut the greeting off before any of it was spoken."""
    (tmp_path / "shop.py").write_text('from vivavoce import Agent\nagent = Agent(greeting="Bicycles here.")\n')
    clip = speech.clip("ps_goforward")
    (tmp_path / "question.wav").write_bytes(wav.encode(bytes(2 * clip.rate) + clip.pcm, clip.rate))
    result = run("talk", "--agent", "shop.py", "--wav", "question.wav", "--save", "answer.wav")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("Bicycles here.") == 1


def test_talk_about_nothing_fails(run: Run, server: str, tmp_path: Path) -> None:
    (tmp_path / "silence.wav").write_bytes(wav.encode(bytes(32000), 16000))
    result = run("talk", "--url", server, "--wav", "silence.wav", "--save", "answer.wav")
    assert result.returncode == 1
    assert "no words were recognised in silence.wav" in result.stderr


def test_talk_refuses_what_is_no_recording(run: Run, server: str, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    result = run("talk", "--url", server, "--wav", "text.wav", "--save", "answer.wav")
    assert result.returncode == 1
    assert "not a WAV file" in result.stderr


def test_talk_without_devices_says_what_to_do(run: Run, server: str) -> None:
    try:
        import sounddevice
    except OSError:
        pass
    else:
        if sounddevice.query_devices():
            pytest.skip("this machine has sound devices")
    result = run("talk", "--url", server)
    assert result.returncode == 1
    assert "no microphone or loudspeaker" in result.stderr or "no loudspeaker" in result.stderr
    assert "--save FILE" in result.stderr


def test_talk_by_microphone_and_loudspeaker(run: Run, server: str, tmp_path: Path) -> None:
    clip = speech.clip("ps_goforward")
    (tmp_path / "in.raw").write_bytes(bytes(clip.rate) + resample(clip.pcm, clip.rate, 16000))
    card = {"PYTHONPATH": str(Path(__file__).parent / "sound_card"), "SOUND_IN": "in.raw", "SOUND_OUT": "out.raw"}
    result = run("talk", "--url", server, "--turns", "1", "--half-duplex", env=card)
    assert result.returncode == 0, result.stderr
    answer = re.search(r"^agent> (.+)$", result.stdout, re.MULTILINE)
    assert answer is not None
    played = (tmp_path / "out.raw").read_bytes()
    voiced = sum(any(played[at : at + 882]) for at in range(0, len(played), 882)) * 0.02
    assert voiced > 0.03 * len(answer[1])
    assert "[turn 1 done" in result.stderr


def test_say_through_the_loudspeaker(run: Run, tmp_path: Path) -> None:
    card = {"PYTHONPATH": str(Path(__file__).parent / "sound_card"), "SOUND_OUT": "out.raw"}
    assert run("say", "Hello there.", env=card).returncode == 0
    assert any((tmp_path / "out.raw").read_bytes())


def test_chat_remembers_within_a_conversation(run: Run, server: str) -> None:
    result = run("chat", "--url", server, stdin="My name is Alice.\n\nWhat is my name?")
    assert result.returncode == 0, result.stderr
    assert "Alice" in result.stdout.splitlines()[-1]
    assert len(re.findall(r"\[turn \d done", result.stderr)) == 2


def test_chat_can_go_on_with_a_conversation(run: Run, server: str) -> None:
    run("chat", "--url", server, "--conversation", "c-1", "My name is Bob.")
    result = run("chat", "--url", server, "--conversation", "c-1", "What is my name?")
    assert "Bob" in result.stdout


def test_chat_inside_the_process(run: Run) -> None:
    result = run("chat", "--local", "What is two plus three?")
    assert result.returncode == 0, result.stderr
    assert re.search("five|5", result.stdout)
    assert "[INFO]" not in result.stderr


def test_a_server_with_a_key_wants_it(run: Run, serve: object) -> None:
    process = serve(VIVAVOCE_API_KEY="open-sesame")  # type: ignore[operator]
    url = f"ws://127.0.0.1:{process.until(r'http://127.0.0.1:([0-9]+)/')[1]}/ws"
    refused = run("chat", "--url", url, "hello")
    assert refused.returncode == 1
    assert "VIVAVOCE_API_KEY" in refused.stderr
    assert run("chat", "--url", url, "hello", env={"VIVAVOCE_API_KEY": "open-sesame"}).returncode == 0


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("ws://127.0.0.1:8000/ws", "ws://127.0.0.1:8000/ws"),
        ("http://127.0.0.1:8000/", "ws://127.0.0.1:8000/ws"),
        ("https://voice.example.org", "wss://voice.example.org/ws"),
        ("HTTPS://voice.example.org/agent/", "wss://voice.example.org/agent/ws"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
    ],
)
def test_the_address_of_the_page_will_do(given: str, meant: str) -> None:
    assert socket_address(given) == meant


def test_what_is_no_server_of_ours(run: Run, server: str) -> None:
    wrong = run("chat", "--url", server.replace("/ws", "/nosuch"), "hello")
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr
    assert "/ws" in wrong.stderr
    assert run("chat", "--url", "nonsense", "hello").returncode == 1


def test_say_writes_a_wav(run: Run, tmp_path: Path) -> None:
    short = run("say", "-o", "short.wav", "Hello.")
    long = run("say", "-o", "long.wav", "--language", "de", "Hello there. How are you today, and what do you want?")
    assert (short.returncode, long.returncode) == (0, 0)
    assert seconds(tmp_path / "long.wav") > 2 * seconds(tmp_path / "short.wav") > 0.4


def test_say_reads_standard_input_and_writes_standard_output(run: Run, tmp_path: Path) -> None:
    assert run("say", "-o", "typed.wav", "One, two.").returncode == 0
    assert run("say", "-o", "piped.wav", "-", stdin="One, two.\n").returncode == 0
    assert seconds(tmp_path / "piped.wav") == pytest.approx(seconds(tmp_path / "typed.wav"), abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--voice", "nosuch", "hi"], "no voice 'nosuch'"),
        (["--language", "tlh", "hi"], "no voice for tlh"),
        (["..."], "nothing to say"),
    ],
)
def test_what_cannot_be_said(run: Run, arguments: list[str], says: str) -> None:
    result = run("say", "-o", "x.wav", *arguments)
    assert result.returncode == 1
    assert says in result.stderr


def test_transcribe_writes_down_what_is_said_and_when(run: Run, tmp_path: Path) -> None:
    clip = recording(tmp_path, "librivox_ss_0880")
    text = run("transcribe", clip)
    assert text.returncode == 0, text.stderr
    assert words_in_common(text.stdout, speech.clip("librivox_ss_0880").text) >= 0.4
    [line] = run("transcribe", "--json", clip).stdout.splitlines()
    found = json.loads(line)
    assert found["file"] == str(clip)
    assert found["duration_s"] == pytest.approx(seconds(clip), abs=0.01)
    assert " ".join(segment["text"] for segment in found["segments"]) == found["text"]
    assert 0.2 < found["segments"][0]["start_s"] < found["segments"][-1]["end_s"] < found["duration_s"]


def test_transcribe_several_and_one_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    clip = recording(tmp_path, "ps_goforward")
    (tmp_path / "bad.wav").write_text("no sound")
    (tmp_path / "silence.wav").write_bytes(wav.encode(bytes(32000), 16000))
    result = run("transcribe", "bad.wav", clip, "silence.wav")
    assert result.returncode == 1
    assert re.findall(r"^(.*?): ?(.*)$", result.stdout, re.MULTILINE)[1] == ("silence.wav", "")
    assert "bad.wav: This is not a WAV file." in result.stderr


def test_doctor_says_which_engines_are_in_force(run: Run) -> None:
    result = run("doctor", "--port", "0", "--probe")
    assert result.returncode == 0, result.stdout + result.stderr
    for part in ("pocketsphinx", "silero", "espeak", "offline", "Python 3", "kept in memory only"):
        assert part in result.stdout
    assert re.search(r"llm offline: first token after \d+ ms", result.stdout)
    assert re.search(r"tts espeak: first sound after \d+ ms", result.stdout)
    assert re.search(r"asr pocketsphinx: final of 1 s of silence after \d+ ms", result.stdout)


def test_doctor_finds_problems(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    env = {"VIVAVOCE_MEMORY__PERSIST": "true", "VIVAVOCE_DATA_DIR": str(tmp_path / "file" / "data")}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("doctor", "--port", str(taken.getsockname()[1]), env=env)
    assert result.returncode == 1
    assert "is in use by another program" in result.stdout
    assert "conversations cannot be kept in" in result.stdout
    assert result.stderr.startswith("Error: 2 problems")


def test_doctor_knows_a_server_of_ours(run: Run, server: str) -> None:
    port = re.findall(r":(\d+)/", server)[0]
    result = run("doctor", "--port", port)
    assert result.returncode == 0
    assert re.search(rf"port {port} on 127\.0\.0\.1: vivavoce \S+ is running there", result.stdout)


def played(speaker: Loudspeaker, milliseconds: int) -> bytes:
    out = bytearray(2 * speaker.rate_hz * milliseconds // 1000)
    speaker.fill(memoryview(out))
    return bytes(out)


def test_the_loudspeaker_knows_what_was_heard() -> None:
    speaker = Loudspeaker(8000)
    assert speaker.heard() == (0, 0, 0.0)
    speaker.play(1, 1, b"\1\0" * 160, 8000)
    speaker.play(1, 1, b"\2\0" * 80, 8000)
    speaker.play(1, 2, b"\3\0" * 160, 8000)
    assert played(speaker, 10) == b"\1\0" * 80
    assert speaker.heard() == (1, 1, 10.0)
    assert played(speaker, 30) == b"\1\0" * 80 + b"\2\0" * 80 + b"\3\0" * 80
    assert speaker.heard() == (1, 2, 10.0)
    speaker.hold()
    assert played(speaker, 10) == bytes(160)
    assert speaker.heard() == (1, 2, 10.0)
    speaker.resume()
    assert played(speaker, 20) == b"\3\0" * 80 + bytes(160)
    assert speaker.silent
    assert speaker.heard() == (1, 2, 20.0)


def test_an_interrupted_turn_is_silent_at_once_and_the_next_one_is_heard() -> None:
    speaker = Loudspeaker(8000)
    speaker.play(1, 1, b"\1\0" * 800, 8000)
    played(speaker, 10)
    speaker.hold()
    speaker.drop()
    speaker.play(2, 1, b"\2\0" * 80, 8000)
    assert played(speaker, 20) == b"\2\0" * 80 + bytes(160)
    assert speaker.heard() == (2, 1, 10.0)


def test_the_screen_rewrites_the_partial_in_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    shown = Transcript()
    shown.partial("what")
    shown.partial("what time")
    shown.final("what time is it")
    shown.token("")
    shown.token("Ten")
    shown.token(" o'clock.")
    shown.partial("thanks")
    assert screen.getvalue() == (
        "\ryou> what …\ryou> what time …\ryou> what time is it\nagent> Ten o'clock.\n\ryou> thanks …"
    )
