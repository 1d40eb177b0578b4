"""Step 6, for the model that a fine-tuning began with: does it hold, where it stands?

That the weights came from the files which the record names is a link of step 5. What those files are, and who signed
them, only a Hub can show: registry.verification.following.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Protocol

from registry.attest.verifier import Verifier
from registry.errors import GlasshouseError
from registry.records import layout
from registry.records.base_record import Base
from registry.report import Check, Step, Verdict, ask
from registry.verification.case import Case


class FollowBase(Protocol):
    """Looks at a base, where it stands."""

    def __call__(self, base: Base, verifier: Verifier) -> str:
        """What was found of it; signers are told by the root of trust of `verifier`.

        Raises VerificationError for other bytes than were recorded, and for a base that fails; another GlasshouseError
        where it cannot be had, or nobody vouches for it.
        """
        ...


def checks(case: Case, follow: FollowBase | None) -> Iterator[Check]:
    """The answer for the base of the release; none where it has no record of one.

    UNKNOWN where nobody asked to look, and otherwise as `FollowBase` says.
    """
    if layout.BASE not in case.found:
        return
    try:
        base = Base.read(case.trusted(layout.BASE))
    except GlasshouseError:
        return  # told already, by step 2 or by its link of step 5
    if follow is None:
        words = "the signed record names it as the base; not looked at without --bases"
        yield Check(Step.POLICY, Verdict.UNKNOWN, base.uri, words)
    else:
        yield ask(Step.POLICY, base.uri, partial(follow, base, case.verifier))
