"""What a project's own files of metrics say, as a card shows it: by whatever name, in JSON, YAML or TOML.

Only numbers, truths and short texts are shown, each with its place in its file. What cannot be read is passed over: the
file stands beside the card.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from registry.errors import GlasshouseError
from registry.manifest import walk
from registry.records import dvc_metrics, layout

MAX_BYTES = 1 << 20
MAX_SHOWN = 100
"""Figures of one file; the rest is in the file."""
SHOWN = (".json", ".yaml", ".yml", ".toml")
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
    rows = ((place[:200], _words(leaf)) for place, leaf in dvc_metrics.leaves(_parsed(path)))
    yield from islice(((place, words) for place, words in rows if words is not None), MAX_SHOWN)


def _parsed(path: Path) -> Any:
    try:
        return dvc_metrics.read(path, max_bytes=MAX_BYTES) if path.suffix in SHOWN else None
    except GlasshouseError:
        return None


def _words(leaf: Any) -> str | None:
    match leaf:
        case bool() | int():
            return json.dumps(leaf)
        case float() if math.isfinite(leaf):
            return f"{leaf:.6g}"
        case str() if len(leaf) <= 80:
            return leaf
    return None
