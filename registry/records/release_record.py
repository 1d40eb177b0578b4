"""The record of a release: which version it is, of which code, with which weights."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from registry.manifest import check_path
from registry.records.rebuild import DeclaredRebuild
from registry.records.record import Count, Record, Sha256

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


MAX_REMOTE = 900
"""Characters of the address of a source: a statement has room for 1024, with the commit."""


def _checked(path: str) -> str:
    check_path(path)
    return path


class SourceCode(Record):
    """The commit that `dvc repro` ran from."""

    commit: Commit
    """HEAD of the maintainer's clean tree."""
    committed_at: str
    """When that commit was made: RFC 3339, UTC."""
    remote: Annotated[str, StringConstraints(max_length=MAX_REMOTE)] | None
    """Where others can fetch it; None where the maintainer's repository has no public `origin`."""

    pushed: bool = True
    """Whether a branch of a remote had it when the release was made, as far as the maintainer's repository knew; left
    out of the JSON where one had, and where there is no remote."""
    folder: Annotated[str, AfterValidator(_checked)] | None = None
    """Where the project lies in its repository, POSIX; left out of the JSON where it is the whole."""

    @property
    def uri(self) -> str | None:
        """The commit as in-toto names it; None without a remote."""
        return f"git+{self.remote}@{self.commit}" if self.remote else None


class Weights(Record):
    """One file of weights."""

    path: Annotated[str, AfterValidator(_checked)]
    """POSIX, relative to the release."""
    sha256: Sha256
    """SHA-256 of the file."""
    tensors: Sha256 | None = None
    """SHA-256 of the tensors in it, whatever the file's layout: registry.tensors.tensors_digest. Left out of the JSON
    of a file that is not safetensors."""


class Companion(Record):
    """What is published beside the model, in a repository of its own and under the same tag."""

    repo: str
    """namespace/name on the Hub, or datasets/namespace/name."""
    content: Sha256
    """SHA-256 over the manifest of its files: registry.manifest.Manifest.sha256."""
    files: Count
    """How many there are."""
    size: Count
    """Their bytes together."""


SpdxExpression = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+:() -]{1,500}$")]


class StatedLicences(Record):
    """What the maintainer states of the licences of all that is not weights; what is left out is not stated."""

    code: SpdxExpression | None = None
    """SPDX expression for the source at the release's commit, and for settings that say how the model is built."""
    data: SpdxExpression | None = None
    """SPDX expression for tables and records that the project made. A document of the training data keeps its own,
    which its row of the data manifest names."""
    documents: SpdxExpression | None = None
    """SPDX expression for cards, reports and results."""

    def as_json(self) -> dict[str, Any]:
        """The JSON value of this record."""
        return self.model_dump(by_alias=True, mode="json", exclude_none=True)


class Declared(Record):
    """A file that is of no known format, or code, and why it is in the release."""

    path: Annotated[str, AfterValidator(_checked)]
    """POSIX, relative to the release."""
    why: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]*$")]
    """In the maintainer's words."""


class ReleaseRecord(Record):
    """provenance/release.json. It is also the heart of the signed release statement."""

    schema_: Literal["glasshouse.release/v1"] = Field("glasshouse.release/v1", alias="schema")
    """The format, with its version."""
    repo: str
    """namespace/name on the Hub."""
    version: str
    """major.minor.patch; the tag is `v` and this."""
    source: SourceCode
    """Which code."""
    license: str
    """SPDX expression for the weights."""
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")] | None = None
    """Which kind of model it is, by the names of registry.records.kinds; left out of the JSON where nobody said."""
    parameters: Count | None = None
    """How many numbers the weights hold; left out of the JSON where their format does not tell."""
    content: Sha256
    """Digest of the draft's manifest: two releases with one content differ only in version and commit."""
    lock: Sha256
    """SHA-256 of provenance/dvc.lock; where locks stand in other folders of the project, `directory_digest` of all, by
    their paths there."""
    weights: tuple[Weights, ...]
    """Every file of weights."""
    companions: tuple[Companion, ...] = Field((), max_length=20)
    """What belongs to the release and stands elsewhere; left out of the JSON where there is nothing."""
    declared: tuple[Declared, ...] = Field((), max_length=1000)
    """Files that a stranger cannot tell to be harmless; left out of the JSON where there are none."""
    licenses: StatedLicences | None = None
    """The licences of code, data and documents; left out of the JSON where nobody states any."""
    rebuild: DeclaredRebuild | None = None
    """How others rebuild it; left out of the JSON of a release whose files no stage wrote. Releases from before have
    none: their draft is what `dvc repro` makes."""

    def as_json(self) -> dict[str, Any]:
        """The JSON value of this record."""
        value = super().as_json()
        for name in ("companions", "declared", "kind", "licenses", "parameters", "rebuild"):
            if value[name] in (None, []):
                del value[name]
        if self.licenses is not None:
            value["licenses"] = self.licenses.as_json()
        if self.rebuild is not None:
            value["rebuild"] = self.rebuild.as_json()
        for row in value["weights"]:
            if row["tensors"] is None:
                del row["tensors"]
        if value["source"]["folder"] is None:
            del value["source"]["folder"]
        if value["source"]["pushed"]:
            del value["source"]["pushed"]
        return value

    @property
    def tag(self) -> str:
        """The name of the tag."""
        return f"v{self.version}"
