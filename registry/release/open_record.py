"""The record of how open a release is, and the reports that are part of it: what joins a release last.

Law: a project that declares a more open class than its release shows gets no release.
"""

from __future__ import annotations

from pathlib import Path

from registry.digest import sha256_file
from registry.errors import Refused
from registry.files import write_atomic
from registry.manifest import walk
from registry.openness import released
from registry.openness.assessment import Assessment, called
from registry.openness.cards import reports
from registry.openness.framework import is_as_open
from registry.openness.released import ReleaseFiles
from registry.records import layout
from registry.records.openness_record import OpennessClass
from registry.records.release_record import ReleaseRecord
from registry.release import card
from registry.release.config import ReleaseConfig

MAX_TOLD = 4


def write(config: ReleaseConfig, folder: Path, record: ReleaseRecord) -> Assessment:
    """Write the card of the data, the technical report and openness.json of the release in `folder`.

    Raises Refused where it shows less than the `release` section declares.
    """
    for path, data in reports.written(folder, card.labelled(config, folder)):
        write_atomic(folder / path, data)
    known = {row.path: row.sha256 for row in record.weights}  # weights are large, and were hashed before
    digests = {path: known.get(path) or sha256_file(folder / path) for path, _ in walk(folder)}
    found = released.assess(ReleaseFiles.at(folder, digests, f"{record.repo}@{record.tag}"))
    if config.openness is not None:
        _hold(config.openness, found)
    write_atomic(folder / layout.OPENNESS, found.record.to_bytes())
    return found


def _hold(declared: OpennessClass, found: Assessment) -> None:
    """Raise Refused where `found` is less open than `declared`."""
    if is_as_open(found.reached, declared):
        return
    lacking = found.short_of(declared)
    told = "; ".join(f"{one.component.name}: {one.why}" for one in lacking[:MAX_TOLD])
    more = f"; and {len(lacking) - MAX_TOLD} more" if len(lacking) > MAX_TOLD else ""
    raise Refused(
        f"the `release` section declares openness: {declared}, and the release shows {called(found.reached)}. "
        f"It lacks {told}{more}",
        mend="add what is missing, or declare no more than is shown (`openness` of the `release` section); "
        "docs/explanation/openness.md",
    )
