"""Texts to tokens, as work on shards: a shard is a row group of documents.parquet.

Law: of each document of the shard, in order, the answer has the digest, the split, the size of its text, and its
tokens, which decode to the text; an end-of-text token follows, which stands nowhere else, not even where the text
itself says "<|endoftext|>". How many threads or processes there are changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tokenizers import Tokenizer as BpeTokenizer

from pipelines.corpus.parquet import Text
from pipelines.engine import rows
from registry import canonical, variables
from registry.digest import sha256_bytes
from registry.errors import InputError, VerificationError

SHARD = pa.schema([("sha256", pa.string()), ("use", pa.string()), ("text", pa.large_string())])
ANSWER = pa.schema(
    [("sha256", pa.string()), ("use", pa.string()), ("size", pa.int64()), ("tokens", pa.large_list(pa.uint32()))]
)


class Encoded(NamedTuple):
    """A document as tokens."""

    sha256: str
    """SHA-256 of its text's bytes."""
    use: str
    """Which split it belongs to."""
    size: int
    """Bytes of its text."""
    tokens: NDArray[np.uint32]
    """Its tokens, the end-of-text token last."""


@dataclass(frozen=True)
class Tokenizing:
    """A tokenizer, as work on shards."""

    tokenizer: bytes
    """tokenizer.json."""
    end: str
    """The token that ends a document."""
    threads: bool
    """Whether the library's own threads share a shard."""

    @property
    def digest(self) -> str:
        """The digest of the tokenizer."""
        return canonical.digest({"tokenizer": sha256_bytes(self.tokenizer), "end": self.end})

    def __call__(self, shard: bytes) -> bytes:
        """The tokens of each document. Raises VerificationError for a text that is not as its digest says."""
        if not self.threads:
            os.environ[variables.TOKENIZERS_PARALLELISM] = "false"
        bpe, end = loaded(self.tokenizer, self.end)
        digests, uses, texts = (column.to_pylist() for column in rows.read(shard, SHARD))
        encodings = bpe.encode_batch_fast(texts, add_special_tokens=False)
        return rows.written(
            (
                (_checked(sha256, data := text.encode()), use, len(data), np.array([*encoding.ids, end], np.uint32))
                for sha256, use, text, encoding in zip(digests, uses, texts, encodings, strict=True)
            ),
            ANSWER,
        )


def shard(documents: Iterable[Text]) -> bytes:
    """The documents, to be encoded."""
    return rows.written(documents, SHARD)


def encoded(answer: bytes) -> Iterator[Encoded]:
    """The documents of an answer."""
    digests, uses, sizes, tokens = rows.read(answer, ANSWER)
    ends, numbers = tokens.offsets.to_numpy(), tokens.values.to_numpy()
    for place, row in enumerate(zip(digests.to_pylist(), uses.to_pylist(), sizes.to_pylist(), strict=True)):
        yield Encoded(*row, numbers[ends[place] : ends[place + 1]])


@cache
def loaded(data: bytes, end: str) -> tuple[BpeTokenizer, int]:
    """The tokenizer, and the number of the token `end`. Raises InputError for another file, or one without that."""
    mend = "dvc repro -f tokenizer"
    try:
        bpe = BpeTokenizer.from_buffer(data)
    except ValueError as problem:
        raise InputError(f"tokenizer.json: {problem}", mend=mend) from problem
    number = bpe.token_to_id(end)
    if number is None:
        raise InputError(f"tokenizer.json has no {end}", mend=mend)
    bpe.encode_special_tokens = True  # text stays text, even where it spells a special token
    return bpe, number


def _checked(sha256: str, data: bytes) -> str:
    if (found := sha256_bytes(data)) != sha256:
        raise VerificationError(
            f"the data manifest speaks of another document: it is sha256:{found}, its row says sha256:{sha256}",
            mend="dvc repro -f corpus",
        )
    return found
