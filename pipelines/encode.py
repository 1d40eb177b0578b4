"""The encode stage: build/corpus/ and build/tokenizer/ -> build/tokens/: token shards, and the way back to documents.

What a document's tokens are: pipelines.tokenizing. Memory: a few row groups for each process that encodes.
The formats are those of registry.records.tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from pipelines import params, stage
from pipelines import tokenizer as tokenizer_stage
from pipelines.corpus import OUT as CORPUS
from pipelines.corpus import parquet
from pipelines.engine.choice import started
from pipelines.engine.identity import own_identity
from pipelines.engine.kept import KeptAnswers
from pipelines.engine.local import Alone
from pipelines.engine.rows import without_pandas
from pipelines.engine.work import answers
from pipelines.params import EngineSettings
from pipelines.tokenizing import Encoded, Tokenizing, encoded, loaded, shard
from registry.digest import sha256_bytes
from registry.errors import VerificationError
from registry.files import directory_beside, readable, write_atomic
from registry.manifest import Entry
from registry.records import data_manifest, folders, token_counts, tokens
from registry.records.data_manifest import Summary
from registry.records.tokens import Split, Splits, TokenFile, Tokens

OUT = Path(folders.TOKENS)


LOCAL = EngineSettings()
FEW = 16
"""So many row groups are encoded here before a process that shares them has started and loaded the tokenizer."""


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

    def add(self, document: Encoded) -> None:
        """Append the tokens of one document, its end-of-text included."""
        self._tokens += len(document.tokens)
        self._documents += 1
        self._size += document.size
        self._index.write(tokens.INDEX_ROW.pack(self._tokens, bytes.fromhex(document.sha256)))
        data = document.tokens.astype(self._dtype)
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


def write(corpus: Path, tokenizer: Path, out: Path, shard_tokens: int, engine: EngineSettings = LOCAL) -> Tokens:
    """Make `out` anew from the folder `corpus` and the tokenizer.json at `tokenizer`.

    Raises InputError where one of them is missing or broken, and VerificationError where the documents are not those of
    the data manifest.
    """
    summary_data, tokenizer_data = _read(corpus / data_manifest.SUMMARY), _read(tokenizer)
    summary = Summary.from_bytes(summary_data, name=data_manifest.SUMMARY)
    data_manifest.verify(summary, corpus / summary.stored_in)
    end = tokenizer_stage.end_of_text(tokenizer.parent)
    vocabulary = loaded(tokenizer_data, end)[0].get_vocab_size()
    dtype: Literal["uint16", "uint32"] = "uint16" if vocabulary <= 1 << 16 else "uint32"
    documents = _encoded(corpus, summary.stored_in, out, tokenizer_data, end, engine)
    with closing(documents), directory_beside(out) as folder, ExitStack() as files:
        writers = {split: SplitWriter(folder, split, dtype, shard_tokens, files) for split in tokens.SPLITS}
        counts = files.enter_context((folder / token_counts.NAME).open("wb"))
        for document in documents:
            writers[document.use].add(document)
            counts.write(token_counts.line(len(document.tokens)))
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


def _encoded(
    corpus: Path, name: str, out: Path, tokenizer: bytes, end: str, engine: EngineSettings
) -> Generator[Encoded, None, None]:
    """Each used document with its tokens and `end`, in the manifest's order, each checked against its row in its file
    `name`.

    Few row groups are encoded here, by the library's threads; many by the engine, and what it gives is kept until the
    stage that writes `out` has ended well.
    """
    rows = data_manifest.iter_used(corpus / name)
    path = corpus / parquet.NAME
    count = parquet.groups(path)
    work = Tokenizing(tokenizer, end, threads=count <= FEW)
    shards = map(shard, parquet.read_groups(path))
    with ExitStack() as stack:
        advance = stack.enter_context(stage.progress("encode: shards", count))
        if count <= FEW:
            found = answers(Alone(work), shards, None, advance)
        else:
            kept = stack.enter_context(KeptAnswers.beside(out, f"{own_identity()} {work.digest}"))
            found = answers(stack.enter_context(started(engine, work)), shards, kept, advance)
        for document in (document for answer in found for document in encoded(answer)):
            if next(rows, None) != (document.use, document.sha256):
                _not_of_the_manifest(f"{parquet.NAME} has the document {document.sha256}, which is not next in it")
            yield document
        if next(rows, None) is not None:
            _not_of_the_manifest(f"{parquet.NAME} has fewer documents")


def _read(path: Path) -> bytes:
    with readable(path, mend="dvc repro encode"):
        return path.read_bytes()


def _not_of_the_manifest(found: str) -> NoReturn:
    raise VerificationError(f"the data manifest speaks of other documents: {found}", mend="dvc repro -f corpus")


def main() -> None:
    """Encode the corpus as params.yaml in the current directory says."""
    without_pandas()
    settings = params.load()
    tokenizer = tokenizer_stage.OUT / tokenizer_stage.NAME
    record = write(CORPUS, tokenizer, OUT, settings.encode.shard_tokens, settings.engine)
    for name in tokens.SPLITS:
        split = record.splits.named(name)
        print(
            f"{name}: {split.tokens} tokens of {split.documents} documents, {split.size / split.tokens:.2f} bytes each"
        )


if __name__ == "__main__":
    stage.run(main)
