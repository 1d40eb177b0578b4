"""The model card, rendered from the records of a release: figures are read, never typed.

Law: the same records and texts give the same bytes.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from registry import canonical, strict_yaml, suffixes, tensors
from registry.digest import sha256_file
from registry.errors import InputError
from registry.manifest import walk
from registry.records import data_manifest, layout
from registry.records.checkpoint_chain import Chain
from registry.records.evaluation import Evaluation
from registry.records.release_record import ReleaseRecord
from registry.records.tokens import Tokens

TEMPLATE = "model_card.md.j2"
PARAMS_SHOWN = ("seed", "corpus", "tokenizer", "encode", "model", "train", "evaluate")
MAX_CELL = 300


@dataclass(frozen=True, slots=True)
class About:
    """What only a person can say of a model."""

    repo: str
    """`namespace/name` on the Hub."""
    title: str
    """What people call the model."""
    license: str
    """SPDX expression for the weights."""
    languages: tuple[str, ...]
    """ISO 639 codes, or `code`."""
    model: str
    """The exported directory, relative to the project."""
    intended_use: str
    """What the model is for, as Markdown."""
    limits: str
    """What the model cannot do, as Markdown."""
    licence: Mapping[str, str]
    """The fields by which the Hub knows the licence."""
    datasets: tuple[str, ...] = ()
    """The model's data sets, as the Hub calls them; those that are sources of the corpus need not be named."""
    base_model: tuple[str, ...] = ()
    """The models that it was made from, as the Hub calls them."""


def render(folder: Path, about: About, version: str | None) -> str:
    """The card of the release, or draft, in `folder`; `version` is None for a draft.

    Raises InputError where a record the card needs is missing or malformed.
    """
    record = folder / layout.RECORD
    data = data_manifest.read_summary(folder / layout.DATA_SUMMARY)
    template = environment().get_template(TEMPLATE)
    return template.render(
        about=about,
        version=version,
        record=ReleaseRecord.read(record) if record.is_file() else None,
        model=_model(folder),
        data=data,
        datasets=list(dict.fromkeys((*about.datasets, *_sources(data)))),
        tokens=Tokens.read(folder / layout.TOKENS),
        chain=Chain.read(folder / layout.CHECKPOINTS),
        evaluation=Evaluation.read(folder / layout.EVALUATION),
        params=dict(_flat(_params(folder))),
    )


def _sources(data: data_manifest.Summary) -> list[str]:
    """The data sets of the Hub among the sources, by name: `hf://datasets/NAME@COMMIT` is `NAME`."""
    ids = [source.id for source in data.sources if source.kind == "huggingface"]
    return [name.removeprefix("hf://datasets/").partition("@")[0] for name in ids]


def environment() -> Environment:
    """What templates of cards are rendered in."""
    made = Environment(
        loader=PackageLoader("registry.openness.cards"),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown: `cell`, `line` and `fenced` escape what they must
        keep_trailing_newline=True,
    )
    made.filters |= {"bytes": _bytes, "cell": _cell, "line": _line, "fenced": _fenced, "quote": shlex.quote}
    return made


def _model(folder: Path) -> Mapping[str, Any]:
    """Architecture, number of parameters, and the files of weights with their digests."""
    config = canonical.read(folder / "config.json", max_bytes=1 << 20)
    architectures = config.get("architectures") if isinstance(config, dict) else None
    files = [path for path, _ in walk(folder) if path.endswith(suffixes.SAFETENSORS)]
    return {
        "architecture": _cell(str(architectures[0]))
        if isinstance(architectures, list) and architectures
        else "unknown",
        "parameters": sum(tensors.parameters(folder / path) for path in files),
        "weights": [{"path": path, "sha256": sha256_file(folder / path)} for path in files],
    }


def _params(folder: Path) -> dict[str, Any]:
    document = strict_yaml.read(folder / layout.PARAMS)
    if not isinstance(document, dict):
        raise InputError(f"{layout.PARAMS} is not a map", mend="mend params.yaml")
    return {name: document[name] for name in PARAMS_SHOWN if name in document}


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(`a.b`, value) for every leaf; a list is one leaf, of objects only their number is told."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield prefix, f"{len(value)} (see params.yaml)"
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _bytes(count: int) -> str:
    """`count` bytes in the unit that reads best (powers of 1000)."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _line(text: str) -> str:
    """`text` on one line, without what would end a code span."""
    return " ".join(text.split()).replace("`", "'")[:MAX_CELL]


def _cell(text: str) -> str:
    """`text` as it can stand in a table: on one line, neither a bar nor HTML."""
    return _line(text).replace("|", "\\|").replace("<", "&lt;")


def _fenced(text: str) -> str:
    """`text` as it can stand in a fenced block: no fence of its own."""
    return text.replace("```", "'''").strip("\n")
