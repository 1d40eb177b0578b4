"""The model that a fine-tuning began with: fetched from its Hub, compared with its record, and verified.

    its bytes     those that the release's record binds                  else FAIL
    by whom       the asker's own policy for bases, else the record's: the policy that the maintainer verified it by
    a base of it  followed too, DEPTH deep at most                       beyond that UNKNOWN
    no policy     its bytes are compared, and it is not verifiable       UNKNOWN

A signed record of a release names who must have signed its base. Whoever does not want to take the maintainer's word
for that gives a policy of their own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.digest import Progress
from registry.errors import Unavailable, VerificationError
from registry.hub.reference import HubReference
from registry.manifest import Manifest
from registry.records import layout
from registry.records.base_record import Base
from registry.records.run import directory_digest
from registry.report import Report
from registry.verification import steps
from registry.verification.evidence import gather
from registry.verification.fetch import read_at
from registry.verification.tree import Tree

if TYPE_CHECKING:
    from registry.hub.transfer import RemoteFile

DEPTH = 8
"""So many bases behind each other are followed."""
MEND = "do not use it; tell the maintainer of the release that names this base"


@dataclass(frozen=True, slots=True)
class FollowBases:
    """Looks at bases on a Hub: a registry.verification.bases.FollowBase."""

    endpoint: str | None = None
    """The Hub; None is HF_ENDPOINT, or the public one."""
    policy: Policy | None = None
    """Who may sign bases, by the asker's own word; None: whom each record names."""
    progress: Progress | None = None
    """Told of bytes as they come."""
    met: tuple[str, ...] = ()
    """The bases that led here, each by its address."""

    def __call__(self, base: Base, verifier: Verifier) -> str:
        """What was found of `base`; signers are told by the root of trust of `verifier`.

        Raises VerificationError for other bytes than were recorded, a base that fails, and one that leads back to
        itself; Unavailable where it cannot be had, or nobody vouches for it; what the Hub's client raises.
        """
        if base.uri in self.met:
            raise VerificationError(f"it leads back to itself: {' <- '.join((*self.met, base.uri))}", mend=MEND)
        if len(self.met) >= DEPTH:
            raise Unavailable(f"more than {DEPTH} bases behind each other", mend="verify the bases one by one")
        with tempfile.TemporaryDirectory(prefix="glasshouse-") as folder:
            root = Path(folder) / "base"
            bring(base, root, self.endpoint, self.progress)
            report = self._report(base, Tree(root), HubReference(base.repo, base.commit), verifier)
        report.require()
        return f"its {base.files} files are those that the training began with; {report.established}"

    def _report(self, base: Base, tree: Tree, reference: HubReference, verifier: Verifier) -> Report:
        policy = self.policy
        if policy is None:
            if base.verification is None:
                raise Unavailable(
                    f"not verifiable: its {base.files} files are those that the training began with, and the record "
                    "names nobody who may sign them",
                    mend="give a policy of your own: --base-policy FILE",
                )
            policy = Policy.of(base.verification.policy, name=f"the policy in {layout.BASE}")
        return steps.verify(
            tree, reference, read_at(reference, base.commit), verifier.with_policy(policy),
            gathered=lambda: gather(reference, tree.root, (), endpoint=self.endpoint),
            follow=replace(self, met=(*self.met, base.uri)),
        )  # fmt: skip


def bring(base: Base, root: Path, endpoint: str | None, progress: Progress | None = None) -> None:
    """Fetch the files of `base` from the Hub at `endpoint` into the new folder `root`; no more than were recorded.

    Raises VerificationError for other bytes than were recorded, and then `root` is not there; what the Hub's client
    raises.
    """
    from registry.hub.client import HubClient

    def accept(where: Path, came: Manifest) -> None:
        if (found := digest_of(came)) != base.sha256:
            raise VerificationError(
                f"its {base.files} files are sha256:{found}, recorded as sha256:{base.sha256}", mend=MEND
            )

    admit = partial(_check_listed, base)
    HubClient(endpoint).trees.download(base.repo, base.commit, root, progress, accept=accept, admit=admit)


def digest_of(files: Manifest) -> str:
    """The digest over all files of a base, as its record has it."""
    return directory_digest({entry.path: entry.sha256 for entry in files.entries})


def _check_listed(base: Base, files: Sequence[RemoteFile]) -> None:
    """Raise VerificationError where a Hub lists more or less than was recorded; nothing is fetched."""
    listed = (len(files), sum(file.size for file in files))
    if listed != (base.files, base.size):
        raise VerificationError(
            f"the Hub lists {listed[0]} files of {listed[1]} bytes; {base.files} of {base.size} were recorded",
            mend=MEND,
        )
