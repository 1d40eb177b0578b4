"""The tensors of a checkpoint, written and hashed at once: no file is read again.

    Image     a copy of the tensors, in memory that is laid out as their file
    save      three jobs a file: one writes the image and flushes it, one hashes it, one hashes each tensor

An image goes to the disk from where it lies, past the system's cache where the disk takes it so: that leaves the cores
to those who compute. It is hashed by way of a piece of memory that a core's cache keeps. Writing and hashing let go of
the interpreter lock.

Laws: the file is that of `safetensors.torch.save_file` with the metadata `{"format": "pt"}`. `save` says of a file what
`sha256_file` and `tensors_digest` find in it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.cores import Cores
from registry.digest import Progress
from registry.parallel import for_each
from registry.records.checkpoint_chain import FileDigests
from registry.tensors import begun, joined

Tensors = Mapping[str, torch.Tensor]
"""By name."""

NAMES = {torch.float32: "F32", torch.bfloat16: "BF16"}
"""What safetensors calls the types that we write."""
TYPES = {name: dtype for dtype, name in NAMES.items()}
ALIGNED = 8
"""The header takes a multiple of so many bytes."""
PAGE = 4096
"""Where memory begins that a disk takes, and what it takes a multiple of."""
PIECE = 4096 * PAGE
"""Bytes that are written before the next look whether somebody stopped it."""
CACHED = 1 << 18
"""Bytes that are hashed at a time. Measured: so many stay in a core's cache, from where SHA-256 takes them faster."""


class Lying:
    """How some tensors lie in a file.

    like: the type and the shape of each, by its name.  header: its first bytes.  starts: where each tensor begins.
    size: bytes in all.  room: those, and what fills the last page.
    """

    def __init__(self, tensors: Tensors) -> None:
        self.like = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
        self.header, self.starts = layout(self.like)
        self.size = len(self.header) + sum(map(self.nbytes, self.like))
        self.room = -(-self.size // PAGE) * PAGE

    def nbytes(self, name: str) -> int:
        """Bytes of a tensor: of all its rows, wherever they are."""
        dtype, shape = self.like[name]
        return math.prod(shape) * dtype.itemsize


class Laid:
    """Memory that is a file of tensors as it will lie on the disk.

    header, size: the file's.  memory: its bytes, and what fills the last page.  tensors: where each belongs.
    """

    def __init__(self, lying: Lying, memory: torch.Tensor) -> None:
        """memory: `lying.room` bytes, which begin with a page."""
        self.header, self.size, self._starts, self._first = lying.header, lying.size, lying.starts, memory.data_ptr()
        self.memory: memoryview = memory.numpy().data
        self.memory[: len(lying.header)] = lying.header
        self.tensors: Tensors = {
            name: memory[start : start + lying.nbytes(name)].view(lying.like[name][0]).view(lying.like[name][1])
            for name, start in lying.starts.items()
        }

    def data(self, name: str) -> memoryview:
        """The bytes of a tensor."""
        start = self._starts[name]
        return self.memory[start : start + self.tensors[name].nbytes]

    def offset(self, part: torch.Tensor) -> int:
        """Where in the file `part` of a tensor begins, which is not empty."""
        return part.data_ptr() - self._first


class Image(Laid):
    """A copy of some tensors, in memory of its own."""

    def __init__(self, tensors: Tensors) -> None:
        """Copy `tensors` as they are now."""
        lying = Lying(tensors)
        made = torch.empty(lying.room + PAGE, dtype=torch.uint8)
        super().__init__(lying, made[-made.data_ptr() % PAGE :][: lying.room])
        self.take(tensors)

    def take(self, tensors: Tensors) -> None:
        """Copy `tensors`, of the same names, types and shapes, as they are now: in the place of those before."""
        for name, copy in self.tensors.items():
            copy.copy_(tensors[name])


def save(files: Mapping[Path, Image], cores: Cores | None = None) -> dict[str, FileDigests]:
    """Write `files`, none of which is there yet, and flush them to the disk. The digests of each, by its name.

    cores: in which threads hash; None: in as many at once as there is to do.
    """
    jobs = [partial(write, path, image) for path, image in files.items()]
    largest = sorted(files.items(), key=lambda file: -file[1].size)  # first, so that no core waits for it at the end
    jobs += [partial(way, image, cores) for _, image in largest for way in (_whole, _apart)]
    found = iter(for_each(lambda job, told: job(told), jobs, workers=len(jobs))[len(files) :])
    return {path.name: FileDigests(file=next(found), tensors=next(found)) for path, _ in largest}


def pieces(data: memoryview) -> Iterator[memoryview]:
    """`data` piece by piece, to be hashed. Each piece lies in a core's cache, where the one before did."""
    lying, cached = np.frombuffer(data, np.uint8), np.empty(min(CACHED, len(data)), np.uint8)
    for start in range(0, len(data), CACHED):
        piece = cached[: len(data) - start]
        np.copyto(piece, lying[start : start + CACHED])  # lets go of the interpreter lock
        yield piece.data


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


def write(path: Path, image: Laid, told: Progress) -> str:
    """Write `image` to `path`, where nothing is yet, and flush it to the disk."""
    done = 0
    with path.open("xb", buffering=0) as file:
        direct = _past_cache(file.fileno(), True)
        while done < len(image.memory):
            try:
                count = file.write(image.memory[done : done + PIECE])
            except OSError as problem:
                if problem.errno != errno.EINVAL or not direct:
                    raise
                direct = _past_cache(file.fileno(), False)  # it takes other pages than ours
                continue
            told(count)
            done += count
        file.truncate(image.size)
        os.fsync(file.fileno())
    return ""


def _past_cache(descriptor: int, past: bool) -> bool:
    """Have what is written to that file go past the system's cache, or not. Returns whether it does."""
    with suppress(OSError):
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if past else flags & ~os.O_DIRECT)
        return past
    return False


def _whole(image: Image, cores: Cores | None, told: Progress) -> str:
    digest = sha256()
    with cores or nullcontext():
        _hash(digest, image.memory[: image.size], told)
    return digest.hexdigest()


def _apart(image: Image, cores: Cores | None, told: Progress) -> str:
    found = {}
    with cores or nullcontext():
        for name, tensor in image.tensors.items():
            digest = begun(NAMES[tensor.dtype], tensor.shape)
            _hash(digest, image.data(name), told)
            found[name] = digest.hexdigest()
    return joined(found)


def _hash(digest: Any, data: memoryview, told: Progress) -> None:
    for piece in pieces(data):
        digest.update(piece)
        told(len(piece))
