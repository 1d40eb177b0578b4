"""The stage of a fine-tuning that comes first: the base that params.yaml names is fetched, verified, and recorded.

    params.yaml, `base` -> build/base, every file at the commit; build/base.json, what they are and who vouches for them

Law: nothing appears below build/base but what the base's policy passed. Where no policy is named, nobody verified it:
then nothing appears that could run code, and the record says that it was not verifiable.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from registry import canonical, strict_yaml
from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.digest import Progress
from registry.errors import InputError, Refused
from registry.files import write_atomic
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.manifest import Manifest
from registry.records import folders
from registry.records.base_record import Base, BaseCheck, BaseVerification, ChosenBase
from registry.records.project import PARAMS
from registry.records.record import validated
from registry.report import Report, Step, Verdict
from registry.verification import s0_bounds, s0_contents, steps, summary
from registry.verification.case import Case, Gathered
from registry.verification.elsewhere import copied
from registry.verification.evidence import gather
from registry.verification.fetch import foreseen, read_at
from registry.verification.following import FollowBases, digest_of
from registry.verification.tree import Tree

RECORDED = frozenset({Step.BYTES, Step.SIGNATURES, Step.COMPLETE, Step.LINEAGE})
"""The steps whose answers say the same on every day, on every machine."""
MAX_REASON = 10_000
Accept = Callable[[Path, Manifest], object]
"""Looks at a base where it came; raises where it is not to be taken."""


def chosen(root: Path) -> ChosenBase:
    """What the params.yaml of the project at `root` says. Raises InputError where it names no base, or badly."""
    settings = strict_yaml.read(root / PARAMS, aliases=True)
    section = settings.get("base") if isinstance(settings, dict) else None
    if section is None:
        raise InputError(f"{PARAMS} names no base", mend="base: {model: hf://OWNER/NAME@COMMIT, policy: policy.yaml}")
    with validated(PARAMS, mend="docs/how-to/fine-tune.md", under="base."):
        return ChosenBase.model_validate_json(canonical.dumps(section))


@dataclass(frozen=True, slots=True)
class BaseStage:
    """The stage in the project at `root`."""

    root: Path
    """The project's root."""
    endpoint: str | None = None
    """The Hub; None is HF_ENDPOINT, or the public one."""
    trust_root: Path | None = None
    """The root of trust of a private Sigstore; None: the public one's."""
    progress: Progress | None = None
    """Told of bytes as they come."""
    given: Path | None = None
    """A folder with the base's files, where its Hub is not to be asked: nobody tells then what was said of it since."""

    def run(self) -> Base:
        """Fetch the base anew, verify it, and write its record.

        Raises FailedReport and UnknownReport where the policy does not pass it; Refused where nobody verifies it and it
        could run code; what the Hub's client raises.
        """
        wanted = chosen(self.root)
        policy = Policy.load(self.root / wanted.policy) if wanted.policy else None
        reference, folder = HubReference(wanted.repo, wanted.commit), self.root / folders.BASE
        shutil.rmtree(folder, ignore_errors=True)
        told: list[BaseVerification | None] = []
        accept = _harmless if policy is None else self._passes(reference, policy, told)
        if self.given is None:
            came = self._fetched(reference, folder, accept, foresees=policy is not None)
        else:
            came = copied(self.given, folder, accept)
        record = Base(
            repo=wanted.repo,
            commit=wanted.commit,
            sha256=digest_of(came),
            files=len(came.entries),
            size=came.size,
            verification=told[0] if told else None,
        )
        write_atomic(self.root / folders.BASE_RECORD, record.to_bytes())
        return record

    def _fetched(self, reference: HubReference, folder: Path, accept: Accept, *, foresees: bool) -> Manifest:
        """What came from the Hub.  foresees: whether only what its release statement lists is fetched."""
        hub, wanted = HubClient(self.endpoint), reference.revision
        if (commit := hub.refs.resolve(reference.repository, wanted)) != wanted:
            raise InputError(f"the Hub has {commit} for {reference}", mend="name a commit, not a branch")
        admit = foreseen(hub, reference, wanted) if foresees else None
        return hub.trees.download(reference.repository, wanted, folder, self.progress, accept=accept, admit=admit)

    def _passes(self, reference: HubReference, policy: Policy, told: list[BaseVerification | None]) -> Accept:
        asks = self.given is None

        def accept(where: Path, came: Manifest) -> None:
            cases: list[Case | None] = []
            report = steps.verify(
                where, reference, read_at(reference, reference.revision), Verifier(policy, self.trust_root),
                gathered=(lambda: gather(reference, where, (), endpoint=self.endpoint)) if asks else Gathered(),
                follow=FollowBases(self.endpoint) if asks else None,
                told=lambda case, report: cases.append(case),
            )  # fmt: skip
            (report if asks else _lasting(report)).require()
            told.extend(_verification(report, case, policy) for case in cases if case is not None)

        return accept


def _lasting(report: Report) -> Report:
    """A report without what can be answered only where a Hub is asked. What does not hold stays in it."""
    kept = (check for check in report.checks if check.step <= Step.LINEAGE or check.verdict is Verdict.FAIL)
    return replace(report, checks=tuple(kept))


def _verification(report: Report, case: Case, policy: Policy) -> BaseVerification:
    """What the record keeps of a report that passed."""
    kept = [check for check in report.checks if check.step in RECORDED]
    return BaseVerification(
        policy=policy.as_json(),
        established=str(summary.established(case)),
        checks=tuple(BaseCheck(step=int(c.step), subject=c.subject, reason=c.reason[:MAX_REASON]) for c in kept),
    )


def _harmless(where: Path, came: Manifest) -> None:
    """Raise Refused where a file of the base, which nobody verifies, could run code or is not known not to."""
    files = s0_bounds.check(Tree(where))
    amiss = [f"{path}: {why}" for path, verdict, why in s0_contents.amiss(where, [path for path, _ in files])
             if verdict is Verdict.FAIL]  # fmt: skip
    if amiss:
        raise Refused(
            f"the base is not taken: {'; '.join(amiss[:3])}", mend="choose a base whose weights are safetensors alone"
        )
