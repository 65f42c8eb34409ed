"""`vivavoce doctor`: what is here, what is used, what could be better."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import click

from vivavoce.cli import Failed
from vivavoce.cli.options import with_settings
from vivavoce.settings import Loaded, limit_math_threads

MARKS = {"ok": "[ ok ]", "note": "[note]", "problem": "[FAIL]"}


@click.command()
@click.option("--probe", is_flag=True, help="Send one request to each engine in force, and time it.")
@with_settings(host="server.host", port="server.port")
def command(loaded: Loaded, *, probe: bool) -> None:
    """Say what is installed, which engine is used for what and why, and what to do to get better ones.

    Exit code 1 when the server could not work as configured.
    """
    limit_math_threads()
    problems = asyncio.run(_examine(loaded, probe=probe))
    if problems:
        raise Failed(f"{problems} problem{'s' if problems > 1 else ''}; see [FAIL] above")
    click.echo("\nNo problem was found.")


async def _examine(loaded: Loaded, *, probe: bool) -> int:
    """Print all findings as they come; returns the number of problems."""
    from vivavoce.cli import checks
    from vivavoce.cli.probes import probe_all
    from vivavoce.engines.registry import InstalledEngines
    from vivavoce.observe import logs
    from vivavoce.settings import secrets

    settings = loaded.settings
    logs.configure(settings.log, secrets(settings))
    logs.mute()  # what engines would log is among the findings
    problems = 0

    def tell(title: str, findings: Iterable[checks.Finding]) -> None:
        nonlocal problems
        click.echo(f"\n{title}")
        for finding in findings:
            problems += finding.mark == "problem"
            click.echo(f"  {MARKS[finding.mark]} {finding.text}")
            if finding.hint:
                click.echo(f"         {finding.hint}")

    tell("This machine", [*checks.machine(), *checks.devices()])
    tell("Server", [checks.port(settings), checks.data_folder(settings)])
    tell("Optional engines", checks.extras())
    engines = InstalledEngines(settings)
    try:
        await engines.start()
        tell("Engines in force", checks.engines(loaded, engines))
        if probe:
            tell("Probes", await probe_all(engines, settings))
    finally:
        await engines.close()
    return problems
