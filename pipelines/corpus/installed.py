"""Source files of an installed package, each checked against the digest that its wheel declares.

The package is never imported: its RECORD and metadata are read as text.
Source: Recording installed projects (PyPA), the RECORD file: path, `sha256=` and URL-safe base64 without padding, size.
"""

from __future__ import annotations

import base64
import binascii
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NoReturn

from pipelines.corpus import licences
from pipelines.corpus.documents import Document, read
from pipelines.corpus.globs import selects
from pipelines.params import Installed
from registry.errors import InputError
from registry.records.data_manifest import DataSource


@dataclass(frozen=True, slots=True)
class InstalledReader:
    """Reads what `wanted` names from the package found as `found`."""

    wanted: Installed
    """What params.yaml asks for."""
    found: Distribution
    """The package that is installed."""

    @classmethod
    def open(cls, wanted: Installed) -> InstalledReader:
        """Find the package. Raises InputError where it is not installed, or in another version."""
        try:
            found = distribution(wanted.package)
        except PackageNotFoundError:
            _refuse(wanted, f"{wanted.package} is not installed")
        if found.version != wanted.version:
            _refuse(wanted, f"{wanted.package} is installed as {found.version}, params.yaml names {wanted.version}")
        return cls(wanted, found)

    @property
    def source(self) -> DataSource:
        """How the manifest describes it."""
        return DataSource(id=self.wanted.id, kind="installed", license=licences.of_package(self.found.metadata),
                          status=self.wanted.status)  # fmt: skip

    def documents(self, max_bytes: int) -> Iterator[Document]:
        """The files, by path. Raises InputError for one that is not what RECORD declares, and where there are none."""
        takes = selects(self.wanted.include, self.wanted.exclude)
        recorded = {path: declared for path, declared in _record(self.found) if takes(path)}
        if not recorded:
            _refuse(self.wanted, f"no file of {self.wanted.package} has a path that params.yaml includes")
        root, package_licence = Path(str(self.found.locate_file(""))), licences.of_package(self.found.metadata)
        for path, declared in sorted(recorded.items()):
            document = read(root, path, package_licence, max_bytes, "declared")
            if document.sha256 != declared:
                _refuse(self.wanted, f"{path} is sha256:{document.sha256}, its wheel declares {declared}")
            yield document


def _record(package: Distribution) -> Iterator[tuple[str, str | None]]:
    """(path, SHA-256 as hex or None) of each row of RECORD.

    Not by `package.files`: from Python 3.12 on that leaves out files that are missing, and a missing file is an error.
    """
    for row in csv.reader((package.read_text("RECORD") or "").splitlines()):
        if len(row) == 3:
            yield row[0], _declared(row[1])


def _declared(recorded: str) -> str | None:
    """The hex form of `sha256=` and URL-safe base64; None for anything else."""
    mode, _, value = recorded.partition("=")
    if mode != "sha256":
        return None
    try:
        return base64.b64decode(value + "=", altchars=b"-_", validate=True).hex()
    except (binascii.Error, ValueError):
        return None


def _refuse(wanted: Installed, found: str) -> NoReturn:
    raise InputError(
        found, mend=f"pip install --force-reinstall --no-deps '{wanted.package}=={wanted.version}', or edit params.yaml"
    )
