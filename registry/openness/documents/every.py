"""Every document of a release: where it stands, and how it is written and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import canonical
from registry.digest import sha256_file
from registry.files import write_atomic
from registry.manifest import walk
from registry.openness.documents import croissant, cyclonedx, facts, maker, spdx, training_summary
from registry.openness.documents.facts import ReleaseFacts
from registry.records import layout


@dataclass(frozen=True, slots=True)
class Form:
    """One document, by its format."""

    path: str
    """Where it stands in a release."""
    render: Callable[[ReleaseFacts, str], bytes | None]
    """Its bytes, as the maker of a version writes them; None where nobody recorded what it would tell of."""
    read: Callable[[bytes], Any]
    """What it holds, of hostile bytes. Raises Malformed."""
    made_by: Callable[[Any], Any]
    """Which version of Glasshouse it names as its maker. Raises LookupError, TypeError, ValueError
    or AttributeError."""
    said: Callable[[Any], Iterable[tuple[str, Any]]]
    """What it says, fact by fact, to be held to the records. Raises likewise."""

    def facts(self, value: Any) -> dict[str, Any]:
        """What `said` says, by name. Raises ValueError for two facts of one name, and as `said` does."""
        found: dict[str, Any] = {}
        for name, fact in self.said(value):
            if found.setdefault(name, fact) is not fact:
                raise ValueError(f"{name[:200]} stands twice")
        return found


def write(root: Path) -> None:
    """Write each document of the release at `root` anew, of what is there. What nobody recorded is absent.

    Raises as `facts.read` does.
    """
    paths = [path for path, _ in walk(root) if path.startswith(f"{layout.PROVENANCE}/") or path in facts.RECORDS]
    digests = {path: sha256_file(root / path) for path in paths if path not in layout.DOCUMENTS}
    found = facts.read(root, digests)
    for document in DOCUMENTS:
        if (data := document.render(found, maker.OURS)) is not None:
            write_atomic(root / document.path, data)


def _json(
    path: str,
    render: Callable[[ReleaseFacts, str], dict[str, Any] | None],
    made_by: Callable[[Any], Any],
    said: Callable[[Any], Iterable[tuple[str, Any]]],
) -> Form:
    """A document that is a JSON object, indented for people."""

    def data(found: ReleaseFacts, version: str) -> bytes | None:
        value = render(found, version)
        return None if value is None else canonical.indented(value)

    return Form(path, data, lambda data: canonical.parse(data, name=path), made_by, said)


DOCUMENTS = (
    _json(layout.BOM, cyclonedx.render, cyclonedx.made_by, cyclonedx.said),
    _json(layout.SPDX, spdx.render, spdx.made_by, spdx.said),
    _json(layout.CROISSANT, croissant.render, croissant.made_by, croissant.said),
    _json(layout.TRAINING_SUMMARY, training_summary.render, training_summary.made_by, training_summary.said),
    Form(
        layout.TRAINING_PAGE,
        training_summary.page,
        training_summary.read_page,
        training_summary.page_made_by,
        training_summary.page_said,
    ),
)
"""Each document that a release can have."""
