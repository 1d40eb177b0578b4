"""Which documents the model saw at a step, and at which steps it saw a document.

A row has one token more than the context: the last is seen as what is to be predicted. It counts as seen.

Laws: `at_step` names a document at a step if, and only if, `of_document` names that step for it; memory does not grow
with the manifest, which is read once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from registry.catalog.training_data import TrainingData
from registry.digest import is_sha256
from registry.errors import InputError
from registry.records.data_row import Row
from registry.records.order import window
from registry.records.token_counts import PlacedRow

MAX_ROWS = 1_000_000
"""Rows of a step, or times that a document is seen, that are told."""


@dataclass(frozen=True, slots=True)
class SeenDocument:
    """A document, as far as one row holds it."""

    row: Row
    """The document."""
    start: int
    """Its first token that is seen, counted in the document from 0."""
    end: int
    """One past its last token that is seen."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        found = self.row
        return {"source": found.source, "path": found.path, "sha256": found.sha256, "start": self.start,
                "end": self.end}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A row of tokens that a step takes."""

    position: int
    """Where in the order of the whole training it comes."""
    number: int
    """Which row of the split it is."""
    documents: tuple[SeenDocument, ...]
    """Whose tokens it has, in order."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        documents = [document.as_json() for document in self.documents]
        return {"position": self.position, "row": self.number, "documents": documents}


@dataclass(frozen=True, slots=True)
class SeenAt:
    """When a document is seen."""

    row: Row
    """The document."""
    steps: tuple[int, ...]
    """The steps, in ascending order; one may stand there several times. Empty for what is not trained on."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {"document": self.row.as_json(), "steps": sorted(set(self.steps)), "times": len(self.steps)}


def at_step(data: TrainingData, step: int) -> tuple[SeenRow, ...]:
    """The rows that step `step` (1, 2, ...) takes, in its order, with their documents.

    Raises InputError for a step that there is not, and as TrainingData does.
    """
    sampling = data.sampling
    if not 1 <= step <= sampling.steps:
        raise InputError(f"there is no step {step}", mend=f"ask for one from 1 to {sampling.steps}")
    if sampling.step_rows > MAX_ROWS:
        raise InputError(f"a step takes {sampling.step_rows} rows", mend=f"at most {MAX_ROWS} are told")
    taken = list(sampling.of_step(step))
    wanted = {number: window(number, sampling.context) for _, number in taken}
    found: dict[int, list[SeenDocument]] = {number: [] for number in wanted}
    waiting = sorted(wanted)
    first = 0
    for each in data.placed():
        if each.row.use != "train":
            continue
        while first < len(waiting) and wanted[waiting[first]].stop <= each.start:
            first += 1
        for number in _from(waiting, first):
            place = wanted[number]
            if place.start >= each.end:
                break
            start, end = max(place.start, each.start), min(place.stop, each.end)
            if start < end:
                found[number].append(SeenDocument(each.row, start - each.start, end - each.start))
    return tuple(SeenRow(position, number, tuple(found[number])) for position, number in taken)


def _from(numbers: list[int], first: int) -> Iterator[int]:
    for place in range(first, len(numbers)):
        yield numbers[place]


def of_document(data: TrainingData, wanted: str) -> SeenAt:
    """When the document `wanted` is seen, named by its path, by SOURCE/PATH, or by its SHA-256.

    Raises InputError where there is no such document, or several are meant, and as TrainingData does.
    """
    row = _row(data, wanted)
    if row.use != "train":
        return SeenAt(row, ())
    place: PlacedRow | None = None
    for each in data.placed():  # to its end: only then is it known to hold
        place = each if each.row == row else place
    assert place is not None
    steps = [step for step, _ in islice(data.sampling.steps_with(place.start, place.end), MAX_ROWS + 1)]
    if len(steps) > MAX_ROWS:
        raise InputError(f"{wanted[:200]!r} is seen more than {MAX_ROWS} times", mend="ask for a shorter document")
    return SeenAt(row, tuple(sorted(steps)))


def _row(data: TrainingData, wanted: str) -> Row:
    """The row that is meant: of those with one digest, the one that is used."""
    digest = is_sha256(wanted)
    rows = (
        row for row in data.rows() if wanted in ((row.sha256,) if digest else (row.path, f"{row.source}/{row.path}"))
    )
    found = list(islice(rows, MAX_ROWS))
    used = [row for row in found if row.use != "excluded"]
    if digest and used:
        return used[0]
    if not found:
        raise InputError(
            f"no document {wanted[:200]!r} was met", mend="name it by its path in the manifest, or SHA-256"
        )
    if len(found) > 1 and not digest:
        others = ", ".join(f"{row.source}/{row.path}" for row in found[:5])
        raise InputError(f"{wanted[:200]!r} names {len(found)} documents", mend=f"name one of: {others}")
    return found[0]


def _names(row: Row, digest: bool) -> tuple[str, ...]:
    """What `row` can be called."""
    if digest:
        return (row.sha256,) if row.original is None else (row.sha256, row.original.sha256)
    return row.path, f"{row.source}/{row.path}"
