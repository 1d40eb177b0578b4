"""`glasshouse launch`: a recipe that starts the training on several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from registry.cli import output
from registry.cli.tree import App

EXAMPLE = (
    "Example: glasshouse launch --print slurm > train.sbatch && sbatch train.sbatch. "
    "Exit codes: 0 printed, 2 bad input, 3 could not be read."
)
app = App()


@app.command("launch", epilog=EXAMPLE)
def launch(
    form: Annotated[
        Literal["slurm", "skypilot", "kubernetes"], typer.Option("--print", help="Who starts the machines.")
    ],
    stage: Annotated[str, typer.Option(help="The stage of dvc.yaml that trains.")] = "train",
    name: Annotated[str, typer.Option(help="What the training is called where it runs.")] = "train",
    image: Annotated[
        str | None, typer.Option(help="The container's image, as NAME@sha256:DIGEST; Kubernetes needs one.")
    ] = None,
    volume: Annotated[
        str | None,
        typer.Option(help="What holds the folder that the nodes share: SkyPilot's volume, or Kubernetes' claim."),
    ] = None,
    project: Annotated[
        Path, typer.Option("--project", help="The DVC project.", show_default="this directory")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the recipe, and what it is for, as JSON.")] = False,
) -> None:
    """Print a recipe that starts the training on several machines. Nothing is started."""
    from registry.project import launching

    found = launching.read(project, stage=stage, name=name)
    recipe = launching.recipe(form, found, image=image, volume=volume)
    if as_json:
        output.data({"form": form, "nodes": found.most, "processes": found.processes, "recipe": recipe})
    else:
        typer.echo(recipe, nl=False)
