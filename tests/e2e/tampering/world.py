"""A tamperer's world: a good release, its doubles, and what each case does to a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from registry.attest.bundle import MAX_BYTES
from registry.attest.policy import CertificateHolder, Policy, SigstoreIdentity
from registry.attest.signature import Signer, Verified
from registry.attest.statement import Statement
from registry.attest.verifier import Verifier
from registry.errors import VerificationError
from registry.hub.reference import DirectoryReference, Reference
from registry.openness.documents import every
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.release import signing
from registry.report import Verdict
from registry.verification.steps import verify
from tests import synthetic_release
from tests.authority import SIGNER, Authority, Holder, StandingClock, root_pem
from tests.sigstore_instance.tsa import TimestampAuthority

MAX_KNOWN = 1 << 20
"""Bytes of a bundle that is remembered."""
PAIR = ("provenance/first.txt", "provenance/other.txt")
"""Two files of one size."""


class NotAsExpected(AssertionError):
    """A release was not refused, or for another reason than the case is about."""


@dataclass(frozen=True)
class World:
    """What a tamperer has at hand.

    good: the release.  later: the next one, by the same maintainer.  timed: the same as `good`, with Rekor 2 and
    timestamps.  foreign: the same, signed in the maintainer's name by another Sigstore instance.  paired: the same,
    with two more files of one size.  certified: the same, signed by a certificate of the authority `site`.  stamped:
    the same, signed by that of `holder`, with timestamps by `clock`.
    signer: the maintainer, gone bad.  identity, issuer: who must have signed.
    """

    good: Path
    later: Path
    timed: Path
    foreign: Path
    paired: Path
    certified: Path
    stamped: Path
    site: Authority
    holder: Holder
    clock: TimestampAuthority
    signer: Signer
    verifier: Verifier
    identity: str
    issuer: str

    def trusting(self, identity: str, issuer: str) -> Verifier:
        return self.verifier.with_policy(Policy(signers=(SigstoreIdentity(identity=identity, issuer=issuer),)))

    def certifying(
        self,
        identity: str = SIGNER,
        authorities: str | None = None,
        *,
        lists: tuple[str, ...] = (),
        clock: TimestampAuthority | None = None,
    ) -> Verifier:
        """Trusts that name by an authority; by revocation lists, and the timestamps of `clock`."""
        stampers = root_pem(clock) if clock else None
        rule = CertificateHolder(
            identity=identity,
            authorities=authorities or self.site.pem,
            revocation_lists=lists,
            timestamp_authorities=stampers,
        )
        return self.verifier.with_policy(Policy(signers=(rule,)))

    @property
    def ended(self) -> datetime:
        """When the certificate of `holder` ends."""
        return self.holder.own.not_valid_after_utc


class Remembering(Verifier):
    """Verifies each bundle once: most cases leave most bundles as they were."""

    _known: dict[tuple[bytes, str | None], Verified | VerificationError]

    @classmethod
    def like(cls, verifier: Verifier) -> Remembering:
        """By the policy and root of `verifier`."""
        remembering = cls(verifier.policy, trust=verifier.trust, now=verifier.now)
        remembering._known = {}
        return remembering

    def verify(self, data: bytes, *, name: str | None = None, max_bytes: int = MAX_BYTES) -> Verified:
        if len(data) > MAX_KNOWN:
            return super().verify(data, name=name, max_bytes=max_bytes)
        if (data, name) not in self._known:
            try:
                self._known[data, name] = super().verify(data, name=name, max_bytes=max_bytes)
            except VerificationError as problem:
                self._known[data, name] = problem
        known = self._known[data, name]
        if isinstance(known, VerificationError):
            raise known
        return known


@dataclass(frozen=True)
class SigningOnce:
    """Signs each statement once, by `signer`: most of a release that is signed anew says what it said before."""

    signer: Signer
    known: dict[bytes, bytes] = field(default_factory=dict)

    def sign(self, statement: Statement) -> bytes:
        payload = statement.to_bytes()
        if payload not in self.known:
            self.known[payload] = self.signer.sign(statement)
        return self.known[payload]


@dataclass(frozen=True)
class Attempt:
    """How the spoilt copy is verified, where not as usual."""

    reference: Reference | None = None
    verifier: Verifier | None = None


@dataclass(frozen=True)
class Case:
    """name: of the case.  spoil: does it, to a copy.  step: which must fail (or one of which).

    subject: on what it must fail; "" is on anything.  words: that the reason must hold; a subject, or words, there are.
    code: the exit code; with 3, the step must say UNKNOWN, and none may fail.
    """

    name: str
    spoil: Callable[[World, Path], Attempt | None]
    step: int | tuple[int, ...]
    subject: str = ""
    words: tuple[str, ...] = ()
    code: int = 1

    def __post_init__(self) -> None:
        assert self.subject or self.words, f"{self.name}: its reason could be any"


def world(good: Path, scratch: Path, *, signer: Signer, timed: Signer, foreign: Signer, verifier: Verifier) -> World:
    """The world around the release `good`, its doubles made in `scratch`. verifier: trusts one identity, offline."""
    (expected,) = verifier.policy.signers
    assert isinstance(expected, SigstoreIdentity)
    site = Authority(scratch / "site")
    holder, clock = site.issue("stamped"), TimestampAuthority(site.folder / "clock")
    signer = SigningOnce(signer)
    doubles = {
        "later": signer, "timed": timed, "foreign": foreign, "paired": signer, "certified": site.issue().signer,
        "stamped": holder.stamped(StandingClock(clock)),
    }  # fmt: skip
    for name, by in doubles.items():
        folder = Path(shutil.copytree(good, scratch / name))
        if name == "later":
            standing = record(good)
            major = int(standing.version.split(".")[0])
            changed = standing.model_copy(update={"version": f"{major + 1}.0.0"})
            (folder / layout.RECORD).write_bytes(changed.to_bytes())
            every.write(folder)
            (folder / layout.OPENNESS).write_bytes(synthetic_release.assessed(folder).record.to_bytes())
        if name == "paired":
            for path in PAIR:
                (folder / path).write_text(path)
        signing.sign(folder, by)
    return World(
        good, **{name: scratch / name for name in doubles}, site=site, holder=holder, clock=clock, signer=signer,
        verifier=Remembering.like(verifier),
        identity=expected.identity, issuer=expected.issuer,
    )  # fmt: skip


def run(world: World, case: Case, scratch: Path) -> tuple[int, str]:
    """Spoil a copy and verify it; (exit code, reason of the failure that was expected)."""
    scratch.mkdir(exist_ok=True)
    root = Path(shutil.copytree(world.good, scratch / "release"))
    try:
        attempt = case.spoil(world, root) or Attempt()
        reference = attempt.reference or DirectoryReference(root)
        report = verify(root, reference, "a copy", attempt.verifier or world.verifier)
    finally:
        shutil.rmtree(scratch)
    code = report.verdict.exit_code
    steps = case.step if isinstance(case.step, tuple) else (case.step,)
    verdict = "UNKNOWN" if case.code == Verdict.UNKNOWN.exit_code else "FAIL"
    failed = {(check.step, check.subject): check.reason for check in report.checks if check.verdict == verdict}
    fitting = [
        reason
        for (step, subject), reason in failed.items()
        if step in steps and case.subject in ("", subject) and all(word in reason for word in case.words)
    ]
    if not fitting or code != case.code:
        expected = f"step {case.step} to fail on {case.subject!r} for {case.words}, exit code {case.code}"
        raise NotAsExpected(f"{case.name}: expected {expected}; found exit code {code}, {failed}")
    return code, fitting[0]


def record(root: Path) -> ReleaseRecord:
    """The record of the release at `root`."""
    return ReleaseRecord.read(root / layout.RECORD)
