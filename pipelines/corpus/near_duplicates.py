"""Documents that are nearly alike: signatures by MinHash, neighbours by LSH. The one door to datasketch.

Law: which documents stay depends on their texts and their order alone. Memory: a signature and its buckets for each
document that stays, about 2 KiB by default.
Source: Broder, On the resemblance and containment of documents (1997).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.corpus.evaluation_sets import runs, words_of
from pipelines.params import NearDuplicates

Signature = NDArray[np.uint32]
SCHEME = "affine32"
"""How datasketch permutes: said here, so that no later default of its own changes a signature."""
SEED = 1


def signature(text: str, wanted: NearDuplicates) -> Signature | None:
    """The signature of a text; None where it has no word."""
    words = words_of(text)
    if not words:
        return None
    parts = {run.encode() for run in runs(words, min(wanted.words, len(words)))}
    sketch = _blank(wanted.permutations).copy()
    sketch.update_batch(sorted(parts))
    found: Signature = np.asarray(sketch.hashvalues).astype(np.uint32)
    return found


class Neighbours:
    """The documents that stayed, by their signatures."""

    def __init__(self, wanted: NearDuplicates) -> None:
        from datasketch import MinHashLSH

        self._wanted = wanted
        self._lsh = MinHashLSH(threshold=wanted.threshold, num_perm=wanted.permutations)
        self._kept: list[tuple[bytes, Signature]] = []

    def of(self, found: Signature) -> str | None:
        """SHA-256 of the first document that stayed and is nearly alike; None for none."""
        near: list[int] = sorted(self._lsh.query(_sketch(found)))
        for number in near:
            sha256, other = self._kept[number]
            if float(np.mean(other == found)) >= self._wanted.threshold:
                return sha256.hex()
        return None

    def keep(self, sha256: str, found: Signature) -> None:
        """The document of that digest stays."""
        self._lsh.insert(len(self._kept), _sketch(found), check_duplication=False)
        self._kept.append((bytes.fromhex(sha256), found))


@cache
def _blank(permutations: int) -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=permutations, seed=SEED, scheme=SCHEME)


def _sketch(found: Signature) -> Any:
    from datasketch import LeanMinHash

    return LeanMinHash(seed=SEED, hashvalues=found.astype(np.uint64), scheme=SCHEME)
