"""What an auditor can say of a release beyond a rebuild: which segments of its training came out the same again, and
which figures.

Laws: as of registry.attest.predicates.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from registry.attest.predicates import BASE, GitCommit, Predicate, PredicatePart, Text, Time
from registry.records.record import Count, Sha256

ReplayVerdict = Literal["BITWISE", "TENSORS", "WITHIN", "DIFFERENT", "UNSUPPORTED", "UNAVAILABLE"]
"""Same files; same tensors in other files; within a stated tolerance; not the same; this audit cannot tell; no
checkpoint to begin with."""


ReevaluationVerdict = Literal["BITWISE", "WITHIN", "DIFFERENT", "UNSUPPORTED"]
"""Same files of figures; figures within a stated tolerance; not the same; this audit cannot tell."""


class Challenge(PredicatePart):
    """How the segments were chosen: anybody can compute it again (registry.audit.challenge)."""

    nonce: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){16,128}$")] | None = None
    """The auditor's random number, or a beacon's value; left out where the auditor named the segment."""
    logged_at: Time | None = None
    """When the release statement entered the log; left out where no log knows it."""
    head: Sha256
    """The digest of the last entry in the chain of checkpoints."""
    segments: Count
    """How many the chain has."""
    chosen: tuple[Count, ...] = Field(min_length=1, max_length=100_000)
    """Which were to be replayed, ascending; segment i leads from checkpoint i to checkpoint i + 1."""


class ReplayedSegment(PredicatePart):
    """One segment, replayed or not."""

    number: Count
    """Its place in the chain."""
    after: Count
    """The step of the checkpoint that it begins with."""
    until: Count
    """The step of the checkpoint that it leads to."""
    verdict: ReplayVerdict
    """How what came out compares with the checkpoint that the chain names."""
    reason: Text
    """In words: where it departs, or why it could not be told."""
    weights: Sha256 | None = None
    """SHA-256 of the file of weights that came out; left out where nothing did."""
    optimizer: Sha256 | None = None
    """SHA-256 of the file of optimizer state that came out; left out where nothing did."""
    seconds: float = Field(ge=0, allow_inf_nan=False)
    """How long it took."""


class Replay(Predicate):
    """What came out when somebody else trained some segments again. The subject is the release statement's own."""

    TYPE = BASE + "replay/v1"

    verdict: ReplayVerdict
    """The weakest of all segments'."""
    reason: Text
    """In words."""
    source: GitCommit
    """The commit whose code was run: the release's."""
    tokens: Sha256
    """SHA-256 of tokens.json, made anew from the source. Where it is not the signed one, the verdict is DIFFERENT."""
    challenge: Challenge
    """Which segments, and why those."""
    replayed: tuple[ReplayedSegment, ...] = Field(max_length=100_000)
    """What came out of each."""
    environment: Literal["fresh", "current"]
    """Packages from the release's own lock, or those that the auditor had."""
    walled: bool | None = None
    """Whether the code was walled in, so that what it must make was out of its reach; None in statements of before."""
    tolerance: float | None = Field(None, ge=0, allow_inf_nan=False)
    """How far apart, relatively, tensors and losses may be for WITHIN; left out where none was allowed."""
    profile: Text
    """The numeric profile, with its digest."""
    machine: Text
    """Processor, system and Python."""
    started_at: Time
    """When the audit began."""
    finished_at: Time
    """When it ended."""


class Reevaluated(PredicatePart):
    """A file of figures, measured again."""

    path: Text
    """In the release."""
    verdict: ReevaluationVerdict
    """How what came out compares with it."""
    sha256: Sha256 | None = None
    """SHA-256 of what came out; left out where nothing did."""


class Reevaluation(Predicate):
    """What came out when somebody else measured the weights again. The subject is the release statement's own."""

    TYPE = BASE + "reevaluation/v1"

    verdict: ReevaluationVerdict
    """The weakest of all files'."""
    reason: Text
    """In words: which figure departs, or why it could not be told; and the digest of the details."""
    source: GitCommit
    """The commit whose code was run: the release's."""
    stages: tuple[Text, ...] = Field(min_length=1, max_length=1000)
    """The stages that measured."""
    records: tuple[Reevaluated, ...] | None = Field(None, max_length=10_000)
    """Every file of figures, by path; left out where nothing was measured."""
    tolerance: float = Field(ge=0, allow_inf_nan=False)
    """How far apart, relatively, a figure could be for WITHIN; 0: not at all."""
    environment: Literal["fresh", "current"]
    """Packages from the release's own lock, or those that the auditor had."""
    walled: bool
    """Whether the code was walled in, so that it could not copy what it was to find."""
    profile: Text
    """The numeric profile, with its digest, if the release declares one."""
    machine: Text
    """Processor, system and Python."""
    started_at: Time
    """When the audit began."""
    finished_at: Time
    """When it ended."""
