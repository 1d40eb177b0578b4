"""The tokens of one split, as training reads them: any window in O(its length), across shard borders.

Files are mapped, not loaded, so memory stays flat. Each is checked against tokens.json, once, when it is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from registry.errors import InputError
from registry.records import tokens
from registry.records.tokens import Tokens

_INDEX_DTYPE = np.dtype([("end", "<i8"), ("sha256", "V32")])
"""A row of the index, as numpy says what registry.records.tokens.INDEX_ROW says."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenSplit:
    """The tokens of one split.

    record: tokens.json.  shards: the token numbers, one mapped file each.  starts: where each shard starts, in tokens.
    ends, sha256s: for each document where its tokens end, ascending, and its digest.
    """

    record: Tokens
    count: int
    shards: tuple[NDArray[np.unsignedinteger], ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    sha256s: NDArray[np.void]

    @classmethod
    def open(cls, folder: Path, split: str) -> TokenSplit:
        """Open `split` of the tokens in `folder`.

        Raises DigestMismatch or VerificationError where a file is not what tokens.json says, and InputError where
        tokens.json is missing or breaks its own law.
        """
        record = Tokens.read(folder / tokens.NAME)
        count = record.splits.named(split).tokens
        tokens.verify(record, folder, split)
        dtype = np.dtype(record.dtype).newbyteorder("<")
        shards = tuple(np.memmap(folder / shard.path, dtype, mode="r") for shard in record.shards(split) if shard.size)
        lengths = [len(shard) for shard in shards]
        index = (
            np.memmap(folder / record.index(split).path, _INDEX_DTYPE, mode="r") if count else np.empty(0, _INDEX_DTYPE)
        )
        starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]
        return cls(record, count, shards, starts, index["end"], index["sha256"])

    def slice(self, start: int, length: int) -> NDArray[np.int64]:
        """The `length` tokens from position `start` on, as a new array [length].

        Raises InputError where they are not all in the split.
        """
        if not 0 <= start <= start + length <= self.count:
            raise InputError(
                f"tokens {start} to {start + length} of {self.count} were asked for",
                mend="ask for fewer tokens: lower the steps, the batch or the context in params.yaml",
            )
        window = np.empty(length, np.int64)
        filled = 0
        while filled < length:
            number = int(np.searchsorted(self.starts, start + filled, side="right")) - 1
            offset = start + filled - int(self.starts[number])
            piece = self.shards[number][offset : offset + length - filled]
            window[filled : filled + len(piece)] = piece
            filled += len(piece)
        return window

    def document_at(self, position: int) -> str:
        """The SHA-256 of the document that the token at `position` belongs to. Raises InputError outside the split."""
        if not 0 <= position < self.count:
            raise InputError(f"token {position} of {self.count}", mend=f"ask for one from 0 to {self.count - 1}")
        return bytes(self.sha256s[int(np.searchsorted(self.ends, position, side="right"))]).hex()
