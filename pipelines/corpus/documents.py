"""A document, as a source yields it, and how one is read from a file that nobody vouches for yet."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

from registry.digest import CHUNK, sha256_bytes
from registry.errors import InputError
from registry.manifest import check_path
from registry.records.data_manifest import DataSource
from registry.records.data_row import LicenceBasis


@dataclass(frozen=True, slots=True)
class Document:
    """One document."""

    path: str
    """Its name, unique within its source."""
    license: str
    """SPDX expression, or NO_LICENCE."""
    size: int
    """How many bytes it has."""
    sha256: str
    """SHA-256 of its bytes."""
    data: bytes | None
    """The bytes; None where there are more than were asked for."""
    basis: LicenceBasis = "asserted"
    """How its licence is known, where it has one."""
    origin: str | None = None
    """Where its source has it from, where that says so."""

    @classmethod
    def of_text(
        cls,
        path: str,
        license: str,  # noqa: A002
        text: str,
        basis: LicenceBasis = "asserted",
        origin: str | None = None,
    ) -> Document:
        """A document of text that did not come from a file."""
        data = text.encode("utf-8", "surrogatepass")
        return cls(path, license, len(data), sha256_bytes(data), data, basis, origin)

    def scrubbed(self, text: str) -> Document:
        """The same document, of which `text` is kept."""
        return Document.of_text(self.path, self.license, text, self.basis, self.origin)


class Reader(Protocol):
    """Something that documents come from."""

    @property
    def source(self) -> DataSource:
        """How the manifest describes it."""

    def documents(self, max_bytes: int) -> Iterator[Document]:
        """Its documents, in ascending order of path; `data` is None beyond `max_bytes`. Raises GlasshouseError."""


def read(
    root: Path,
    path: str,
    license: str,  # noqa: A002
    max_bytes: int,
    basis: LicenceBasis = "asserted",
) -> Document:
    """The document in the file at `path` below `root`, read once, in memory of about `max_bytes`.

    Raises InputError as `opened` does.
    """
    digest, size, chunks = hashlib.sha256(), 0, list[bytes]()
    with opened(root, path) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if size <= max_bytes:
                chunks.append(chunk)
    return Document(path, license, size, digest.hexdigest(), b"".join(chunks) if size <= max_bytes else None, basis)


@contextmanager
def opened(root: Path, path: str) -> Iterator[BinaryIO]:
    """The file at `path` below `root`, to be read.

    Raises InputError for a path that leaves `root`, by its spelling or by a link, for what is not a plain file, and for
    what cannot be read.
    """
    check_path(path)
    if (root / path).resolve() != root.resolve() / path:
        _refuse(path, "it leads through a link")
    try:
        descriptor = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                _refuse(path, "it is not a plain file")
            yield stream
    except OSError as problem:
        _refuse(path, str(problem.strerror))


def _refuse(path: str, found: str) -> NoReturn:
    raise InputError(f"{path} cannot be taken into the corpus: {found}", mend=f"exclude it in params.yaml: {path}")
