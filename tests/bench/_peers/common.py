"""What both peers do with some rows: our own rules, our own tokenizer, and texts and tokens in a file.

It is less than our stages do: nothing is known by its digest, what stands twice stays, and nobody makes a manifest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import params, tokenizer
from pipelines.corpus.documents import Document
from pipelines.corpus.rules import Rules
from pipelines.tokenizing import loaded

SCHEMA = pa.schema([("text", pa.string()), ("tokens", pa.list_(pa.uint16()))])
ROWS = 400


class Share:
    """The rules and the tokenizer of a project."""

    def __init__(self, settings: Path, bpe: Path) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self._rules = Rules(params.load(settings).corpus)
        self._bpe, self._end = loaded(bpe.read_bytes(), tokenizer.end_of_text(bpe.parent))

    def table(self, texts: Sequence[str]) -> pa.Table:
        """The texts that the rules let pass, with their tokens."""
        looked = [self._rules.look(Document.of_text("a", "CC0-1.0", text)) for text in texts]
        used = [each.document.data.decode() for each in looked if each.reason is None and each.document.data]
        encoded = self._bpe.encode_batch_fast(used, add_special_tokens=False)
        return pa.table([used, [[*each.ids, self._end] for each in encoded]], schema=SCHEMA)

    def write(self, texts: Iterable[str], out: Path, name: str) -> None:
        """What becomes of the texts, in the file OUT/NAME.parquet."""
        out.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(out / f"{name}.parquet", SCHEMA) as writer:
            for some in _batches(texts):
                writer.write_table(self.table(some))


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(texts)
    while some := list(islice(waiting, ROWS)):
        yield some
