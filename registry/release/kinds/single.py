"""Kinds whose weights are files of one format, with no library's own files beside them; and files in parts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from registry.records.kinds import ModelFolder
from registry.release.kinds.label import KindLabel
from registry.suffixes import SAFETENSORS_INDEX

_NUMBERED = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?P<end>\.[A-Za-z.]+)")
MAX_PARTS = 10_000


def nothing_amiss(model: ModelFolder) -> Iterator[str]:
    """What must hold of such files is told by their bytes alone."""
    return iter(())


def parts_amiss(model: ModelFolder) -> Iterator[str]:
    """Each part that the numbers in the names of the others promise, and that is not there."""
    wanted: set[str] = set()
    for path in model.weights:
        if (found := _NUMBERED.fullmatch(path)) and 0 < int(found["count"]) <= MAX_PARTS:
            names = range(1, int(found["count"]) + 1)
            wanted |= {f"{found['stem']}-{number:05d}-of-{found['count']}{found['end']}" for number in names}
    if missing := sorted(wanted - model.weights):
        yield f"{', '.join(missing[:3])} is not there"


def shards_amiss(model: ModelFolder) -> Iterator[str]:
    """Each file of safetensors that an index names and that is not there, and each shard that no index names."""
    for path in model.paths:
        if not path.endswith(SAFETENSORS_INDEX):
            continue
        folder = path.rpartition("/")[0]
        rows = model.setting(path, "weight_map")
        if not isinstance(rows, dict) or not all(isinstance(name, str) for name in rows.values()):
            yield f"{path} has no weight_map of tensors and files"
            continue
        named = {"/".join(filter(None, (folder, name))) for name in rows.values()}
        stem = path.removesuffix(SAFETENSORS_INDEX)
        beside = {other for other in model.weights if (f := _NUMBERED.fullmatch(other)) and f["stem"] == stem}
        if missing := sorted(named - model.weights):
            yield f"{path} names {', '.join(missing[:3])}, which is not there"
        if extra := sorted(beside - named):
            yield f"{path} does not name {', '.join(extra[:3])}"


def gguf(model: ModelFolder) -> KindLabel:
    """llama.cpp and its kin."""
    return KindLabel("gguf")


def onnx(model: ModelFolder) -> KindLabel:
    """Any runtime of ONNX."""
    return KindLabel("onnx")


def sklearn(model: ModelFolder) -> KindLabel:
    """scikit-learn, by skops."""
    return KindLabel("sklearn")


def jax(model: ModelFolder) -> KindLabel:
    """The project's own code, by safetensors.flax."""
    return KindLabel("jax")


def pytorch(model: ModelFolder) -> KindLabel:
    """The project's own code, by safetensors.torch."""
    return KindLabel("pytorch")


def other(model: ModelFolder) -> KindLabel:
    """Nobody says how it is loaded."""
    return KindLabel()
