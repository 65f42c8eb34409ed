"""How each language says units, money, dates and signs: tables, one module a language. See `vivavoce.text.expressions`.

A language without a module has nothing of this spelled out: its text is only cleaned of what is there to be seen.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vivavoce.text.languages.base import Language

CODES = frozenset({"de", "en", "es", "fr", "it", "nl", "pl", "pt"})


@cache
def load(code: str) -> Language:
    """The tables of one of `CODES`."""
    language: Language = import_module(f"{__name__}.{code}").LANGUAGE
    return language


def code_of(tag: str) -> str:
    """The language of *tag* (`en_US`, `pt-BR`, `de`) if it has tables; else an empty text."""
    code = tag.replace("-", "_").partition("_")[0].lower()
    return code if code in CODES else ""
