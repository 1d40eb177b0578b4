"""croissant.json: a data set for machines, as Croissant 1.1 and its vocabulary for responsible AI say it.

    of a release      the rows of its data manifest: a row for each document, by digest, without its text
    of a companion    the documents themselves: registry.openness.cards.data_set

What nobody recorded is left out. Law: the same records give the same bytes. Source: the Croissant format 1.1 and the
Croissant RAI vocabulary 1.0, MLCommons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.openness.documents import expressions, maker, preparation
from registry.openness.documents.facts import ReleaseFacts
from registry.openness.told import Rai
from registry.records import layout
from registry.records.data_manifest import SourceTally, Summary

TEXT, INTEGER = "sc:Text", "sc:Integer"
ROWS = "rows"
COLUMNS = {
    "source": ("where it came from: a package URL, hf://datasets/NAME@COMMIT, or files:NAME", TEXT),
    "path": ("where in that source", TEXT),
    "sha256": ("SHA-256 of its bytes", TEXT),
    "bytes": ("how many bytes it has", INTEGER),
    "license": ("SPDX licence expression", TEXT),
    "use": ("train, validation, or excluded", TEXT),
    "reason": ("why it was excluded", TEXT),
}
"""What every row of a data manifest says, in lines."""
NEW_COLUMNS = {
    "licenseBasis": ("how the licence is known: declared, detected, asserted, or none", TEXT),
    "origin": ("where the source has it from, where it says so", TEXT),
    "language": ("which language it was found to be in", TEXT),
    "cluster": ("SHA-256 of the document that stays of those nearly alike", TEXT),
}
"""What each row of a table says, too, and a row in lines that has it."""
SOURCES = (layout.DATA_ROWS, layout.DATA_TABLE, layout.DATA_SUMMARY, layout.RECORD, layout.PARAMS, layout.SETTINGS)
"""The records behind the document, as far as they are there."""
FORMATS = {
    "parquet": "application/x-parquet", "jsonl": "application/jsonlines", "json": "application/json",
    "yaml": "application/yaml",
}  # fmt: skip
COLLECTED = {"huggingface": "Secondary Data analysis", "installed": "Software Collection"}
"""Kind of source -> how the RAI vocabulary calls such a collection; of files nobody knows."""
_CONTEXT: Mapping[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "arrayShape": "cr:arrayShape", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo", "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty", "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract", "field": "cr:field", "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5",
    "name": {"@container": "@language"}, "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
    "sdVersion": "cr:sdVersion", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
"""As the specification prints it, for readers compare it; and where `sdVersion` belongs."""


@dataclass(frozen=True, slots=True)
class Described:
    """A data set, as Croissant describes it."""

    name: str
    """`namespace/name` on the Hub."""
    title: str
    """What people call it."""
    description: str
    """What it is, in a sentence."""
    url: str
    """Where it stands."""
    version: str
    """The version of the release."""
    published: str
    """When the commit was made: RFC 3339, UTC."""
    languages: tuple[str, ...]
    """ISO 639 codes, or `code`."""
    summary: Summary
    """The summary of the data manifest."""
    files: tuple[dict[str, Any], ...]
    """Its files, each as `file` gives it."""
    records: dict[str, Any]
    """What a row holds, as `record_set` gives it."""
    rai: Rai | None
    """What a person says of it."""


def render(facts: ReleaseFacts, version: str) -> dict[str, Any] | None:
    """The document of a release, as the maker of that version writes it; None where it has no data manifest."""
    if facts.data is None or layout.data_rows(facts.digests) not in facts.digests:
        return None
    record = facts.record
    return described(
        Described(
            name=record.repo,
            title=f"The training data of {facts.title}",
            description=f"What {record.repo} {record.version} was trained and evaluated on: a row for each document.",
            url=facts.place,
            version=record.version,
            published=record.source.committed_at,
            languages=facts.told.languages,
            summary=facts.data,
            files=tuple(file(_name(path), facts.digests[path]) for path in SOURCES if path in facts.digests),
            records=record_set(ROWS, ["source", "path"], facts.data.stored_in, _columns(facts.data)),
            rai=facts.told.rai,
        ),
        version,
    )


def described(data: Described, version: str) -> dict[str, Any]:
    """The document of any data set."""
    owner, _, name = data.name.partition("/")
    found = {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": name,
        "description": data.description,
        "citeAs": f"{data.title}, version {data.version}, {owner}, {data.published[:4]}.",
        "url": data.url,
        "version": data.version,
        "datePublished": data.published,
        "inLanguage": [language for language in data.languages if language != "code"],
        "license": [_licence(name) for name in sorted(data.summary.licenses) if expressions.is_expression(name)],
        "creator": {"@type": "Organization", "name": owner},
        "sdPublisher": {"@type": "Organization", "name": maker.NAME},
        "sdVersion": version,
        "isBasedOn": [_origin(source) for source in data.summary.sources],
        "distribution": list(data.files),
        "recordSet": [data.records],
        **_responsible(data.summary, data.rai or Rai()),
    }
    return {name: value for name, value in found.items() if value}


def file(path: str, sha256: str, size: int | None = None) -> dict[str, Any]:
    """A file beside the document."""
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        **({} if size is None else {"contentSize": f"{size} B"}),
        "encodingFormat": FORMATS[path.rpartition(".")[2]],
        "sha256": sha256,
    }


def record_set(name: str, key: Iterable[str], path: str, columns: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """What each row of the file at `path` holds. columns: by name, what it means, and its type."""
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": [{"@id": f"{name}/{column}"} for column in key],
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": words,
                "dataType": kind,
                "source": {"fileObject": {"@id": path}, "extract": {"column": column}},
            }
            for column, (words, kind) in columns.items()
        ],
    }


def made_by(document: Any) -> Any:
    """The version of Glasshouse that it names as its maker. Raises LookupError or TypeError where it names none."""
    return document["sdVersion"] if document["sdPublisher"]["name"] == maker.NAME else ""


def said(document: Any) -> Iterator[tuple[str, Any]]:
    """What it says, fact by fact, to be held to the records. Raises as `made_by` does."""
    yield from ((name, document.get(name)) for name in ("name", "version", "url", "license", "inLanguage"))
    yield from ((name, document[name]) for name in sorted(document) if name.startswith("rai:"))
    yield from ((f"file {file['name']}", file["sha256"]) for file in document["distribution"])
    yield from ((f"source {one['identifier']}", one.get("license")) for one in document.get("isBasedOn", ()))


def _name(path: str) -> str:
    return path.removeprefix(f"{layout.PROVENANCE}/")


def _licence(expression: str) -> str:
    """The SPDX page of a single licence; an expression as it is."""
    plain = " " not in expression and not expression.startswith("LicenseRef-")
    return f"https://spdx.org/licenses/{expression}" if plain else expression


def _origin(source: SourceTally) -> dict[str, str]:
    known = {"license": source.license, "creativeWorkStatus": source.status}
    told = {name: value for name, value in known.items() if value}
    return {"@type": "CreativeWork", "identifier": source.id, **told}


def _columns(summary: Summary) -> dict[str, tuple[str, str]]:
    """A table has all; lines of edition 1 have none of the new ones."""
    return COLUMNS | (NEW_COLUMNS if summary.rows_file else {})


def _responsible(summary: Summary, told: Rai) -> dict[str, Any]:
    """The RAI vocabulary: what the manifest shows, and what a person says."""
    return {
        "rai:dataCollection": told.collection,
        "rai:dataCollectionType": sorted({COLLECTED[s.kind] for s in summary.sources if s.kind in COLLECTED}),
        "rai:dataPreprocessingProtocol": list(_steps(summary)),
        "rai:dataUseCases": list(told.use_cases),
        "rai:dataLimitations": list(told.limitations),
        "rai:dataBiases": list(told.biases),
        "rai:personalSensitiveInformation": list(told.personal_information),
        "rai:dataSocialImpact": told.social_impact,
        "rai:dataReleaseMaintenancePlan": told.maintenance,
    }


def _steps(summary: Summary) -> Iterator[str]:
    """How documents were chosen: the counts of the manifest."""
    train, validation = summary.splits.train, summary.splits.validation
    yield f"{summary.rows} documents met; {train.documents} for training, {validation.documents} for validation"
    yield from preparation.lines(summary)
