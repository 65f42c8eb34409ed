"""The documents are true: their links lead somewhere, their commands exist, their programs run."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from vivavoce.cli import main
from vivavoce.cli.serving import in_process
from vivavoce.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")
IDS = [page.name for page in PAGES]
RUN_ELSEWHERE = {"commands.md"}
"""Pages whose programs need no server; the tests of their subject run them."""


def commands(text: str) -> list[list[str]]:
    """Every `vivavoce …` in code, split as a shell would."""
    found = []
    for line in re.findall(r"(?m)^(?:\$ )?(vivavoce [^\n#|>]*)|`(vivavoce [^`\n]*)`", text):
        words = shlex.split(line[0] or line[1], comments=True)
        if len(words) > 1 and re.fullmatch(r"[a-z-]+|-h|--help", words[1]):
            found.append(words[1:])
    return found


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
        if not re.match(r"\w+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_and_flags_exist(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        command: click.Command = main
        rest = list(words)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            name = rest.pop(0)
            found = command.get_command(click.Context(command), name)
            assert found is not None, f"{page.name}: vivavoce {' '.join(words)}"
            command = found
        flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        for word in rest:
            flag = word.partition("=")[0]
            if flag.startswith("-") and flag not in ("-", "-h", "--help"):
                assert flag in flags, f"{page.name}: vivavoce {' '.join(words)} has no {flag}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for target in re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert (target[0] or target[1]) in targets


def programs() -> list[tuple[str, str]]:
    return [
        (page.name, code)
        for page in PAGES
        for language, code in BLOCK.findall(page.read_text(encoding="utf-8"))
        if language == "python" and "asyncio.run" in code and page.name not in RUN_ELSEWHERE
    ]


@pytest.mark.parametrize(("page", "code"), programs(), ids=[name for name, _ in programs()])
async def test_programs_run(page: str, code: str) -> None:
    async with in_process(Settings()) as address:
        here = code.replace("ws://127.0.0.1:8000/ws", address)
        assert here != code, f"{page}: a program that talks to a server names it"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        async with asyncio.timeout(40):
            output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert output.strip(), f"{page}: the program says something"


def test_nothing_tracked_names_a_machine_or_an_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npm" + "js", "deb.debian" + ".org")
    places = re.compile(r"(?<![\w.])/(?:" + "work|" + "farm|" + r"root)/")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if not path.is_file() or path.suffix in (".png", ".ico", ".gz"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not any(host in text for host in hosts), name
        assert not places.search(text), name
