"""Real speech for the tests, with what was said.

`../shared/audio` beside the checkout is used where it is there. Elsewhere three recordings come from the source
distribution of pocketsphinx on the package index (a command of the library's own tests, BSD-2-Clause, and two LibriVox
sentences, public domain); they are checked against their hashes and kept in the user's cache, never in the checkout.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

SHARED = Path(__file__).parents[2] / "shared" / "audio"
RELEASE = "pocketsphinx==5.1.1"
SDIST_SHA256 = "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355"
AUSTEN = "librivox/sense_and_sensibility_01_austen_64kb"


@dataclass(frozen=True)
class Clip:
    """One recording: mono s16le."""

    name: str
    pcm: bytes
    rate: int
    text: str
    """What is said, as its source writes it; empty for noise."""
    kind: str = "read"
    language: str = "en"

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / self.rate


@dataclass(frozen=True)
class Published:
    """A recording inside the source distribution."""

    name: str
    member: str
    sha256: str
    text: str
    kind: str


PUBLISHED = (
    Published(
        "ps_goforward",
        "goforward.raw",
        "f15c60ec54059d8b66e410d0064945a0b0a04ea56e1ddca1958e493c0cf70e71",
        "go forward ten meters",
        "command",
    ),
    Published(
        "librivox_ss_0880",
        f"{AUSTEN}-0880.wav",
        "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414",
        "he was not an ill disposed young man",
        "read",
    ),
    Published(
        "librivox_ss_0920",
        f"{AUSTEN}-0920.wav",
        "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
        "had he married a more amiable woman he might have been made still more respectable than he was",
        "read",
    ),
)


@functools.cache
def clips() -> dict[str, Clip]:
    """All recordings by name (the file name without its suffix); empty where none can be had."""
    table = SHARED / "clips.tsv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            return {clip.name: clip for clip in map(_shared_clip, csv.DictReader(file, delimiter="\t"))}
    folder = Path(platformdirs.user_cache_dir("vivavoce")) / "test-speech"
    try:
        if not all(_intact(folder, item) for item in PUBLISHED):
            _download(folder)
    except (OSError, subprocess.SubprocessError, tarfile.TarError, KeyError):
        return {}
    return {item.name: _published_clip(folder, item) for item in PUBLISHED}


def available() -> bool:
    """Is there any real speech on this machine?"""
    return bool(clips())


def clip(name: str) -> Clip:
    """The recording called *name*; skips the test where it cannot be had.

    `ps_goforward`, `librivox_ss_0880` and `librivox_ss_0920` are there wherever the package index can be reached.
    """
    found = clips().get(name)
    if found is None:
        pytest.skip(f"the recording {name} is not on this machine and could not be downloaded")
    return found


def _shared_clip(row: dict[str, str]) -> Clip:
    pcm, rate = _read_wav((SHARED / row["file"]).read_bytes())
    return Clip(row["file"].removesuffix(".wav"), pcm, rate, row["transcript"], row["kind"], row["lang"])


def _published_clip(folder: Path, item: Published) -> Clip:
    data = (folder / Path(item.member).name).read_bytes()
    pcm, rate = _read_wav(data) if item.member.endswith(".wav") else (data, 16000)
    return Clip(item.name, pcm, rate, item.text, item.kind)


def _read_wav(data: bytes) -> tuple[bytes, int]:
    with wave.open(io.BytesIO(data)) as wav:
        return wav.readframes(wav.getnframes()), wav.getframerate()


def _intact(folder: Path, item: Published) -> bool:
    path = folder / Path(item.member).name
    return path.is_file() and _sha256(path.read_bytes()) == item.sha256


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _download(folder: Path) -> None:
    """Fetch the source distribution through pip, and keep only our recordings of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        # Only this one from source: building the build tools from source as well would take minutes.
        source = ["--no-binary", "pocketsphinx", "--dest", scratch, RELEASE]
        subprocess.run([*pip, *source], check=True, timeout=300, capture_output=True)
        archive = next(Path(scratch).glob("*.tar.gz"))
        if _sha256(archive.read_bytes()) != SDIST_SHA256:
            raise OSError(f"{archive.name} is not the release its hash was taken from")
        with tarfile.open(archive) as tar:
            for item in PUBLISHED:
                file = tar.extractfile(f"{archive.name.removesuffix('.tar.gz')}/test/data/{item.member}")
                data = file.read() if file else b""
                if _sha256(data) != item.sha256:
                    raise OSError(f"{item.member} is not the recording its hash was taken from")
                target = folder / Path(item.member).name
                partial = target.with_suffix(f".{os.getpid()}")
                partial.write_bytes(data)
                partial.replace(target)  # atomic: parallel test processes may do the same at once
