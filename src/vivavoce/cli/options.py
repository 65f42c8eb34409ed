"""Flags that are settings: their help, environment names and checks come from the tree of settings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vivavoce.layered import Option, nearest
from vivavoce.settings import CONFIG_VARIABLE, OPTIONS, Profile, from_environment

Function = TypeVar("Function", bound=Callable[..., Any])


class Checked(click.ParamType[Any]):
    """A value of one option; what the option does not allow is a usage error."""

    def __init__(self, option: Option) -> None:
        self.option = option
        self.name = option.kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.option.parse(value)
        except ValueError:
            self.fail(f"{value!r} must be {self.option.allowed}", param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        if self.option.choices:
            return "|".join(self.option.choices)
        return {"int": "N", "float": "X", "list": "A,B"}.get(self.option.kind, self.option.name.upper())


class SettingFlag(click.Option):
    """Shows its environment names in the help; `settings` reads them, not click, so that each value has one origin."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:  # noqa: ARG002
        return None


class Assignment(click.ParamType[Any]):
    """`SECTION.NAME=VALUE`."""

    name = "SECTION.NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path, equals, text = value.partition("=")
        path = path.strip()
        if not equals:
            self.fail(f"{value!r} must be SECTION.NAME=VALUE", param, ctx)
        if path not in OPTIONS:
            self.fail(f"there is no option {path}{nearest(path, OPTIONS)}", param, ctx)
        return path, Checked(OPTIONS[path]).convert(text, param, ctx) if text else None


def setting(flag: str, path: str) -> Callable[[Function], Function]:
    """The click option *flag* for the option at *path*."""
    option = OPTIONS[path]
    default = option.format(option.default)
    shared: dict[str, Any] = {
        "cls": SettingFlag,
        "envvar": list(reversed(option.names)),
        "show_envvar": True,
        "default": None,
        "help": option.help + (f" [{default}]" if default and option.kind != "bool" else ""),
    }
    if option.kind == "bool":
        return click.option(flag, is_flag=True, **shared)
    return click.option(flag, type=Checked(option), **shared)


def with_settings(profile: Profile = "full", **flags: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--config`, `--set` and *flags* (`log_level="log.level"` is `--log-level`).

    The function is called with what they make, a `Loaded`, before its own parameters.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(config: Path | None, assignments: tuple[tuple[str, Any], ...], **params: Any) -> None:
            given = {path: params.pop(name) for name, path in flags.items()}
            chosen = dict(assignments) | {path: value for path, value in given.items() if value is not None}
            loaded = from_environment(chosen, config, profile)
            for warning in loaded.warnings:
                click.echo(f"Warning: {warning}", err=True)
            function(loaded, **params)

        wrapped: Callable[..., None] = run
        wrapped = click.option(
            "--set", "assignments", type=Assignment(), multiple=True, help="Set any option; may be given several times."
        )(wrapped)
        wrapped = click.option(
            "--config", type=click.Path(path_type=Path), envvar=CONFIG_VARIABLE, show_envvar=True, cls=SettingFlag,
            metavar="FILE", help="A YAML file of options.",
        )(wrapped)  # fmt: skip
        for name, path in reversed(flags.items()):
            wrapped = setting(f"--{name.replace('_', '-')}", path)(wrapped)
        return wrapped

    return decorate
