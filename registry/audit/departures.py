"""Where a rebuild first departs from the release: the stage, the checkpoint, the step, the file and its tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from registry import suffixes
from registry.audit import metrics
from registry.audit.outputs import Output
from registry.audit.stages import trained
from registry.audit.workshop import Workshop
from registry.errors import GlasshouseError
from registry.project import dvc_lock, locked_stages, stage_runs
from registry.provenance.stage_lineage import Line
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.run import Run
from registry.records.training_folder import ENVIRONMENT


def told(place: Workshop, found: tuple[Output, ...]) -> Iterator[str]:
    """In words, where what stands rebuilt in `place` first departs.  found: its files, compared."""
    root, tree = place.audited.root, place.tree
    try:
        if words := _first_stage(root, tree):
            yield f"the first stage that departs is {words}"
    except GlasshouseError as problem:
        yield f"which stage departs first is not known: {problem.message}"
    if place.audited.training is not None:
        yield from _in_training(place)
    for output in found:
        if output.counted and output.verdict == "DIFFERENT":
            yield f"{output.path}: {output.reason}"


def _in_training(place: Workshop) -> Iterator[str]:
    """The checkpoint and the step."""
    try:
        made = Chain.read(trained(place).chain)
    except GlasshouseError as problem:
        yield f"no chain of checkpoints came out: {problem.message}"
    else:
        if (step := first_checkpoint(place.audited.chain, made)) is not None:
            yield f"the first checkpoint that departs is that of step {step}"
            yield metrics.first_departure(place.audited.root / layout.METRICS, trained(place).metrics)


def _first_stage(root: Path, tree: Path) -> str | None:
    """The first stage of the release at `root` that departs in what was made of its source in `tree`, and where.

    The source's own records say what was made, so it says where to look; that anything differs is known by our own
    SHA-256.
    """
    line = Line(root, {}, {})
    locks = (dvc_lock.read_lock(tree / folder / dvc_lock.LOCK, folder) for folder in line.folders)
    signed, made = line.placed, line.plan.placed(dvc_lock.merged(locks))
    runs: dict[str, tuple[Run, Run]] = {}
    for name, stage in made.stages.items():
        with suppress(GlasshouseError):  # its MD5s are left
            ours = stage_runs.recorded(tree, stage)
            if ours and name in line.recorded and line.recorded[name].evidence != "unrecorded":
                runs[name] = (line.recorded[name].run, ours)
    return first_stage(signed, made, runs)


def first_stage(signed: dvc_lock.Lock, made: dvc_lock.Lock, runs: Mapping[str, tuple[Run, Run]]) -> str | None:
    """The first stage whose outputs differ, and the first of them, each stage after those it reads from; without
    environment.json, and the records of runs, which name it.

    runs: by stage, that of the release and ours. They tell by SHA-256 and file by file; the locks only by MD5.
    """
    makers = locked_stages.makers(signed.stages.values())
    reads = {
        name: {maker for dep in stage.deps for maker in makers.touching(dep.path).values()} - {name}
        for name, stage in signed.stages.items()
    }
    try:
        order = list(TopologicalSorter(reads).static_order())
    except CycleError:
        order = list(reads)
    for name in order:
        if name in runs:
            theirs, ours = map(_written, runs[name])
        else:
            theirs, ours = ({out.path: out.md5 for out in lock.outs_of(name)} for lock in (signed, made))
        other = [path for path in theirs | ours if theirs.get(path) != ours.get(path)]
        if counted := [path for path in other if not path.endswith((ENVIRONMENT, suffixes.RUN))]:
            return f"{name}: {counted[0]}"
    return None


def _written(run: Run) -> dict[str, str]:
    """SHA-256 of each output of a run, and in place of a directory that lists its files, of those."""
    found: dict[str, str] = {}
    for out in run.outs:
        found |= out.inside() or {out.path: out.sha256}
    return found


def first_checkpoint(signed: Chain, made: Chain) -> int | None:
    """The step of the first entry that is not in the other chain, by bisection: each entry binds all before it."""
    low, high = 0, min(len(signed.entries), len(made.entries))
    while low < high:
        middle = (low + high) // 2
        same = signed.entries[middle] == made.entries[middle]
        low, high = (middle + 1, high) if same else (low, middle)
    longer = max(signed.entries, made.entries, key=len)
    return longer[low].step if low < len(longer) else None
