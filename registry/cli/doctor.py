"""`glasshouse doctor`: what this machine lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli import output
from registry.cli.signing import TrustConfig
from registry.cli.tree import App
from registry.cli.verify import Endpoint

EXAMPLE = (
    "Example: glasshouse doctor. Exit codes: 0 all is there, 1 something is not there or does not work, "
    "3 something could not be told."
)
app = App()


@app.command("doctor", epilog=EXAMPLE)
def doctor(
    project: Annotated[
        Path, typer.Option("--project", help="The DVC project, if it is about one.", show_default="this directory")
    ] = Path(),
    endpoint: Endpoint = None,
    trust_config: TrustConfig = None,
    releases: Annotated[
        str | None,
        typer.Option("--releases", help="Compare MLflow with these, too: hf://OWNER/NAME, or a folder of releases."),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="With --releases: whose word counts on what was yanked.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Say what this machine lacks for building, releasing and checking models. Nothing is changed."""
    from registry.doctor import Place, examine
    from registry.errors import InputError
    from registry.report import overall

    if not project.is_dir():
        raise InputError(f"{project} is not a directory", mend="give the folder of a DVC project")
    found = examine(Place(project, endpoint, trust_config))
    if releases is not None:
        from registry.cli.catalog import whom_of
        from registry.cli.verify import Verifying
        from registry.doctor import released

        whom = whom_of(Verifying(policy=policy, trust_config=trust_config))
        found = (*found, *released.compared(project, releases, whom, endpoint=endpoint))
    verdict = overall(condition.verdict for condition in found)
    if as_json:
        output.data({"verdict": str(verdict), "checks": [condition.as_json() for condition in found]})
    else:
        output.conditions(found)
    raise typer.Exit(verdict.exit_code)
