"""Are the tokens that the source makes those that were signed? If not: which document is to blame."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

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


def remake(workshop: Workshop) -> None:
    """Run the stages of dvc.yaml up to the tokens, from nothing. Raises Unavailable where they do not end well."""
    try:
        workshop.run(["dvc", "repro", "--force", "--no-run-cache", STAGE], log="data")
    except GlasshouseError as problem:
        raise Unavailable(
            f"the data cannot be made anew: {problem.message}",
            mend="see that its sources can be had; --keep DIR leaves the logs to read",
        ) from problem


def check(workshop: Workshop) -> None:
    """Raise VerificationError that names the first thing, and of data the first document, that is not as signed."""
    for what, (here, there) in MADE.items():
        made, signed = workshop.tree / here, workshop.audited.root / there
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
