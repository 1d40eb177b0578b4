"""Large files by their SHA-256: what a store of them is. Which one a server has, `stores.py` says.

Laws, of every store: a blob that is there is whole, durable, and has the digest of its name; putting the same blob
twice is harmless; half a blob is never seen under its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.digest import is_sha256
from registry.server.problems import Problem


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob of a store. size: in bytes."""

    sha256: str
    size: int


class BlobStore(Protocol):
    """Where blobs are kept. Every call may block, and may raise Problem 503 where the store does not answer."""

    def size(self, sha256: str) -> int | None:
        """Bytes of that blob, or None where it is not here."""

    def read(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, a chunk at a time. Raises Problem 404 where it is not here."""

    def put(self, source: Path, sha256: str, size: int) -> None:
        """Keep the file `source`, which has that digest and size; it may be moved away.

        Nobody puts or removes the same blob meanwhile.
        """

    def digest(self, sha256: str) -> str:
        """The SHA-256 of the blob of that name, as it is now."""

    def all(self) -> Iterator[Blob]:
        """Every blob."""

    def modified(self, sha256: str) -> float:
        """When it was put last, seconds since 1970. Raises Problem 404 where it is not here."""

    def remove(self, sha256: str) -> None:
        """Take it away; harmless where it is not here."""


def shard(sha256: str) -> str:
    """Where the blob of that digest is in its store. Raises Problem 422 for what is not a SHA-256."""
    if not is_sha256(sha256):
        raise Problem(422, "an object id is 64 lowercase hex characters")
    return f"sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def missing(sha256: str) -> Problem:
    """The problem of a blob that is not here."""
    return Problem(404, f"the object {sha256} is not here")
