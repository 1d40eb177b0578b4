"""What a statement can say: the predicates, each a frozen model under a versioned URI.

Laws: `P.of(p.about(subjects)) == p`; an unknown field is refused, so is a statement of another type.
Source: in-toto attestation framework, spec/v1/predicate.md. Those that others defined are in registry.attest.intoto.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from registry import canonical
from registry.attest import namespace
from registry.attest.statement import Statement, Subject
from registry.errors import Malformed
from registry.records.openness_record import ComponentState, Name, OpennessClass
from registry.records.record import Count, Record, Sha256, validated

BASE = namespace.WRITTEN + "attestation/"
"""Where our own predicate types stand."""
MEND = "sign it anew with this version of glasshouse, or verify with a newer one"

GitCommit = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$")]
"""A full commit id, of SHA-1 or SHA-256 repositories."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


RebuildVerdict = Literal["BITWISE", "TENSORS", "WITHIN", "DIFFERENT", "UNSUPPORTED"]
"""From strong to weak: same files, same tensors, within a stated tolerance, not the same, this machine cannot tell."""
STRENGTH: tuple[RebuildVerdict, ...] = get_args(RebuildVerdict)
Standing = Literal["candidate", "active", "superseded", "yanked"]
"""Published, and not promoted yet; in use; in use, with a newer one to go to; withdrawn: do not use."""
Severity = Literal["low", "moderate", "high", "critical"]
"""How much harm it does to go on using what was yanked."""


