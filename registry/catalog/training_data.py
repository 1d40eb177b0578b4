"""What one release was trained on: its records of the data, each held to the release statement and to one another.

    1  data-manifest.json, and rows are listed in the statement; the summary names these very rows
    2  tokens.json                  was made from that summary
    3  token-counts.jsonl           with the rows leads to the indexes that tokens.json names, at the end of `placed`
    4  checkpoints.json             was trained on that tokens.json; its checkpoints used as many rows as its steps take

Law: what contradicts another record raises VerificationError; what nobody recorded is Unavailable, and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from registry.catalog.entry import ReleaseEntry, Signature
from registry.errors import Unavailable, VerificationError
from registry.records import data_manifest, layout, token_counts
from registry.records.checkpoint_chain import Chain
from registry.records.data_manifest import Summary
from registry.records.data_row import Row
from registry.records.order import Sampling
from registry.records.project import Project
from registry.records.token_counts import PlacedRow
from registry.records.tokens import Tokens
from registry.report import Verdict


@dataclass(frozen=True)
class TrainingData:
    """The data of one release."""

    entry: ReleaseEntry
    """The release."""
    summary: Summary
    """Its data-manifest.json."""
    manifest: Path
    """Where the rows of its data manifest lie."""
    counts: Path | None
    """Where its token-counts.jsonl lies; None where it has none."""
    folder: Path | None
    """A folder with tokens.json and its files, for a release without counts; None where nobody named one."""

    def rows(self) -> Iterator[Row]:
        """Every document that was met, in order."""
        return data_manifest.iter_rows(self.manifest)

    @cached_property
    def tokens(self) -> Tokens:
        """tokens.json. Raises Unavailable where the release has none, VerificationError where it is of other data."""
        found = Tokens.from_bytes(self.entry.read(layout.TOKENS), name=layout.TOKENS)
        if found.data_manifest.sha256 != self.entry.listed.get(layout.DATA_SUMMARY):
            _contradicts(layout.TOKENS, layout.DATA_SUMMARY)
        return found

    @property
    def counted(self) -> bool:
        """Whether it is known how many tokens each document became."""
        return self.counts is not None or self.folder is not None

    def placed(self) -> Iterator[PlacedRow]:
        """Each used document with its tokens: `registry.records.token_counts.placed`. Raises Unavailable where nobody
        says which they are."""
        if self.counts is not None:
            with self.counts.open("rb") as stream:
                yield from token_counts.placed(self.rows(), self.tokens, token_counts.from_counts(stream))
                if stream.read(1):
                    _contradicts(layout.TOKEN_COUNTS, layout.data_rows(self.entry.listed))
        elif self.folder is not None:
            yield from token_counts.placed(self.rows(), self.tokens, token_counts.from_indexes(self.folder))
        else:
            raise Unavailable(
                f"{self.entry.name} has no {layout.TOKEN_COUNTS}, and so nothing says which tokens are whose",
                mend="name the folder with tokens.json and its files: --tokens build/tokens (dvc repro encode)",
            )

    @cached_property
    def sampling(self) -> Sampling:
        """What the training took, step by step.

        Raises Unavailable where the release does not say, VerificationError where its checkpoints say otherwise.
        """
        project = Project.parse(self.entry.yaml(layout.PARAMS), name=layout.PARAMS)
        chain = Chain.from_bytes(self.entry.read(layout.CHECKPOINTS), name=layout.CHECKPOINTS)
        chain.verify()
        if chain.tokens != self.entry.listed.get(layout.TOKENS):
            _contradicts(layout.CHECKPOINTS, layout.TOKENS)
        found = project.sampling(self.tokens.splits.train.tokens)
        steps = [entry.step for entry in chain.entries]
        if steps[-1] != found.steps or any(
            entry.positions.end != entry.step * found.step_rows for entry in chain.entries
        ):
            _contradicts(layout.CHECKPOINTS, layout.PARAMS)
        return found


@contextmanager
def read(entry: ReleaseEntry, folder: Path | None = None) -> Iterator[TrainingData]:
    """The data of the release, on this machine until the block ends. folder: as in TrainingData.

    Raises Unavailable where it has no data manifest, DigestMismatch and VerificationError as the laws above say.
    """
    summary = Summary.from_bytes(entry.read(layout.DATA_SUMMARY), name=layout.DATA_SUMMARY)
    rows = f"{layout.PROVENANCE}/{summary.stored_in}"
    if summary.rows_sha256 != entry.listed.get(rows):
        _contradicts(layout.DATA_SUMMARY, rows)
    with ExitStack() as files:
        manifest = files.enter_context(entry.file(rows))
        has = layout.TOKEN_COUNTS in entry.listed and folder is None
        counts = files.enter_context(entry.file(layout.TOKEN_COUNTS)) if has else None
        yield TrainingData(entry, summary, manifest, counts, folder)


def vouched(entry: ReleaseEntry) -> Signature:
    """Who stands for the release: as the entry has it, but UNKNOWN where the policy asks for several signers, of whom
    one is looked at here."""
    verifier = entry.whom.verifier
    if verifier is not None and verifier.policy.threshold > 1 and entry.signature.verdict is Verdict.PASS:
        words = f"the policy asks for {verifier.policy.threshold} signers, and one is looked at here: glasshouse verify"
        return Signature(Verdict.UNKNOWN, words, entry.signature.at)
    return entry.signature


def _contradicts(one: str, other: str) -> NoReturn:
    raise VerificationError(
        f"{one} does not belong to the {other} of the release", mend="report the release: its records contradict"
    )
