"""How many tokens each document became, and so which tokens of its split are its own.

    token-counts.jsonl    for each used document of the data manifest, in its order, a line: how many tokens it became,
                          its end-of-text included

With the manifest it says what the index of each split says, in text that a release can carry.

Law: the counts are those of tokens.json if, and only if, the indexes that they and the manifest lead to have the
digests that stand there. `placed` tells at its end, so nothing that it gave is known before it has ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from registry import canonical
from registry.errors import Malformed, VerificationError
from registry.records import tokens
from registry.records.data_row import Row
from registry.records.tokens import INDEX_ROW, SPLITS, Tokens

NAME = "token-counts.jsonl"
MAX_LINE = 17
"""Bytes of a line: 2 ** 53 - 1 has 16 digits."""
MEND = "make them anew: dvc repro -f encode"

Next = Callable[[str], int]
"""How many tokens the next document of a split became."""


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A document that is used, and its tokens."""

    row: Row
    """Its row of the data manifest."""
    start: int
    """Its first token, as a position in its split."""
    end: int
    """One past its last, which is the end of text."""


def line(count: int) -> bytes:
    """The line for a document of `count` tokens."""
    return b"%d\n" % count


def from_counts(stream: BinaryIO) -> Next:
    """The counts in `stream`, whatever the split: they stand in the order of the manifest."""

    def following(split: str) -> int:
        found = stream.readline(MAX_LINE + 1)
        digits = found[:-1]
        if not found.endswith(b"\n") or not digits.isdigit() or digits[:1] == b"0" or len(found) > MAX_LINE:
            _refuse(f"{NAME} has {found[:20]!r} where the tokens of a document of {split} belong")
        if (count := int(digits)) > canonical.MAX_SAFE_INTEGER:
            _refuse(f"{NAME} has a document of {count} tokens")
        return count

    return following


def from_indexes(folder: Path) -> Next:
    """The counts that the indexes beside tokens.json say, in `folder`."""
    ends = {split: tokens.iter_index(folder / f"{split}.index") for split in SPLITS}
    last = dict.fromkeys(SPLITS, 0)

    def following(split: str) -> int:
        before = last[split]
        last[split], _ = next(ends[split], (before, ""))
        if last[split] == before:
            _differs(f"{split}.index has fewer documents than the data manifest")
        return last[split] - before

    return following


def placed(rows: Iterable[Row], record: Tokens, following: Next) -> Iterator[PlacedRow]:
    """Each used document of `rows` with its tokens, in order.

    Raises VerificationError, at the end, unless rows and counts lead to the indexes of tokens.json.
    """
    indexes = _Indexes(record, following)
    for row in rows:
        if row.use != "excluded":
            yield PlacedRow(row, *indexes.add(row.use, row.sha256))
    indexes.check()


def verify(used: Iterable[tuple[str, str]], record: Tokens, stream: BinaryIO) -> int:
    """How many documents the counts in `stream` are of, which are those of `used`: (use, SHA-256) of each, in order.

    Raises VerificationError unless they lead to the indexes of tokens.json, Malformed for other bytes.
    """
    indexes, count = _Indexes(record, from_counts(stream)), 0
    for use, sha256 in used:
        indexes.add(use, sha256)
        count += 1
    indexes.check()
    if stream.read(1):
        _differs(f"{NAME} has more lines than the data manifest has documents that are used")
    return count


class _Indexes:
    """The index of each split, made anew document by document."""

    def __init__(self, record: Tokens, following: Next) -> None:
        self._record, self._following = record, following
        self._ends = dict.fromkeys(SPLITS, 0)
        self._hashes = {split: hashlib.sha256() for split in SPLITS}

    def add(self, split: str, sha256: str) -> tuple[int, int]:
        """Where the tokens of the next document of `split` begin and end."""
        start, end = self._ends[split], self._ends[split] + self._following(split)
        if end > self._record.splits.named(split).tokens:
            _differs(f"the documents of {split} have more tokens than {tokens.NAME} says")
        self._hashes[split].update(INDEX_ROW.pack(end, bytes.fromhex(sha256)))
        self._ends[split] = end
        return start, end

    def check(self) -> None:
        """Raise VerificationError unless they are those of tokens.json."""
        for split in SPLITS:
            if self._hashes[split].hexdigest() != self._record.index(split).sha256:
                _differs(f"with the data manifest they lead to another {split}.index")


def _refuse(found: str) -> NoReturn:
    raise Malformed(found, mend=MEND)


def _differs(found: str) -> NoReturn:
    raise VerificationError(f"the counts of tokens are not those of {tokens.NAME}: {found}", mend=MEND)
