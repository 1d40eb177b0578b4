"""The index by which a passage is found in the texts that were trained on: a suffix array over their bytes.

    search.json               which tokens the texts became, and the files
    text-00000.bin            the texts of documents of the train split, in the order of its index, the byte 0xFF after
                              each: it stands in no UTF-8
    suffixes-00000.bin        where each suffix of that file begins, in the order of the suffixes as bytes
                              (signed 32-bit little-endian)
    documents-00000.index     for each document where its text ends, its 0xFF included, then its SHA-256: as train.index
    (and so on: a document stands in one part, and no part has more than MAX_PART bytes of text)

Law: of an index whose files have the digests of search.json, and that the stage wrote, `TextPart.places` finds each
occurrence of a passage, and no other. It looks at about 2 log2(n) places, and maps files instead of reading them.
It is over bytes and not over tokens, because how a passage is cut into tokens depends on what stands around it.
Source: Manber and Myers, Suffix arrays (1993); Liu et al., Infini-gram (2024), for the use.
"""

import bisect
import mmap
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self

from pydantic import Field, StringConstraints, model_validator

from registry.digest import sha256_bytes, sha256_files
from registry.errors import DigestMismatch, InputError, VerificationError
from registry.files import readable
from registry.records.record import Count, Record, Sha256
from registry.records.tokens import INDEX_ROW

NAME = "search.json"
SEPARATOR = b"\xff"
PLACE = struct.Struct("<i")
MAX_PART = (1 << 31) - 1
MAX_PARTS = 10_000
MAX_PASSAGE = 1 << 20
KINDS = ("documents", "suffixes", "text")
MEND = "make it anew: python -m pipelines.search"


class IndexFile(Record):
    """A file of the index."""

    path: Annotated[str, StringConstraints(pattern=r"^((text|suffixes)-[0-9]{5}\.bin|documents-[0-9]{5}\.index)$")]
    """Its name, beside search.json."""
    sha256: Sha256
    """SHA-256 of its bytes."""
    size: Count
    """How many bytes it has."""