def _utc(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() is None:
        raise ValueError("a time needs its zone, such as 2026-01-31T12:00:00Z")
    return text


Time = Annotated[str, StringConstraints(max_length=64), AfterValidator(_utc)]
"""RFC 3339, with its zone."""


class PredicatePart(Record):
    """A part of a predicate. In JSON, what is None is left out."""

    def as_json(self) -> dict[str, Any]:
        """The JSON object."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Predicate(PredicatePart):
    """What a statement says of its subjects."""

    TYPE: ClassVar[str]
    """The URI of the predicate's meaning and version."""

    def about(self, subjects: Iterable[Subject]) -> Statement:
        """The statement that this predicate holds of `subjects`."""
        return Statement.of_json(subjects, self.TYPE, self.as_json())

    @classmethod
    def is_of(cls, statement: Statement) -> bool:
        """Whether `statement` is of this type, under whichever of our prefixes it was written."""
        return namespace.read(statement.predicate_type) == cls.TYPE

    @classmethod
    def of(cls, statement: Statement) -> Self:
        """The predicate of `statement`. Raises Malformed for another type or shape."""
        if not cls.is_of(statement):
            raise Malformed(
                f"a statement of {statement.predicate_type} stands where {cls.TYPE} is expected",
                mend="check that no attestation was put in another's place",
            )
        with validated(f"the predicate {cls.TYPE}", mend=MEND):
            return cls.model_validate_json(canonical.dumps(statement.predicate), by_alias=True, by_name=False)


class DataManifest(Predicate):
    """What a model was trained on. The subject is the file of rows; the root binds each of them."""

    TYPE = BASE + "data-manifest/v1"

    root: Sha256
    """The Merkle root over the rows."""
    algorithm: Text = "rfc6962-sha256"
    """How the root is computed."""
    rows: Count
    """How many documents."""
    bytes: Count
    """Their size together."""
    licenses: dict[str, Count]
    """Documents by SPDX licence expression."""
    rows_sha256: Sha256
    """SHA-256 of the file of rows."""


class ChainProfile(PredicatePart):
    """A numeric profile."""

    name: Text
    """What it is called, such as `portable`."""
    digest: Sha256
    """SHA-256 of everything that it names."""


class Checkpoints(Predicate):
    """How a training went on, checkpoint by checkpoint. The subject is the file of the chain; the head binds each."""

    TYPE = BASE + "checkpoints/v1"

    head: Sha256
    """The digest of the chain's last entry."""
    entries: Count
    """How many checkpoints."""
    last_step: Count
    """Optimizer steps at the last of them."""
    tokens: Sha256
    """SHA-256 of tokens.json: what was trained on."""
    recipe: Sha256
    """SHA-256 of everything that decides the weights: parameters, seed, tokens, profile, packages."""
    profile: ChainProfile
    """The numeric profile that decides the bits."""


class ModelCard(Predicate):
    """What the model card says, and which records it was rendered from. The subject is README.md."""

    TYPE = BASE + "model-card/v1"

    name: Text
    """The model's name."""
    version: Text
    """The release's version."""
    license: Text
    """SPDX licence expression of the weights."""
    data_root: Sha256 | None = None
    """The Merkle root of the data manifest; left out where there is none."""
    parameters: Count | None = None
    """How many numbers the weights hold; left out where their format does not tell."""
    metrics: dict[str, float] | None = None
    """Figures of evaluation.json by their name, such as `bitsPerByte`; left out where there is none."""
    rendered_from: dict[str, Sha256]
    """SHA-256 of each record the card was rendered from, by its path in the release."""


class ReleasedFile(PredicatePart):
    """A file of a release."""

    path: Text
    """POSIX, relative to the release."""
    sha256: Sha256
    """SHA-256 of its bytes."""
    size: Count
    """How many bytes it has."""
    blake3: Sha256 | None = None
    """BLAKE3 of the same bytes, which several cores can check inside one file."""


class ListedAttestation(PredicatePart):
    """An attestation that must be there."""

    name: Text
    """Its path in the release, such as `attestations/provenance.sigstore.json`."""
    predicate_type: Text
    """The URI of what it says."""
    sha256: Sha256
    """SHA-256 of the bundle's bytes."""


class SourceCommit(PredicatePart):
    """Where the code of a release is."""

    repository: Text | None = None
    """The URL of the git repository; None where nobody but its owner can fetch it."""
    commit: GitCommit
    """The commit that built it."""


class Release(Predicate):
    """What a release is made of: every file, and every attestation that must be with it.

    An attestation that is deleted or put in another's place is seen, since this statement lists them all.
    """

    TYPE = BASE + "release/v1"

    name: Text
    """The model's name, such as `org/model`."""
    version: Text
    """The release's version, such as `v1.0.0`."""
    repository: Text | None = None
    """Where it is to be published: `hf://org/model`."""
    source: SourceCommit
    """The code."""
    created_at: Text | None = None
    """RFC 3339, UTC. Left out where the release must come out the same whenever it is made."""
    files: tuple[ReleasedFile, ...]
    """Every file but attestations and model.sig, sorted by path."""
    attestations: tuple[ListedAttestation, ...]
    """Every other attestation of the release."""
    weights: tuple[Text, ...]
    """Those of `files` that are weights."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        paths = [file.path for file in self.files]
        names = [attestation.name for attestation in self.attestations]
        if len(set(paths)) != len(paths) or len(set(names)) != len(names):
            raise ValueError("a file or an attestation is listed twice")
        if not set(self.weights) <= set(paths):
            raise ValueError("weights are listed that are not among the files")
        return self


class Openness(Predicate):
    """How open a release is. The subject is the record that shows it, by the files of each component."""

    TYPE = BASE + "openness/v1"

    framework: Literal["MOF 1.0"] = "MOF 1.0"
    """The Model Openness Framework, with its version."""
    reached: OpennessClass | None = Field(None, alias="class")
    """The class that the release reaches, I being the most open; left out where it reaches none."""
    components: dict[Name, ComponentState] | None = Field(None, max_length=100)
    """Whether each component of the framework counts; None in statements of before."""
    osaid: dict[Name, ComponentState] | None = Field(None, max_length=100)
    """Whether each thing is there that the Open Source AI Definition 1.0 asks for; None in statements of before."""


class Rebuilt(PredicatePart):
    """One file of a release, as a rebuild made it."""

    path: Text
    """Where it is in the release."""
    verdict: Literal["BITWISE", "TENSORS", "WITHIN", "DIFFERENT"]
    """How it compares with the signed one."""
    sha256: Sha256 | None = None
    """SHA-256 of what came out; left out where nothing did."""


class Rebuild(Predicate):
    """What came out when somebody else built the weights anew.

    The subject is the release statement's own: `NAME@VERSION` with the digest over every file, so that the verdict is
    of these bytes and no others. Statements of before have no source, environment, tolerance and outputs, and count
    for no policy.
    """

    TYPE = BASE + "rebuild/v1"

    verdict: RebuildVerdict
    """How the outcome compares."""
    reason: Text
    """In words: what was compared, and where it first departs if it does."""
    profile: Text
    """The numeric profile it was built in, if the release declares one."""
    machine: Text
    """What it was built on: processor and system."""
    started_at: Time
    """When the build began."""
    finished_at: Time
    """When it ended."""
    source: GitCommit | None = None
    """The commit whose code was run: the release's."""
    environment: Literal["fresh", "current"] | None = None
    """Packages from the release's own lock, or those that the auditor had."""
    walled: bool | None = None
    """Whether the code was walled in, so that what it must make was out of its reach; None in statements of before."""
    command: tuple[Text, ...] | None = Field(None, min_length=1, max_length=1100)
    """What was run, word by word; None in statements of before: `dvc repro` of all stages."""
    packages: Text | None = None
    """What the release pins its packages by: a lock, or an image, with its digest. None: nothing, or untold."""
    tolerance: float | None = Field(None, ge=0, allow_inf_nan=False)
    """How far apart, relatively, tensors and figures could be for WITHIN; where the release declares a tolerance of its
    own, how far apart they were."""
    outputs: tuple[Rebuilt, ...] | None = Field(None, max_length=100_000)
    """Every file that the verdict rests on, by path; left out where nothing was built."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.outputs and self.verdict != "UNSUPPORTED":
            weakest = max((output.verdict for output in self.outputs), key=STRENGTH.index)
            if weakest != self.verdict:
                raise ValueError(f"an output is {weakest}, and the whole is said to be {self.verdict}")
        return self


class Status(Predicate):
    """Whether a release still stands. The subject is the release statement's own, as of Rebuild."""

    TYPE = BASE + "status/v1"

    standing: Standing
    """The word."""
    reason: Text
    """Why, for a reader."""
    stated_at: Time
    """When it was said. Where the signature is logged, the log's time counts instead."""
    successor: Text | None = None
    """The version to go to."""
    number: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Which word on this release it is, from 1; None in words of before, and in those that no branch keeps."""
    previous: Sha256 | None = None
    """SHA-256 of the statement of the word before, whoever said it; None for the first."""
    valid_until: Time | None = None
    """Until when the word is meant to be relied on; None: until another is said."""
    severity: Severity | None = None
    """With a yank: how much harm it does to go on using it; None: nobody said."""

    @model_validator(mode="after")
    def _chained(self) -> Self:
        if self.severity is not None and self.standing != "yanked":
            raise ValueError("only a yank has a severity")
        if self.previous is not None and (self.number is None or self.number == 1):
            raise ValueError("a word that follows another has a number from 2 on")
        if self.number is not None and self.number > 1 and self.previous is None:
            raise ValueError(f"word {self.number} does not name the one before")
        return self
