"""A lineage as OpenLineage events: one completed run for each stage, with what it read and what it wrote.

Data sets are named by the release's repository and their path in the project. Nobody recorded when a stage ran: each
event has the time of the commit that the release was made from.
Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json; facets 1-0-0 and later.
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from registry import __version__
from registry.attest import namespace
from registry.catalog.lineage import Graph, Node

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
SOURCE_CODE = "https://openlineage.io/spec/facets/1-0-1/SourceCodeLocationJobFacet.json"
DATA = ("file", "weights", "data", "source")


def events(graph: Graph, *, repo: str, time: str, source: tuple[str | None, str]) -> list[dict[str, Any]]:
    """The events of the release's stages. time: RFC 3339.  source: the repository of its code, and the commit."""
    producer = f"{namespace.WRITTEN}producer/{__version__}"
    where = f"hf://{repo}"
    wrote = {name: [] for name, node in graph.nodes.items() if node.kind == "stage"}  # type: dict[str, list[Node]]
    for what, origin in graph.edges:
        if origin in wrote and graph.nodes[what].kind in DATA:
            wrote[origin].append(graph.nodes[what])
    return [
        {
            "eventType": "COMPLETE",
            "eventTime": time,
            "run": {"runId": str(uuid5(NAMESPACE_URL, f"{where}#{node.digest}"))},
            "job": {"namespace": where, "name": node.label, "facets": _job(node, producer, source)},
            "inputs": [
                _data_set(graph.nodes[origin], where, producer)
                for origin in graph.origins.get(name, ())
                if graph.nodes[origin].kind in DATA
            ],
            "outputs": [_data_set(each, where, producer) for each in wrote[name]],
            "producer": producer,
            "schemaURL": SCHEMA,
        }
        for name, node in graph.nodes.items()
        if node.kind == "stage"
    ]


def _job(node: Node, producer: str, source: tuple[str | None, str]) -> dict[str, Any]:
    repository, commit = source
    base = {"_producer": producer, "_schemaURL": SOURCE_CODE}
    return {"sourceCodeLocation": {**base, "type": "git", "url": repository or "", "version": commit}}


def _data_set(node: Node, where: str, producer: str) -> dict[str, Any]:
    schema = "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json"
    version = {"_producer": producer, "_schemaURL": schema, "datasetVersion": f"sha256:{node.digest}"}
    facets = {"version": version} if node.digest else {}
    return {"namespace": where, "name": node.label.rstrip("/"), "facets": facets}
