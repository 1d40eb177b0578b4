"""What a command says: data on standard output, words and progress on standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.digest import Progress
    from registry.doctor import Condition
    from registry.errors import GlasshouseError
    from registry.report import Report

STYLES = {"PASS": "bold green", "FAIL": "bold red", "UNKNOWN": "bold yellow"}
MOST = 10
"""Checks that did not pass, listed without -v."""


def prepare() -> None:
    """What a terminal's encoding lacks is escaped, not an error; what is closed takes everything, and keeps nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Raises OSError where what was said did not arrive; it is then not said again when the process ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            raise


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


def verification(result: Report) -> None:
    """Show a line for each step, then each check that did not pass, then what was established.

    What a step's line says is not said again below it.
    """
    _aligned(
        (f"{each.step} {each.step.word}", each.verdict, f"{each.seconds:.2f} s".rjust(8), each.words)
        for each in result.steps
    )
    counts = Counter(check.step for check in result.checks)
    alone = {each.step for each in result.steps if counts[each.step] == 1}
    amiss = [check for check in result.checks if check.verdict != "PASS" and check.step not in alone]
    amiss.sort(key=lambda check: check.verdict != "FAIL")
    _aligned((check.verdict, f"{check.step} {check.name}: {check.subject}: {check.reason}") for check in amiss[:MOST])
    if len(amiss) > MOST:
        print(f"and {len(amiss) - MOST} more that did not pass: -v shows all")
    conclusion(result)


def conditions(found: Sequence[Condition]) -> None:
    """Show how everything stands, a line each, with the mend of what is not right."""
    rows: list[tuple[str, ...]] = []
    for each in found:
        rows.append((each.name, each.verdict, each.found))
        if each.mend is not None:
            rows.append(("", "", f"to mend it: {each.mend}"))
    _aligned(rows)
    counts = Counter(str(each.verdict) for each in found)
    print(", ".join(f"{counts[verdict]} {verdict}" for verdict in STYLES if counts[verdict]))


def rows(found: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, the last of them folded; nothing where there are none."""
    made = list(found)
    if made:
        _aligned(made)


def _aligned(rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, the last of them folded: verdicts in colours on a terminal, whole lines in a pipe."""
    made = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*made, strict=True)][:-1]
    if not sys.stdout.isatty():
        for *cells, words in made:
            print("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), words]))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for width in widths:
        table.add_column(no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    for row in made:
        table.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)


def conclusion(result: Report) -> None:
    """Say in one sentence what was established, or how much was not."""
    words = _sentence(result)
    if not sys.stdout.isatty():
        print(f"{result.verdict}: {words}")
        return
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text(f"{result.verdict}:", STYLES[result.verdict]), Text(words, overflow="fold"))


def _sentence(result: Report) -> str:
    name, every = printable(result.subject), len(result.checks)
    amiss = sum(check.verdict == result.verdict for check in result.checks)
    match result.verdict:
        case "PASS":
            return printable(str(result.established or f"{name}: each of {every} checks holds."))
        case "FAIL":
            return f"{name}: {amiss} of {every} checks failed. Do not load it; tell its maintainer."
    return f"{name}: {amiss} of {every} checks could not be made. Nothing speaks against it; too little speaks for it."


def report(result: Report) -> None:
    """Show every check of a report as a table, and what was established."""
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
    conclusion(result)


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
