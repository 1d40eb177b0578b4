"""The search stage, which is optional: the texts that are trained on -> build/search/, where passages are found.

    python -m pipelines.search     reads build/corpus/ and build/tokens/, writes build/search/

Law: the same documents give the same bytes. Memory: about six times PART_BYTES, or the longest document.
The format is that of registry.records.search_index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipelines import stage
from pipelines.corpus import OUT as CORPUS
from pipelines.corpus import parquet
from pipelines.encode import OUT as TOKENS
from pipelines.encode import HashedFile
from registry.digest import sha256_bytes, sha256_file
from registry.errors import VerificationError
from registry.files import directory_beside, write_atomic
from registry.records import folders, search_index, tokens
from registry.records.search_index import IndexFile, SearchIndex, name_of
from registry.records.tokens import INDEX_ROW, Tokens

OUT = Path(folders.SEARCH)
PART_BYTES = 256 << 20
"""Bytes of text in a part."""


def write(corpus: Path, encoded: Path, out: Path, part_bytes: int = PART_BYTES) -> SearchIndex:
    """Make `out` anew from the documents in `corpus`, which the tokens in `encoded` were made of.

    Raises VerificationError where the documents are not those of the tokens, and InputError where files are missing.
    """
    record = Tokens.read(encoded / tokens.NAME)
    tokens.verify(record, encoded, "train")
    texts = _texts(corpus / parquet.NAME, encoded / record.index("train").path)
    with directory_beside(out) as folder:
        parts = enumerate(parts_of(texts, part_bytes))
        files = [file for number, part in parts for file in write_part(folder, number, part)]
        index = SearchIndex(
            tokens=sha256_file(encoded / tokens.NAME),
            documents=record.splits.train.documents,
            files=tuple(sorted(files, key=lambda file: file.path)),
        )
        write_atomic(folder / search_index.NAME, index.to_bytes())
    return index


def _texts(documents: Path, index: Path) -> Iterator[bytes]:
    """The texts of the train split, each held to the index of its tokens."""
    wanted = tokens.iter_index(index)
    for document in parquet.read(documents):
        if document.use == "train":
            data = document.text.encode("utf-8")
            if sha256_bytes(data) != next(wanted, (0, ""))[1]:
                raise VerificationError(
                    f"{documents.name} has the document {document.sha256}, which is not next in {index.name}",
                    mend="make both anew: dvc repro -f corpus encode",
                )
            yield data
    if next(wanted, None) is not None:
        raise VerificationError(f"{documents.name} has fewer documents than {index.name}", mend="dvc repro -f corpus")


def parts_of(texts: Iterable[bytes], part_bytes: int) -> Iterator[list[bytes]]:
    """The texts in parts that have about `part_bytes`, each at least one text."""
    part, size = list[bytes](), 0
    for data in texts:
        if part and size + len(data) + 1 > part_bytes:
            yield part
            part, size = [], 0
        part.append(data)
        size += len(data) + 1
    if part:
        yield part


def write_part(folder: Path, number: int, texts: list[bytes]) -> list[IndexFile]:
    """Write part `number` of the texts, which are UTF-8, and say what its files are."""
    from pydivsufsort import divsufsort

    joined = bytearray().join(text + search_index.SEPARATOR for text in texts)  # the library asks for what can change
    with ExitStack() as files:
        written = {kind: HashedFile(folder / name_of(kind, number), files) for kind in search_index.KINDS}
        written["text"].write(joined)
        written["suffixes"].write(divsufsort(np.frombuffer(joined, np.uint8)).astype("<i4").tobytes())
        end = 0
        for text in texts:
            end += len(text) + 1
            written["documents"].write(INDEX_ROW.pack(end, bytes.fromhex(sha256_bytes(text))))
        closed = [file.close() for file in written.values()]
    return [IndexFile(path=file.path, sha256=file.sha256, size=file.size) for file in closed]


def main() -> None:
    """Index what build/ has."""
    index = write(CORPUS, TOKENS, OUT)
    print(f"{index.documents} documents in {index.parts} parts, {sum(file.size for file in index.files)} bytes")


if __name__ == "__main__":
    stage.run(main)
