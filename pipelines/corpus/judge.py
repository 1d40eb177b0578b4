"""Which documents are used, for what, and why the others are not.

The rules ask first, each document by itself (pipelines.corpus.rules). What they let pass is left out where it is a
duplicate, and then where it is nearly alike one that stayed.
"""

from __future__ import annotations

import hashlib

from pipelines.corpus.documents import Document
from pipelines.corpus.met import MetDigests
from pipelines.corpus.near_duplicates import Neighbours
from pipelines.corpus.rules import RuledDocument, Rules
from pipelines.params import Corpus
from registry.records.data_row import Reason, Row, Use


class Judge:
    """Judges documents one after the other; of equal ones the first stays. What it remembers lies on the disk."""

    def __init__(self, corpus: Corpus, seed: int, rules: Rules | None = None) -> None:
        self.rules = rules or Rules(corpus)
        self._fraction = corpus.validation_fraction
        self._seed = seed
        self._seen = MetDigests()
        self._neighbours = Neighbours(corpus.near_duplicates) if corpus.near_duplicates else None

    def row(self, document: Document, source: str) -> Row:
        """The document's row in the manifest: used, or excluded and why."""
        return self.settle(self.rules.look(document), source)

    def settle(self, looked: RuledDocument, source: str) -> Row:
        """The row of a document that was looked at."""
        document, reason, cluster = looked.document, looked.reason, None
        if reason is None:
            reason, cluster = self._alike(looked)
        use: Use = "excluded"
        if reason is None:
            self._seen.add(bytes.fromhex(document.sha256))
            use = "validation" if share(self._seed, "split", document.sha256) < self._fraction else "train"
        return Row(
            source=source, path=document.path, sha256=document.sha256, size=document.size, license=looked.license,
            license_basis=looked.basis, origin=document.origin, language=looked.language,
            use=use, reason=reason, cluster=cluster, overlap=looked.overlap, original=looked.original,
            scrubbed=looked.scrubbed or None,
        )  # fmt: skip

    def _alike(self, looked: RuledDocument) -> tuple[Reason | None, str | None]:
        """(why a document is left out that the rules let pass, the near-duplicate that stays)."""
        if bytes.fromhex(looked.document.sha256) in self._seen:
            return "duplicate", None
        if self._neighbours is not None and looked.signature is not None:
            if cluster := self._neighbours.of(looked.signature):
                return "near-duplicate", cluster
            self._neighbours.keep(looked.document.sha256, looked.signature)
        return None, None


def share(seed: int, purpose: str, sha256: str) -> float:
    """A number in [0, 1) for a document: the same everywhere, and independent for each seed and purpose."""
    drawn = hashlib.sha256(f"{seed}:{purpose}:{sha256}".encode("ascii")).digest()
    return int.from_bytes(drawn[:6], "big") / 2**48  # 48 bits fit a double exactly, so this is never rounded up to 1
