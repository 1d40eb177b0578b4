"""Whether what somebody is told to type is a command, with options that it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from registry.cli import app

ROOT: Any = typer.main.get_command(app)


def check(line: str) -> None:
    """Raise AssertionError for a command, or an option of it, that is not there, or that is not shown any more."""
    words = shlex.split(re.sub(r"\$\{[^}]*\}", "", line).partition(" -- ")[0])[1:]
    command = ROOT
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        found = command.commands.get(words[0])
        assert found is not None and not found.hidden, f"{line}: no command {words[0]}"
        command = found
        words.pop(0)
    unknown = {word.split("=")[0] for word in words if word.startswith("--")} - set(options(command))
    assert not unknown, f"{line}: no option {unknown}"


def options(command: Any) -> Iterator[str]:
    """Every option that `command` shows."""
    yield "--help"
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)


def every(command: Any = ROOT) -> Iterator[Any]:
    """Every command below `command`."""
    for child in getattr(command, "commands", {}).values():
        yield child
        yield from every(child)
