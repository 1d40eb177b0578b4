"""`glasshouse base`: the first stage of a fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry import variables
from registry.cli import output
from registry.cli.signing import TrustConfig
from registry.cli.tree import App
from registry.cli.verify import Endpoint, Json

EXAMPLE = "Example: glasshouse base --json. In dvc.yaml: glasshouse record -- glasshouse base"
app = App()


@app.command("base", epilog=EXAMPLE)
def base(
    given: Annotated[
        Path | None,
        typer.Option(
            "--from",
            envvar=variables.BASE,
            metavar="DIR",
            help="Take its files from here, and ask no Hub: not how its status stands, nor of a base that it has.",
        ),
    ] = None,
    endpoint: Endpoint = None,
    trust_config: TrustConfig = None,
    as_json: Json = False,
) -> None:
    """Fetch and verify the model that a fine-tuning begins with.

    That is the `base` of params.yaml. It writes build/base, every file of the model at its commit, and build/base.json,
    which says what they are and who vouches for them. What the policy of the base does not pass never appears.
    """
    from registry.release.base_stage import BaseStage

    with output.progress("fetching and hashing") as progress:
        record = BaseStage(Path(), endpoint, trust_config, progress, given).run()
    if as_json:
        output.data(record.as_json())
        return
    vouched = record.verification.established if record.verification else "not verifiable: no policy says who may sign"
    typer.echo(f"{record.uri}: {record.files} files, sha256:{record.sha256}; {vouched}")
