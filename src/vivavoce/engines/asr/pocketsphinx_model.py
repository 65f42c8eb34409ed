"""Where the embedded recogniser's files are: the library's acoustic model, and our biased language model in the cache.

`python -m vivavoce.engines.asr.pocketsphinx_model FOLDER` prepares the cache; so do the installation and the first
start. The folder's name has a hash of everything the model is made of, so a new release makes its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path

from vivavoce.errors import EngineUnavailable

KEPT = 3
"""Models of earlier releases may be in use by servers that still run; older ones are deleted."""
EXTRA_WORDS = {
    "unmute": ("AH N M Y UW T",),
    "unpause": ("AH N P AO Z",),
    "extractor": ("IH K S T R AE K T ER",),
    "factorial": ("F AE K T AO R IY AH L",),
    "kathmandu": ("K AE T M AE N D UW",),
    "matterhorn": ("M AE T ER HH AO R N",),
    "marrakesh": ("M EH R AH K EH SH",),
    "am": ("AE M", "EY EH M"),
    "wifi": ("W AY F AY",),
    "thermostat": ("TH ER M AH S T AE T",),
}
"""Words of our sentences that the library's dictionary lacks, or says otherwise than assistants' users do."""


def bundled() -> Path:
    """The library's own English model. Raises EngineUnavailable where the library is not installed whole."""
    try:
        folder = Path(str(resources.files("pocketsphinx"))) / "model" / "en-us"
    except ModuleNotFoundError as error:
        raise EngineUnavailable("asr", "pocketsphinx is not installed", hint="pip install pocketsphinx") from error
    if not (folder / "en-us.lm.bin").is_file():
        hint = "pip install --force-reinstall pocketsphinx"
        raise EngineUnavailable("asr", f"pocketsphinx came without its model: {folder}", hint=hint)
    return folder


def folder_of(cache_dir: Path) -> Path:
    """The folder this release's language model belongs in, whether it is there or not."""
    digest = hashlib.sha256(metadata.version("pocketsphinx").encode())
    assistant = Path(str(resources.files("vivavoce.assistant")))
    sources = [Path(__file__), Path(__file__).with_name("domain_lm.py")]
    for path in sources + sorted([*assistant.rglob("*.py"), *assistant.rglob("*.gram")]):
        digest.update(path.read_bytes())
    return cache_dir / f"pocketsphinx-en-{digest.hexdigest()[:12]}"


def prepared(cache_dir: Path) -> bool:
    """Is the language model in the cache?"""
    return folder_of(cache_dir).is_dir()


def prepare(cache_dir: Path) -> Path:
    """Make sure that the language model is in the cache, some seconds of work the first time; returns its folder.

    It appears whole or not at all; two processes at it at once do no harm. Raises EngineUnavailable.
    """
    folder = folder_of(cache_dir)
    if folder.is_dir():
        return folder
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=cache_dir))
        try:
            _build(scratch)
            os.replace(scratch, folder)  # noqa: PTH105 — Path.replace is the same
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        if folder.is_dir():  # another process was faster
            return folder
        hint = "free some disk space, or point XDG_CACHE_HOME to a folder that can be written"
        raise EngineUnavailable("asr", f"the language model cannot be stored: {error}", hint=hint) from error
    for old in sorted(cache_dir.glob("pocketsphinx-en-*"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def _build(folder: Path) -> None:
    from vivavoce.assistant import sentences, spoken_domain
    from vivavoce.engines.asr import domain_lm

    source = bundled()
    pronunciations = dict(_pronunciations((source / "cmudict-en-us.dict").read_text(encoding="utf-8")))
    for word, variants in EXTRA_WORDS.items():
        pronunciations[word] = list(variants)
    said = [*spoken_domain.drawn(), *((sentence, 1) for sentence in sentences.sentences())]
    general = domain_lm.read_trie(source / "en-us.lm.bin")
    model = domain_lm.build(said, general, iter(pronunciations))
    domain_lm.write_trie(model, folder / "lm.bin")
    # A dictionary of just the model's words loads in a quarter of the time and the memory of the whole one.
    with (folder / "words.dict").open("w", encoding="utf-8") as file:
        for word in model.words:
            for i, phones in enumerate(pronunciations.get(word, ()), 1):
                file.write(f"{word}({i}) {phones}\n" if i > 1 else f"{word} {phones}\n")
    alone = sorted({sentence for sentence, _ in said if " " not in sentence})
    (folder / "alone.txt").write_text("\n".join(alone), encoding="utf-8")
    # For the decoder that only measures: what it listens for does not matter.
    (folder / "one-word.dict").write_text(f"zero {pronunciations['zero'][0]}\n", encoding="utf-8")


def _pronunciations(dictionary: str) -> Iterator[tuple[str, list[str]]]:
    """(word, its pronunciations), variants such as `a(2)` gathered under their word; they follow it in the file."""
    word = ""
    variants: list[str] = []
    for line in dictionary.splitlines():
        entry, _, phones = line.partition(" ")
        name = entry.partition("(")[0]
        if name != word:
            if word:
                yield word, variants
            word, variants = name, []
        variants.append(phones.strip())
    yield word, variants


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
