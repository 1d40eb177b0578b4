"""The tensors of a checkpoint, written and hashed at once: no file is read again.

    pieces    the bytes of a safetensors file, its header first, each tensor where it lies in memory
    save      three jobs a file: one writes the pieces and flushes them, one hashes them, one hashes each tensor

Writing and hashing let go of the interpreter lock, so they keep as many cores busy as they may. A tensor is not
copied, but for one on a GPU: each thread copies it for as long as it works on it.

Laws: the file is that of `safetensors.torch.save_file` with the metadata `{"format": "pt"}`. `save` says of files what
`digests` finds in them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from registry.digest import Progress, sha256_file
from registry.parallel import for_each
from registry.records.checkpoint_chain import FileDigests
from registry.tensors import begun, joined, tensors_digest

Tensors = Mapping[str, torch.Tensor]
"""By name."""

NAMES = {torch.float32: "F32", torch.bfloat16: "BF16"}
"""What safetensors calls the types that we write."""
TYPES = {name: dtype for dtype, name in NAMES.items()}
ALIGNED = 8
"""The header takes a multiple of so many bytes."""


def save(files: Mapping[Path, Tensors], workers: int | None = None) -> dict[str, FileDigests]:
    """Write `files`, none of which is there yet, and flush them to the disk. The digests of each, by its name.

    workers: how many threads at once; None: one a core.
    """
    ways: tuple[Callable[[Path, Tensors, Progress], str], ...] = (_write, _whole, _apart)
    return _done([partial(way, path, tensors) for path, tensors in files.items() for way in ways], files, workers)


def digests(*paths: Path, workers: int | None = None) -> dict[str, FileDigests]:
    """Flush files that are there to the disk. The digests of each, by its name: it is read twice. workers: as above."""
    ways: tuple[Callable[[Path, Progress], str], ...] = (_flush, sha256_file, lambda path, _: tensors_digest(path))
    return _done([partial(way, path) for path in paths for way in ways], paths, workers)


def pieces(tensors: Tensors) -> Iterator[memoryview]:
    """The bytes of the file with `tensors`, from its beginning to its end."""
    header, starts = layout({name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()})
    yield memoryview(header)
    for name in starts:
        yield data(tensors[name])


def data(tensor: torch.Tensor) -> memoryview:
    """The bytes of `tensor` as they lie in a file: the memory that it has, where that is so."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).cpu().numpy().data


def layout(tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> tuple[bytes, dict[str, int]]:
    """The header of a file with those tensors, and where in the file each begins, in that order.

    Wider types come first, and then names in their order: as the safetensors library lays them out.
    """
    said: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    ordered = sorted(tensors.items(), key=lambda named: (-named[1][0].itemsize, named[0]))
    start = 0
    for name, (dtype, shape) in ordered:
        end = start + math.prod(shape) * dtype.itemsize
        said[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNED)
    header = len(text).to_bytes(8, "little") + text
    return header, {name: len(header) + said[name]["data_offsets"][0] for name, _ in ordered}


def _done(
    jobs: Sequence[Callable[[Progress], str]], paths: Iterable[Path], workers: int | None
) -> dict[str, FileDigests]:
    """Do three jobs for each of `paths`, of which the second and the third find its digests."""
    found = for_each(lambda job, told: job(told), jobs, workers=workers)
    digests = zip(paths, found[1::3], found[2::3], strict=True)
    return {path.name: FileDigests(file=whole, tensors=apart) for path, whole, apart in digests}


def _write(path: Path, tensors: Tensors, told: Progress) -> str:
    with path.open("xb") as file:
        for piece in pieces(tensors):
            file.write(piece)
            told(len(piece))
        file.flush()
        os.fsync(file.fileno())
    return ""


def _flush(path: Path, _: Progress) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return ""


def _whole(_: Path, tensors: Tensors, told: Progress) -> str:
    digest = sha256()
    for piece in pieces(tensors):
        digest.update(piece)
        told(len(piece))
    return digest.hexdigest()


def _apart(_: Path, tensors: Tensors, told: Progress) -> str:
    found = {}
    for name, tensor in tensors.items():
        digest = begun(NAMES[tensor.dtype], tensor.shape)
        digest.update(data(tensor))
        told(tensor.nbytes)
        found[name] = digest.hexdigest()
    return joined(found)
