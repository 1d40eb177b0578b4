"""`glasshouse init`: make a DVC project ready to be released."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from registry.cli import output
from registry.cli.tree import App

EXAMPLE = "Example: glasshouse init --model models/model.onnx --repo org/model --license Apache-2.0"
app = App()


@app.command("init", epilog=EXAMPLE)
def init(
    project: Annotated[
        Path, typer.Option("--project", help="The DVC project.", show_default="this directory")
    ] = Path(),
    model: Annotated[
        str | None,
        typer.Option("--model", help="The output of a stage: a directory, or a file.", show_default="the one"),
    ] = None,
    repo: Annotated[str | None, typer.Option("--repo", help="Where it is to be published: ORG/NAME.")] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="The weights' licence: SPDX, or a name that the Hub knows.")
    ] = None,
    licence_name: Annotated[
        str | None, typer.Option("--license-name", help="With `--license other`: what the licence is called.")
    ] = None,
    licence_link: Annotated[
        str | None, typer.Option("--license-link", help="With `--license other`: where its text is, a file or a URL.")
    ] = None,
    record: Annotated[
        Literal["all", "none"],
        typer.Option("--record", help="Put `glasshouse record` around the commands of all stages, or of none."),
    ] = "all",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes, and make none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Make a DVC project ready to be released: show what changes, and write it.

    It writes the `release` section (glasshouse.yaml), records the commands of stages (dvc.yaml), and keeps releases/
    out of git. No code of the project changes.
    """
    from registry.release import adopting

    terms = {"license": licence, "license_name": licence_name, "license_link": licence_link}
    adoption = adopting.plan(project, model=model, repo=repo, terms=terms, record=record)
    if not dry_run:
        adopting.write(project, adoption)
    for note in adoption.notes:
        output.say(f"note: {note}")
    if as_json:
        output.data({"changed": sorted(adoption.files), "notes": list(adoption.notes), "diff": adoption.diff})
        return
    print(adoption.diff, end="")
    if adoption.files and not dry_run:
        output.say(f"next: {adoption.repro} && git add --all && git commit -m 'Ready to release'")
        output.say("then: glasshouse release cut --local --key private.pem (without --local it is published, too)")
    elif not adoption.files:
        output.say("nothing to change: the project is ready")
