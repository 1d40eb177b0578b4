"""How the documents of a data manifest were chosen and changed: its counts, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from registry.records.data_manifest import SourceStatus, Summary

STATUS: Mapping[SourceStatus, str] = {
    "exact": "exact: whoever fetches it has the same bytes",
    "rebuildable": "rebuildable: what made it makes it anew",
    "withdrawn": "withdrawn: it can neither be fetched nor made anew",
}
"""How others get a source, in words."""


def left_out(data: Summary) -> Iterator[str]:
    """How many documents were left out, for each reason."""
    yield from (f"{reason}: {count:,}" for reason, count in sorted(data.excluded.items()))


def replaced(data: Summary) -> Iterator[str]:
    """How often something was replaced in the texts, by what it was."""
    yield from (f"{kind}: {count:,}" for kind, count in sorted((data.scrubbed or {}).items()))


def lines(data: Summary) -> list[str]:
    """All of it."""
    return [
        *(f"documents left out, {row}" for row in left_out(data)),
        *(f"replaced in the texts, {row}" for row in replaced(data)),
        *(f"licences {basis}: {tally.documents:,}" for basis, tally in sorted((data.license_bases or {}).items())),
        *(f"found to be in {name}: {tally.documents:,}" for name, tally in sorted((data.languages or {}).items())),
    ]
