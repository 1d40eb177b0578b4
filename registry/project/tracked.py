"""Data that .dvc files name: `dvc add`, `dvc import`, `dvc import-url`.

A .dvc file of the commit names an MD5; the record of a stage names the SHA-256 of what the stage read. That both are of
the same bytes is measured here, when a release is made, and said in the stage's statement: so the commit binds the
data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from registry.project import dvc_index, dvc_lock
from registry.project.committed import Committed
from registry.project.dvc_index import TrackedInput
from registry.project.measure import files
from registry.records.run import TrackedBy, touches


class Tracked:
    """What the .dvc files of a project name, read when it is asked for."""

    def __init__(self, root: Path, held: Committed) -> None:
        """root: the project's.  held: the files of its commit."""
        self._root, self._held = root, held
        self._same: dict[str, bool] = {}

    @cached_property
    def _every(self) -> tuple[TrackedInput, ...]:
        if not any(path.endswith(".dvc") for path in self._held):
            return ()
        return dvc_index.read(self._root).tracked

    def touching(self, path: str) -> Iterator[TrackedBy]:
        """What has to do with `path`, of what a .dvc file of the commit names and the disk has as it names it."""
        for item in self._every:
            if touches(item.path, path) and self._held.holds_file(item.file) and self._is_as_named(item):
                url, revision = item.url, item.revision
                yield TrackedBy(path=item.path, file=item.file, md5=item.md5, url=url, revision=revision)

    def _is_as_named(self, item: TrackedInput) -> bool:
        if item.path not in self._same:
            place = self._root / item.path
            names = files(self._root, item.path, bytecode=True) if place.exists() else []
            artifact = dvc_lock.Artifact(item.path, item.md5, 0)
            self._same[item.path] = place.exists() and dvc_lock.has(artifact, place, names)
        return self._same[item.path]
