"""The model card, rendered from the records of a release: figures are read, never typed.

A record that is not there has no section, and is named among what is not recorded.

Law: the same records and texts give the same bytes.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from registry import suffixes, tensors
from registry.digest import sha256_file
from registry.openness import energy, markdown, settings
from registry.openness.cards import figures
from registry.openness.told import NamedSigner
from registry.records import data_manifest, layout
from registry.records.checkpoint_chain import Chain
from registry.records.evaluation import Evaluation
from registry.records.harness import HarnessEvaluation
from registry.records.kinds import ModelFolder
from registry.records.release_record import ReleaseRecord
from registry.records.run import Stages, TrackedBy
from registry.records.tokens import Tokens

Found = TypeVar("Found")

TEMPLATE = "model_card.md.j2"
OPEN = ("fully-open", "reproducible")
"""Tags of a model whose data and training are recorded."""
DOCUMENTS = {
    layout.BOM: "bill of materials, CycloneDX",
    layout.SPDX: "bill of materials, SPDX",
    layout.CROISSANT: "the data, Croissant",
    layout.TRAINING_PAGE: "summary of the training content, by the template of the EU",
}
"""Documents in formats of others, each in words."""
UNFILLED = "[More Information Needed]"
"""What the Hub's template of a card, which libraries write, has where nobody has written anything yet."""


@dataclass(frozen=True, slots=True)
class About:
    """What only a person can say of a model, and what its files say of its kind."""

    repo: str
    """`namespace/name` on the Hub."""
    title: str
    """What people call the model."""
    license: str
    """SPDX expression for the weights."""
    languages: tuple[str, ...]
    """ISO 639 codes, or `code`."""
    model: str
    """The exported directory, or file, relative to the project."""
    intended_use: str | None
    """What the model is for, as Markdown; None where nobody says."""
    limits: str | None
    """What the model cannot do, as Markdown; None where nobody says."""
    licence: Mapping[str, str]
    """The fields by which the Hub knows the licence."""
    datasets: tuple[str, ...] = ()
    """The model's data sets, as the Hub calls them; those that are sources of the corpus need not be named."""
    base_model: tuple[str, ...] = ()
    """The models that it was made from, as the Hub calls them."""
    base_model_relation: str | None = None
    """How it was made from them, as the Hub calls it."""
    base_places: tuple[str, ...] = ()
    """What its files name as its base, where that is a place on the maintainer's disk alone."""
    kind: str | None = None
    """What kind of model it is, in words."""
    library_name: str | None = None
    """What loads it, as the Hub calls it."""
    pipeline_tag: str | None = None
    """What it does, as the Hub calls it."""
    body: str | None = None
    """The text of the project's own card; None where it has none."""
    signer: NamedSigner | None = None
    """Who signs the releases; None where nobody says."""


def render(folder: Path, about: About, version: str | None) -> str:
    """The card of the release, or draft, in `folder`; `version` is None for a draft.

    Raises InputError where a record in it is malformed.
    """
    return front(fields(folder, about)) + text(folder, about, version)


def front(metadata: Mapping[str, Any]) -> str:
    """The metadata block that a card begins with."""
    return f"---\n{yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=1000)}---\n"


def fields(folder: Path, about: About) -> dict[str, Any]:
    """The metadata of the card: what is known, and nothing else."""
    data = read_if_there(folder, layout.DATA_SUMMARY, data_manifest.read_summary)
    found: dict[str, Any] = {
        **about.licence,
        "language": list(about.languages),
        "datasets": list(dict.fromkeys((*about.datasets, *(_sources(data) if data else ())))),
        "base_model": list(about.base_model),
        "base_model_relation": about.base_model_relation,
        "library_name": about.library_name,
        "pipeline_tag": about.pipeline_tag,
        "tags": ["glasshouse", *(OPEN if data and (folder / layout.CHECKPOINTS).is_file() else ())],
    }
    return {name: value for name, value in found.items() if value}


def text(folder: Path, about: About, version: str | None) -> str:
    """What follows the metadata. Raises InputError where a record is malformed."""
    record = read_if_there(folder, layout.RECORD, ReleaseRecord.read)
    stages = read_if_there(folder, layout.STAGES, Stages.read)
    told: dict[str, Any] = {
        "data": read_if_there(folder, layout.DATA_SUMMARY, data_manifest.read_summary),
        "tokens": read_if_there(folder, layout.TOKENS, Tokens.read),
        "chain": read_if_there(folder, layout.CHECKPOINTS, Chain.read),
        "evaluation": read_if_there(folder, layout.EVALUATION, Evaluation.read),
        "harness": read_if_there(folder, layout.HARNESS, HarnessEvaluation.read),
    }
    return environment().get_template(TEMPLATE).render(
        about=about,
        version=version,
        record=record,
        model=facts(folder),
        params=settings.read(folder),
        figures=figures.read(folder),
        pictures=figures.pictures(folder),
        inputs=_inputs(stages),
        missing=list(_missing(folder, about, told, stages)),
        lock=next((path for path in map(_recorded, layout.PACKAGE_LOCKS) if (folder / path).is_file()), None),
        energy=energy.of_release(folder),
        documents={path: words for path, words in DOCUMENTS.items() if (folder / path).is_file()},
        curve=layout.CURVE if (folder / layout.CURVE).is_file() else None,
        **told,
    )  # fmt: skip


