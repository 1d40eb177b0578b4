"""Whether the training data of a release hold a passage, byte for byte, and in which documents.

    found     each document that is named is one that was trained on, and its text was hashed: the index is not believed
    absent    the index is: the release signs its search.json, and every file has its digest there. Else UNKNOWN

Laws: what is FOUND was trained on, whoever made the index; what is ABSENT is in no text that the signed index covers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from registry.catalog.training_data import TrainingData
from registry.digest import sha256_bytes
from registry.errors import VerificationError
from registry.files import read_bytes
from registry.records import layout, search_index
from registry.records.data_row import Row
from registry.records.search_index import Occurrences, SearchIndex

MAX_INDEX = 64 << 20


class Presence(StrEnum):
    """Whether the training data hold a passage."""

    FOUND = "FOUND"
    ABSENT = "ABSENT"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """What is known of one passage."""

    text: str
    """The passage."""
    presence: Presence
    """Whether it is there."""
    count: int
    """How often, by the index."""
    places: tuple[tuple[Row, int], ...]
    """Some of the documents, each with the byte at which it begins there."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        places = [{"source": row.source, "path": row.path, "sha256": row.sha256, "offset": offset}
                  for row, offset in self.places]  # fmt: skip
        return {"text": self.text, "presence": str(self.presence), "count": self.count, "documents": places}


@dataclass(frozen=True, slots=True)
class PassageIndex:
    """An index in a folder, and how far it is that of a release."""

    record: SearchIndex
    """Its search.json."""
    folder: Path
    """Where its files are."""
    doubt: str | None
    """Why nothing can be said to be absent; None where it can."""


def read(data: TrainingData, folder: Path, *, quick: bool) -> PassageIndex:
    """The index in `folder`, held to the release. quick: files are not hashed, and nothing is said to be absent.

    Raises VerificationError where it is the index of other tokens, or not the one that is signed.
    """
    content = read_bytes(folder / search_index.NAME, MAX_INDEX)
    record = SearchIndex.from_bytes(content, name=search_index.NAME, max_bytes=MAX_INDEX)
    signed, listed = sha256_bytes(content), data.entry.listed
    if record.tokens != listed.get(layout.TOKENS) or record.documents != data.summary.splits.train.documents:
        _differs(f"{search_index.NAME} is of other data than {data.entry.name}")
    if layout.SEARCH not in listed:
        return PassageIndex(record, folder, f"{data.entry.name} does not sign {layout.SEARCH}")
    if listed[layout.SEARCH] != signed:
        _differs(f"{search_index.NAME} is not the {layout.SEARCH} that {data.entry.name} signs")
    if quick:
        return PassageIndex(record, folder, "the files of the index were not hashed (--quick)")
    search_index.verify(record, folder)
    return PassageIndex(record, folder, None)


def search(data: TrainingData, index: PassageIndex, passages: list[str], most: int) -> tuple[FoundPassage, ...]:
    """What is known of each passage, with at most `most` documents of each. Raises VerificationError where the index
    has a document that was not trained on."""
    found = search_index.find(index.record, index.folder, passages, most)
    rows = _trained_on(data, {place.sha256 for each in found for place in each.some})
    return tuple(_told(text, each, rows, index.doubt) for text, each in zip(passages, found, strict=True))


def _told(text: str, found: Occurrences, rows: dict[str, Row], doubt: str | None) -> FoundPassage:
    if not found.count:
        return FoundPassage(text, Presence.UNKNOWN if doubt else Presence.ABSENT, 0, ())
    places = tuple((rows[place.sha256], place.offset) for place in found.some)
    return FoundPassage(text, Presence.FOUND, found.count, places)


def _trained_on(data: TrainingData, digests: Iterable[str]) -> dict[str, Row]:
    """The row of each document by its digest."""
    wanted = set(digests)
    rows = {row.sha256: row for row in data.rows() if row.use == "train" and row.sha256 in wanted}
    if strangers := sorted(wanted - rows.keys()):
        _differs(f"the index has the document {strangers[0]}, which is not among those that were trained on")
    return rows


def _differs(found: str) -> NoReturn:
    raise VerificationError(found, mend="take the index that belongs to the release: python -m pipelines.search")
