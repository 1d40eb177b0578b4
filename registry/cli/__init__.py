"""The `glasshouse` command: thin, and the one place that maps errors to exit codes.

Nothing heavy is imported here: a command imports what it needs, when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from registry import __version__
from registry.cli import (
    attest,
    audit,
    data,
    faults,
    lint,
    output,
    record,
    release,
    serve,
    status,
    tokens,
    trust,
    verify,
)

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
    """Run the command, and end in one of the exit codes of registry.errors, whatever happens."""
    output.prepare()
    sys.exit(_ended(_run))


def _run() -> int:
    """Run the command. Its exit code; 1 only where the command itself said so."""
    try:
        app()
    except SystemExit as end:
        cause = end.__context__
        if end.code == 1 and not isinstance(cause, typer.Exit):  # typer ends in it what it knows no better word for
            raise cause.__cause__ or cause if cause else RuntimeError("the command ended without a word") from None
        output.flush()
        return end.code if isinstance(end.code, int) else 0
    return 0


def _ended(run: Callable[[], int]) -> int:
    """The exit code of `run`, which may raise anything: that is told, to whoever still listens."""
    try:
        code = run()
    except KeyboardInterrupt:
        code = CANCELLED
    except Exception as problem:  # noqa: BLE001 - the one place that no exception leaves
        faults.trace(problem)
        error = faults.explained(problem)
        for as_json in ("--json" in sys.argv, False):
            with suppress(OSError):
                output.error(error, as_json=as_json)
                output.flush()
                break
        return error.exit_code
    if code == CANCELLED:  # in which typer ends a command that Ctrl-C reached, too
        output.say("cancelled; nothing half-written was left behind")
    return code
