"""`glasshouse record`: a stage's command in dvc.yaml, run and recorded."""

from __future__ import annotations

from typing import Annotated

import typer

from registry import variables
from registry.cli.tree import App

EXAMPLE = "Example: glasshouse record -- python train.py (as the cmd of a stage in dvc.yaml)"
app = App()


@app.command("record", epilog=EXAMPLE)
def record(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND...]", help="The command, after two dashes.")
    ] = None,
    begin: Annotated[
        bool, typer.Option("--begin", help="The first command of a stage of several: measure what it reads.")
    ] = False,
    end: Annotated[
        bool,
        typer.Option(
            "--end",
            help="The last command of such a stage: measure what it read again, and what was written; record it.",
        ),
    ] = False,
    discard: Annotated[
        bool,
        typer.Option(
            "--discard",
            help="Remove what a run with other inputs left in outputs that dvc keeps (persist), instead of stopping.",
        ),
    ] = False,
    rehash: Annotated[
        bool,
        typer.Option("--rehash", envvar=variables.REHASH, help="Hash also what has not changed since it was hashed."),
    ] = False,
) -> None:
    """Run the command of a stage of dvc.yaml; record SHA-256 of what it read and wrote.

    What it read is measured before and after: where it changes while the stage runs, the stage fails. The record is the
    stage's output whose name ends in .run.json.
    """
    from registry.errors import InputError
    from registry.project import recorder as recorder

    if bool(command) + begin + end != 1 or (end and discard):
        raise InputError(
            "it takes either a command or --begin or --end; and --discard not with --end, which discards nothing",
            mend="glasshouse record --help",
        )
    if begin:
        recorder.begin(recorder.project(), discard=discard, rehash=rehash)
    elif end:
        recorder.end(recorder.project(), rehash=rehash)
    elif code := recorder.record(recorder.project(), command or [], discard=discard, rehash=rehash):
        raise typer.Exit(code)
