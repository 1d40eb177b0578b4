"""What a command says: data on standard output, words and progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from registry.digest import Progress
from registry.errors import GlasshouseError

if TYPE_CHECKING:
    from registry.report import Check, Report

STYLES = {"PASS": "bold green", "FAIL": "bold red", "UNKNOWN": "bold yellow"}


def say(words: str) -> None:
    """Tell a person something, on standard error."""
    print("\n".join(map(printable, words.split("\n"))), file=sys.stderr)


def data(value: Any) -> None:
    """Give a machine one JSON document, on standard output; what is not printable in it is escaped, as JSON can."""
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    print("\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n")))


def _escaped(line: str) -> str:
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def error(problem: GlasshouseError, *, as_json: bool) -> None:
    """Say what went wrong and how to mend it; as {error: {code, message, mend}} to a machine."""
    if as_json:
        data({"error": problem.as_json()})
        return
    message, mend = (text.replace("\n", "\n    ") for text in (problem.message, problem.mend))
    say(f"glasshouse: {message}\n  to mend it: {mend}")


def report(result: Report) -> None:
    """Show a report as a table, step by step, and its verdict."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = Text(f"Verification of {printable(result.subject)}")
    table = Table(title=title, title_justify="left", expand=False)
    for heading in ("step", "verdict", "what was looked at", "what was found"):
        table.add_column(heading, overflow="fold")
    for check in result.checks:
        table.add_row(
            f"{check.step} {check.name}",
            Text(str(check.verdict), STYLES[check.verdict]),
            Text(printable(check.subject)),
            Text(printable(check.reason)),
        )
    console = Console(width=None if sys.stdout.isatty() else 140, soft_wrap=False)
    console.print(table)
    console.print(Text(f"{result.verdict}:", STYLES[result.verdict]), Text(_summary(result.checks)))


def _summary(checks: tuple[Check, ...]) -> str:
    counts = {word: sum(check.verdict == word for check in checks) for word in STYLES}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def printable(text: str) -> str:
    """`text` in one line, what does not print made visible: a hostile name drives no terminal and forges no line."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


@contextmanager
def progress(words: str, total: int | None = None) -> Iterator[Progress]:
    """A progress bar in bytes for a person; nothing for a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(words, total=total)
        yield lambda done: bar.advance(task, done)
