"""The data set of a release, as others are told of it: its card, and Croissant for machines.

Law: the same records give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.manifest import Entry
from registry.openness.cards.model_card import About, environment, front
from registry.openness.documents import croissant, maker
from registry.openness.documents.croissant import Described
from registry.openness.told import Rai
from registry.records.data_manifest import DOCUMENTS, Summary

TEMPLATE = "data_card.md.j2"
COLUMNS = {
    "id": ("SHA-256 of the text's bytes", croissant.TEXT),
    "source": ("which source it came from", croissant.TEXT),
    "path": ("where in that source", croissant.TEXT),
    "license": ("SPDX licence expression", croissant.TEXT),
    "use": ("train, or validation", croissant.TEXT),
    "text": ("the document", croissant.TEXT),
}
"""The columns of documents.parquet, all strings: what each means, and its type."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """What the card of a data set is made from."""

    name: str
    """`namespace/name` on the Hub."""
    about: About
    """What a person says of the model."""
    version: str
    """The version of the release."""
    published: str
    """When the commit was made: RFC 3339, UTC."""
    summary: Summary
    """The summary of the data manifest."""
    files: tuple[Entry, ...]
    """What stands beside the card, `documents.parquet` among them."""
    rai: Rai | None = None
    """What a person says of it."""

    @property
    def title(self) -> str:
        """The heading."""
        return f"The data of {self.about.title}"


def card(data: DataSet, licence: Mapping[str, str]) -> str:
    """README.md. licence: the fields by which the Hub knows it."""
    metadata = {
        **licence,
        "language": list(data.about.languages),
        "pretty_name": data.title,
        "configs": [{"config_name": "default", "data_files": "documents.parquet"}],
        "tags": ["glasshouse", "fully-open"],
    }
    template = environment().get_template(TEMPLATE)
    text = template.render(about=data.about, title=data.title, version=data.version, data=data.summary)
    return front({name: value for name, value in metadata.items() if value}) + text


def for_machines(data: DataSet) -> dict[str, Any]:
    """croissant.json: where the files are, their digests, and what the columns of the texts mean."""
    return croissant.described(
        Described(
            name=data.name,
            title=data.title,
            description=f"What {data.about.repo} {data.version} was trained and evaluated on, document by document.",
            url=f"hf://datasets/{data.name}@v{data.version}",
            version=data.version,
            published=data.published,
            languages=data.about.languages,
            summary=data.summary,
            files=tuple(croissant.file(entry.path, entry.sha256, entry.size) for entry in data.files),
            records=croissant.record_set("documents", ["id"], DOCUMENTS, COLUMNS),
            rai=data.rai,
        ),
        maker.OURS,
    )
