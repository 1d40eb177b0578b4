"""Step 3 of a replay: are the tokens that the source makes those that were signed? If not, which document departs?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from registry.attest.audits import ReplayVerdict
from registry.audit.workshop import Workshop
from registry.digest import sha256_file
from registry.errors import GlasshouseError, Unavailable, VerificationError
from registry.records import layout
from registry.records.data_manifest import Row, iter_rows

STAGE = "encode"
"""The stage of dvc.yaml that ends in tokens."""
TOKENS = Path("build/tokens/tokens.json")
MADE = {
    "the data manifest's rows": (Path("build/corpus/data-manifest.jsonl"), layout.DATA_ROWS),
    "the data manifest": (Path("build/corpus/data-manifest.json"), layout.DATA_SUMMARY),
    "the tokenizer": (Path("build/tokenizer/tokenizer.json"), "tokenizer.json"),
    "the tokens": (TOKENS, layout.TOKENS),
}
"""In the order in which they are made: what -> (where in the source's tree, where in the release)."""


@dataclass(frozen=True, slots=True)
class Data:
    """The data of a release, made anew.

    place: the workshop in which they lie.  verdict: BITWISE; DIFFERENT; or UNSUPPORTED, where they differ and this
    machine cannot tell.  reason: in words.
    """

    place: Workshop
    verdict: ReplayVerdict
    reason: str


def remake(place: Workshop) -> Data:
    """Run the stages of dvc.yaml up to the tokens, from nothing, and compare.

    Raises Unavailable where they do not end well, or do not make what is to be compared.
    """
    try:
        place.run(["dvc", "repro", "--force", "--no-run-cache", STAGE], log="data")
    except GlasshouseError as problem:
        raise Unavailable(
            f"the data cannot be made anew: {problem.message}",
            mend="see that its sources can be had; --keep DIR leaves the logs to read",
        ) from problem
    try:
        check(place)
    except VerificationError as problem:
        return Data(place, "UNSUPPORTED" if place.cannot else "DIFFERENT", problem.message)
    return Data(place, "BITWISE", "the data manifest, the tokenizer and the tokens, made anew, are the same")


def check(place: Workshop) -> None:
    """Raise VerificationError that names the first thing, and of data the first document, that is not as signed."""
    for what, (here, there) in MADE.items():
        made, signed = place.tree / here, place.audited.root / there
        if not made.is_file():
            raise Unavailable(f"the source makes no {here}", mend="this audit knows glasshouse's own pipeline only")
        if sha256_file(made) != sha256_file(signed):
            where = f": {_row(made, signed)}" if there == layout.DATA_ROWS else ""
            raise VerificationError(
                f"{what} of the source are not those that were signed{where}",
                mend="report the release: its data are not what its source says",
            )


def _row(made: Path, signed: Path) -> str:
    """The first document at which two files of rows part, in words."""
    for number, (ours, theirs) in enumerate(zip_longest(iter_rows(made), iter_rows(signed)), start=1):
        if ours != theirs:
            return f"row {number} is {_name(ours)} here, {_name(theirs)} as signed"
    return "the rows are the same, written otherwise"


def _name(row: Row | None) -> str:
    return "missing" if row is None else f"{row.path} (sha256:{row.sha256[:16]}…, {row.use})"
