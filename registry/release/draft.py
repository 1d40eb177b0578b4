"""The draft of a release: everything the records of the pipeline decide, nothing that a version or a commit does.

`dvc repro` writes it as the output of its last stage, so the bytes that get signed are an output DVC tracks.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from registry import suffixes
from registry.errors import InputError, Refused
from registry.files import directory_beside, write_atomic
from registry.manifest import walk
from registry.openness.cards import model_card
from registry.records import layout
from registry.records.evaluation import Evaluation
from registry.release import weights
from registry.release.config import ReleaseConfig

GIT_ATTRIBUTES = layout.large_files((suffixes.SAFETENSORS, suffixes.PARQUET, ".png"))


def write(root: Path, config: ReleaseConfig) -> Path:
    """Write the draft of the project at `root` to `config.output`, whole or not at all, and return its path.

    Raises Refused for weights in any form but safetensors; InputError for a record that is missing or malformed, and
    for two files that would stand at one place.
    """
    output = root / config.output
    with directory_beside(output) as draft:
        _lay_out(root, config, draft)
        write_atomic(draft / layout.GIT_ATTRIBUTES, GIT_ATTRIBUTES)
        for name in config.datasets:
            write_atomic(draft / layout.RESULTS / "validation.yaml", _results(draft, name))
        write_atomic(draft / layout.CARD, model_card.render(draft, config.about, version=None).encode())
    return output


def _lay_out(root: Path, config: ReleaseConfig, draft: Path) -> None:
    """Copy the model to the root of the draft, the records below provenance/, the licence beside the model."""
    model = root / config.model
    files = [path for path, _ in walk(model)]
    told = {row.path for row in config.declared}
    if not [path for path in files if weights.check(model / path, declared=path in told)]:
        raise Refused(f"{config.model} holds no safetensors", mend="run `dvc repro` first")
    places = {path: model / path for path in files}
    for source in config.provenance:
        place = f"{layout.PROVENANCE}/{Path(source).name}"
        if place in places:
            raise InputError(f"two records would stand at {place}", mend="give them different names in params.yaml")
        places[place] = root / source
    places[layout.LICENSE] = root / layout.LICENSE
    for place, source_path in places.items():
        _copy(source_path, draft / place)


def _results(draft: Path, data_set: str) -> bytes:
    """The figure of the release's own evaluation, as the Hub shows it beside the data set that it was measured on."""
    evaluation = Evaluation.read(draft / layout.EVALUATION)
    documents = evaluation.validation.documents
    return (
        f"- dataset:\n    id: {data_set}\n    task_id: bits-per-byte\n"
        f"  value: {evaluation.metrics.bits_per_byte!r}\n"
        f"  notes: bits per byte on {documents} validation documents; {layout.EVALUATION} has the rest\n"
    ).encode()


def _copy(source: Path, target: Path) -> None:
    if source.is_symlink() or not source.is_file():
        raise InputError(f"{source} is missing, or is not a plain file", mend="run `dvc repro` first")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
