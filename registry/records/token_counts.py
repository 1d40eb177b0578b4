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
from registry.records.data_manifest import Row
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
    ends = dict.fromkeys(SPLITS, 0)
    indexes = {split: hashlib.sha256() for split in SPLITS}
    for row in rows:
        if row.use == "excluded":
            continue
        start, end = ends[row.use], ends[row.use] + following(row.use)
        if end > record.splits.named(row.use).tokens:
            _differs(f"the documents of {row.use} have more tokens than {tokens.NAME} says")
        indexes[row.use].update(INDEX_ROW.pack(end, bytes.fromhex(row.sha256)))
        ends[row.use] = end
        yield PlacedRow(row, start, end)
    for split in SPLITS:
        if indexes[split].hexdigest() != record.index(split).sha256:
            _differs(f"with the data manifest they lead to another {split}.index")


def _refuse(found: str) -> NoReturn:
    raise Malformed(found, mend=MEND)


def _differs(found: str) -> NoReturn:
    raise VerificationError(f"the counts of tokens are not those of {tokens.NAME}: {found}", mend=MEND)
