"""The signed word on how open a release is, held to the files of the release.

openness.json       must be what its files show, component by component
the statement       must not say more than its files show
"""

from __future__ import annotations

from registry.attest.predicates import Openness
from registry.errors import VerificationError
from registry.openness import released
from registry.openness.assessment import Assessment, called
from registry.openness.framework import is_as_open
from registry.openness.released import ReleaseFiles
from registry.records import layout
from registry.records.openness_record import OpennessRecord

MEND = "do not rely on it; report the release to its maintainer"


def check_record(files: ReleaseFiles) -> str:
    """What the record of the release says, in words, where it is what the files show.

    Raises VerificationError that names the first component that is otherwise, Malformed for records that are none.
    """
    said, shown = files.record(layout.OPENNESS, OpennessRecord), released.assess(files)
    if said is None:
        raise VerificationError(f"the release has no {layout.OPENNESS}", mend=MEND)
    if said != shown.record:
        raise VerificationError(f"{layout.OPENNESS} is not what the release shows: {_first(said, shown)}", mend=MEND)
    counted = sum(one.counts for one in shown.judged)
    return f"{called(shown.reached)}, {counted} of {len(shown.judged)} components count"


def check_claim(said: Openness, files: ReleaseFiles) -> Assessment:
    """What the release shows. Raises VerificationError where the statement `said` says more."""
    shown = released.assess(files)
    if not is_as_open(shown.reached, said.reached):
        lacking = shown.short_of(said.reached) if said.reached else ()
        told = "; ".join(f"{one.component.name}: {one.why}" for one in lacking[:3])
        raise VerificationError(
            f"it says {called(said.reached)}, and the release shows {called(shown.reached)}; it lacks {told}", mend=MEND
        )
    return shown


def _first(said: OpennessRecord, shown: Assessment) -> str:
    record = shown.record
    if said.reached != record.reached:
        return f"it says {called(said.reached)}, and the files show {called(record.reached)}"
    stated = {one.name: one for one in said.components}
    for one in record.components:
        if (other := stated.get(one.name)) != one:
            return (
                f"{one.name} is said to be {other.state if other else 'nothing'}, and is {one.state}, or of other files"
            )
    return "its parts do not agree"
