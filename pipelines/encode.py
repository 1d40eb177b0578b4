"""The encode stage: build/corpus/ and build/tokenizer/ -> build/tokens/: token shards, and the way back to documents.

Laws: the tokens of a document decode to its text, and an end-of-text token follows, which stands nowhere else, not even
where the text itself says "<|endoftext|>". Bytes do not depend on the number of threads. Memory: one row group.
The formats are those of registry.records.tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as BpeTokenizer

from pipelines import params, stage
from pipelines import tokenizer as tokenizer_stage
from pipelines.corpus import OUT as CORPUS
from pipelines.corpus import parquet
from registry.digest import sha256_bytes
from registry.errors import InputError, VerificationError
from registry.files import directory_beside, readable, write_atomic
from registry.manifest import Entry
from registry.records import data_manifest, folders, token_counts, tokens
from registry.records.data_manifest import Summary
from registry.records.tokens import Split, Splits, TokenFile, Tokens

OUT = Path(folders.TOKENS)


class HashedFile:
    """A file that is being written, and its digest. `files` closes it whatever happens."""

    def __init__(self, path: Path, files: ExitStack) -> None:
        self._path, self._size, self._hash = path, 0, hashlib.sha256()
        self._stream = files.enter_context(path.open("wb"))

    def write(self, data: bytes | bytearray) -> None:
        """Append `data`."""
        self._stream.write(data)
        self._hash.update(data)
        self._size += len(data)

    def close(self) -> Entry:
        """Finish it, and say what it is."""
        self._stream.close()
        return Entry(self._path.name, self._size, self._hash.hexdigest())


class SplitWriter:
    """Writes the shards and the index of one split into `folder`, each shard full but the last."""

    def __init__(self, folder: Path, split: str, dtype: str, shard_tokens: int, files: ExitStack) -> None:
        self._folder, self._split, self._stack = folder, split, files
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._shard_tokens = self._room = shard_tokens
        self._full: list[Entry] = []
        self._shard = HashedFile(folder / f"{split}-00000.bin", files)
        self._index = HashedFile(folder / f"{split}.index", files)
        self._tokens = self._documents = self._size = 0

    def add(self, document: parquet.Text, numbers: NDArray[np.int64]) -> None:
        """Append the tokens of one document, its end-of-text included."""
        self._tokens += len(numbers)
        self._documents += 1
        self._size += len(document.text.encode("utf-8"))
        self._index.write(tokens.INDEX_ROW.pack(self._tokens, bytes.fromhex(document.sha256)))
        data = numbers.astype(self._dtype)
        while len(data):
            if not self._room:
                self._full.append(self._shard.close())
                name = f"{self._split}-{len(self._full):05d}.bin"
                self._shard, self._room = HashedFile(self._folder / name, self._stack), self._shard_tokens
            self._shard.write(data[: self._room].tobytes())
            written = min(self._room, len(data))
            self._room, data = self._room - written, data[written:]

    def close(self) -> tuple[Split, list[TokenFile]]:
        """Finish all files: the split's sizes, and the files' entries."""
        closed = [*self._full, self._shard.close(), self._index.close()]
        files = [TokenFile(path=file.path, sha256=file.sha256, size=file.size) for file in closed]
        return Split(tokens=self._tokens, documents=self._documents, size=self._size), files


def write(corpus: Path, tokenizer: Path, out: Path, shard_tokens: int) -> Tokens:
    """Make `out` anew from the folder `corpus` and the tokenizer.json at `tokenizer`.

    Raises InputError where one of them is missing or broken, and VerificationError where the documents are not those of
    the data manifest.
    """
    summary_data, tokenizer_data = _read(corpus / data_manifest.SUMMARY), _read(tokenizer)
    summary = Summary.from_bytes(summary_data, name=data_manifest.SUMMARY)
    data_manifest.verify(summary, corpus / summary.stored_in)
    bpe, end = _load(tokenizer_data, tokenizer_stage.end_of_text(tokenizer.parent))
    vocabulary = bpe.get_vocab_size()
    dtype: Literal["uint16", "uint32"] = "uint16" if vocabulary <= 1 << 16 else "uint32"
    used = summary.splits.train.documents + summary.splits.validation.documents
    with directory_beside(out) as folder, ExitStack() as files, stage.progress("encode: documents", used) as advance:
        writers = {split: SplitWriter(folder, split, dtype, shard_tokens, files) for split in tokens.SPLITS}
        counts = files.enter_context((folder / token_counts.NAME).open("wb"))
        for document, numbers in _encoded(corpus, summary.stored_in, bpe, end):
            writers[document.use].add(document, numbers)
            counts.write(token_counts.line(len(numbers)))
            advance(1)
        closed = {split: writer.close() for split, writer in writers.items()}
        record = Tokens(
            data_manifest=tokens.DataDigests(root=summary.root, sha256=sha256_bytes(summary_data)),
            tokenizer=tokens.TokenizerDigest(sha256=sha256_bytes(tokenizer_data)),
            dtype=dtype,
            vocabulary=vocabulary,
            splits=Splits(train=closed["train"][0], validation=closed["validation"][0]),
            files=tuple(
                sorted((file for _, entries in closed.values() for file in entries), key=lambda file: file.path)
            ),
        )
        write_atomic(folder / tokens.NAME, record.to_bytes())
    return record


def _encoded(corpus: Path, name: str, bpe: BpeTokenizer, end: int) -> Iterator[tuple[parquet.Text, NDArray[np.int64]]]:
    """Each used document with its tokens and `end`, in the manifest's order, each checked against its row in its file
    `name`.

    A row group is encoded at once: the library's threads share it, which was faster than processes of our own.
    """
    rows = (row for row in data_manifest.iter_rows(corpus / name) if row.reason is None)
    path = corpus / parquet.NAME
    for group in range(parquet.groups(path)):
        documents = parquet.read_group(path, group)
        encodings = bpe.encode_batch_fast([document.text for document in documents], add_special_tokens=False)
        for document, encoding in zip(documents, encodings, strict=True):
            row, found = next(rows, None), sha256_bytes(document.text.encode("utf-8"))
            if row is None or (row.sha256, row.use) != (found, document.use) or found != document.sha256:
                _not_of_the_manifest(f"{parquet.NAME} has the document {found}, which is not next in it")
            yield document, np.array([*encoding.ids, end], np.int64)
    if next(rows, None) is not None:
        _not_of_the_manifest(f"{parquet.NAME} has fewer documents")


def _load(data: bytes, end: str) -> tuple[BpeTokenizer, int]:
    """The tokenizer, and the number of the token `end`. Raises InputError for another file, or one without that."""
    try:
        bpe = BpeTokenizer.from_buffer(data)
    except ValueError as problem:
        raise InputError(f"{tokenizer_stage.NAME}: {problem}", mend="dvc repro -f tokenizer") from problem
    number = bpe.token_to_id(end)
    if number is None:
        raise InputError(f"{tokenizer_stage.NAME} has no {end}", mend="dvc repro -f tokenizer")
    bpe.encode_special_tokens = True  # text stays text, even where it spells a special token
    return bpe, number


def _read(path: Path) -> bytes:
    with readable(path, mend="dvc repro encode"):
        return path.read_bytes()


def _not_of_the_manifest(found: str) -> NoReturn:
    raise VerificationError(f"the data manifest speaks of other documents: {found}", mend="dvc repro -f corpus")


def main() -> None:
    """Encode the corpus as params.yaml in the current directory says."""
    record = write(CORPUS, tokenizer_stage.OUT / tokenizer_stage.NAME, OUT, params.load().encode.shard_tokens)
    for name in tokens.SPLITS:
        split = record.splits.named(name)
        print(
            f"{name}: {split.tokens} tokens of {split.documents} documents, {split.size / split.tokens:.2f} bytes each"
        )


if __name__ == "__main__":
    stage.run(main)
