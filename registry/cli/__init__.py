"""The `glasshouse` command: thin, and the one place that maps errors to exit codes.

Nothing heavy is imported here: a command imports what it needs, when it runs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from registry import __version__
from registry.cli import attest, audit, data, lint, output, record, release, serve, status, tokens, trust, verify
from registry.errors import GlasshouseError

app = typer.Typer(
    name="glasshouse",
    help="Release fully open models that strangers can check, and check the releases of others.",
    epilog="Example: glasshouse verify hf://org/model@v1.0.0 --identity ci@example.org --issuer https://issuer.example",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(release.app, name="release")
release.app.command("status", epilog=status.EXAMPLE)(status.status)
app.command("verify", epilog=verify.EXAMPLE)(verify.verify)
app.add_typer(trust.app, name="trust")
app.add_typer(data.app, name="data")
app.add_typer(audit.app, name="audit")
audit.app.command("attest", epilog=attest.EXAMPLE)(attest.attest)
audit.app.command("lint", epilog=lint.EXAMPLE)(lint.lint)
app.command("record", epilog=record.EXAMPLE)(record.record)
app.add_typer(tokens.app, name="token")
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)

CANCELLED = 130


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Answer --version, before a command is asked for; everything else is a command."""


def main() -> None:
    """Run the command, and end in one of the exit codes of registry.errors."""
    try:
        app()
    except GlasshouseError as error:
        output.error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != CANCELLED:  # in which typer ends a command that Ctrl-C reached
            raise
        output.say("cancelled; nothing half-written was left behind")
        sys.exit(CANCELLED)
