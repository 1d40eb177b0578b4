"""A file of metrics as DVC takes it, by whatever name: JSON, YAML 1.2 or TOML, as its ending says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry import canonical, strict_yaml
from registry.errors import Malformed
from registry.files import read_bytes

MAX_TOML = 1 << 20
"""Its reader is bounded by nothing else."""
MEND = "write it as JSON, YAML or TOML"


def read(path: Path, *, max_bytes: int) -> Any:
    """What the file at `path` holds; an ending that is not known is taken for JSON's.

    Raises Malformed for bytes that are not of the format, or hold what JSON is refused for: whole numbers beyond
    2**53 - 1, and too deep a nesting. Raises InputError where it cannot be read.
    """
    match path.suffix:
        case ".yaml" | ".yml":
            return _bounded(path.name, strict_yaml.read(path, max_bytes=max_bytes))
        case ".toml":
            import tomllib

            data = read_bytes(path, min(max_bytes, MAX_TOML))
            try:
                return _bounded(path.name, tomllib.loads(data.decode()))
            except (ValueError, RecursionError) as problem:
                raise Malformed(f"{path.name} is not TOML: {problem}"[:500], mend=MEND) from problem
    return canonical.read(path, max_bytes=max_bytes)


def _bounded(name: str, value: Any) -> Any:
    left = [(value, 0)]
    while left:
        item, depth = left.pop()
        if depth > canonical.MAX_DEPTH:
            raise Malformed(f"{name} is nested more than {canonical.MAX_DEPTH} deep", mend=MEND)
        if isinstance(item, int) and abs(item) > canonical.MAX_SAFE_INTEGER:
            raise Malformed(f"{name} has a whole number beyond {canonical.MAX_SAFE_INTEGER}", mend=MEND)
        if isinstance(item, dict | list):
            left += [(each, depth + 1) for each in (item.values() if isinstance(item, dict) else item)]
    return value


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each thing in `value` that is not a map, with its place: the keys that lead to it, joined by dots."""
    if not isinstance(value, dict):
        yield place, value
        return
    for name, item in value.items():
        yield from leaves(item, f"{place}.{name}" if place else str(name))


def numbers(value: Any) -> dict[str, float]:
    """The finite numbers among the leaves of `value`, by their place."""
    return {
        place: float(leaf)
        for place, leaf in leaves(value)
        if isinstance(leaf, int | float) and not isinstance(leaf, bool) and math.isfinite(leaf)
    }
