"""What both peers do: our own rules, signatures, decisions on duplicates, and tokenizer, with rows that their engines
hand out and take back.

It is what our stages do but for the digests of what is written, the manifest with its tree, and answers that outlast a
killed run: of those they have nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines import params, tokenizer
from pipelines.corpus.documents import Document
from pipelines.corpus.met import MetDigests
from pipelines.corpus.near_duplicates import Neighbours
from pipelines.corpus.rules import Rules
from pipelines.params import NearDuplicates
from pipelines.tokenizing import loaded

LOOKED = pa.schema([("sha256", pa.string()), ("signature", pa.binary()), ("text", pa.string())])
TOLD = ["sha256", "signature"]
"""What decides on duplicates."""
TOKENS = pa.schema([("text", pa.string()), ("tokens", pa.list_(pa.uint16()))])
ROWS = 400
"""In a batch: about a megabyte, as our shards have."""


class Look:
    """The rules of a project."""

    def __init__(self, settings: str) -> None:
        self._rules = Rules(params.load(Path(settings)).corpus)

    def table(self, texts: Iterable[str]) -> pa.Table:
        """The texts that the rules let pass."""
        looked = (self._rules.look(Document.of_text("a", "CC0-1.0", text)) for text in texts)
        rows = [
            (each.document.sha256, None if each.signature is None else each.signature.tobytes(), each.document.data)
            for each in looked
            if each.reason is None
        ]
        return pa.table([[row[place] for row in rows] for place in range(3)], schema=LOOKED)


class Stays:
    """Which texts stay, asked in their order."""

    def __init__(self, settings: str) -> None:
        wanted = params.load(Path(settings)).corpus.near_duplicates
        self._seen, self._near = MetDigests(), Neighbours(wanted or NearDuplicates())

    def mask(self, told: pa.Table) -> pa.Array:
        """Which rows of a table stay."""
        return pa.array(
            [self._stays(*row) for row in zip(*(told.column(name).to_pylist() for name in TOLD), strict=True)]
        )

    def _stays(self, sha256: str, signature: bytes | None) -> bool:
        if (digest := bytes.fromhex(sha256)) in self._seen:
            return False
        if signature is not None:
            numbers = np.frombuffer(signature, np.uint32)
            if self._near.of(numbers):
                return False
            self._near.keep(sha256, numbers)
        self._seen.add(digest)
        return True


class Tokens:
    """A project's tokenizer."""

    def __init__(self, bpe: str) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self._bpe, self._end = loaded(Path(bpe).read_bytes(), tokenizer.end_of_text(Path(bpe).parent))

    def table(self, texts: Sequence[str]) -> pa.Table:
        """The texts, with their tokens."""
        encoded = self._bpe.encode_batch_fast(texts, add_special_tokens=False)
        return pa.table([texts, [[*each.ids, self._end] for each in encoded]], schema=TOKENS)


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Some texts at a time."""
    waiting = iter(texts)
    while some := list(islice(waiting, ROWS)):
        yield some
