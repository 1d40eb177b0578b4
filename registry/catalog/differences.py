"""How two releases differ: data by document, settings, code, packages, metrics, files. Weights: weights.py.

Each part is read from records that both statements bind. A part that one of the two does not have, or that cannot be
read, is said to be unknown; it is never taken for equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from registry.catalog.entry import ReleaseEntry
from registry.catalog.figures import figures_of
from registry.errors import GlasshouseError
from registry.records import data_manifest, layout
from registry.records.data_row import Row
from registry.records.run import Stages

Kind = Literal["added", "removed", "changed", "unknown"]
Leaves = Mapping[str, str]
"""What stands at each place, as text."""

_PACKAGE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "unknown": "?"}


@dataclass(frozen=True, slots=True)
class ReleaseChange:
    """One thing that is not the same in both."""

    part: str
    """What it belongs to: `data`, `params`, `code`, `packages`, `metrics`, `files`, `weights`, `release`."""
    kind: Kind
    """What became of it."""
    subject: str
    """Which thing: a document, a setting, a file."""
    before: str | None = None
    """What the first release has; None where it has none."""
    after: str | None = None
    """What the second release has; None where it has none."""
    note: str | None = None
    """More on it: how far apart, where it went."""

    def __str__(self) -> str:
        values = [value for value in (self.before, self.after) if value]
        words = f"{_SIGNS[self.kind]} {self.subject}"
        if values:
            words += f": {' -> '.join(values)}"
        return f"{words}  ({self.note})" if self.note else words

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "part": self.part,
            "kind": self.kind,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
            "note": self.note,
        }


def compare(first: ReleaseEntry, second: ReleaseEntry) -> Iterator[ReleaseChange]:
    """Everything that differs, but for the weights, part by part."""
    yield from _compared("release", _about(first), _about(second))
    for part, read in PARTS.items():
        try:
            yield from _compared(part, read(first), read(second))
        except GlasshouseError as problem:
            yield _unknown(part, first, second, problem)
    try:
        yield from documents(first, second)
    except GlasshouseError as problem:
        yield _unknown("data", first, second, problem)
    known = {
        layout.RECORD,
        layout.DATA_ROWS,
        layout.DATA_TABLE,
        layout.DATA_SUMMARY,
        layout.REQUIREMENTS,
        layout.PARAMS,
    }
    files = [{path: digest[:16] for path, digest in each.listed.items() if path not in known and path not in
              each.release.weights} for each in (first, second)]  # fmt: skip
    yield from _compared("files", *files)


def _unknown(part: str, first: ReleaseEntry, second: ReleaseEntry, problem: GlasshouseError) -> ReleaseChange:
    return ReleaseChange(part, "unknown", f"{first.name} and {second.name}", note=problem.message)


def _compared(part: str, before: Leaves, after: Leaves) -> Iterator[ReleaseChange]:
    for subject in sorted(before.keys() | after.keys()):
        old, new = before.get(subject), after.get(subject)
        if old != new:
            kind: Kind = "added" if old is None else "removed" if new is None else "changed"
            yield ReleaseChange(part, kind, subject, old, new)


def _about(entry: ReleaseEntry) -> Leaves:
    """What the statement itself says, but for the version, which always differs."""
    source = entry.release.source
    found = {"name": entry.release.name, "commit": source.commit, "signed by": entry.signature.words.split(",")[0]}
    return {**found, **({"repository of the code": source.repository} if source.repository else {})}


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Each place of a JSON value that holds no further ones, with what stands there; a list is one thing of its own."""
    if isinstance(value, dict) and value:
        for key in sorted(value, key=str):
            yield from leaves(value[key], f"{place}.{key}" if place else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value):
            yield from leaves(item, f"{place}[{number}]")
    elif place:
        yield place, str(value)


def _params(entry: ReleaseEntry) -> Leaves:
    return dict(leaves(entry.yaml(layout.PARAMS)))


def _packages(entry: ReleaseEntry) -> Leaves:
    text = entry.read(layout.REQUIREMENTS).decode("utf-8", "replace")
    return {name.lower().replace("_", "-"): version for name, version in _PACKAGE.findall(text)}


def _metrics(entry: ReleaseEntry) -> Leaves:
    return {name: str(value) for name, value in figures_of(entry).items()}


def _code(entry: ReleaseEntry) -> Leaves:
    """The files of the commit that stages read, each with its digest."""
    stages = Stages.from_bytes(entry.read(layout.STAGES), name=layout.STAGES)
    found: dict[str, str] = {}
    for known in stages.stages:
        for dep in known.run.deps:
            if dep.path in known.committed:
                found |= {path: digest[:16] for path, digest in (dep.inside() or {dep.path: dep.sha256}).items()}
    return found


PARTS: Mapping[str, Callable[[ReleaseEntry], Leaves]] = {
    "params": _params,
    "code": _code,
    "packages": _packages,
    "metrics": _metrics,
}
"""What is compared place by place, and how each is read."""


def documents(first: ReleaseEntry, second: ReleaseEntry) -> Iterator[ReleaseChange]:
    """Documents that differ: both manifests are sorted, so that they are read beside each other once.

    Raises GlasshouseError where one of them cannot be read, or is not the one that was signed.
    """
    places = [layout.data_rows(each.listed) for each in (first, second)]
    signed = [each.listed.get(place) for each, place in zip((first, second), places, strict=True)]
    if signed[0] == signed[1] and signed[0] is not None:
        return
    with first.file(places[0]) as old, second.file(places[1]) as new:
        yield from _documents(data_manifest.iter_rows(old), data_manifest.iter_rows(new))


def _documents(before: Iterator[Row], after: Iterator[Row]) -> Iterator[ReleaseChange]:
    old, new = next(before, None), next(after, None)
    while old is not None or new is not None:
        if new is None or (old is not None and _key(old) < _key(new)):
            assert old is not None
            yield ReleaseChange("data", "removed", _document(old), _use(old), None)
            old = next(before, None)
        elif old is None or _key(new) < _key(old):
            yield ReleaseChange("data", "added", _document(new), None, _use(new))
            new = next(after, None)
        else:
            if old != new:
                note = None if old.sha256 == new.sha256 else f"its text: {old.sha256[:16]} -> {new.sha256[:16]}"
                yield ReleaseChange("data", "changed", _document(new), _use(old), _use(new), note)
            old, new = next(before, None), next(after, None)


def _key(row: Row) -> tuple[str, str]:
    return row.source, row.path


def _document(row: Row) -> str:
    return f"{row.source} {row.path}"


def _use(row: Row) -> str:
    return f"{row.use}{f' ({row.reason})' if row.reason else ''}, {row.size} bytes, {row.license}"
