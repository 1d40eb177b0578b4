"""metrics.jsonl as an audit reads it: {step, loss, gradientNorm, ...} for each step. Anybody may have written it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from registry import canonical
from registry.errors import GlasshouseError, Malformed, Unavailable

MAX_LINE = 4096
MAX_BYTES = 64 << 20
"""As many as a record of a release may have."""
Progress = Callable[[int], None]
"""Called with the number of training steps just done."""


def lines(path: Path) -> Iterator[Mapping[str, object]]:
    """The lines of the file at `path`.

    Raises Unavailable where there is no such file, Malformed for a line that is not one.
    """
    try:
        stream = path.open("rb")
    except OSError as problem:
        raise Unavailable(f"the release has no {path.name}", mend="ask its maintainer for it") from problem
    left = MAX_BYTES
    with stream:
        while line := stream.readline(MAX_LINE):
            left -= len(line)
            if left < 0:
                raise Malformed(f"{path.name} has more than {MAX_BYTES} bytes", mend="report the release")
            value = canonical.parse(line, name=path.name)
            if not isinstance(value, dict):
                raise Malformed(f"{path.name} has a line that is not an object", mend="report the release")
            yield value


def first_departure(signed: Path, made: Path) -> str:
    """The first line of `made` that is not the line of its step in `signed`, in words. Raises nothing.

    Both are in the order of steps, and read side by side, so that no number of lines takes memory.
    """
    try:
        theirs = lines(signed)
        for mine in lines(made):
            line = next((line for line in theirs if line["step"] == mine["step"]), None)
            if line is None:
                return f"the metrics do not tell the step (there is none for step {str(mine['step'])[:20]})"
            if any(mine[key] != line.get(key) for key in ("loss", "gradientNorm")):
                return f"step {line['step']} is the first whose loss or gradient departs"
    except (GlasshouseError, KeyError, TypeError) as problem:
        return f"the metrics do not tell the step ({problem})"
    return "the signed losses of all its steps are those of the replay: what departs came after the last of them"
