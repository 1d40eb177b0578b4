"""What a running `glasshouse serve` says of itself, by other people's readers.

/openapi.json  openapi-spec-validator; every operationId once, every path parameter declared
/metrics       prometheus_client's parser: names by convention, HELP and TYPE of each, histograms that add up
"""

from __future__ import annotations

import json
import re
import tempfile
import urllib.request
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.hub_instance import HubInstance
from tests.peers.tally import Tally

KNOWN = {r"^metric glasshouse_hub_": "figures have no HELP, and two have no TYPE"}


def run(tally: Tally) -> None:
    """Start a server, and read what it says."""
    with tempfile.TemporaryDirectory(prefix="served-") as folder, HubInstance.start(Path(folder) / "hub") as hub:
        openapi(json.loads(_get(f"{hub.url}/openapi.json")), tally)
        metrics(_get(f"{hub.url}/metrics").decode(), tally)


def openapi(document: dict[str, Any], tally: Tally) -> None:
    """Hold the description of the API to its specification."""
    validator: Any = import_module("openapi_spec_validator").OpenAPIV31SpecValidator(document)
    problems = [f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in validator.iter_errors()]
    tally.tell(not problems, f"openapi {document['openapi']}, {len(document['paths'])} paths", problems[:5])
    operations = [
        (f"{method} {path}", path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    names = [operation["operationId"] for _, _, operation in operations]
    tally.tell(len(names) == len(set(names)), f"{len(names)} operationIds", "some stand twice")
    for name, path, operation in operations:
        declared = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        tally.tell(declared == set(re.findall(r"{([^}]+)}", path)), name, declared)


def metrics(text: str, tally: Tally) -> None:
    """Hold the figures to the text format, and to its conventions."""
    parser: Any = import_module("prometheus_client.parser")
    try:
        families = list(parser.text_string_to_metric_families(text))
    except ValueError as problem:
        families = []
        tally.tell(False, "metrics", problem)
    for family in families:
        amiss = [] if re.fullmatch(r"[a-z_:][a-z0-9_:]*", family.name) else ["name"]
        amiss += [] if family.type not in ("unknown", "untyped") else ["no TYPE"]
        amiss += [] if family.documentation else ["no HELP"]
        if family.type == "counter" and not all(each.name.endswith(("_total", "_created")) for each in family.samples):
            amiss.append("counter without _total")
        if family.type == "histogram" and not adds_up(family.samples):
            amiss.append("histogram that does not add up")
        tally.tell(not amiss, f"metric {family.name} ({family.type})", amiss)


def adds_up(samples: list[Any]) -> bool:
    """Whether each histogram's buckets grow, and the last is its count."""
    series: dict[tuple[tuple[str, str], ...], list[Any]] = {}
    for sample in samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        series.setdefault(tuple(sorted(labels.items())), []).append(sample)
    for mine in series.values():
        buckets = [sample.value for sample in mine if sample.name.endswith("_bucket")]
        counts = [sample.value for sample in mine if sample.name.endswith("_count")]
        if buckets != sorted(buckets) or buckets[-1:] != counts:
            return False
    return True


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        data: bytes = answer.read()
    return data
