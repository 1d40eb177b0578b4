"""tokens.json: which tokens a model is trained on, what they were made of, and the way back from each to its document.

    train-00000.bin ...   token numbers of the split, one after the other, little-endian, no header
    train.index           for each document of the split, in the order of the data manifest: where its tokens end
                          (signed 64-bit little-endian, counted in tokens from the split's start), then its SHA-256
    (and the same for validation)

Law: token `p` of a split belongs to the first document of the index whose end is greater than `p`.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self

from pydantic import Field, StringConstraints, model_validator

from registry.digest import sha256_files
from registry.errors import DigestMismatch, InputError, VerificationError
from registry.files import readable
from registry.records.record import Count, Record, Sha256

NAME = "tokens.json"
SPLITS = ("train", "validation")
ITEM_BYTES = {"uint16": 2, "uint32": 4}
INDEX_ROW = struct.Struct("<q32s")
MAX_FILES = 100_000
MEND = "make them anew: dvc repro -f encode"


class DataDigests(Record):
    """A data manifest, by its digests."""

    root: Sha256
    """Merkle root of its rows."""
    sha256: Sha256
    """SHA-256 of data-manifest.json."""


class TokenizerDigest(Record):
    """A tokenizer, by its digest."""

    sha256: Sha256
    """SHA-256 of tokenizer.json."""


class Split(Record):
    """One split's sizes."""

    tokens: Count
    """Each document's, and one end-of-text token after each."""
    documents: Count
    """How many documents."""
    size: Count = Field(alias="bytes")
    """How many bytes the documents' texts have as UTF-8."""


class Splits(Record):
    """Both splits."""

    train: Split
    """What is trained on."""
    validation: Split
    """What is kept from training, to measure by."""

    def named(self, split: str) -> Split:
        """The split of that name. Raises InputError for another name."""
        match split:
            case "train":
                return self.train
            case "validation":
                return self.validation
        raise InputError(f"there is no split {split!r}", mend=f"use one of: {', '.join(SPLITS)}")


class TokenFile(Record):
    """A shard or an index."""

    path: Annotated[str, StringConstraints(pattern=r"^(train|validation)(-[0-9]{5}\.bin|\.index)$")]
    """Its name, beside tokens.json."""
    sha256: Sha256
    """SHA-256 of its bytes."""
    size: Count
    """How many bytes it has."""


class Tokens(Record):
    """tokens.json.

    Law: the shards of a split hold exactly its tokens and are numbered without a gap, its index exactly its documents.
    """

    schema_: Literal["glasshouse.tokens/v1"] = Field("glasshouse.tokens/v1", alias="schema")
    """The format, with its version."""
    data_manifest: DataDigests
    """The documents that the tokens were made from."""
    tokenizer: TokenizerDigest
    """What made the tokens."""
    dtype: Literal["uint16", "uint32"]
    """The type of a token in a shard."""
    vocabulary: Annotated[int, Field(ge=1, le=1 << 32)]
    """Every token is less than this."""
    splits: Splits
    """How much there is of each split."""
    files: tuple[TokenFile, ...] = Field(max_length=MAX_FILES)
    """Sorted by path."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dtype == "uint16" and self.vocabulary > 1 << 16:
            raise ValueError(f"a vocabulary of {self.vocabulary} does not fit uint16")
        expected = sorted(path for split in SPLITS for path in (f"{split}.index", *self._shard_names(split)))
        if [file.path for file in self.files] != expected:
            raise ValueError("files are not, in order, one index and numbered shards for each split")
        for split in SPLITS:
            sizes = self.splits.named(split)
            if sum(shard.size for shard in self.shards(split)) != sizes.tokens * ITEM_BYTES[self.dtype]:
                raise ValueError(f"the shards of {split} do not hold {sizes.tokens} tokens")
            if self.index(split).size != sizes.documents * INDEX_ROW.size:
                raise ValueError(f"the index of {split} does not hold {sizes.documents} documents")
        return self

    def shards(self, split: str) -> tuple[TokenFile, ...]:
        """The shards of one split, in order."""
        return tuple(file for file in self.files if file.path.startswith(f"{split}-"))

    def index(self, split: str) -> TokenFile:
        """The index of one split."""
        return next(file for file in self.files if file.path == f"{split}.index")

    def _shard_names(self, split: str) -> list[str]:
        return [f"{split}-{number:05d}.bin" for number in range(len(self.shards(split)))]


def verify(tokens: Tokens, folder: Path, *splits: str) -> None:
    """Check the files of `splits` (default: both) in `folder`: size and SHA-256, then the law of the index.

    Raises DigestMismatch or VerificationError that names the file, and InputError where one cannot be read.
    """
    for split in splits or SPLITS:
        files = (*tokens.shards(split), tokens.index(split))
        paths = [folder / file.path for file in files]
        with readable(folder, mend=MEND):
            for file, path in zip(files, paths, strict=True):
                if (size := path.stat().st_size) != file.size:
                    _differs(f"{file.path} has {size} bytes, {NAME} says {file.size}")
            for file, found in zip(files, sha256_files(paths), strict=True):
                if found != file.sha256:
                    raise DigestMismatch(file.path, signed=file.sha256, found=found)
        _verify_index(folder / tokens.index(split).path, tokens.splits.named(split).tokens)


def _verify_index(path: Path, tokens: int) -> None:
    last = 0
    for end, _ in iter_index(path):
        last = end
    if last != tokens:
        _differs(f"{path.name} ends at token {last} of {tokens}")


def iter_index(path: Path) -> Iterator[tuple[int, str]]:
    """(where its tokens end, its SHA-256 as hex) for each document of the index at `path`.

    Raises VerificationError where the ends do not ascend or the last row is cut short.
    """
    with path.open("rb") as stream:
        before = 0
        while data := stream.read(INDEX_ROW.size):
            if len(data) != INDEX_ROW.size:
                _differs(f"{path.name} ends in the middle of a row")
            end, sha256 = INDEX_ROW.unpack(data)
            if end <= before:
                _differs(f"{path.name} has a document that ends at token {end}, after one that ends at {before}")
            before = end
            yield end, sha256.hex()


def _differs(found: str) -> NoReturn:
    raise VerificationError(f"the tokens are not what {NAME} says: {found}", mend=MEND)
