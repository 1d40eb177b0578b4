"""How many numbers the weights of a commit hold, told from the heads of its safetensors files alone.

A head is hostile: it is read within bounds, and what does not fit together is not counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from registry import canonical, tensors
from registry.errors import GlasshouseError
from registry.server.problems import Problem
from registry.server.store import objects, pointers
from registry.server.store.blobs import BlobStore

WEIGHTS = "model.safetensors"
SHARDED = "model.safetensors.index.json"
MAX_SHARDS = 256
MAX_HEAD = 8 << 20
"""Bytes of a head that is read."""
MAX_KNOWN = 65_536
_KNOWN: dict[str, Mapping[str, int] | None] = {}
"""The counts of files by their SHA-256, which never change."""
MAX_COUNT = 1 << 53
"""Numbers of one file: as many as a reader of JSON can tell apart."""


def counted(folder: Path, commit: str, blobs: BlobStore) -> Mapping[str, int]:
    """{type of number: how many} of the weights at `commit`; empty where there are none that can be counted."""
    whole, index = objects.contents(folder, [f"{commit}:{WEIGHTS}", f"{commit}:{SHARDED}"])
    found = [whole] if whole is not None else objects.contents(folder, [f"{commit}:{name}" for name in _shards(index)])
    total = Counter[str]()
    for data in found:
        counts = None if data is None else _counts_of(data, blobs)
        if counts is None:
            return {}  # a part of the whole would be a wrong answer
        total.update(counts)
    return dict(total)


def _shards(index: bytes | None) -> list[str]:
    """The files that an index of shards names; none for one that is malformed."""
    try:
        told = canonical.parse(index or b"{}", name=SHARDED)
    except GlasshouseError:
        return []
    names = told.get("weight_map") if isinstance(told, dict) else None
    files = set(names.values() if isinstance(names, dict) else ()) if _are_names(names) else set()
    return sorted(files) if len(files) <= MAX_SHARDS else []


def _are_names(names: object) -> bool:
    return isinstance(names, dict) and all(isinstance(name, str) and name.isprintable() for name in names.values())


def _counts_of(data: bytes, blobs: BlobStore) -> Mapping[str, int] | None:
    """{type of number: how many} of the file that stands in git as `data`; None for what cannot be counted."""
    large = pointers.pointed(data)
    if large is None:
        return _counted(data[: 8 + MAX_HEAD], len(data))
    sha256, size = large
    if sha256 not in _KNOWN:
        try:
            length = min(int.from_bytes(b"".join(blobs.read(sha256, 0, 8)), "little"), MAX_HEAD)
            counts = _counted(b"".join(blobs.read(sha256, 0, 8 + length)), size)
        except Problem:  # the store does not give it
            return None
        if len(_KNOWN) < MAX_KNOWN:
            _KNOWN[sha256] = counts
        return counts
    return _KNOWN[sha256]


def _counted(start: bytes, size: int) -> Mapping[str, int] | None:
    """The same, of a file of `size` bytes that begins with `start`."""
    path = Path(WEIGHTS)
    try:
        rows = tensors.layout(path, *tensors.head(BytesIO(start), path, size, MAX_HEAD), size)
    except GlasshouseError:
        return None
    counts = Counter[str]()
    for row in rows:
        counts[row.dtype] += math.prod(row.shape)
    return counts if sum(counts.values()) <= MAX_COUNT else None
