"""What every stage does the same: end with the right exit code and a mend, and show progress to a person only."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from registry.errors import GlasshouseError

Advance = Callable[[int], None]
"""Called with the number of steps just done."""

SELDOM = 100_000
"""Objects made between two searches for those that only hold one another. Python's own 700 has what torch and
transformers load, which stays, searched time and again: a fifth of the time that loading takes."""


def run(main: Callable[[], None]) -> None:
    """Call `main` and end the process: 0, or an error's own exit code with its mend on stderr, or 130 for Ctrl-C."""
    gc.set_threshold(SELDOM)
    try:
        main()
    except GlasshouseError as problem:
        print(f"{problem.message}\n  mend: {problem.mend}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # else Python searches all that torch loaded once more before it ends, for a second or more


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Advance]:
    """A progress bar on stderr where that is a terminal, and nothing elsewhere.

    Gives a function to call with the number of steps just done.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)
