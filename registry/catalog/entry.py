"""What one release says: its signed statement, and the records that the statement binds.

Law: a record is shown only where its bytes have the digest that the release statement names. Who signed the statement,
and whether that is somebody whom the reader expects, is said in the entry: PASS where a policy names the signer, FAIL
where it names others or the signature does not hold, UNKNOWN where nobody was named, or it cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from registry import canonical, strict_yaml
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.policy import Policy
from registry.attest.predicates import Release
from registry.attest.signature import SignedBy, Verified
from registry.attest.statement import Statement, Subject
from registry.attest.verifier import Trust, Verifier
from registry.catalog.shelves import ReleaseShelf, said
from registry.digest import sha256_bytes, sha256_file
from registry.errors import DigestMismatch, GlasshouseError, Unavailable
from registry.hub.reference import HubReference
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.report import Verdict
from registry.verification import s6_policy, s7_status, spoken
from registry.verification.case import Case, Gathered, mistaken
from registry.verification.memory import Memory
from registry.verification.s4_complete import stated
from registry.verification.spoken import Word
from registry.verification.tree import Tree

MAX_RECORD = 64 << 20


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed something, as far as it can be told."""

    verdict: Verdict
    """PASS: somebody whom the policy names. FAIL: somebody else. UNKNOWN: nobody was named, or it is not told."""
    words: str
    """Who, or why not."""
    at: datetime | None = None
    """When, where a log or a timestamp says so."""
    verified: Verified | None = None
    """What verified; None unless `verdict` is PASS."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {"verdict": str(self.verdict), "words": self.words, "at": self.at.isoformat() if self.at else None}


@dataclass(frozen=True, slots=True)
class Whom:
    """Whose signatures are expected, and the root of trust to tell signers by."""

    trust: Trust
    """Tells who signed."""
    verifier: Verifier | None = None
    """Whom the reader expects; None: nobody was named."""
    memory: Memory | None = None
    """What this machine heard of releases before; None: nothing is recalled."""

    def signature(self, data: bytes, name: str, statement: Statement) -> Signature:
        """Who signed the bundle `data`, which holds `statement`. name: which attestation it is taken for."""
        try:
            if self.verifier is not None:
                verified = self.verifier.verify(data, name=name, max_bytes=MAX_MODEL_BYTES)
                return Signature(Verdict.PASS, str(verified.signer), _when(verified.signer), verified)
            seen = self.trust.see(data, max_bytes=MAX_MODEL_BYTES)
        except GlasshouseError as problem:
            told = Verdict.of(problem) if self.verifier is not None else Verdict.UNKNOWN
            return Signature(told, said(problem))
        if seen.signer is None:
            return Signature(Verdict.UNKNOWN, seen.hint or "nobody can tell who signed it")
        return Signature(Verdict.UNKNOWN, str(seen.signer), _when(seen.signer))


def _when(signer: SignedBy) -> datetime | None:
    at = signer.signed_at
    return at.astimezone(UTC) if at else None


@dataclass(frozen=True)
class ReleaseEntry:
    """One release, read."""

    shelf: ReleaseShelf
    """Where it lies."""
    release: Release
    """What its release statement says."""
    subject: Subject
    """What others speak of when they speak of it: `NAME@VERSION`, with the digest over every file."""
    signature: Signature
    """Who signed it."""
    whom: Whom
    """Who was expected."""

    @property
    def name(self) -> str:
        """`owner/name@version`, as it was signed."""
        return self.subject.name

    @cached_property
    def record(self) -> ReleaseRecord:
        """provenance/release.json. Raises GlasshouseError where it is not the one that was signed."""
        return ReleaseRecord.from_bytes(self.read(layout.RECORD), name=layout.RECORD)

    @cached_property
    def listed(self) -> dict[str, str]:
        """SHA-256 of every file that the statement lists, by path."""
        return {file.path: file.sha256 for file in self.release.files}

    def read(self, path: str, max_bytes: int = MAX_RECORD) -> bytes:
        """A file of the release, held to its signed digest.

        Raises Unavailable where the release has none, InputError where it is too large, DigestMismatch where it is
        another.
        """
        signed = self.listed.get(path)
        if signed is None:
            raise Unavailable(f"{self.name} has no {path}", mend="ask the maintainer for it")
        data = self.shelf.read(path, max_bytes)
        if (found := sha256_bytes(data)) != signed:
            raise DigestMismatch(path, signed=signed, found=found)
        return data

    @contextmanager
    def file(self, path: str) -> Iterator[Path]:
        """Where a file of the release lies on this machine, until the block ends: however large, held to its digest.

        Raises Unavailable where the release has none, InputError where it cannot be read, DigestMismatch where it is
        another.
        """
        size = next((file.size for file in self.release.files if file.path == path), None)
        if size is None:
            raise Unavailable(f"{self.name} has no {path}", mend="ask the maintainer for it")
        with self.shelf.file(path, size) as there:
            if (found := sha256_file(there)) != self.listed[path]:
                raise DigestMismatch(path, signed=self.listed[path], found=found)
            yield there

    def json(self, path: str) -> Any:
        """A JSON file of the release. Raises as `read` does, and Malformed."""
        return canonical.parse(self.read(path), name=path)

    def yaml(self, path: str) -> Any:
        """A YAML file of the release. Raises as `read` does, and Malformed."""
        return strict_yaml.parse(self.read(path), name=path)

    @cached_property
    def standing(self) -> tuple[Verdict, str]:
        """Whether it still stands, by step 7 of verification: the verdict, and the newest word."""
        if self._case is None:
            return Verdict.UNKNOWN, "nobody was named whose word would count"
        (check,) = s7_status.checks(self._case, datetime.now(UTC))
        return check.verdict, check.reason

    @cached_property
    def newest(self) -> Word | None:
        """The newest word on its status by those who may speak of it; None where there is none, or nobody was named."""
        _ = self.standing  # step 7 hears all words
        return self._case.heard.newest if self._case is not None and self._case.heard is not None else None

    @cached_property
    def rebuilt(self) -> int | None:
        """How many rebuilders whom the policy names came to a verdict that counts; None where it names none.

        Raises VerificationError where one of them found it DIFFERENT, GlasshouseError where audits cannot be read.
        """
        asked = self.whom.verifier.policy.rebuilders if self.whom.verifier else None
        if self._case is None or asked is None:
            return None
        spoken_of = Gathered(tuple(self.shelf.words(layout.AUDITS)), asked=True)
        found, _ = s6_policy.rebuilders(replace(self._case, gathered=spoken_of), asked)
        return Policy(signers=asked.signers).counted(found, s6_policy.REBUILD)

    @cached_property
    def _case(self) -> Case | None:
        """What step 7 looks at; None where nobody was named who would have signed, or it does not verify."""
        if self.signature.verified is None or self.whom.verifier is None:
            return None
        return Case(
            tree=Tree(Path()),
            files=[],
            reference=self.shelf.reference,
            verifier=self.whom.verifier,
            gathered=_gathered(self.shelf),
            verified={layout.RELEASE_ATTESTATION: self.signature.verified},
            signed=self.release,
            memory=self.whom.memory,
        )

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints, without what would cost further questions."""
        return {
            "reference": str(self.shelf.reference),
            "commit": self.shelf.commit,
            "name": self.name,
            "digest": self.subject.sha256,
            "source": self.release.source.as_json(),
            "files": len(self.release.files),
            "bytes": sum(file.size for file in self.release.files),
            "signature": self.signature.as_json(),
        }


def read(shelf: ReleaseShelf, whom: Whom) -> ReleaseEntry:
    """What the release on `shelf` says. Raises GlasshouseError where there is no release statement that can be read."""
    data = shelf.read(layout.RELEASE_ATTESTATION, MAX_MODEL_BYTES)
    statement = Statement.parse(Bundle.parse(data, max_bytes=MAX_MODEL_BYTES).envelope.payload)
    release = stated(statement)
    signature = whom.signature(data, "release", statement)
    wrong = mistaken(shelf.reference, release)
    if wrong is not None:
        signature = Signature(Verdict.FAIL, wrong)
    return ReleaseEntry(shelf, release, statement.subjects[0], signature, whom)


def _gathered(shelf: ReleaseShelf) -> Gathered:
    if not isinstance(shelf.reference, HubReference):
        return Gathered()
    try:
        return Gathered(tuple(shelf.words(spoken.BRANCH)), asked=True)
    except GlasshouseError as problem:
        words = f"the branch {spoken.BRANCH} cannot be read whole: {problem.message}"
        return Gathered(unanswered={spoken.BRANCH: words})
