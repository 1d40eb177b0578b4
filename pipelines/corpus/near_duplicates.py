"""Documents that are nearly alike: signatures by MinHash, neighbours by LSH. The one door to datasketch.

Two documents are compared where their signatures have a band in common, which is some numbers that follow one another.
How the bands are cut, datasketch computes.

Law: which documents stay depends on their texts and their order alone.
Source: Broder, On the resemblance and containment of documents (1997).
"""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.corpus.evaluation_sets import runs, words_of
from pipelines.corpus.met import Database
from pipelines.params import NearDuplicates
from registry.later import Later, put_off

Signature = NDArray[np.uint32]
SCHEME = "affine32"
"""How datasketch permutes: said here, so that no later default of its own changes a signature."""
SEED = 1
SHA1_WORDS = 5
"""Numbers of four bytes in a SHA-1; the first is what a run is known by."""
INTEGRALS = Later("scipy.integrate", called=("quad",))
"""What datasketch cuts bands with. To load it takes half a second, and who only makes signatures has no need of it."""

PARTS = 1 << 12
"""Runs of words that are permuted at once: their products fit a processor's cache."""
TABLES = (
    "stayed (number INTEGER PRIMARY KEY, digest BLOB, signature BLOB)",
    "bands (band INTEGER, number INTEGER, PRIMARY KEY (band, number)) WITHOUT ROWID",
)
STAYED = "SELECT digest, signature FROM stayed WHERE number = ?"


def signature(text: str, wanted: NearDuplicates) -> Signature | None:
    """The signature of a text; None where it has no word."""
    words = words_of(text)
    if not words:
        return None
    parts = set(runs(words, min(wanted.words, len(words))))
    hashes = np.frombuffer(b"".join([sha1(part.encode()).digest() for part in parts]), "<u4")[::SHA1_WORDS]
    sketch = _blank(wanted.permutations).copy()
    for start in range(0, len(hashes), PARTS):
        sketch.update_batch(hashes[start : start + PARTS].tolist())
    found: Signature = np.asarray(sketch.hashvalues).astype(np.uint32)
    return found


class Neighbours:
    """The documents that stayed, by their signatures. They lie on the disk."""

    def __init__(self, wanted: NearDuplicates) -> None:
        self._threshold = wanted.threshold
        self._ranges = _library().MinHashLSH(threshold=wanted.threshold, num_perm=wanted.permutations).hashranges
        self._database, self._count = Database(*TABLES), 0
        self._near = f"SELECT number FROM bands WHERE band IN ({', '.join('?' * len(self._ranges))})"

    def of(self, found: Signature) -> str | None:
        """SHA-256 of the first document that stayed and is nearly alike; None for none."""
        for number in sorted(set(self._database.ask(self._near, *self._keys(found)))):
            ((digest, signature),) = self._database.ask(
                "SELECT digest, signature FROM stayed WHERE number = ?", *number
            )
            alike = np.frombuffer(signature, "<u4") == found
            has_band = any(alike[start:end].all() for start, end in self._ranges)  # not one key by chance
            if has_band and float(np.mean(alike)) >= self._threshold:
                return bytes(digest).hex()
        return None

    def keep(self, sha256: str, found: Signature) -> None:
        """The document of that digest stays."""
        number, self._count = self._count, self._count + 1
        values = (number, bytes.fromhex(sha256), found.astype("<u4").tobytes())
        self._database.ask("INSERT INTO stayed VALUES (?, ?, ?)", *values)
        keys = {(key, number) for key in self._keys(found)}
        self._database.add("INSERT INTO bands VALUES (?, ?)", sorted(keys))

    def _keys(self, found: Signature) -> list[int]:
        """A number for each band, by its place and what is in it; as Python's hashes are, another in each process."""
        data = found.astype("<u4").tobytes()
        return [hash((start, data[4 * start : 4 * end])) for start, end in self._ranges]


@cache
def _blank(permutations: int) -> Any:
    return _library().MinHash(num_perm=permutations, seed=SEED, scheme=SCHEME, hashfunc=int)


def _library() -> Any:
    """datasketch."""
    with put_off([INTEGRALS]):
        import datasketch
    return datasketch
