"""The data set of a release, as others are told of it: its card, and Croissant for machines.

Law: the same records give the same bytes. Source: the Croissant format, version 1.0, MLCommons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry import suffixes
from registry.manifest import Entry
from registry.openness.cards.model_card import About, environment, front
from registry.records.data_manifest import DOCUMENTS, Summary

TEMPLATE = "data_card.md.j2"
COLUMNS = {
    "id": "SHA-256 of the text's bytes",
    "source": "which source it came from",
    "path": "where in that source",
    "license": "SPDX licence expression",
    "use": "train, or validation",
    "text": "the document",
}
"""The columns of documents.parquet, all strings."""
_CONTEXT: Mapping[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty", "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract", "field": "cr:field", "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
"""As the specification prints it: readers compare it."""
_FORMATS = {suffixes.PARQUET: "application/x-parquet", ".jsonl": "application/jsonlines", ".json": "application/json"}


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


def croissant(data: DataSet) -> dict[str, Any]:
    """croissant.json: where the files are, their digests, and what the columns of the texts mean."""
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": data.name.split("/")[1],
        "description": f"What {data.about.repo} {data.version} was trained and evaluated on, document by document.",
        "citeAs": f"{data.title}, version {data.version}, {data.name.split('/')[0]}, {data.published[:4]}.",
        "url": f"hf://datasets/{data.name}@v{data.version}",
        "version": data.version,
        "datePublished": data.published,
        "inLanguage": [language for language in data.about.languages if language != "code"],
        "license": [_licence(name) for name in sorted(data.summary.licenses)],
        "creator": {"@type": "Organization", "name": data.name.split("/")[0]},
        "distribution": [_file(entry) for entry in data.files],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "documents",
                "name": "documents",
                "key": {"@id": "documents/id"},
                "field": [_field(name, words) for name, words in COLUMNS.items()],
            }
        ],
    }


def _file(entry: Entry) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": entry.path,
        "name": entry.path,
        "contentUrl": entry.path,
        "contentSize": f"{entry.size} B",
        "encodingFormat": _FORMATS["." + entry.path.rsplit(".", 1)[-1]],
        "sha256": entry.sha256,
    }


def _field(name: str, words: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"documents/{name}",
        "name": name,
        "description": words,
        "dataType": "sc:Text",
        "source": {"fileObject": {"@id": DOCUMENTS}, "extract": {"column": name}},
    }


def _licence(expression: str) -> str:
    """The SPDX page of a single licence; an expression as it is."""
    return expression if " " in expression else f"https://spdx.org/licenses/{expression}"
