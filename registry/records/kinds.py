"""The kinds of model: what tells each by what lies there, and which of its files hold weights.

    a directory, or one file -> ModelFolder -> recognised -> Kind

A kind is what a model is loaded as. It decides what the card says of loading (registry.release.kinds), never whether a
file is safe: that is told by its bytes (registry.formats.known), whatever the kind.

Laws: `recognised` answers for every folder that holds weights; `weights_in` names each file from which a loader takes
weights, those beside an ONNX model too, by what the files hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from registry import canonical, suffixes, tensors
from registry.errors import InputError
from registry.formats.known import Identity, Safety, identify
from registry.manifest import walk

MAX_SETTINGS = 1 << 20
"""Bytes of a file of settings, such as config.json."""
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "spiece.model")
"""The files that a tokenizer is loaded from."""

TEKKEN = "tekken.json"
"""The tokenizer that loaders of Mistral's models take before any of TOKENIZERS, where mistral-common is installed."""

CONFIG = "config.json"
MODULES = "modules.json"
PIPELINE = "model_index.json"
ADAPTER = "adapter_config.json"

SAFE = (suffixes.SAFETENSORS,)


@dataclass(frozen=True)
class ModelFolder:
    """The files of a model, looked at and not loaded."""

    root: Path
    """Where they lie."""
    paths: tuple[str, ...]
    """Each of them, from there."""

    @classmethod
    def at(cls, root: Path) -> ModelFolder:
        """The directory `root` with all its files. Raises as `registry.manifest.walk` does."""
        return cls(root, tuple(path for path, _ in walk(root)))

    @cached_property
    def weights(self) -> frozenset[str]:
        """Those that hold weights. Raises InputError where a file cannot be read."""
        return weights_in(self.root, self.paths)

    def settings(self, path: str) -> Any:
        """The JSON value of a file of settings; None where it is not there. Raises Malformed for other bytes."""
        return canonical.read(self.root / path, max_bytes=MAX_SETTINGS) if path in self.paths else None

    def setting(self, path: str, key: str) -> Any:
        """One value at the top of such a file; None where it has none."""
        found = self.settings(path)
        return found.get(key) if isinstance(found, dict) else None

    @property
    def architecture(self) -> str:
        """The first architecture that config.json names, or the class of a pipeline; "" where none is named."""
        match self.setting(CONFIG, "architectures"), self.setting(PIPELINE, "_class_name"):
            case ([str(name), *_], _) | (_, str(name)):
                return name
        return ""

    def are(self, *endings: str) -> bool:
        """Whether there are weights, each called by one of `endings`; files beside an ONNX model are passed over."""
        inner = {there for path in self.weights for there, _ in external(path, identify(self.root / path))}
        named = self.weights - inner
        return bool(named) and all(path.lower().endswith(endings) for path in named)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of model."""

    name: str
    """What `release.kind` calls it."""
    title: str
    """What a reader calls it."""
    told_by: str
    """What tells it, in words."""
    endings: tuple[str, ...]
    """How the names of its weights end."""
    fits: Callable[[ModelFolder], bool]
    """Whether a folder is of it, where it is of none that stands before it in KINDS."""


def _is_adapter(model: ModelFolder) -> bool:
    return model.setting(ADAPTER, "peft_type") is not None


def _is_sentences(model: ModelFolder) -> bool:
    rows = model.settings(MODULES)
    kinds = [row.get("type") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return any(isinstance(kind, str) and kind.startswith("sentence_transformers.") for kind in kinds)


def _is_pipeline(model: ModelFolder) -> bool:
    return model.setting(PIPELINE, "_class_name") is not None


def _is_transformers(model: ModelFolder) -> bool:
    return model.setting(CONFIG, "model_type") is not None or bool(model.architecture)


def _is_language_model(model: ModelFolder) -> bool:
    return model.architecture.endswith(("ForCausalLM", "LMHeadModel"))


def _is_flax(model: ModelFolder) -> bool:
    """Whether tensors are called as Flax calls them: it has kernels where PyTorch has weights."""
    if not model.are(suffixes.SAFETENSORS):
        return False
    names = [tensor.name for path in model.weights for tensor in tensors.read_header(model.root / path)]
    last = {name.replace("/", ".").rpartition(".")[2] for name in names}
    return "kernel" in last and "weight" not in last


def _is_torch(model: ModelFolder) -> bool:
    """Whether each file says that PyTorch wrote it, as transformers and others let it say."""
    return model.are(*SAFE) and all(tensors.metadata(model.root / path).get("format") == "pt" for path in model.weights)


KINDS: tuple[Kind, ...] = (
    Kind("peft", "PEFT adapter", "adapter_config.json with a `peft_type`", SAFE, _is_adapter),
    Kind(
        "sentence-transformers", "sentence-transformers model", "modules.json with modules of sentence_transformers",
        (*SAFE, ".onnx"), _is_sentences,
    ),
    Kind("diffusers", "diffusers pipeline", "model_index.json with a `_class_name`", SAFE, _is_pipeline),
    Kind("gguf", "GGUF", "all weights are .gguf", (suffixes.GGUF,), lambda model: model.are(suffixes.GGUF)),
    Kind("onnx", "ONNX", "all weights are .onnx, or stand beside one", (".onnx",), lambda model: model.are(".onnx")),
    Kind("sklearn", "scikit-learn, as skops", "all weights are .skops", (".skops",), lambda model: model.are(".skops")),
    Kind(
        "language-model", "language model of transformers",
        "config.json whose architecture ends in ForCausalLM or LMHeadModel", SAFE, _is_language_model,
    ),
    Kind(
        "transformers", "model of transformers",
        "config.json with a `model_type` or `architectures`: vision, speech, encoders", SAFE, _is_transformers,
    ),
    Kind("jax", "JAX or Flax, as safetensors", "tensors called `kernel`, none called `weight`", SAFE, _is_flax),
    Kind("pytorch", "PyTorch, as safetensors", "`format: pt` in the metadata of all .safetensors", SAFE, _is_torch),
    Kind("safetensors", "safetensors", "all weights are .safetensors", SAFE, lambda model: model.are(*SAFE)),
    Kind("other", "any other", "weights in a format that is known not to run code", ("",), lambda model: True),
)  # fmt: skip
"""Each kind; the first that fits a folder is its kind."""
NAMES = tuple(kind.name for kind in KINDS)


def recognised(model: ModelFolder) -> Kind:
    """The kind of the files of `model`, by what they are. Raises as `ModelFolder` does."""
    return next(kind for kind in KINDS if kind.fits(model))


def named(name: str) -> Kind:
    """The kind that is called `name`. Raises InputError where none is."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise InputError(f"there is no kind {name[:80]!r} of model", mend=f"one of: {', '.join(NAMES)}")


def weights_in(root: Path, paths: Iterable[str]) -> frozenset[str]:
    """Those of `paths`, below `root`, from which a loader takes weights: by what they hold, whatever they are called.

    Files that an ONNX model takes tensors from are among them. Raises InputError where one cannot be read.
    """
    found = {path: identify(root / path) for path in paths}
    own = {path for path, what in found.items() if what.weights}
    return frozenset(own | {there for path in own for there, _ in external(path, found[path]) if there in found})


def external(path: str, found: Identity) -> Iterator[tuple[str | None, str]]:
    """(path in the release, name as it is told) of each file that a model takes tensors from; None: it lies outside.

    path: the model's own.  found: what its bytes say that it is.
    """
    folder = path.rpartition("/")[0]
    for name in found.external if found.trust is Safety.KNOWN else ():
        parts = name.replace("\\", "/").split("/")
        inside = all(part not in ("", "..") for part in parts)
        yield ("/".join([*filter(None, (folder,)), *(part for part in parts if part != ".")]) if inside else None), name
