"""`glasshouse audit lint`: faults of a repository on any Hub, without fetching a weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli import output

if TYPE_CHECKING:
    from registry.lint.rules import Finding

EXAMPLE = "Example: glasshouse audit lint hf://org/model --sarif lint.sarif"


def lint(
    reference: Annotated[str, typer.Argument(metavar="REF", help="hf://org/model, ours or anybody's.")],
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", envvar="HF_ENDPOINT", help="The Hub; by default the public one.")
    ] = None,
    sarif: Annotated[Path | None, typer.Option("--sarif", help="Write the findings to this file as SARIF.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look for what has gone wrong in famous releases: equal steps, gaps, foreign shards, pickles, licences.

    Reads trees, digests and headers only. Exit code 1 for any error or warning; notes do not count.
    """
    from registry import __version__
    from registry.errors import InputError
    from registry.files import write_atomic
    from registry.hub.client import HubClient
    from registry.hub.reference import HubReference, parse
    from registry.lint import rules as rules
    from registry.lint import sarif as logs
    from registry.lint import series

    place = parse(reference)
    if not isinstance(place, HubReference):
        raise InputError(f"{reference} is a directory", mend="lint reads repositories: glasshouse audit lint hf://o/m")
    output.say(f"reading the trees of {place.repository}")
    hub = HubClient(endpoint)
    published = series.read(hub, place.repository)
    findings = rules.lint(published)
    if sarif is not None:
        log = logs.log(f"{hub.endpoint}/{place.repository}", findings, __version__)
        write_atomic(sarif, json.dumps(log, indent=2).encode())
    if as_json:
        output.data({"repo": place.repository, "findings": [finding.as_json() for finding in findings]})
    else:
        _table(place.repository, len(published.steps), findings)
    if any(finding.level is not rules.Level.NOTE for finding in findings):
        raise typer.Exit(1)


def _table(repo: str, steps: int, findings: tuple[Finding, ...]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 140, soft_wrap=False)
    if findings:
        table = Table(title=f"Faults of {output.printable(repo)}", title_justify="left")
        for heading in ("rule", "level", "where", "what was found"):
            table.add_column(heading, overflow="fold")
        for finding in findings:
            where = output.printable(", ".join(finding.where[:3])) + (" …" if len(finding.where) > 3 else "")
            table.add_row(finding.rule, str(finding.level), Text(where), Text(output.printable(finding.message)))
        console.print(table)
    console.print(f"main and {steps} steps looked at: {len(findings) or 'no'} finding{'s' * (len(findings) != 1)}")
