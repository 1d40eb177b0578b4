"""spdx.json: what a model is made of, as SPDX 3.0.1 says it: an AI package, its data set, and all that they rest on.

    ai_AIPackage              the model: contains its weights, was trained on the data, depends on packages
    dataset_DatasetPackage    the data, by its manifest: contains its sources
    software_Package          sources, packages, Python
    software_File             weights; the records behind this, as evidence of the model

What nobody recorded is left out. Where SPDX asks for a time, it is that of the commit. Law: the same facts give the
same bytes. Source: SPDX 3.0.1 (ISO/IEC 5962), its profiles AI and Dataset, serialised as JSON-LD.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from registry.openness.documents import expressions, maker, preparation, purl
from registry.openness.documents.facts import ReleaseFacts
from registry.records import layout
from registry.records.data_manifest import Summary

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
CREATION = "_:creation"
PARAMETERS = "number of parameters"
FACTS = frozenset(
    (
        "name", "software_packageVersion", "software_packageUrl", "verifiedUsing", "simplelicensing_licenseExpression",
        "externalIdentifier", "relationshipType", "to", "dataset_datasetSize", "ai_metric", "ai_hyperparameter",
        "ai_typeOfModel", "ai_energyConsumption",
    )
)  # fmt: skip
"""What of an element is held to the records, whichever version wrote it; the rest is words."""


@dataclass(frozen=True, slots=True)
class _Graph:
    """The elements of one document."""

    facts: ReleaseFacts

    def iri(self, name: str) -> str:
        """What an element is called: within this release, and nowhere else."""
        return f"{self.facts.place}/{layout.SPDX}#{quote(name, safe='/:@')}"

    def element(self, kind: str, ref: str, **values: Any) -> dict[str, Any]:
        """An element called `ref`, with those of `values` that are known."""
        known = {name: value for name, value in values.items() if value not in (None, [], "")}
        return {"type": kind, "spdxId": self.iri(ref), "creationInfo": CREATION, **known}

    def package(self, kind: str, ref: str, name: str, version: str, **values: Any) -> dict[str, Any]:
        """A package; `kind` is of SPDX."""
        return self.element(kind, ref, name=name, software_packageVersion=version, **values)

    def relation(self, source: str, kind: str, targets: Iterable[str]) -> Iterator[dict[str, Any]]:
        """How `source` stands to all of `targets`; nothing where there are none."""
        if to := [self.iri(target) for target in targets]:
            ref = f"relation/{source}/{kind}"
            yield self.element("Relationship", ref, **{"from": self.iri(source)}, relationshipType=kind, to=to)


def render(facts: ReleaseFacts, version: str) -> dict[str, Any]:
    """The document, as the maker of that version writes it."""
    graph = _Graph(facts)
    elements = [*_agents(graph, version), *_model(graph), *_files(graph), *_data(graph), *_packages(graph)]
    elements += [*_base(graph), *_licences(graph, [facts.record.license, *_of_data(facts.data)])]
    profiles = ["core", "software", "simpleLicensing", "ai", *(["dataset"] if facts.data else [])]
    creation = {
        "type": "CreationInfo",
        "@id": CREATION,
        "specVersion": "3.0.1",
        "created": facts.record.source.committed_at,
        "createdBy": [graph.iri("agent")],
        "createdUsing": [graph.iri("tool")],
    }
    document = graph.element(
        "SpdxDocument",
        "document",
        name=f"{facts.record.repo} {facts.record.version}",
        profileConformance=profiles,
        rootElement=[graph.iri("model")],
        element=[element["spdxId"] for element in elements],
    )
    return {"@context": CONTEXT, "@graph": [creation, document, *elements]}


def made_by(document: Any) -> Any:
    """The version of Glasshouse that it names as its maker. Raises LookupError or TypeError where it names none."""
    (tool,) = (element for element in document["@graph"] if element["type"] == "Tool")
    name, _, version = tool["name"].partition(" ")
    return version if name == maker.NAME else ""


def said(document: Any) -> Iterator[tuple[str, Any]]:
    """What it says, fact by fact, to be held to the records. Raises as `made_by` does."""
    for element in document["@graph"]:
        if element["type"] not in ("CreationInfo", "SpdxDocument", "Tool", "SoftwareAgent"):
            place = element["spdxId"].partition("#")[2]
            yield from ((f"{place}, {name}", element[name]) for name in sorted(FACTS & element.keys()))


def _agents(graph: _Graph, version: str) -> Iterator[dict[str, Any]]:
    """Whoever wrote this, and whose name the model bears on the Hub."""
    yield graph.element("SoftwareAgent", "agent", name=maker.NAME)
    yield graph.element("Tool", "tool", name=f"{maker.NAME} {version}")
    yield graph.element("Organization", "owner", name=graph.facts.record.repo.partition("/")[0])


def _model(graph: _Graph) -> Iterator[dict[str, Any]]:
    facts, record = graph.facts, graph.facts.record
    settings = {PARAMETERS: record.parameters, **facts.settings}
    yield graph.package(
        "ai_AIPackage", "model", record.repo, record.version,
        description=facts.title,
        software_downloadLocation=facts.place,
        software_packageUrl=purl.huggingface(record.repo),
        software_primaryPurpose="model",
        software_sourceInfo=record.source.uri or f"git commit {record.source.commit}",
        suppliedBy=graph.iri("owner"),
        releaseTime=record.source.committed_at,
        ai_typeOfModel=[name for name in (facts.architecture, facts.family) if name],
        ai_hyperparameter=[_entry(name, value) for name, value in settings.items() if value is not None],
        ai_metric=list(_metrics(facts)),
        ai_energyConsumption=_energy(facts),
        ai_informationAboutApplication=facts.told.intended_use,
        ai_informationAboutTraining=_training(facts),
        ai_limitation=facts.told.limits,
        ai_modelDataPreprocessing=preparation.lines(facts.data) if facts.data else None,
    )  # fmt: skip
    yield from graph.relation("model", "hasDeclaredLicense", _refs([record.license]))


def _training(facts: ReleaseFacts) -> str | None:
    if facts.chain is None or not facts.chain.entries:
        return None
    last = facts.chain.entries[-1].step
    return f"{last} steps under the numeric profile {facts.chain.profile.name}; {len(facts.chain.entries)} checkpoints"


def _energy(facts: ReleaseFacts) -> dict[str, Any] | None:
    if facts.energy is None:
        return None
    row = {"type": "ai_EnergyConsumptionDescription", "ai_energyQuantity": facts.energy.kwh}
    return {
        "type": "ai_EnergyConsumption",
        "ai_trainingEnergyConsumption": [{**row, "ai_energyUnit": "kilowattHour"}],
    }


def _metrics(facts: ReleaseFacts) -> Iterator[dict[str, Any]]:
    if facts.evaluation:
        for name, value in facts.evaluation.metrics.as_json().items():
            yield _entry(name, repr(value))
    for file, rows in sorted(facts.figures.items()):
        yield from (_entry(f"{file}: {name}", value) for name, value in rows.items())


def _files(graph: _Graph) -> Iterator[dict[str, Any]]:
    """The weights, and the records behind this document."""
    weights = {file.path: file.sha256 for file in graph.facts.record.weights}
    records = graph.facts.rendered_from
    for path, sha256 in weights.items():
        values = {"name": path, **_hash(sha256), "software_primaryPurpose": "model"}
        yield graph.element("software_File", f"file/{path}", **values)
    for path, sha256 in records.items():
        values = {"name": path, **_hash(sha256), "software_primaryPurpose": "evidence"}
        yield graph.element("software_File", f"record/{path}", **values)
    yield from graph.relation("model", "contains", (f"file/{path}" for path in weights))
    yield from graph.relation("model", "hasEvidence", (f"record/{path}" for path in records))


def _data(graph: _Graph) -> Iterator[dict[str, Any]]:
    facts, data = graph.facts, graph.facts.data
    if data is None:
        return
    record = facts.record
    yield graph.package(
        "dataset_DatasetPackage", "data", f"The training data of {facts.title}", record.version,
        **_hash(facts.digests[layout.DATA_SUMMARY]),
        externalIdentifier=[_identifier(f"{data.algorithm}:{data.root}")],
        software_downloadLocation=facts.place,
        software_primaryPurpose="data",
        originatedBy=[graph.iri("owner")],
        builtTime=record.source.committed_at,
        releaseTime=record.source.committed_at,
        dataset_datasetType=["text" if facts.tokens else "noAssertion"],
        dataset_datasetSize=data.splits.train.size + data.splits.validation.size,
        dataset_dataPreprocessing=preparation.lines(data),
    )  # fmt: skip
    for source in data.sources:
        yield graph.element(
            "software_Package",
            f"source/{source.id}",
            name=source.id,
            software_packageUrl=purl.of_source(source.id),
            software_homePage=source.url,
            comment=preparation.STATUS[source.status] if source.status else None,
            software_primaryPurpose="data",
        )
        yield from graph.relation(f"source/{source.id}", "hasDeclaredLicense", _refs([source.license]))
    yield from graph.relation("data", "contains", (f"source/{source.id}" for source in data.sources))
    yield from graph.relation("data", "hasDeclaredLicense", _refs(data.licenses))
    yield from graph.relation("model", "trainedOn", ["data"])
    yield from graph.relation("model", "testedOn", ["data"] if facts.evaluation else [])


def _packages(graph: _Graph) -> Iterator[dict[str, Any]]:
    packages: dict[str, tuple[str, str]] = {}
    if graph.facts.environment:
        version = graph.facts.environment.software.python
        packages[purl.python(version)] = ("python", version)
    packages |= {purl.pypi(pin.name, pin.version): (pin.name, pin.version) for pin in graph.facts.packages}
    for place, (name, version) in packages.items():
        yield graph.package(
            "software_Package", f"package/{place}", name, version,
            software_packageUrl=place, software_primaryPurpose="library",
        )  # fmt: skip
    yield from graph.relation("model", "dependsOn", (f"package/{place}" for place in packages))


def _base(graph: _Graph) -> Iterator[dict[str, Any]]:
    if base := graph.facts.base:
        yield graph.package(
            "ai_AIPackage", "base", base.repo, base.commit,
            software_downloadLocation=base.uri,
            software_packageUrl=purl.huggingface(base.repo, base.commit),
            software_primaryPurpose="model",
            externalIdentifier=[_identifier(f"sha256:{base.sha256}")],
        )  # fmt: skip
        yield from graph.relation("model", "descendantOf", ["base"])


def _licences(graph: _Graph, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name in sorted(set(filter(expressions.is_expression, names))):
        yield graph.element(
            "simplelicensing_LicenseExpression", f"licence/{name}", simplelicensing_licenseExpression=name
        )


def _of_data(data: Summary | None) -> list[str]:
    return [*data.licenses, *(source.license for source in data.sources if source.license)] if data else []


def _refs(names: Iterable[str | None]) -> list[str]:
    return [f"licence/{name}" for name in sorted(filter(None, names)) if expressions.is_expression(name)]


def _hash(sha256: str) -> dict[str, Any]:
    return {"verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": sha256}]}


def _identifier(text: str) -> dict[str, str]:
    return {"type": "ExternalIdentifier", "externalIdentifierType": "other", "identifier": text}


def _entry(key: str, value: Any) -> dict[str, str]:
    return {"type": "DictionaryEntry", "key": key, "value": str(value)}
