"""`glasshouse record`: a stage's command in dvc.yaml, run and recorded."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLE = "Example: glasshouse record -- python train.py (as the cmd of a stage in dvc.yaml)"


def record(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="The command, after two dashes.")],
    discard: Annotated[
        bool,
        typer.Option(
            "--discard",
            help="Remove what a run with other inputs left in outputs that dvc keeps (persist), instead of stopping.",
        ),
    ] = False,
) -> None:
    """Run the command of a stage of dvc.yaml; record SHA-256 of what it read, before and after, and of what it wrote.

    The record is the stage's output called STAGE.run.json. Where a dependency changes while the command runs, the stage
    fails.
    """
    from registry.provenance import record as recorder

    if code := recorder.record(recorder.project(), command, discard=discard):
        raise typer.Exit(code)
