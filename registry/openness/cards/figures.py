"""What a project's own files of metrics say, as a card shows it: by whatever name, in JSON, YAML or TOML.

Only numbers, truths and short texts are shown, each with its place in its file. What cannot be read is passed over: the
file stands beside the card.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry import canonical, strict_yaml
from registry.errors import GlasshouseError
from registry.files import read_bytes
from registry.manifest import walk
from registry.records import layout

MAX_BYTES = 1 << 20
MAX_SHOWN = 100
"""Figures of one file; the rest is in the file."""
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def read(folder: Path) -> dict[str, dict[str, str]]:
    """The figures of the release in `folder`: by file, as the project calls it, and by place in it."""
    below = folder / layout.FIGURES
    found = {path: dict(_shown(below / path)) for path, _ in (walk(below) if below.is_dir() else ())}
    return {path: figures for path, figures in found.items() if figures}


def pictures(folder: Path) -> list[str]:
    """The pictures among the plots of the release in `folder`, by their paths there."""
    below = folder / layout.PLOTS
    paths = [path for path, _ in (walk(below) if below.is_dir() else ())]
    return [f"{layout.PLOTS}/{path}" for path in paths if path.lower().endswith(PICTURES)]


def _shown(path: Path) -> Iterator[tuple[str, str]]:
    rows = list(_leaves(_parsed(path), ""))
    yield from ((place[:200], words) for place, words in rows[:MAX_SHOWN])


def _parsed(path: Path) -> Any:
    try:
        data = read_bytes(path, MAX_BYTES)
        if path.suffix == ".json":
            return canonical.parse(data, name=path.name)
        if path.suffix in (".yaml", ".yml"):
            return strict_yaml.parse(data, name=path.name)
        if path.suffix == ".toml":
            return tomllib.loads(data.decode())
    except (GlasshouseError, ValueError, RecursionError):
        pass
    return None


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for name, item in value.items():
                yield from _leaves(item, f"{place}.{name}" if place else str(name))
        case bool() | int():
            yield place, json.dumps(value)
        case float() if math.isfinite(value):
            yield place, f"{value:.6g}"
        case str() if len(value) <= 80:
            yield place, value
