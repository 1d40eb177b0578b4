"""The `glasshouse` command: thin, and the one place that maps errors to exit codes.

Nothing heavy is imported here: a command imports what it needs, when it runs.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from registry import __version__, variables
from registry.cli import output
from registry.cli.tree import App, root
from registry.later import Later, put_off

PANELS = {
    "Start here": {
        "verify": "Verify a release, step by step.",
        "release cut": "Prepare, sign, verify and publish the next release.",
    },
    "To build": {
        "doctor": "Say what this machine lacks for building, releasing and checking models.",
        "base": "Fetch and verify the model that a fine-tuning begins with.",
        "record": "Run the command of a stage of dvc.yaml; record SHA-256 of what it read and wrote.",
        "launch": "Print a recipe that starts the training on several machines.",
    },
    "To release": {
        "init": "Make a DVC project ready to be released: show what changes, and write it.",
        "release": "Cut signed releases of the model that `dvc repro` built.",
        "serve": "Serve models over the Hub's own protocol.",
        "hub": "Look after a Hub of your own.",
    },
    "To look": {
        "release list": "List the releases on a Hub or in a folder, with who signed each.",
        "lineage": "Show what a release came from.",
        "openness": "Tell how open a model is: by the Model Openness Framework, and by the OSAID.",
        "site": "Make pages of releases for any static host.",
    },
    "To audit": {
        "audit": "Check a release by doing it again: replay, rebuild, evaluate, and sign what was seen.",
        "trust": "Get to know the signers of releases.",
        "data": "Ask what a model was trained on.",
    },
}
"""The help: what a newcomer, a builder, a maintainer and an auditor find. Said here, so that no command is imported."""
HIDDEN = {"token": "tokens"}
"""What `hub token` was called until 0.1, and the module it is in."""
app = App(
    name="glasshouse",
    cls=root(PANELS, HIDDEN),
    help="Release fully open models that strangers can check, and check the releases of others.",
    epilog="Example: glasshouse verify hf://org/model@v1.0.0 --identity ci@example.org --issuer https://issuer.example",
    no_args_is_help=True,
    add_completion=True,
)

CANCELLED = 130
OBJECTS = 100_000
"""New objects between two looks for garbage. Python's 700 are soon made while modules load, of which none is ever
garbage: those looks, and the one at the end, took a sixth of the time of `glasshouse verify`."""

PLUGINS = Later("importlib.metadata", called=("entry_points",))
"""Where pydantic would look for plugins: it loads that, though it is told to use none (registry.variables)."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Answer --version, before a command is asked for; everything else is a command."""


def main() -> None:
    """Run the command, and end in one of the exit codes of registry.errors, whatever happens."""
    gc.set_threshold(OBJECTS)
    os.environ.setdefault(variables.PLUGINS, "__all__")
    output.prepare()
    code = _ended(_run)
    gc.freeze()  # else Python looks through all of it once more before it ends
    sys.exit(code)


def _run() -> int:
    """Run the command. Its exit code; 1 only where the command itself said so."""
    try:
        with put_off([PLUGINS]):
            app()
    except SystemExit as end:
        cause = end.__context__
        if end.code == 1 and not isinstance(cause, typer.Exit):  # typer ends in it what it knows no better word for
            raise cause.__cause__ or cause if cause else RuntimeError("the command ended without a word") from None
        if "--json" in sys.argv and (told := getattr(cause, "format_message", None)):  # typer told it in words only
            from registry.errors import InputError

            page = f"{getattr(getattr(cause, 'ctx', None), 'command_path', 'glasshouse')} --help"
            output.error(InputError(told(), mend=page), as_json=True)
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
        from registry.cli import faults

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
