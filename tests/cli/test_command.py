"""The command as a whole: help, exit codes, and documents that stay true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.runs import Run
from vivavoce.cli import VERBS, main
from vivavoce.cli.reference import dotenv_example, markdown_table
from vivavoce.settings import CONFIG_VARIABLE, OPTIONS

pytestmark = pytest.mark.xdist_group("cli")
ROOT = Path(__file__).parents[2]


def command(verb: str) -> click.Command:
    found = main.get_command(click.Context(main), verb)
    assert found is not None
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_the_variable_beside_each_flag(verb: str) -> None:
    result = CliRunner().invoke(main, [verb, "-h"])
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    for parameter in command(verb).params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in text
            if parameter.envvar:
                names = [parameter.envvar] if isinstance(parameter.envvar, str) else list(parameter.envvar)
                assert f"env var: {', '.join(names)}" in text


def test_serve_names_port_beside_its_flag() -> None:
    assert "[env var: PORT, VIVAVOCE_SERVER__PORT]" in CliRunner().invoke(main, ["serve", "-h"]).output


@pytest.mark.parametrize(
    "arguments",
    [["nosuch"], ["serve", "--nosuch"], ["serve", "--port", "x"], ["say"], ["config", "show", "--set", "a.b=1"],
     ["config", "show", "--set", "server.port"], ["transcribe", "nowhere.wav"]],
)  # fmt: skip
def test_wrong_usage_ends_with_2(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_flag_wins_and_a_wrong_one_names_what_is_allowed(run: Run) -> None:
    result = run("serve", "--port", "70000", env={"PORT": "1"})
    assert result.returncode == 2
    assert "a whole number, from 0 to 65535" in result.stderr


def test_importing_the_package_or_asking_for_help_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'starlette', 'uvicorn', 'websockets', 'httpx', 'yaml', 'pocketsphinx', 'asyncio'}"
    for code, known in (("import vivavoce", "{'asyncio'}"), ("from vivavoce.cli import main", "{'asyncio'}")):
        check = f"import sys; {code}; print(sorted({heavy} - {known} & set(sys.modules)))"
        result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == "[]", code


def test_errors_are_one_line_and_debug_shows_the_rest(run: Run, tmp_path: Path) -> None:
    arguments = ("chat", "--url", "ws://127.0.0.1:9/ws", "hello")
    plain, debug = run(*arguments), run("--debug", *arguments)
    assert plain.returncode == 1
    assert plain.stderr.splitlines()[0] == "Error: no vivavoce server answers at ws://127.0.0.1:9/ws"
    assert plain.stderr.splitlines()[1].startswith("Hint: start one with `vivavoce serve`")
    assert debug.returncode == 1


def test_config_show_tells_each_value_and_where_it_was_set(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-hidden\n")
    (tmp_path / "v.yaml").write_text("turns: {hold_ms: 1s}\n")
    env = {"STREAMING_MODEL": "m1", CONFIG_VARIABLE: "v.yaml"}
    result = run("config", "show", "--set", "server.port=81", env=env)
    assert result.returncode == 0
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
    assert set(rows) == set(OPTIONS)
    assert rows["openai.api_key"] == ["set", "OPENAI_API_KEY in .env"]
    assert rows["turns.hold_ms"] == ["1000ms", "turns.hold_ms in v.yaml"]
    assert rows["server.port"] == ["81", "server.port on the command line"]
    assert rows["ollama.model"] == ["m1", "from STREAMING_MODEL"]
    assert rows["server.host"] == ["127.0.0.1", "default"]
    assert "sk-hidden" not in result.stdout
    document = json.loads(run("config", "show", "--json", env=env).stdout)
    assert document["openai.api_key"] == {"value": "set", "origin": "OPENAI_API_KEY in .env"}
    assert document["turns.hold_ms"]["value"] == 1000


def test_config_check(run: Run) -> None:
    fine = run("config", "check", env={"STREAM_VAD_SILENSE_MS": "1"})
    assert fine.returncode == 0
    assert "did you mean STREAM_VAD_SILENCE_MS?" in fine.stderr
    bad = run("config", "check", env={"PORT": "x", "LOG_LEVEL": "loud", "OPENAI_API_KEY": "with blank"})
    assert bad.returncode == 1
    assert [line.split(":")[1].strip() for line in bad.stderr.splitlines()[:3]] == [
        "PORT", "OPENAI_API_KEY", "LOG_LEVEL",
    ]  # fmt: skip
    assert "blank'" not in bad.stderr
    assert run("config", "check", env={"LLM_PROVIDER": "openai", "STREAM_TTS_ENGINE": "x"}).returncode == 1


def test_config_schema_is_json() -> None:
    document = json.loads(CliRunner().invoke(main, ["config", "schema"]).output)
    assert document["$defs"]["Stream"]["properties"]["vad_silence_ms"]["default"] == 700


def test_the_example_of_an_environment_file_is_complete_and_true(run: Run, tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text()
    assert text == dotenv_example()
    assignments = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    for option in OPTIONS.values():
        assert set(option.names[1:] or option.names) <= set(assignments)
    (tmp_path / ".env").write_text(re.sub(r"^#(?=[A-Z_]+=)", "", text, flags=re.MULTILINE))
    shown = json.loads(run("config", "show", "--json").stdout)
    for path, option in OPTIONS.items():
        if path != "memory.persist" and not option.secret:
            expected = list(option.default) if isinstance(option.default, tuple) else option.default
            assert shown[path]["value"] == expected, path


def test_the_tables_of_the_configuration_page_are_true() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    table = page.partition("<!-- options -->\n")[2].partition("\n<!-- /options -->")[0]
    assert table == markdown_table()


@pytest.mark.parametrize("name", ["configuration.md", "troubleshooting.md"])
def test_what_the_pages_name_exists(name: str) -> None:
    page = (ROOT / "docs" / name).read_text()
    names = {name for option in OPTIONS.values() for name in option.names} | {CONFIG_VARIABLE}
    for found in re.findall(r"\b(?:VIVAVOCE|STREAM|STREAMING|LLM|LOG|OPENAI|OLLAMA)_[A-Z_]*[A-Z]\b", page):
        codes = {"LLM_TIMEOUT"}
        assert found in names | codes, found
    for section, field in re.findall(r"`(server|stream|llm|memory|vad|turns|asr|tts)\.([a-z_]+)`", page):
        assert f"{section}.{field}" in OPTIONS
    for line in re.findall(r"(?:^|[`=] ?|\b[A-Z_]+=\S+ )vivavoce ((?:[a-z]+)(?: [^`|\n]*)?)", page, re.MULTILINE):
        words = line.split()
        assert words[0] in VERBS, line
        verb = command(words[0])
        if isinstance(verb, click.Group):
            found_command = verb.get_command(click.Context(verb), words[1])
            assert found_command is not None, line
            verb = found_command
        flags = {flag for parameter in verb.params for flag in parameter.opts} | {"-h"}
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= flags, line


def test_every_fault_of_the_list_has_its_command() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    assert len(sections) >= 14
    for section in sections:
        assert "```sh\n" in section, section.splitlines()[0]
