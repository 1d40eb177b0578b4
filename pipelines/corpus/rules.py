"""What the rules say of one document by itself, whatever came before it: so any process can look at any document.

The rules ask in this order, and the first that objects is the reason: size, license, encoding, quality, contaminated.
Where none objects, what is to be scrubbed is replaced, and the signature is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.corpus import licences, near_duplicates, quality, scrub
from pipelines.corpus.documents import Document
from pipelines.corpus.evaluation_sets import EvaluationSets
from pipelines.corpus.near_duplicates import Signature
from pipelines.params import Corpus
from registry.records.data_manifest import OriginalDigest, Overlap, Reason, Scrubbed


@dataclass(frozen=True, slots=True)
class RuledDocument:
    """A document that was looked at."""

    document: Document
    """What is kept of it; of one that is left out, the document as it was met."""
    license: str
    """The licence that it states itself, else its source's."""
    reason: Reason | None = None
    """Which rule objects; None: no rule of this module."""
    overlap: Overlap | None = None
    """What it has in common with the evaluation sets."""
    original: OriginalDigest | None = None
    """What it was, where something in it was replaced."""
    scrubbed: dict[Scrubbed, int] = field(default_factory=dict)
    """How often something was replaced."""
    signature: Signature | None = None
    """What near-duplicates are found by, where they are looked for."""


class Rules:
    """The rules of one params.yaml. Raises InputError for licences that SPDX does not know."""

    def __init__(self, corpus: Corpus, evaluation: EvaluationSets | None = None) -> None:
        self._corpus, self._evaluation = corpus, evaluation
        self._allows = licences.allows(corpus.filters.licenses)

    @classmethod
    def read(cls, corpus: Corpus, root: Path) -> Rules:
        """With the evaluation sets that `corpus` names below `root`. Raises InputError as those do."""
        wanted = corpus.decontaminate
        return cls(corpus, EvaluationSets.read(root, wanted) if wanted else None)

    def __reduce__(self) -> tuple[type[Rules], tuple[Corpus, EvaluationSets | None]]:
        """How another process gets them."""
        return Rules, (self._corpus, self._evaluation)

    def look(self, document: Document) -> RuledDocument:
        """What the rules say of a document."""
        data = document.data
        stated = document.license if data is None else licences.of_file(data, document.license)
        filters = self._corpus.filters
        if data is None or not filters.min_bytes <= document.size <= filters.max_bytes:
            return RuledDocument(document, stated, "size")
        if not self._allows(stated):
            return RuledDocument(document, stated, "license")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return RuledDocument(document, stated, "encoding")
        if "\0" in text:
            return RuledDocument(document, stated, "encoding")
        return self._look_at_text(document, stated, text)

    def _look_at_text(self, document: Document, stated: str, text: str) -> RuledDocument:
        corpus = self._corpus
        if corpus.quality is not None and (reason := quality.objection(text, corpus.quality)) is not None:
            return RuledDocument(document, stated, reason)
        overlap = self._evaluation.overlap(text) if self._evaluation else None
        if overlap is not None and corpus.decontaminate and overlap.ngrams > corpus.decontaminate.allowed:
            return RuledDocument(document, stated, "contaminated", overlap)
        original, replaced = None, dict[Scrubbed, int]()
        if corpus.scrub:
            text, replaced = scrub.scrubbed(text, corpus.scrub)
        if replaced:
            original = OriginalDigest(sha256=document.sha256, size=document.size)
            document = Document.of_text(document.path, document.license, text)
        nearly = corpus.near_duplicates
        signature = near_duplicates.signature(text, nearly) if nearly else None
        return RuledDocument(document, stated, None, overlap, original, replaced, signature)
