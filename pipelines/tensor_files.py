"""The tensors of a checkpoint, written and hashed at once: no file is read again.

    pieces    the bytes of a safetensors file, its header first, each tensor where it lies in memory
    save      three threads a file: one writes the pieces and flushes them, one hashes them, one hashes each tensor

Writing and hashing let go of the interpreter lock, so they keep as many cores busy as there are. A tensor is not
copied, but for one on a GPU: each thread copies it for as long as it works on it.

Laws: the file is that of `safetensors.torch.save_file` with the metadata `{"format": "pt"}`. `save` says of files what
`digests` finds in them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
ALIGNED = 8
"""The header takes a multiple of so many bytes."""


def save(files: Mapping[Path, Tensors]) -> dict[str, FileDigests]:
    """Write `files`, none of which is there yet, and flush them to the disk. The digests of each, by its name."""
    found = for_each(lambda file, told: _saved(*file, told), files.items(), workers=len(files))
    return {path.name: each for path, each in zip(files, found, strict=True)}


def digests(*paths: Path) -> dict[str, FileDigests]:
    """The digests of files that are there, by name: each is read twice, all at once."""
    found = for_each(_found, paths, workers=len(paths))
    return {path.name: each for path, each in zip(paths, found, strict=True)}


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


def _saved(path: Path, tensors: Tensors, told: Progress) -> FileDigests:
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(_write, path, tensors, told)
        whole, apart = for_each(lambda way, told: way(tensors, told), (_whole, _apart), told, workers=2)
        writing.result()
    return FileDigests(file=whole, tensors=apart)


def _write(path: Path, tensors: Tensors, told: Progress) -> None:
    with path.open("xb") as file:
        for piece in pieces(tensors):
            file.write(piece)
            told(len(piece))
        file.flush()
        os.fsync(file.fileno())


def _whole(tensors: Tensors, told: Progress) -> str:
    digest = sha256()
    for piece in pieces(tensors):
        digest.update(piece)
        told(len(piece))
    return digest.hexdigest()


def _apart(tensors: Tensors, told: Progress) -> str:
    found = {}
    for name, tensor in tensors.items():
        digest = begun(NAMES[tensor.dtype], tensor.shape)
        digest.update(data(tensor))
        told(tensor.nbytes)
        found[name] = digest.hexdigest()
    return joined(found)


def _found(path: Path, told: Progress) -> FileDigests:
    ways: tuple[Callable[[Path, Progress], str], ...] = (sha256_file, lambda path, _: tensors_digest(path))
    whole, apart = for_each(lambda way, told: way(path, told), ways, told, workers=2)
    return FileDigests(file=whole, tensors=apart)