class SearchIndex(Record):
    """search.json.

    Law: parts are numbered without a gap, each has its three files, and their sizes fit.
    """

    schema_: Literal["glasshouse.search/v1"] = Field("glasshouse.search/v1", alias="schema")
    """The format, with its version."""
    tokens: Sha256
    """SHA-256 of tokens.json: what the texts became."""
    documents: Count
    """How many documents there are in all parts."""
    files: tuple[IndexFile, ...] = Field(max_length=3 * MAX_PARTS)
    """Sorted by path."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        parts = len(self.files) // len(KINDS)
        if [file.path for file in self.files] != sorted(name_of(kind, part) for kind in KINDS for part in range(parts)):
            raise ValueError("files are not, in order, three for each part, numbered without a gap")
        sizes = {file.path: file.size for file in self.files}
        for part in range(parts):
            text = sizes[name_of("text", part)]
            if text > MAX_PART or sizes[name_of("suffixes", part)] != text * PLACE.size:
                raise ValueError(f"the suffixes of part {part} are not those of its text")
        rows = sum(sizes[name_of("documents", part)] for part in range(parts))
        if rows != self.documents * INDEX_ROW.size:
            raise ValueError(f"the parts do not have {self.documents} documents")
        return self

    @property
    def parts(self) -> int:
        """How many there are."""
        return len(self.files) // len(KINDS)


def name_of(kind: str, part: int) -> str:
    """What a file is called."""
    return f"{kind}-{part:05d}.{'index' if kind == 'documents' else 'bin'}"


def verify(index: SearchIndex, folder: Path) -> None:
    """Raise DigestMismatch unless every file in `folder` has its digest, and InputError where one cannot be read."""
    paths = [folder / file.path for file in index.files]
    with readable(folder, mend=MEND):
        for file, found in zip(index.files, sha256_files(paths), strict=True):
            if found != file.sha256:
                raise DigestMismatch(file.path, signed=file.sha256, found=found)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A place where a passage stands."""

    sha256: str
    """SHA-256 of the document's text, which was compared with the text that is there."""
    offset: int
    """Where in the document it begins, in bytes."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """One part, mapped."""

    text: mmap.mmap | bytes
    """Its texts."""
    suffixes: mmap.mmap | bytes
    """Its suffix array."""
    documents: mmap.mmap | bytes
    """Where each of its documents ends, and the SHA-256 of each: rows of INDEX_ROW."""

    def places(self, passage: bytes) -> range:
        """Which places of the suffix array begin with `passage`: all its occurrences, once each."""
        return range(self._first(passage, before=False), self._first(passage, before=True))

    def occurrence(self, place: int) -> Occurrence:
        """The one at a place of the suffix array. Raises VerificationError where the document is another text."""
        start = self._position(place)
        number = bisect.bisect_right(range(len(self.documents) // INDEX_ROW.size), start, key=lambda n: self._row(n)[0])
        begins, (end, digest) = self._row(number - 1)[0] if number else 0, self._row(number)
        if not 0 <= begins <= start < end or sha256_bytes(self.text[begins : end - 1]) != digest:
            _differs(f"the text at byte {start} is not the document that it is said to be")
        return Occurrence(digest, start - begins)

    def _row(self, number: int) -> tuple[int, str]:
        """(where document `number` ends, its SHA-256). Raises VerificationError where there is no such document."""
        if not 0 <= number < len(self.documents) // INDEX_ROW.size:
            _differs(f"there is no document {number}")
        end, digest = INDEX_ROW.unpack_from(self.documents, number * INDEX_ROW.size)
        return int(end), bytes(digest).hex()

    def _first(self, passage: bytes, *, before: bool) -> int:
        """The first place whose suffix does not begin with less than `passage`; with `before`, with more."""
        low, high = 0, len(self.text)
        while low < high:
            middle = (low + high) // 2
            start = self._position(middle)
            found = self.text[start : start + len(passage)]
            if found < passage or (before and found == passage):
                low = middle + 1
            else:
                high = middle
        return low

    def _position(self, place: int) -> int:
        (start,) = PLACE.unpack_from(self.suffixes, place * PLACE.size)
        if not 0 <= start < len(self.text):
            _differs(f"a suffix begins at byte {start} of {len(self.text)}")
        return int(start)


@contextmanager
def opened(index: SearchIndex, folder: Path, part: int) -> Iterator[TextPart]:
    """A part, mapped until the block ends. Raises VerificationError where sizes are not those of search.json."""
    sizes = {file.path: file.size for file in index.files}
    with readable(folder, mend=MEND), ExitStack() as files:
        mapped: dict[str, mmap.mmap | bytes] = {}
        for kind in KINDS:
            stream = files.enter_context((folder / name_of(kind, part)).open("rb"))
            size = stream.seek(0, 2)
            if size != sizes[name_of(kind, part)]:
                _differs(f"{name_of(kind, part)} has {size} bytes, {NAME} says {sizes[name_of(kind, part)]}")
            memory = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
            mapped[kind] = files.enter_context(memory) if isinstance(memory, mmap.mmap) else memory
        yield TextPart(mapped["text"], mapped["suffixes"], mapped["documents"])


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Where a passage stands."""

    count: int
    """How often."""
    some: tuple[Occurrence, ...]
    """The first of them, as the suffix array has them."""


def find(index: SearchIndex, folder: Path, passages: list[str], most: int) -> list[Occurrences]:
    """Where each of the passages stands, with at most `most` occurrences of each.

    Raises InputError for a passage that is empty, too long or not text, and as `opened` and `TextPart` do.
    """
    wanted = [_bytes(passage) for passage in passages]
    counts, some = [0] * len(wanted), [list[Occurrence]() for _ in wanted]
    for number in range(index.parts):
        with opened(index, folder, number) as part:
            for which, passage in enumerate(wanted):
                places = part.places(passage)
                counts[which] += len(places)
                some[which] += [part.occurrence(place) for place in places[: most - len(some[which])]]
    return [Occurrences(count, tuple(found)) for count, found in zip(counts, some, strict=True)]


def _bytes(passage: str) -> bytes:
    try:
        data = passage.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise InputError("a passage is not text", mend="give it as UTF-8") from problem
    if not 1 <= len(data) <= MAX_PASSAGE:
        raise InputError(f"a passage has {len(data)} bytes", mend=f"give one of 1 to {MAX_PASSAGE} bytes")
    return data


def _differs(found: str) -> NoReturn:
    raise VerificationError(f"the index is not what {NAME} says: {found}", mend=MEND)
