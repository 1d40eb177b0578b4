"""A release whose code an auditor may run: one that was verified before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from registry.attest.bundle import MAX_MODEL_BYTES
from registry.attest.predicates import Release
from registry.attest.statement import Subject
from registry.attest.verifier import Verifier
from registry.digest import sha256_file
from registry.errors import InputError, Refused, Unavailable, VerificationError
from registry.manifest import walk
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.project import PARAMS, SETTINGS, Project
from registry.records.rebuild import DeclaredEnvironment
from registry.records.release_record import ReleaseRecord
from registry.report import Report, Step, Verdict

ASK = "ask its maintainer for it"
NEEDED = ("dvc.yaml", "dvc.lock")
SOURCES = dict(zip(NEEDED, (layout.PIPELINE, layout.LOCK), strict=True)) | {
    PARAMS: layout.PARAMS,
    SETTINGS: layout.SETTINGS,
}
"""Path in the source -> path in the release: files at the project's root whose bytes are signed, and must be those of
the commit. Those of DVC are in every release, there or below."""


@dataclass(frozen=True, slots=True)
class RecordedTraining:
    """What a release records of its training."""

    chain: Chain
    """Its checkpoints."""
    environment: Environment
    """The machine and the software that trained it."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A verified release, and its records."""

    root: Path
    """Its directory."""
    subject: Subject
    """What the release statement speaks of."""
    logged_at: str | None
    """RFC 3339, when it was signed, as a log or a timestamp authority shows; None where a bare key signed it."""
    record: ReleaseRecord
    """What it says of itself."""
    training: RecordedTraining | None
    """What is known of its training; None where the project records none of it."""
    project: Project
    """How it is replayed, as its signed params.yaml says."""

    @property
    def chain(self) -> Chain:
        """Its checkpoints. Raises Refused where no training is recorded."""
        return self._trained.chain

    @property
    def environment(self) -> Environment:
        """The machine and the software that trained it. Raises Refused where no training is recorded."""
        return self._trained.environment

    @property
    def packages(self) -> DeclaredEnvironment | None:
        """What its source runs in, as it was signed; None where it pins nothing."""
        if self.record.rebuild is not None:
            return self.record.rebuild.environment
        lock = self.root / layout.REQUIREMENTS
        if not lock.is_file():
            return None
        return DeclaredEnvironment(kind="pip", file=self.project.lock, sha256=sha256_file(lock))

    @property
    def held(self) -> dict[str, str]:
        """SHA-256 of each file that its source must have as it was signed, by the path in the source.

        Raises Unavailable where the release does not have the files of DVC.
        """
        below = self.root / layout.PIPELINES
        found = {name: self.root / there for name, there in SOURCES.items()}
        found |= {path: below / path for path, _ in (walk(below) if below.is_dir() else ())}
        held = {name: sha256_file(path) for name, path in found.items() if path.is_file()}
        for name in NEEDED:
            if not any(PurePosixPath(path).name == name for path in held):
                raise Unavailable(f"the release has no {name} to hold the source to", mend=ASK)
        if (packages := self.packages) and packages.file and packages.sha256:
            held[packages.file] = packages.sha256
        return held

    @property
    def _trained(self) -> RecordedTraining:
        if self.training is None:
            raise Refused(
                "the release has no chain of checkpoints with the machine that made them, so there is no part of a "
                "training to replay",
                mend="glasshouse audit rebuild builds all of it anew; what a project declares so that parts can be "
                "replayed: docs/reference/replay.md",
            )
        return self.training


def admit(root: Path, report: Report, verifier: Verifier, *, replays: bool = True) -> Audited:
    """The release at `root`, of which `report` is.

    replays: whether its training is to be replayed: then its lineage must PASS, too. A rebuild needs none, for it makes
    all of it anew, from the commit that was signed. What a policy asks for beyond (other rebuilders, say) does not keep
    one from looking. Raises VerificationError or Unavailable unless it was verified, and Refused where a training is to
    be replayed, and none is recorded.
    """
    _check(report, Step.COMPLETE)
    data = (root / layout.RELEASE_ATTESTATION).read_bytes()
    verified = verifier.verify(data, name="release", max_bytes=MAX_MODEL_BYTES)
    Release.of(verified.statement)
    logged = verified.signer.signed_at
    audited = Audited(
        root=root,
        subject=verified.statement.subjects[0],
        logged_at=rfc3339(logged) if logged else None,
        record=ReleaseRecord.read(root / layout.RECORD),
        training=_training(root),
        project=_project(root / layout.PARAMS),
    )
    if replays:
        _ = audited.chain  # refuses where there is none
        _check(report, Step.LINEAGE)
    return audited


def _check(report: Report, known: Step) -> None:
    """Raise unless nothing FAILs, and every step up to `known` holds."""
    for check in report.checks:
        if check.verdict is Verdict.FAIL or (check.verdict is Verdict.UNKNOWN and check.step <= known):
            kind = VerificationError if check.verdict is Verdict.FAIL else Unavailable
            raise kind(
                f"it does not verify, so none of its code is run: {check.name}: {check.subject}: {check.reason}",
                mend=f"glasshouse verify {report.subject} with the same options shows all of it",
            )


def _training(root: Path) -> RecordedTraining | None:
    places = root / layout.CHECKPOINTS, root / layout.ENVIRONMENT
    if not all(place.is_file() for place in places):
        return None
    return RecordedTraining(Chain.read(places[0]), Environment.read(places[1]))


def _project(params: Path) -> Project:
    try:
        return Project.read(params) if params.is_file() else Project.parse({})
    except InputError as problem:
        raise Unavailable(
            f"how it is to be replayed cannot be told: {problem.message}", mend="report the release to its maintainer"
        ) from problem


def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
