"""Files of this project, under one licence that params.yaml states."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.corpus import licences
from pipelines.corpus.documents import Document, read
from pipelines.corpus.globs import selects
from pipelines.params import Files
from registry import suffixes
from registry.errors import InputError
from registry.records.data_manifest import DataSource
from registry.records.data_row import NO_LICENCE

TABLES = (".jsonl", ".csv", suffixes.PARQUET)
"""How the names of files end whose rows are documents: they are read as a source of kind `rows`."""


@dataclass(frozen=True, slots=True)
class ProjectReader:
    """Reads what `wanted` names below `root`."""

    wanted: Files
    """What params.yaml asks for."""
    root: Path
    """The project's root."""

    @property
    def source(self) -> DataSource:
        """How the manifest describes it. Raises InputError for a licence that SPDX does not know."""
        stated = licences.required(self.wanted.license, f"the licence of {self.wanted.id}")
        return DataSource(id=self.wanted.id, kind="files", license=stated, url=self.wanted.url,
                          status=self.wanted.status)  # fmt: skip

    def documents(self, max_bytes: int) -> Iterator[Document]:
        """The files, by path. Folders that are links are not entered; a file that is one is an InputError."""
        stated = self.source.license or NO_LICENCE
        for path in selected(self.root, self.wanted.include, self.wanted.exclude, self.wanted.id):
            if path.endswith(TABLES):
                raise InputError(
                    f"{path} is a table: its rows would be one document",
                    mend="name it in a source of kind rows, or exclude it here",
                )
            yield read(self.root, path, stated, max_bytes)


def selected(root: Path, include: Iterable[str], exclude: Iterable[str], source: str) -> list[str]:
    """The paths below `root` that the globs take, sorted. Raises InputError, which names `source`, for none at all."""
    takes = selects(include, exclude)
    if not (paths := sorted(path for path in _walk(root) if takes(path))):
        raise InputError(
            f"{source}: no file below the project's root has a path that params.yaml includes",
            mend="compare corpus.sources.include in params.yaml with the files there are",
        )
    return paths


def _walk(root: Path) -> Iterator[str]:
    """The paths of all files below `root`, less what starts with a dot."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(folder).relative_to(root)
        yield from ((inside / name).as_posix() for name in names if not name.startswith("."))
