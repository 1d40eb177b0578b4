"""Documents in shards of bounded size, and what the rules say of them: as tables of Arrow, which nothing executes.

Law: `unpacked(packed(documents)) == documents`, and `answered(answer(looked))` is `looked` but for the bytes of the
documents that are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.corpus.documents import Document
from pipelines.corpus.rules import RuledDocument
from pipelines.engine import rows
from registry.records.data_row import OriginalDigest, Overlap

BYTES = 1 << 20
"""A shard is closed once it holds so many bytes of documents."""
DOCUMENTS = 1_000
"""Or so many documents."""
DOCUMENT = pa.schema(
    [
        ("path", pa.string()), ("license", pa.string()), ("size", pa.int64()), ("sha256", pa.string()),
        ("data", pa.binary()), ("basis", pa.string()), ("origin", pa.string()),
    ]
)  # fmt: skip
RULED = pa.schema(
    [
        *DOCUMENT, ("stated", pa.string()), ("stated_basis", pa.string()), ("reason", pa.string()),
        ("language", pa.string()), ("passage", pa.string()), ("ngrams", pa.int64()), ("original", pa.string()),
        ("original_size", pa.int64()), ("scrubbed", pa.map_(pa.string(), pa.int64())), ("signature", pa.binary()),
    ]
)  # fmt: skip


def in_shards(documents: Iterable[Document]) -> Iterator[bytes]:
    """The documents, in order, in shards of BYTES bytes or one document more."""
    waiting, size = list[Document](), 0
    for document in documents:
        waiting.append(document)
        size += len(document.data or b"")
        if size >= BYTES or len(waiting) >= DOCUMENTS:
            yield packed(waiting)
            waiting, size = [], 0
    if waiting:
        yield packed(waiting)


def packed(documents: Sequence[Document]) -> bytes:
    """A shard."""
    return rows.written((_fields(document) for document in documents), DOCUMENT)


def unpacked(shard: bytes) -> list[Document]:
    """The documents of a shard."""
    return [Document(*row) for row in _rows(shard, DOCUMENT)]


def answer(looked: Iterable[RuledDocument]) -> bytes:
    """What the rules say of each document of a shard."""
    return rows.written(map(_ruled_fields, looked), RULED)


def answered(data: bytes) -> Iterator[RuledDocument]:
    """What `answer` was given."""
    for row in _rows(data, RULED):
        stated, basis, reason, language, passage, ngrams, original, size, scrubbed, signature = row[len(DOCUMENT) :]
        yield RuledDocument(
            Document(*row[: len(DOCUMENT)]),
            stated,
            basis,
            reason,
            language,
            None if passage is None else Overlap(passage=passage, ngrams=ngrams),
            None if original is None else OriginalDigest(sha256=original, size=size),
            dict(scrubbed),
            None if signature is None else np.frombuffer(signature, "<u4").astype(np.uint32),
        )


def _fields(document: Document) -> tuple[Any, ...]:
    return tuple(getattr(document, name) for name in DOCUMENT.names)


def _ruled_fields(looked: RuledDocument) -> tuple[Any, ...]:
    path, stated, size, sha256, data, basis, origin = _fields(looked.document)
    overlap, original, signature = looked.overlap, looked.original, looked.signature
    return (
        path, stated, size, sha256, data if looked.reason is None else None, basis, origin,
        looked.license, looked.basis, looked.reason, looked.language,
        overlap and overlap.passage, overlap and overlap.ngrams,
        original and original.sha256, original and original.size,
        list(looked.scrubbed.items()), None if signature is None else signature.astype("<u4").tobytes(),
    )  # fmt: skip


def _rows(data: bytes, schema: pa.Schema) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in rows.read(data, schema)), strict=True)
