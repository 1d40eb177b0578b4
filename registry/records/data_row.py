"""A row of a data manifest: one document that was met, and what became of it.

Law: the leaf of a row is its canonical JSON (RFC 8785). The Merkle tree of a manifest is over leaves, so its root is
the same whichever file the rows stand in.
"""

from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import quote

from pydantic import Field, StringConstraints, model_validator

from registry import canonical
from registry.manifest import check_path
from registry.records.record import NO_CONTROLS, Count, Given, Record, Sha256, absent

MAX_LEAF = 16 << 10
"""Bytes of a leaf. A path takes at most 1,024, a source, an origin and a licence 500 characters each."""
NO_LICENCE = "NOASSERTION"
"""What SPDX calls a licence that nobody states (SPDX 2.3, section 8.5)."""
ID = r"[^\x00-\x1f\x7f]{1,500}"
LICENCE = r"[A-Za-z0-9.+:() -]{1,500}"
LANGUAGE = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}"

Id = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=NO_CONTROLS)]
"""What ID is."""
Licence = Annotated[str, StringConstraints(pattern=f"^{LICENCE}$")]
Language = Annotated[str, StringConstraints(pattern=f"^{LANGUAGE}$")]
"""A tag of BCP 47, such as `en`."""
Use = Literal["train", "validation", "excluded"]
Reason = Literal[
    "duplicate",
    "size",
    "license",
    "encoding",
    "few-words",
    "many-words",
    "word-length",
    "symbols",
    "letters",
    "repeated-lines",
    "language",
    "contaminated",
    "near-duplicate",
]
Scrubbed = Literal["emails", "secrets"]
"""What is replaced in texts."""
LicenceBasis = Literal["declared", "detected", "asserted", "none"]
"""How a licence is known. declared: its source says so, in its metadata or beside the document. detected: the document
itself says so. asserted: whoever built the corpus says so. none: it is not known."""


class OriginalDigest(Record):
    """A document as it was met, before anything in it was replaced."""

    sha256: Sha256
    """SHA-256 of its bytes."""
    size: Count = Field(alias="bytes")
    """How many bytes."""


class Overlap(Record):
    """What a document has in common with the evaluation sets."""

    passage: Id
    """The passage that it shares most with."""
    ngrams: Annotated[int, Field(ge=1, le=canonical.MAX_SAFE_INTEGER)]
    """How many runs of words it has in common with all passages."""


class Row(Record):
    """One document."""

    source: Id
    """The `id` of one of the summary's sources."""
    path: str
    """Within the source; `registry.manifest.check_path` holds. With `source` it names the document."""
    sha256: Sha256
    """SHA-256 of the document's bytes, as far as they are kept."""
    size: Count = Field(alias="bytes")
    """How many bytes."""
    license: Licence
    """SPDX expression, or NO_LICENCE."""
    use: Use
    """Which split it went to, or none."""
    reason: Reason | None
    """Why it was excluded; None for a document that is used."""
    license_basis: Annotated[LicenceBasis | None, Given] = absent()
    """How its licence is known; `none` for NO_LICENCE, and for no other."""
    origin: Annotated[Id | None, Given] = absent()
    """Where the source itself has it from, such as a URL, where the source says so."""
    language: Annotated[Language | None, Given] = absent()
    """Which language it was found to be in, where that was looked for."""
    cluster: Annotated[Sha256 | None, Given] = absent()
    """SHA-256 of the document that stays, by which all its near-duplicates are known; left out for any other."""
    overlap: Annotated[Overlap | None, Given] = absent()
    """What it has in common with the evaluation sets, where it has."""
    original: Annotated[OriginalDigest | None, Given] = absent()
    """What it was before something in it was replaced; `sha256` and `bytes` are what became of it."""
    scrubbed: Annotated[dict[Scrubbed, Count] | None, Given] = absent()
    """How often something was replaced, by what it was."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_path(self.path)
        if (self.reason == "near-duplicate") != (self.cluster is not None):
            raise ValueError("a document has a cluster if, and only if, it is a near-duplicate")
        if self.reason == "contaminated" and self.overlap is None:
            raise ValueError("a contaminated document has an overlap")
        if self.reason == "language" and self.language is None:
            raise ValueError("a document that is left out for its language has one")
        if (self.original is None) != (not self.scrubbed):
            raise ValueError("a document has an original if, and only if, something in it was scrubbed")
        if (self.use == "excluded") != (self.reason is not None):
            raise ValueError("a document has a reason if, and only if, it is excluded")
        if self.license_basis is not None and (self.license_basis == "none") != (self.license == NO_LICENCE):
            raise ValueError(f"a licence has the basis none if, and only if, it is {NO_LICENCE}")
        return self

    @property
    def place(self) -> str:
        """Where it came from: what its source says of that, else a file of a package as a package URL has it, else the
        source and the path there."""
        if self.origin is not None:
            return self.origin
        return f"{self.source}{'#' if self.source.startswith('pkg:') else '/'}{quote(self.path)}"


class CountedKind(NamedTuple):
    """Rows that are counted together."""

    source: str
    """As `Row` has it."""
    license: str
    """As `Row` has it."""
    use: str
    """As `Row` has it."""
    reason: Reason | None
    """As `Row` has it."""
    license_basis: LicenceBasis | None
    """As `Row` has it."""
    language: str | None
    """As `Row` has it."""
