"""The figures of a release: what it was measured to reach, by name.

Those of evaluation.json have the names that they have there, such as `bitsPerByte`. Those of the harness's tasks are
called harness:TASK.METRIC, such as `harness:mmlu.acc`. Those of DVC's own metrics have the name of their file before
theirs: `metrics.json:accuracy`, `eval/live.yaml:test.loss`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.catalog.entry import ReleaseEntry
from registry.errors import Unavailable
from registry.records import layout
from registry.records.evaluation import Evaluation
from registry.records.harness import HarnessEvaluation

MAX_FIGURES = 10_000


def figures_of(entry: ReleaseEntry) -> dict[str, float]:
    """Every figure by its name. Raises GlasshouseError for a record that cannot be read, or holds too many."""
    found: dict[str, float] = {}
    if layout.EVALUATION in entry.listed:
        evaluation = Evaluation.from_bytes(entry.read(layout.EVALUATION), name=layout.EVALUATION)
        found |= {name: float(value) for name, value in evaluation.metrics.as_json().items()}
    if layout.HARNESS in entry.listed:
        found |= HarnessEvaluation.from_bytes(entry.read(layout.HARNESS), name=layout.HARNESS).figures
    for path in entry.listed:
        name = path.removeprefix(f"{layout.FIGURES}/")
        if name != path and path.endswith((".json", ".yaml", ".yml")):
            value = entry.json(path) if path.endswith(".json") else entry.yaml(path)
            found |= {f"{name}:{place}": figure for place, figure in _numbers(value, "")}
        if len(found) > MAX_FIGURES:
            raise Unavailable(f"{entry.name} has over {MAX_FIGURES} figures", mend="ask the maintainer for fewer")
    return found


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    match value:
        case dict():
            for key in value:
                yield from _numbers(value[key], f"{place}.{key}" if place else str(key))
        case bool():
            return
        case int() | float() if abs(value) < 1e300:
            yield place, float(value)
