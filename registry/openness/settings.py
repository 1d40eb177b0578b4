"""The settings of a project's params.yaml, as cards and documents show them: but for what it says of releases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry import strict_yaml
from registry.errors import InputError
from registry.records import layout


def read(folder: Path) -> dict[str, str]:
    """By its place, `a.b`, the value of each setting of the release in `folder`; nothing where it has none.

    A list is one value; where it holds objects, their number is told. Raises InputError for what is not a map.
    """
    if not (folder / layout.PARAMS).is_file():
        return {}
    document = strict_yaml.read(folder / layout.PARAMS, aliases=True)
    if not isinstance(document, dict):
        raise InputError(f"{layout.PARAMS} is not a map", mend="mend params.yaml")
    return dict(_flat({name: value for name, value in document.items() if name != "release"}))


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield prefix, f"{len(value)} (see params.yaml)"
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)
