"""What the bare command does not bring, and the one way to say that it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from registry.errors import Unavailable

Extra = Literal["data", "release", "languages", "evaluate", "ray", "gguf", "serve", "s3"]
"""Each optional part of the package, as pyproject.toml declares it: `pip install 'glasshouse[NAME]'`."""


def mend(extra: Extra) -> str:
    """The command that installs `extra`."""
    return f"pip install 'glasshouse[{extra}]'"


@contextmanager
def needed(extra: Extra) -> Iterator[None]:
    """Around imports of what only `extra` brings. Raises Unavailable, with the mend, where one cannot be imported."""
    try:
        yield
    except ImportError as problem:
        if (problem.name or "").partition(".")[0] == "registry":  # a fault of ours, which no extra mends
            raise
        words = f"the extra {extra!r} is needed, and is not installed whole: {problem}"
        raise Unavailable(words, mend=mend(extra)) from problem
