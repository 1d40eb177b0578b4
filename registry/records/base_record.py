"""The record of a base: the open model whose weights a fine-tuning began with, and who vouched for it.

    base: {model: hf://org/model@COMMIT, policy: base-policy.yaml}     in params.yaml: ChosenBase
    build/base.json, provenance/base.json                              what was fetched, and what verifying said: Base

A base is named by its commit, which never moves. What came is bound by SHA-256, for a Hub's word on what a commit holds
is nobody's signature.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from registry.records.record import Count, ParamsSection, Record, Sha256
from registry.records.run import ProjectPath

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
Text = Annotated[str, StringConstraints(max_length=10_000)]


class ChosenBase(ParamsSection):
    """The `base` section of params.yaml: which model a fine-tuning begins with."""

    model: Annotated[str, StringConstraints(pattern=rf"^hf://{_PART}/{_PART}@[0-9a-f]{{40}}$")]
    """hf://OWNER/NAME@COMMIT: 40 hex digits, for a branch or a tag moves."""
    policy: ProjectPath | None = None
    """A policy.yaml of the project: who may sign the base, and what else it must show. None: nobody verifies it, its
    record says so, and those who verify the fine-tuned model are told UNKNOWN."""

    @property
    def repo(self) -> str:
        """owner/name."""
        return self.model.removeprefix("hf://").partition("@")[0]

    @property
    def commit(self) -> str:
        """The commit."""
        return self.model.rpartition("@")[2]


class BaseCheck(Record):
    """A check of the base that passed, as `glasshouse verify` tells it."""

    step: Annotated[int, Field(ge=0, le=7)]
    """The step of verification."""
    subject: Text
    """What was looked at."""
    reason: Text
    """What was found."""


class BaseVerification(Record):
    """What verifying a base said, before a tensor of it was read: everything passed, or it was not taken."""

    policy: dict[str, Any]
    """The policy that it was verified by, whole."""
    established: Text
    """Who signed it, and of which commit and data it was made."""
    checks: Annotated[tuple[BaseCheck, ...], Field(max_length=10_000)]
    """Those of bytes, signatures, completeness and lineage. What the world says of it (policy, status) is of its day,
    and is asked anew by `glasshouse verify --bases`."""


class Base(Record):
    """provenance/base.json."""

    schema_: Literal["glasshouse.base/v1"] = Field("glasshouse.base/v1", alias="schema")
    """The format, with its version."""
    repo: Annotated[str, StringConstraints(pattern=rf"^{_PART}/{_PART}$")]
    """owner/name on the Hub."""
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    """Where it was read, all files at it."""
    sha256: Sha256
    """Over all its files, as a stage's record names a directory: registry.records.run.directory_digest."""
    files: Count
    """How many there are."""
    size: Count
    """Their bytes together."""
    verification: BaseVerification | None
    """What verifying it said; None where nobody named who may sign it, so that it was not verifiable."""

    @property
    def uri(self) -> str:
        """hf://owner/name@commit."""
        return f"hf://{self.repo}@{self.commit}"
