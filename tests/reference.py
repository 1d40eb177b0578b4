"""`make docs`: the reference of the command, made from the command itself. A test holds docs/ to it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from registry.cli import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "command.md"
HEAD = """# The command

<!-- Made by `make docs` from the command itself; edits here are lost. -->

`--json` prints one JSON document on standard output; words and progress go to standard error. Errors are
`{"error": {"code", "message", "mend"}}`.

| exit code | meaning |
|---|---|
| 0 | it holds, or it is done |
| 1 | it was checked and does not hold |
| 2 | bad input or usage |
| 3 | it could not be checked |
| 4 | credentials are needed |
| 130 | cancelled |
"""


def main() -> None:
    """Write the page, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} instead of printing it")
    page = render()
    if parser.parse_args().write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page)
    else:
        print(page)


def render() -> str:
    """The whole page."""
    return HEAD + "".join(_section(command, path) for command, path in commands())


def commands() -> Iterator[tuple[Any, str]]:
    """(command, its words) of every command that does something, in the order of the help."""
    waiting = [(typer.main.get_command(app), "glasshouse")]
    while waiting:
        command, path = waiting.pop(0)
        children = getattr(command, "commands", {})
        waiting += [(child, f"{path} {name}") for name, child in children.items()]
        if not children:
            yield command, path


def _section(command: Any, path: str) -> str:
    rows = "".join(f"| {_names(parameter)} | {_help(parameter)} |\n" for parameter in command.params)
    words = " ".join(command.help.split())
    return f"\n## {path}\n\n{words}\n\n| | |\n|---|---|\n{rows}\n{command.epilog}\n"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _help(parameter: Any) -> str:
    text = " ".join((parameter.help or "").split())
    if parameter.required:
        text += " Required."
    if envvar := getattr(parameter, "envvar", None):
        text += f" From `{envvar}` where it is set."
    return re.sub(r"\|", r"\\|", text)


if __name__ == "__main__":
    main()
