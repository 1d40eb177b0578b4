"""Where the data of a release came from, under which licences, and how much of it there is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from registry.catalog.training_data import TrainingData
from registry.records.data_row import Row


@dataclass(slots=True)
class SourceShare:
    """What one source gave under one licence, for one use."""

    documents: int = 0
    """How many documents."""
    size: int = 0
    """How many bytes they have."""
    tokens: int | None = None
    """How many tokens they became; None where nobody recorded it, or they are not used."""

    def add(self, row: Row, tokens: int | None) -> None:
        """One document more."""
        self.documents += 1
        self.size += row.size
        self.tokens = None if tokens is None else (self.tokens or 0) + tokens


Shares = dict[tuple[str, str, str, str | None], SourceShare]
"""By source, licence, use, and why it is excluded, if it is."""


def shares(data: TrainingData) -> Shares:
    """What each source gave, sorted. Raises as TrainingData does."""
    found: Shares = defaultdict(SourceShare)
    for row in data.rows():
        if row.use == "excluded" or not data.counted:
            found[_group(row)].add(row, None)
    if data.counted:
        for each in data.placed():
            found[_group(each.row)].add(each.row, each.end - each.start)
    return dict(sorted(found.items(), key=lambda item: tuple(part or "" for part in item[0])))


def as_json(data: TrainingData, found: Shares) -> dict[str, Any]:
    """The form that `--json` prints."""
    kinds = {source.id: source for source in data.summary.sources}
    return {
        "root": data.summary.root,
        "rows": data.summary.rows,
        "sources": [
            {
                "id": source,
                "kind": kinds[source].kind if source in kinds else None,
                "url": kinds[source].url if source in kinds else None,
                "status": kinds[source].status if source in kinds else None,
                "license": licence,
                "use": use,
                "reason": reason,
                "documents": share.documents,
                "bytes": share.size,
                "tokens": share.tokens,
            }
            for (source, licence, use, reason), share in found.items()
        ],
    }


def _group(row: Row) -> tuple[str, str, str, str | None]:
    return row.source, row.license, row.use, row.reason
