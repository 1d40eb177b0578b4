"""What is published beside a model: the data it was trained on, the weights in another form.

Each is laid out beside the prepared release, and the signed record names it by a digest over all of its files. It is
announced by that record alone: there is no release, and so no companion of one, before the release's own tag.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from registry import canonical
from registry.digest import Progress, sha256_bytes, sha256_file
from registry.errors import DigestMismatch, InputError, Refused
from registry.files import directory_beside, write_atomic
from registry.hub import metadata
from registry.hub.reference import DATASETS
from registry.manifest import Entry, Manifest, walk
from registry.openness import data_set
from registry.openness.data_set import DataSet
from registry.records import data_manifest
from registry.records import release as layout
from registry.records.release import ReleaseRecord
from registry.release import weights
from registry.release.config import DataCompanion, FolderCompanion, ReleaseConfig

CROISSANT = "croissant.json"


@dataclass(frozen=True)
class Companion:
    """What will stand in one repository. files: {path there: a file of this machine, or its bytes}."""

    repo: str
    files: Mapping[str, Path | bytes]

    @cached_property
    def manifest(self) -> Manifest:
        """Its files, hashed."""
        return Manifest(tuple(_entry(path, source) for path, source in self.files.items()))

    @property
    def record(self) -> layout.Companion:
        """What the release says of it."""
        found = self.manifest
        return layout.Companion(repo=self.repo, content=found.sha256, files=len(found.entries), size=found.size)

    def write(self, folder: Path) -> None:
        """Lay it out at `folder`, whole or not at all."""
        with directory_beside(folder) as beside:
            for path, source in self.files.items():
                if isinstance(source, bytes):
                    write_atomic(beside / path, source)
                else:
                    (beside / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, beside / path)
            metadata.check(beside)


def place(release: Path, repo: str) -> Path:
    """Where the companion in `repo` of the release in the folder `release` is laid out."""
    return release.with_name(f"companions-{release.name}") / repo.replace("/", "--")


def planned(root: Path, config: ReleaseConfig, version: str, published: str) -> tuple[Companion, ...]:
    """The companions that params.yaml asks for. published: RFC 3339, UTC. Changes nothing.

    Raises InputError for a folder that is not there, or a card that does not say what it belongs to; Refused for
    weights in any form that can run code.
    """
    return tuple(
        _data(root, config, companion, version, published)
        if isinstance(companion, DataCompanion)
        else _folder(root, config, companion)
        for companion in config.companions
    )


def laid_out(release: Path, record: ReleaseRecord, progress: Progress | None) -> Iterator[tuple[str, Path, Manifest]]:
    """(repository, folder, its files) of each companion that the record names.

    Raises InputError for one that is not there, DigestMismatch for other bytes than the record says.
    """
    for companion in record.companions:
        folder = place(release, companion.repo)
        if not folder.is_dir():
            raise InputError(
                f"{companion.repo} belongs to the release, and is not at {folder}",
                mend="keep the folder beside the release's, or prepare and sign the release anew",
            )
        manifest = Manifest.of_directory(folder, progress)
        if manifest.sha256 != companion.content:
            raise DigestMismatch(str(folder), signed=companion.content, found=manifest.sha256)
        yield companion.repo, folder, manifest


def _data(root: Path, config: ReleaseConfig, asked: DataCompanion, version: str, published: str) -> Companion:
    """The texts and their manifest, with a card and Croissant made from them."""
    records = root / config.output / layout.PROVENANCE
    files: dict[str, Path | bytes] = {
        "documents.parquet": root / asked.documents,
        data_manifest.ROWS: records / data_manifest.ROWS,
        data_manifest.SUMMARY: records / data_manifest.SUMMARY,
    }
    for path, source in files.items():
        if isinstance(source, Path) and (source.is_symlink() or not source.is_file()):
            raise InputError(f"{source} is missing or no plain file", mend=f"{path} is needed: run `dvc repro` first")
    summary = data_manifest.read_summary(records / data_manifest.SUMMARY)
    data = DataSet(
        name=asked.repo.removeprefix(DATASETS),
        about=config.about,
        version=version,
        published=published,
        summary=summary,
        files=tuple(_entry(path, source) for path, source in files.items()),
    )
    licences = sorted(summary.licenses)
    licence = metadata.licence(licences[0]) if len(licences) == 1 else _MIXED
    made = {
        layout.CARD: data_set.card(data, licence).encode(),
        CROISSANT: canonical.dumps(data_set.croissant(data)),
    }
    return Companion(asked.repo, files | made)


_MIXED = {"license": "other", "license_name": "each-its-own", "license_link": data_manifest.ROWS}


def _folder(root: Path, config: ReleaseConfig, asked: FolderCompanion) -> Companion:
    """A folder as it is; a model's card has to say which model it was made from."""
    folder = root / asked.folder
    paths = [path for path, _ in walk(folder)]
    for path in paths:
        weights.check(folder / path)
    if layout.CARD not in paths:
        raise InputError(f"{asked.folder} has no {layout.CARD}", mend=f"write one, with `base_model: {config.repo}`")
    card = metadata.check_card((folder / layout.CARD).read_bytes())
    base = [card.base_model] if isinstance(card.base_model, str) else card.base_model or []
    if not asked.repo.startswith(DATASETS) and config.repo not in base:
        raise Refused(
            f"the card in {asked.folder} does not name {config.repo} as what it was made from",
            mend=f"write `base_model: {config.repo}` into it, and for GGUF `base_model_relation: quantized`",
        )
    return Companion(asked.repo, {path: folder / path for path in paths})


def _entry(path: str, source: Path | bytes) -> Entry:
    if isinstance(source, bytes):
        return Entry(path, len(source), sha256_bytes(source))
    return Entry(path, source.stat().st_size, sha256_file(source))
