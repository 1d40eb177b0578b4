"""What is asked when a release is to be verified: which, by whose word, and with what else at hand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from registry.attest.signature import Signer
from registry.attest.verifier import Verifier
from registry.digest import Progress
from registry.errors import InputError, Unavailable
from registry.files import write_atomic
from registry.hub.reference import DirectoryReference, HubReference, Reference
from registry.report import FailedReport, Report, UnknownReport, Verdict
from registry.verification import spoken, steps
from registry.verification.bases import FollowBase
from registry.verification.case import Case, DigestMode
from registry.verification.companions import Measure
from registry.verification.evidence import gather
from registry.verification.fetch import Fetched, fetched
from registry.verification.memory import Memory
from registry.verification.tree import Tree


def failed_beside(into: Path) -> Path:
    """Where a download that was to be kept in `into` stands when it fails."""
    return into.with_name(f"{into.name}.failed")


@dataclass(frozen=True, slots=True)
class Request:
    """One verification that is asked for. Raises InputError where the Hugging Face cache cannot have the release."""

    reference: Reference
    """Which release."""
    verifier: Verifier
    """The policy, and the roots of trust."""
    attestations: tuple[Path, ...] = ()
    """Bundles by others, or folders of them."""
    measure: Measure | None = None
    """Hashes what belongs to the release in other repositories; None: nobody looks there."""
    follow: FollowBase | None = None
    """Looks at the base of the release; None: nobody does."""
    digest: DigestMode = "blake3"
    """By which digests files are compared."""
    hf_cache: bool = False
    """Whether the release is looked for in the Hugging Face cache, and no Hub is asked."""
    endpoint: str | None = None
    """The Hub; None is HF_ENDPOINT, or the public one."""
    progress: Progress | None = None
    """Told of bytes as they come, and as they are hashed."""
    summary: Path | None = None
    """Where a verification summary is written; an older one gives way, whether or not there is a new one."""
    signer: Signer | None = None
    """Who signs the summary; None: nobody does."""
    memory: Memory | None = None
    """What this machine heard of releases before, and where it is kept what it hears now; None: nowhere."""
    told: Callable[[Case, Report], object] | None = None
    """Gets what is known of the release at the end, while its files are there, unless step 0 failed."""

    def __post_init__(self) -> None:
        if self.hf_cache and not isinstance(self.reference, HubReference):
            raise InputError(
                f"{self.reference} is a directory, and is not looked for in the Hugging Face cache",
                mend="name the release there: hf://OWNER/NAME@TAG",
            )

    def begin(self) -> None:
        """Remove an older summary: it does not answer what is asked now. Raises InputError where that cannot be."""
        try:
            if self.summary is not None:
                self.summary.unlink(missing_ok=True)
        except OSError as problem:
            words = f"{self.summary} cannot be written: {problem.strerror}"
            raise InputError(words, mend="name a file for the summary") from problem

    def fetched(self, into: Path | None = None) -> AbstractContextManager[Fetched]:
        """The release in a directory. Raises as `registry.verification.fetch.fetched` does."""
        if into is not None and self.hf_cache:
            raise InputError(
                "what lies in the Hugging Face cache is read there, and goes nowhere else",
                mend="leave out one of the two",
            )
        return fetched(
            self.reference, endpoint=self.endpoint, into=into, progress=self.progress, hf_cache=self.hf_cache
        )

    def verified(self, into: Path | None = None) -> Report:
        """The report on the release, wherever it is. What is downloaded is kept in `into`, unless it fails.

        What fails does not stay under that name, where somebody could load it: it is at `failed_beside(into)`.
        Raises InputError where something is there already; as `fetched` and `report` do.
        """
        if into is not None and failed_beside(into).exists():
            raise InputError(
                f"{failed_beside(into)} is there, from a release that failed before", mend="look at it, and remove it"
            )
        try:
            with self.fetched(into) as place:
                report = self.report(place.tree, place.words, place.seconds)
        except (FailedReport, UnknownReport) as problem:
            return problem.report  # nothing was fetched: what the Hub lists is not what was signed
        if into is not None and isinstance(self.reference, HubReference) and report.verdict is Verdict.FAIL:
            into.rename(failed_beside(into))
        return report

    def report(self, tree: Tree, words: str, seconds: float = 0.0) -> Report:
        """The report on the release in `tree`; `words` say how it came there, in so many seconds.

        Raises InputError for a root of trust or an attestation that cannot be read, and as `signer` does.
        """
        asks = DirectoryReference(tree.root) if self.hf_cache else self.reference  # of a directory, no Hub is asked
        return steps.verify(
            tree, self.reference, words, self.verifier, self.progress, digest=self.digest, fetching=seconds,
            gathered=lambda: gather(asks, tree.root, self.attestations, endpoint=self.endpoint),
            measure=self.measure, follow=self.follow, memory=self.memory, told=self._told,
        )  # fmt: skip

    def _told(self, case: Case | None, report: Report) -> None:
        if self.memory is not None and case is not None and case.subject is not None and case.heard is not None:
            self.memory.keep(case.subject, spoken.speakers(case.verifier.policy), case.heard)
        if self.told is not None and case is not None:
            self.told(case, report)
        self._summarize(case, report)

    def _summarize(self, case: Case | None, report: Report) -> None:
        """Write the summary, where one is asked for, and the report says PASS or FAIL of files that were read."""
        if self.summary is None:
            return
        from registry.verification import slsa_summary

        try:
            statement = slsa_summary.summarized(case, report)
        except Unavailable:
            return
        write_atomic(self.summary, self.signer.sign(statement) if self.signer else statement.to_bytes())
