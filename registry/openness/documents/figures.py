"""Are the figures in `.eval_results` what the records of a release say? A Hub shows them beside the data set.

Law: a figure that is shown for a task of these records is theirs, or FAIL; one that they do not have is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from registry import strict_yaml
from registry.errors import Unavailable
from registry.files import read_bytes
from registry.hub import metadata
from registry.hub.reference import DATASETS
from registry.openness.figures_shown import OWN
from registry.provenance.stage_lineage import Gap
from registry.records import layout
from registry.records.evaluation import Evaluation
from registry.records.harness import HarnessEvaluation
from registry.records.release_record import ReleaseRecord
from registry.report import Check, Step, ask

ASK = "ask the maintainer where it was measured; evaluation by a stage of the project is recorded"


def checks(root: Path, digests: Mapping[str, str]) -> Iterator[Check]:
    """An answer for each file of figures of the release at `root`, whose files have the SHA-256 `digests` by path."""
    for path in sorted(digests):
        if path.startswith(f"{layout.RESULTS}/"):
            yield ask(Step.LINEAGE, f"{path} <- records", partial(_agrees, root, path))


def _agrees(root: Path, path: str) -> str:
    """How far a file of figures is as the records say, in words. Raises Gap or Unavailable where it is not."""
    known = _known(root)
    shown = metadata.check_results(read_bytes(root / path, strict_yaml.MAX_BYTES), name=path)
    for row in shown:
        name, task = row.dataset.id, row.dataset.task_id
        expected = known.get((name, task))
        if expected is None:
            raise Unavailable(f"no record of the release has {task} on {name}, shown as {row.value}", mend=ASK)
        if (row.value, row.dataset.revision) != expected:
            said, found = (f"{value} (revision {at})" for value, at in (expected, (row.value, row.dataset.revision)))
            raise Gap(f"{task} on {name}: it says {found}, the records {said}")
    return f"{len(shown)} figures, each as the records have it"


def _known(root: Path) -> dict[tuple[str, str], tuple[float, str | None]]:
    """(data set, task) -> value and revision. The release's own evaluation is of the data published beside it."""
    known: dict[tuple[str, str], tuple[float, str | None]] = {}
    if (root / layout.EVALUATION).is_file():
        value = Evaluation.read(root / layout.EVALUATION).metrics.bits_per_byte
        beside = [companion.repo for companion in ReleaseRecord.read(root / layout.RECORD).companions]
        known |= {(repo.removeprefix(DATASETS), OWN): (value, None) for repo in beside if repo.startswith(DATASETS)}
    if (root / layout.HARNESS).is_file():
        for task in HarnessEvaluation.read(root / layout.HARNESS).tasks:
            if task.data is not None:
                known[task.data.repo, task.task] = task.figures[0].value, task.data.revision or None
    return known
