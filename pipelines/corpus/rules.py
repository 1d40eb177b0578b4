"""What the rules say of one document by itself, whatever came before it: so any process can look at any document.

The rules ask in this order, and the first that objects is the reason: size, license, encoding, quality, language,
contaminated.
Where none objects, what is to be scrubbed is replaced, and the signature is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.corpus import languages, licences, near_duplicates, quality, scrub
from pipelines.corpus.documents import Document
from pipelines.corpus.evaluation_sets import EvaluationSets
from pipelines.corpus.near_duplicates import Signature
from pipelines.params import Corpus
from registry import canonical
from registry.records.data_row import NO_LICENCE, LicenceBasis, OriginalDigest, Overlap, Reason, Scrubbed


@dataclass(frozen=True, slots=True)
class RuledDocument:
    """A document that was looked at."""

    document: Document
    """What is kept of it; of one that is left out, the document as it was met."""
    license: str
    """The licence that it states itself, else its source's."""
    basis: LicenceBasis
    """How that is known."""
    reason: Reason | None = None
    """Which rule objects; None: no rule of this module."""
    language: str | None = None
    """Which language it is in, where that is asked."""
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
        if corpus.languages is not None:
            languages.check(corpus.languages.allowed)

    @classmethod
    def read(cls, corpus: Corpus, root: Path) -> Rules:
        """With the evaluation sets that `corpus` names below `root`. Raises InputError as those do."""
        wanted = corpus.decontaminate
        return cls(corpus, EvaluationSets.read(root, wanted) if wanted else None)

    def __reduce__(self) -> tuple[type[Rules], tuple[Corpus, EvaluationSets | None]]:
        """How another process gets them."""
        return Rules, (self._corpus, self._evaluation)

    @property
    def heavy(self) -> bool:
        """Whether they take long enough to share them among processes."""
        asked = self._corpus
        return bool(asked.scrub or asked.quality or asked.languages or asked.decontaminate or asked.near_duplicates)

    @property
    def digest(self) -> str:
        """The digest of what they ask for."""
        sets = self._evaluation.digest if self._evaluation else None
        return canonical.digest({"corpus": self._corpus.model_dump(mode="json"), "evaluation": sets})

    def look(self, document: Document) -> RuledDocument:
        """What the rules say of a document."""
        data, filters = document.data, self._corpus.filters
        detected = None if data is None else licences.of_file(data)
        stated = detected or document.license
        basis: LicenceBasis = "none" if stated == NO_LICENCE else "detected" if detected else document.basis
        met = RuledDocument(document, stated, basis)
        if data is None or not filters.min_bytes <= document.size <= filters.max_bytes:
            return replace(met, reason="size")
        if not self._allows(stated):
            return replace(met, reason="license")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return replace(met, reason="encoding")
        if "\0" in text:
            return replace(met, reason="encoding")
        return self._look_at_text(met, text)

    def _look_at_text(self, met: RuledDocument, text: str) -> RuledDocument:
        corpus, document = self._corpus, met.document
        if corpus.quality is not None and (reason := quality.objection(text, corpus.quality)) is not None:
            return replace(met, reason=reason)
        if corpus.languages is not None:
            met = replace(met, language=languages.identifier().of(text))
            if corpus.languages.allowed and met.language not in corpus.languages.allowed:
                return replace(met, reason="language")
        met = replace(met, overlap=self._evaluation.overlap(text) if self._evaluation else None)
        if met.overlap is not None and corpus.decontaminate and met.overlap.ngrams > corpus.decontaminate.allowed:
            return replace(met, reason="contaminated")
        replaced = dict[Scrubbed, int]()
        if corpus.scrub:
            text, replaced = scrub.scrubbed(text, corpus.scrub)
        if replaced:
            original = OriginalDigest(sha256=document.sha256, size=document.size)
            met = replace(met, document=document.scrubbed(text), original=original, scrubbed=replaced)
        nearly = corpus.near_duplicates
        return replace(met, signature=near_duplicates.signature(text, nearly) if nearly else None)
