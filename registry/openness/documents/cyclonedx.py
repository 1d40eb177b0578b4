"""bom.cdx.json: what a model is made of, as CycloneDX 1.7 says it: weights, data, sources, packages, and a model card.

    metadata.component        the model, its weights as files below it, its card
    components                data (its sources below it), packages, Python, the base
    dependencies              the model on all of them
    properties                glasshouse:record:PATH, the SHA-256 of each record behind this

What nobody recorded is left out. Law: the same facts give the same bytes. Source: CycloneDX 1.7 (ECMA-424).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from registry.openness.documents import expressions, maker, purl
from registry.openness.documents.facts import ReleaseFacts
from registry.records import layout
from registry.records.data_manifest import SourceTally, Summary

MODEL, DATA, PYTHON, BASE = "model", "data", "python", "base"
"""How the parts are called within the document."""
OUR = "glasshouse:"
"""How the names of our properties begin."""
PARAMETERS = f"{OUR}parameters"
LICENCE = f"{OUR}licence"
RECORD = f"{OUR}record:"
BITS_PER_BYTE = "bits per byte"


def render(facts: ReleaseFacts, version: str) -> dict[str, Any]:
    """The document, as the maker of that version writes it."""
    record = facts.record
    rest = [*_data(facts), *_packages(facts), *_base(facts)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{facts.place}#{facts.digests[layout.RECORD]}')}",
        "version": 1,
        "metadata": {
            "timestamp": record.source.committed_at,
            "tools": {"components": [{"type": "application", "name": maker.NAME, "version": version}]},
            "component": _model(facts),
        },
        "components": rest,
        "dependencies": [
            {"ref": MODEL, "dependsOn": [part["bom-ref"] for part in rest]},
            *({"ref": part["bom-ref"]} for part in rest),
        ],
        "properties": _properties({f"{RECORD}{path}": sha256 for path, sha256 in facts.rendered_from.items()}),
    }


def made_by(document: Any) -> Any:
    """The version of Glasshouse that it names as its maker. Raises LookupError or TypeError where it names none."""
    (tool,) = document["metadata"]["tools"]["components"]
    return tool["version"] if tool["name"] == maker.NAME else ""


def said(document: Any) -> Iterator[tuple[str, Any]]:
    """What it says, fact by fact, to be held to the records. Raises as `made_by` does."""
    model = document["metadata"]["component"]
    card = model["modelCard"]
    yield from ((name, model[name]) for name in ("name", "version", "purl"))
    yield "licence expression", _named(model)
    yield "architecture", card["modelParameters"].get("modelArchitecture")
    for part in model.get("components", ()):
        yield f"file {part['name']}", part["hashes"]
    for row in (*model.get("properties", ()), *document["properties"]):
        yield row["name"].removeprefix(OUR), row["value"]
    for row in card.get("quantitativeAnalysis", {}).get("performanceMetrics", ()):
        yield f"metric {row['type']}, {row['slice']}", row["value"]
    for part in document["components"]:
        kept = ("version", "purl", "hashes", "properties")
        yield f"{part['type']} {part['bom-ref']}", [_named(part), *(part.get(name) for name in kept)]
        yield from ((f"source {source['name']}", _named(source)) for source in part.get("components", ()))


def _model(facts: ReleaseFacts) -> dict[str, Any]:
    record = facts.record
    said_of = {PARAMETERS: record.parameters, f"{OUR}kind": record.kind, LICENCE: record.license}
    if facts.chain and facts.chain.entries:
        said_of |= {
            f"{OUR}steps": facts.chain.entries[-1].step,
            f"{OUR}numericProfile": facts.chain.profile.name,
        }
    if facts.energy:
        said_of |= {
            f"{OUR}energy": f"{facts.energy.kwh!r} kWh",
            f"{OUR}CO2e": f"{facts.energy.co2!r} kg",
            f"{OUR}energyMethod": facts.energy.method,
        }
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "group": record.repo.partition("/")[0],
        "name": record.repo.partition("/")[2],
        "version": record.version,
        "description": facts.title,
        **_licences(record.license),
        "purl": purl.huggingface(record.repo),
        "externalReferences": [*_source(facts), {"type": "distribution", "url": facts.place}],
        "components": [
            {"type": "file", "bom-ref": f"weights:{file.path}", "name": file.path, **_hash(file.sha256)}
            for file in record.weights
        ],
        "modelCard": _card(facts),
        "properties": _properties(said_of),
    }


def _source(facts: ReleaseFacts) -> Iterator[dict[str, Any]]:
    if uri := facts.record.source.uri:
        yield {"type": "vcs", "url": uri}


def _card(facts: ReleaseFacts) -> dict[str, Any]:
    told = facts.told
    parameters = {
        "architectureFamily": facts.family,
        "modelArchitecture": facts.architecture,
        "datasets": [{"ref": DATA}] if facts.data else None,
    }
    considerations = {
        "useCases": [told.intended_use.strip()] if told.intended_use else None,
        "technicalLimitations": [told.limits.strip()] if told.limits else None,
    }
    card = {
        "bom-ref": "card",
        "modelParameters": _known(parameters),
        "quantitativeAnalysis": _known({"performanceMetrics": list(_metrics(facts))}),
        "considerations": _known(considerations),
    }
    return {name: value for name, value in card.items() if value or name == "modelParameters"}


def _metrics(facts: ReleaseFacts) -> Iterator[dict[str, str]]:
    if facts.evaluation:
        metrics = facts.evaluation.metrics
        for name, value in (
            (BITS_PER_BYTE, metrics.bits_per_byte),
            ("perplexity", metrics.perplexity),
            ("next-token accuracy", metrics.next_token_accuracy),
        ):
            yield {"type": name, "value": repr(value), "slice": "validation"}
    for file, rows in sorted(facts.figures.items()):
        place = f"{layout.FIGURES}/{file}"
        yield from ({"type": name, "value": value, "slice": place} for name, value in rows.items())


def _data(facts: ReleaseFacts) -> Iterator[dict[str, Any]]:
    """The training data, by its manifest; its sources stand below it."""
    data = facts.data
    if data is None:
        return
    name = f"The training data of {facts.title}"
    tokens = {f"{OUR}tokens": facts.tokens.splits.train.tokens} if facts.tokens else {}
    yield {
        "type": "data",
        "bom-ref": DATA,
        "name": name,
        "version": facts.record.version,
        **_hash(facts.digests[layout.DATA_SUMMARY]),
        **_licences(expressions.together(data.licenses)),
        "data": [{"type": "dataset", "name": name, "contents": {"url": data.stored_in}}],
        "components": [_origin(source) for source in data.sources],
        "properties": _properties({**_counts(data), **tokens}),
    }


def _counts(data: Summary) -> dict[str, Any]:
    return {
        f"{OUR}merkleRoot": data.root,
        f"{OUR}documents": data.splits.train.documents,
        f"{OUR}bytes": data.splits.train.size,
        **{f"{LICENCE}:{name}": tally.documents for name, tally in sorted(data.licenses.items())},
    }


def _origin(source: SourceTally) -> dict[str, Any]:
    place = purl.of_source(source.id)
    return {
        "type": "data",
        "bom-ref": f"source:{source.id}",
        "name": source.id,
        **({"purl": place} if place else {}),
        **_licences(source.license),
        "properties": _properties(
            {f"{OUR}documents": source.documents, f"{OUR}bytes": source.size, f"{OUR}status": source.status}
        ),
    }


def _packages(facts: ReleaseFacts) -> Iterator[dict[str, Any]]:
    """Python, and the packages."""
    if facts.environment:
        python = facts.environment.software.python
        yield {"type": "platform", "bom-ref": PYTHON, "name": PYTHON, "version": python, "purl": purl.python(python)}
    for pin in facts.packages:
        place = purl.pypi(pin.name, pin.version)
        where = {f"{OUR}marker": pin.marker} if pin.marker else {}
        yield {
            "type": "library",
            "bom-ref": f"{place}{f' ; {pin.marker}' if pin.marker else ''}",
            "name": pin.name,
            "version": pin.version,
            "purl": place,
            **({"properties": _properties(where)} if where else {}),
        }


def _base(facts: ReleaseFacts) -> Iterator[dict[str, Any]]:
    if base := facts.base:
        yield {
            "type": "machine-learning-model",
            "bom-ref": BASE,
            "name": base.repo,
            "version": base.commit,
            "purl": purl.huggingface(base.repo, base.commit),
            "properties": _properties({f"{OUR}sha256": base.sha256}),
        }


def _licences(name: str | None) -> dict[str, Any]:
    """Nothing where nobody states a licence, and where it is not an SPDX expression: a property says it then."""
    return {"licenses": [{"expression": name}]} if name and expressions.is_expression(name) else {}


def _named(part: Mapping[str, Any]) -> str | None:
    rows = part.get("licenses", ())
    return rows[0]["expression"] if rows else None


def _hash(sha256: str) -> dict[str, Any]:
    return {"hashes": [{"alg": "SHA-256", "content": sha256}]}


def _properties(values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"name": name, "value": str(value)} for name, value in values.items() if value is not None]


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
