"""Texts made from the tree of settings: `.env.example` and the table of docs/configuration.md."""

from __future__ import annotations

from itertools import groupby

from vivavoce.layered import Option
from vivavoce.settings import CONFIG_VARIABLE, FALLBACKS, LEAN_DEFAULTS, LEAN_NAMES, OPTIONS

HEAD = f"""\
# Every variable with its default. Copy to .env and take the # away where you want another value.
# .env.local overrides this file; the environment and the command line override both.
# Every option also has the name VIVAVOCE_<SECTION>__<NAME>. Durations: 2s, 500ms, or a number in the default's unit.
# This file is made by `vivavoce config example`.

# A YAML file of options, one section per part
#{CONFIG_VARIABLE}=
"""


def variables(option: Option) -> tuple[str, ...]:
    """The names under which people know *option*: its own short ones, or the long one where it has none."""
    return option.names[1:] or option.names


def note(option: Option) -> str:
    """What the help of one option does not say."""
    notes = []
    if option.path in FALLBACKS:
        notes.append(f"unset: as {variables(OPTIONS[FALLBACKS[option.path]])[0]} if that is set")
    if option.path in LEAN_NAMES:
        notes.append(f"in the ASR-only service also {LEAN_NAMES[option.path][0]}")
    if option.path in LEAN_DEFAULTS:
        notes.append(f"{LEAN_DEFAULTS[option.path]} in the ASR-only service")
    return "".join(f"; {text}" for text in notes)


def default(option: Option) -> str:
    """The default as it is written in a file; nothing where it is unset."""
    return "" if option.secret else option.format(option.default)


def dotenv_example() -> str:
    """`.env.example`."""
    text = HEAD
    for section, group in groupby(OPTIONS.values(), key=lambda option: option.section):
        text += f"\n# --- {section} ---\n"
        for option in group:
            text += f"# {option.help}{note(option)} ({option.allowed})\n"
            text += "".join(f"#{name}={default(option)}\n" for name in variables(option))
    return text


def markdown_table() -> str:
    """All options, a table for each section."""
    text = ""
    for section, group in groupby(OPTIONS.values(), key=lambda option: option.section):
        text += f"\n### {section}\n\n| option | variable | default | meaning | allowed |\n|---|---|---|---|---|\n"
        for option in group:
            names = ", ".join(f"`{name}`" for name in variables(option))
            shown = default(option).replace("|", "\\|")
            allowed = option.allowed.replace("|", "\\|")
            text += f"| `{option.name}` | {names} | {f'`{shown}`' if shown else 'unset'} "
            text += f"| {option.help}{note(option)} | {allowed} |\n"
    return text
