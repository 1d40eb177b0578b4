"""The stage of a fine-tuning that comes first: the base that params.yaml names is fetched, verified, and recorded.

    params.yaml, `base` -> build/base, every file at the commit; build/base.json, what they are and who vouches for them

Law: nothing appears below build/base but what the base's policy passed. Where no policy is named, nobody verified it:
then nothing appears that could run code, and the record says that it was not verifiable.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
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
from registry.records.run import directory_digest
from registry.report import Report, Step, Verdict
from registry.verification import s0_bounds, s0_contents, steps
from registry.verification.evidence import gather
from registry.verification.fetch import foreseen, read_at
from registry.verification.following import FollowBases
from registry.verification.tree import Tree

RECORDED = frozenset({Step.BYTES, Step.SIGNATURES, Step.COMPLETE, Step.LINEAGE})
"""The steps whose answers say the same on every day, on every machine."""
MAX_REASON = 10_000


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

    def run(self) -> Base:
        """Fetch the base anew, verify it, and write its record.

        Raises FailedReport and UnknownReport where the policy does not pass it; Refused where nobody verifies it and it
        could run code; what the Hub's client raises.
        """
        wanted = chosen(self.root)
        policy = Policy.load(self.root / wanted.policy) if wanted.policy else None
        hub, folder = HubClient(self.endpoint), self.root / folders.BASE
        reference = HubReference(wanted.repo, hub.refs.resolve(wanted.repo, wanted.commit))
        if reference.revision != wanted.commit:
            raise InputError(f"the Hub has {reference.revision} for {wanted.model}", mend="name a commit, not a branch")
        shutil.rmtree(folder, ignore_errors=True)
        told: list[BaseVerification | None] = []
        accept = _harmless if policy is None else self._passes(reference, policy, told)
        admit = foreseen(hub, reference, wanted.commit) if policy else None
        came = hub.trees.download(wanted.repo, wanted.commit, folder, self.progress, accept=accept, admit=admit)
        record = Base(
            repo=wanted.repo,
            commit=wanted.commit,
            sha256=directory_digest({entry.path: entry.sha256 for entry in came.entries}),
            files=len(came.entries),
            size=came.size,
            verification=told[0] if told else None,
        )
        write_atomic(self.root / folders.BASE_RECORD, record.to_bytes())
        return record

    def _passes(
        self, reference: HubReference, policy: Policy, told: list[BaseVerification | None]
    ) -> Callable[[Path, Manifest], None]:
        def accept(where: Path, came: Manifest) -> None:
            report = steps.verify(
                where, reference, read_at(reference, reference.revision), Verifier(policy, self.trust_root),
                gathered=lambda: gather(reference, where, (), endpoint=self.endpoint),
                follow=FollowBases(self.endpoint),
            )  # fmt: skip
            report.require()
            told.append(_verification(report, policy))

        return accept


def _verification(report: Report, policy: Policy) -> BaseVerification:
    """What the record keeps of a report that passed."""
    kept = [check for check in report.checks if check.step in RECORDED]
    return BaseVerification(
        policy=policy.as_json(),
        established=str(report.established),
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
