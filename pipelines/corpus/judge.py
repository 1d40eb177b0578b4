"""Which documents are used, for what, and why the others are not.

The filters ask in this order, and the first that objects is the reason: size, license, encoding, duplicate.
"""

from __future__ import annotations

import hashlib

from pipelines.corpus import licences
from pipelines.corpus.documents import Document
from pipelines.params import Corpus
from registry.records.data_manifest import Reason, Row, Use


class Judge:
    """Judges documents one after the other; of equal ones the first stays. Remembers 32 bytes for each that is used."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self._filters = corpus.filters
        self._allows = licences.allows(corpus.filters.licenses)
        self._fraction = corpus.validation_fraction
        self._seed = seed
        self._seen: set[bytes] = set()

    def row(self, document: Document, source: str) -> Row:
        """The document's row in the manifest: used, or excluded and why."""
        stated = document.license if document.data is None else licences.of_file(document.data, document.license)
        reason = self._objection(document, stated)
        use: Use = "excluded"
        if reason is None:
            self._seen.add(bytes.fromhex(document.sha256))
            use = "validation" if share(self._seed, "split", document.sha256) < self._fraction else "train"
        return Row(
            source=source, path=document.path, sha256=document.sha256, size=document.size, license=stated,
            use=use, reason=reason,
        )  # fmt: skip

    def _objection(self, document: Document, stated: str) -> Reason | None:
        data = document.data
        if data is None or not self._filters.min_bytes <= document.size <= self._filters.max_bytes:
            return "size"
        if not self._allows(stated):
            return "license"
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return "encoding"
        return "duplicate" if bytes.fromhex(document.sha256) in self._seen else None


def share(seed: int, purpose: str, sha256: str) -> float:
    """A number in [0, 1) for a document: the same everywhere, and independent for each seed and purpose."""
    drawn = hashlib.sha256(f"{seed}:{purpose}:{sha256}".encode("ascii")).digest()
    return int.from_bytes(drawn[:6], "big") / 2**48  # 48 bits fit a double exactly, so this is never rounded up to 1
