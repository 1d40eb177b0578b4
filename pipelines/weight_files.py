"""The files of weights that are exported: one, or several with an index, as transformers reads them.

    checkpoint's file -> model.safetensors, or model-00001-of-00002.safetensors, ... and model.safetensors.index.json

Bytes are copied from the checkpoint's file, in its order. No tensor is loaded, so memory stays flat.

Law: together, the files have the tensors of the checkpoint's. A single one is that file, byte for byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from pipelines import tensor_files
from registry.digest import sha256_file
from registry.errors import InputError
from registry.records.run import files_digest
from registry.suffixes import SAFETENSORS, SAFETENSORS_INDEX
from registry.tensors import Tensor, read_header

MAX_FILES = 99_999
"""As many as five digits tell apart."""
PIECE = 1 << 20


def export(source: Path, folder: Path, name: str, most: int) -> None:
    """Write the weights in the file `source` into `folder`.

    name: what a single file is called.  most: bytes of tensors in a file, but for a tensor that alone has more. Raises
    InputError for more than MAX_FILES.
    """
    parts = parted(read_header(source), most)
    if len(parts) == 1:
        shutil.copyfile(source, folder / name)
        return
    if len(parts) > MAX_FILES:
        raise InputError(
            f"{most} bytes a file make {len(parts)} files, more than {MAX_FILES}", mend="raise export.shard_bytes"
        )
    stem = name.removesuffix(SAFETENSORS)
    places: dict[str, str] = {}
    with source.open("rb") as stream:
        for number, part in enumerate(parts, 1):
            path = folder / f"{stem}-{number:05d}-of-{len(parts):05d}{SAFETENSORS}"
            _copy(stream, part, path)
            places |= {tensor.name: path.name for tensor in part}
    total = sum(tensor.end - tensor.start for part in parts for tensor in part)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / f"{stem}{SAFETENSORS_INDEX}").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", "utf-8")


def parted(tensors: Sequence[Tensor], most: int) -> list[list[Tensor]]:
    """`tensors` in their order, in parts of no more than `most` bytes, but for a tensor that alone has more.

    A tensor without elements never begins a part of its own, so no part is without bytes where another has some.
    """
    parts: list[list[Tensor]] = [[]]
    for tensor in tensors:
        begun = parts[-1][0].start if parts[-1] else tensor.start
        if tensor.end - begun > most and begun < tensor.start < tensor.end:
            parts.append([])
        parts[-1].append(tensor)
    return parts


def found(folder: Path, name: str) -> list[Path]:
    """The files of weights that were exported to `folder`, of which a single one is called `name`."""
    stem = name.removesuffix(SAFETENSORS)
    return [folder / name] if (folder / name).is_file() else sorted(folder.glob(f"{stem}-*-of-*{SAFETENSORS}"))


def digest(folder: Path, name: str) -> str:
    """How records name those weights: by the digest of the file, or of the directory of several."""
    return files_digest({path.name: sha256_file(path) for path in found(folder, name)})


def _copy(source: BinaryIO, part: Sequence[Tensor], path: Path) -> None:
    """Write a file with the tensors of `part`, which lie one after the other in `source`."""
    header, _ = tensor_files.layout({tensor.name: (tensor_files.TYPES[tensor.dtype], tensor.shape) for tensor in part})
    source.seek(part[0].start)
    left = part[-1].end - part[0].start
    with path.open("xb") as file:
        file.write(header)
        while piece := source.read(min(left, PIECE)):
            left -= file.write(piece)
