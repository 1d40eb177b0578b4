"""Step 3 of a replay: are the tokens that the source makes those that were signed? If not, which document departs?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from registry.attest.audits import ReplayVerdict
from registry.audit import hostile
from registry.audit.workshop import Workshop
from registry.digest import sha256_file
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.records import layout
from registry.records.data_manifest import iter_rows
from registry.records.data_row import Row


@dataclass(frozen=True, slots=True)
class Data:
    """The data of a release, made anew."""

    place: Workshop
    """The workshop in which they lie."""
    verdict: ReplayVerdict
    """BITWISE; DIFFERENT; or UNSUPPORTED, where they differ and this machine cannot tell."""
    reason: str
    """In words."""


def remake(place: Workshop) -> Data:
    """Run the stages of dvc.yaml up to the tokens, from nothing, and compare.

    Raises Unavailable where they do not end well, or do not make what is to be compared.
    """
    try:
        command = ["dvc", "repro", "--force", "--no-run-cache", place.audited.project.replay.data]
        place.run(command, log="data", changes=True)
    except GlasshouseError as problem:
        raise Unavailable(
            f"the data cannot be made anew: {problem.message}",
            mend="see that its sources can be had; --keep DIR leaves the logs to read",
        ) from problem
    try:
        same = check(place)
    except VerificationError as problem:
        return Data(place, "UNSUPPORTED" if place.cannot else "DIFFERENT", problem.message)
    return Data(place, "BITWISE", f"made anew, they are the same: {', '.join(same)}")


def check(place: Workshop) -> tuple[str, ...]:
    """The files of the release that the source made anew, and made the same.

    Raises VerificationError that names the first that is not as signed, and of the data the first document; Unavailable
    where the source does not make one.
    """
    project, root = place.audited.project, place.audited.root
    known = (layout.DATA_ROWS, layout.DATA_TABLE, layout.DATA_SUMMARY, *project.replay.made)
    made = (*(there for there in known if (root / there).is_file()), layout.TOKENS)
    for there in made:
        here = project.source_of(there)
        try:
            found = hostile.plain(place.tree / here, place.tree) if here else None
        except InputError:
            found = None
        if here is None or found is None:
            raise Unavailable(
                f"the source does not make {there}, or does not say where",
                mend="ask its maintainer to say so in release.provenance or release.replay: docs/reference/replay.md",
            )
        if not _alike(found, root / there):
            where = f": {_row(found, root / there)}" if there in (layout.DATA_ROWS, layout.DATA_TABLE) else ""
            raise VerificationError(
                f"{here} of the source is not {there} as it was signed{where}",
                mend="report the release: its data are not what its source says",
            )
    return made


def _alike(made: Path, signed: Path) -> bool:
    """Whether two files have the same bytes. One of another size, which has no bound, is not read."""
    return made.stat().st_size == signed.stat().st_size and sha256_file(made) == sha256_file(signed)


def _row(made: Path, signed: Path) -> str:
    """The first document at which two files of rows part, in words."""
    try:
        for number, (ours, theirs) in enumerate(zip_longest(iter_rows(made), iter_rows(signed)), start=1):
            if ours != theirs:
                return f"row {number} is {_name(ours)} here, {_name(theirs)} as signed"
    except GlasshouseError as problem:
        return problem.message
    return "the rows are the same, written otherwise"


def _name(row: Row | None) -> str:
    return "missing" if row is None else f"{row.path} (sha256:{row.sha256[:16]}…, {row.use})"
