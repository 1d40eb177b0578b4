"""`glasshouse audit lint`: faults of a repository on any Hub, without fetching a weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry import variables
from registry.cli import output

if TYPE_CHECKING:
    from registry.lint.report import LintReport

EXAMPLE = "Example: glasshouse audit lint hf://org/model --sarif lint.sarif"


def lint(
    reference: Annotated[str, typer.Argument(metavar="REF", help="hf://org/model, ours or anybody's.")],
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", envvar=variables.HF_ENDPOINT, help="The Hub; by default the public one.")
    ] = None,
    sarif: Annotated[Path | None, typer.Option("--sarif", help="Write the findings to this file as SARIF.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look for what has gone wrong in famous releases: equal steps, gaps, foreign shards, pickles, licences.

    Reads trees, digests and headers only. Exit code 1 for any error or warning; notes do not count.
    """
    from registry import api
    from registry.files import write_atomic

    output.say(f"reading the trees of {reference}")
    found = api.lint(reference, endpoint=endpoint)
    if sarif is not None:
        write_atomic(sarif, json.dumps(found.as_sarif(), indent=2).encode())
    if as_json:
        output.data(found.as_json())
    else:
        _table(found)
    if not found.clean:
        raise typer.Exit(1)


def _table(found: LintReport) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 140, soft_wrap=False)
    if found.findings:
        table = Table(title=f"Faults of {output.printable(found.repository)}", title_justify="left")
        for heading in ("rule", "level", "where", "what was found"):
            table.add_column(heading, overflow="fold")
        for finding in found.findings:
            where = output.printable(", ".join(finding.where[:3])) + (" …" if len(finding.where) > 3 else "")
            table.add_row(finding.rule, str(finding.level), Text(where), Text(output.printable(finding.message)))
        console.print(table)
    count = len(found.findings)
    console.print(f"main and {found.steps} steps looked at: {count or 'no'} finding{'s' * (count != 1)}")
