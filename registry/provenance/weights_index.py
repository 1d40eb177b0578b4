"""Whether the index of weights in several files leads a loader to all of them, and to nothing else.

Law: a loader that goes by the index takes each tensor of the files beside it from the file that holds it. One that is
passed over, or looked for where it is not, would begin as noise, though the digests of all files hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from registry import canonical, tensors
from registry.errors import Unavailable
from registry.provenance.stage_lineage import Gap
from registry.suffixes import SAFETENSORS, SAFETENSORS_INDEX

MAX_BYTES, MAX_PARTS = 64 << 20, 1 << 21
"""Bounds of an index, which has a line for each tensor."""
MEND = "ask the maintainer for an index of the files that are there"
_PART = re.compile(r"-\d{5}-of-\d{5}")


def check(root: Path, path: str, paths: Collection[str]) -> str:
    """Hold the index at `path` of the release at `root`, whose files are `paths`, to the headers beside it.

    Raises Gap where it does not fit them, and Malformed for other bytes than an index has. Raises Unavailable where a
    loader may go by more files, or by files that are not there.
    """
    value = canonical.read(root / path, max_bytes=MAX_BYTES, max_parts=MAX_PARTS)
    told = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told.values()):
        raise Gap(f"{path} has no weight_map of tensors and files")
    folder, stem = path.rpartition("/")[0], path.removesuffix(SAFETENSORS_INDEX)
    names = sorted(set(told.values()))
    if absent := [name for name in names if _beside(folder, name) not in paths]:
        raise Unavailable(f"{path} names {absent[0][:200]!r}, which is not a file of this release", mend=MEND)
    rows = [(tensor.name, name) for name in names for tensor in tensors.read_header(root / _beside(folder, name))]
    held = dict(rows)
    if len(held) < len(rows):
        raise Gap(f"a tensor is in two of the files that {path} names")
    if odd := sorted(told.items() ^ held.items()):
        tensor, _ = odd[0]
        there, said = held.get(tensor, "none"), told.get(tensor, "none")
        raise Gap(f"{path} says that {tensor[:200]!r} is in {said[:200]!r}: of the files it names, it is in {there!r}")
    taken = {_beside(folder, name) for name in names}
    if over := sorted(other for other in paths if other not in taken and _is_beside(other, stem)):
        raise Unavailable(f"{path} passes over {over[0]}, which loaders may take all the same", mend=MEND)
    return f"each of {len(told)} tensors is in the file that it says, of {len(names)}"


def _beside(folder: str, name: str) -> str:
    return "/".join(filter(None, (folder, *(part for part in name.split("/") if part != "."))))


def _is_beside(path: str, stem: str) -> bool:
    """Whether a loader can take the file at `path` together with, or in place of, the files that the index names."""
    if not (path.startswith(stem) and path.endswith(SAFETENSORS)):
        return False
    between = path.removeprefix(stem).removesuffix(SAFETENSORS)
    return between == "" or _PART.fullmatch(between) is not None