def _inputs(stages: Stages | None) -> list[TrackedBy]:
    """What .dvc files name of what the stages read, by path."""
    rows = {row.path: row for one in stages.stages for row in one.tracked} if stages else {}
    return [row for _, row in sorted(rows.items())]


def _missing(folder: Path, about: About, told: Mapping[str, Any], stages: Stages | None) -> Iterator[str]:
    """What nobody recorded, a sentence each."""
    if told["data"] is None:
        yield "Which documents it was trained on: there is no data manifest."
    if told["chain"] is None:
        yield "The checkpoints of its training: there is no chain of them."
    if told["evaluation"] is None and told["harness"] is None and not figures.read(folder):
        yield "How well it does: there is no evaluation, and no metrics."
    if not (folder / layout.ENVIRONMENT).is_file():
        yield "The machine that trained it."
    if not (folder / layout.EMISSIONS).is_file():
        yield "The energy that it took."
    if not any((folder / _recorded(name)).is_file() for name in layout.PACKAGE_LOCKS):
        yield "The packages that it was trained with: there is no lock of them."
    if not any((folder / name).is_file() for name in layout.LICENCE_FILES):
        yield "The text of its licence."
    if about.base_places:
        yield f"Which model it was made from: its files name {', '.join(about.base_places)}, a place on a disk."
    if about.body is None and about.intended_use is None:
        yield "What it is for."
    if about.body is None and about.limits is None:
        yield "What it is not for, and where it fails."
    unmeasured = [one.run.stage for one in stages.stages if one.evidence == "unrecorded"] if stages else []
    if unmeasured:
        yield f"What these stages read while they ran, for nobody measured it: {', '.join(unmeasured)}."
    if outside := sorted({row.place for one in stages.stages for row in one.outside}) if stages else []:
        places = ", ".join(f"`{markdown.cell(place)}`" for place in outside)
        yield f"The bytes of what lies outside the project: {places}."
    if about.body is not None and (gaps := about.body.count(UNFILLED)):
        yield f"What the text above leaves open: it says {UNFILLED} {gaps} times."


def _recorded(name: str) -> str:
    return f"{layout.PROVENANCE}/{name}"


def read_if_there(folder: Path, path: str, read: Callable[[Path], Found]) -> Found | None:
    """The record at `path` of the release; None where it has none."""
    return read(folder / path) if (folder / path).is_file() else None


def _sources(data: data_manifest.Summary) -> list[str]:
    """The data sets of the Hub among the sources, by name: `hf://datasets/NAME@COMMIT` is `NAME`."""
    ids = [source.id for source in data.sources if source.kind == "huggingface"]
    return [name.removeprefix("hf://datasets/").partition("@")[0] for name in ids]


@cache
def environment() -> Environment:
    """What templates of cards are rendered in. It keeps those that it compiled."""
    made = Environment(
        loader=PackageLoader("registry.openness.cards"),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown: `cell`, `line` and `fenced` escape what they must
        keep_trailing_newline=True,
    )
    made.filters |= {
        "bytes": _bytes,
        "share": _share,
        "cell": markdown.cell,
        "line": markdown.line,
        "fenced": _fenced,
        "quote": shlex.quote,
        "link": quote,
    }
    return made


def facts(folder: Path) -> dict[str, Any]:
    """What the files of the model say of themselves; None where they do not."""
    model = ModelFolder.at(folder)
    safe = [path for path in sorted(model.weights) if path.endswith(suffixes.SAFETENSORS)]
    return {
        "architecture": markdown.cell(model.architecture) or None,
        "parameters": sum(tensors.parameters(folder / path) for path in safe) if set(safe) == model.weights else None,
        "weights": [{"path": path, "sha256": sha256_file(folder / path)} for path in sorted(model.weights)],
    }


def _bytes(count: int) -> str:
    """`count` bytes in the unit that reads best (powers of 1000)."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _share(size: int, whole: int) -> str:
    """How much `size` is of `whole`, as a bar and in percent."""
    part = size / whole if whole else 0
    return f"{'█' * round(20 * part)} {100 * part:.1f} %".strip()


def _fenced(text: str) -> str:
    """`text` as it can stand in a fenced block: no fence of its own, and no control characters, which no text has."""
    plain = "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain.replace("```", "'''").strip("\n")
