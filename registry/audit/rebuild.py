"""Rebuild: everything anew, from the signed commit to the draft of a release, with empty caches; then compare.

A clone of the commit has no outputs and no cache of DVC, and `dvc repro --force --no-run-cache` takes nothing for done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from registry import canonical, strict_yaml
from registry.attest.predicates import Rebuild, RebuildVerdict, Rebuilt
from registry.audit import segments
from registry.audit.compare import Output, outputs, overall
from registry.audit.subject import rfc3339
from registry.audit.workshop import Workshop
from registry.errors import GlasshouseError, Unavailable
from registry.manifest import check_path
from registry.project import dvc_lock, stage_runs
from registry.provenance.stage_lineage import Line
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.record import Record
from registry.records.run import SUFFIX, Run
from registry.records.training_folder import ENVIRONMENT, TrainingFolder

TRAINED = "build/train"
LOG = "rebuild"
STARTED = "Running stage "
"""How DVC begins the line that names a stage."""
MAX_REASON = 900
"""Characters of a reason, so that the digest of the details still has room in the statement."""


class Details(Record):
    """What a rebuild verdict rests on."""

    outputs: tuple[Output, ...]
    """Every file compared."""
    departs: tuple[str, ...]
    """Where it first departs, in words: stage, file, tensor, checkpoint, step. Empty where nothing does."""
    tolerance: float
    """Relative; 0: none was allowed."""
    environment: Environment | None
    """The machine and the software here; None where the profile does not hold."""
    cannot: tuple[str, ...]
    """Why other bits would accuse nobody."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rebuild found.  statement: to be signed.  details: what it rests on."""

    statement: Rebuild
    details: Details


def rebuild(
    workshop: Workshop,
    *,
    tolerance: float = 0.0,
    stage: Callable[[str], None] = lambda name: None,
    progress: segments.Progress = lambda steps: None,
) -> Outcome:
    """Rebuild the release of `workshop`, and compare.

    tolerance: how far apart, relatively, tensors and figures may be for WITHIN.  stage: told each stage as it starts.
    progress: told training steps. Raises Unavailable where the rebuild does not come to an end.
    """
    started = datetime.now(UTC)
    verdict: RebuildVerdict = "UNSUPPORTED"
    details = Details(outputs=(), departs=(), tolerance=tolerance, environment=workshop.here, cannot=workshop.cannot)
    if workshop.here is not None:
        _repro(workshop, stage, progress)
        verdict, details = judge(workshop, tolerance)
    profile = workshop.audited.chain.profile
    statement = Rebuild(
        verdict=verdict,
        reason=f"{_reason(verdict, details)[:MAX_REASON]}; details sha256:{digest(details)}",
        profile=f"{profile.name} sha256:{profile.digest}",
        machine=workshop.machine[:MAX_REASON],
        started_at=rfc3339(started),
        finished_at=rfc3339(datetime.now(UTC)),
        source=workshop.audited.record.source.commit,
        environment=workshop.setup.kind,
        tolerance=tolerance,
        outputs=_named(details.outputs) or None,
    )
    return Outcome(statement, details)


def _named(found: tuple[Output, ...]) -> tuple[Rebuilt, ...]:
    """What the statement says of each output that counts."""
    return tuple(Rebuilt(path=one.path, verdict=one.verdict, sha256=one.found) for one in found if one.counted)


def judge(workshop: Workshop, tolerance: float) -> tuple[RebuildVerdict, Details]:
    """How what stands rebuilt in the workshop's tree compares with the release."""
    found = outputs(workshop.audited.root, _draft(workshop), tolerance)
    verdict = overall(found)
    departs = () if verdict == "BITWISE" else tuple(_departures(workshop, found))
    if verdict == "DIFFERENT" and workshop.cannot:
        verdict = "UNSUPPORTED"
    return verdict, Details(
        outputs=found, departs=departs, tolerance=tolerance, environment=workshop.here, cannot=workshop.cannot
    )


def digest(details: Details) -> str:
    """By which the reason of a statement names its details."""
    return canonical.digest(details.as_json())


def _repro(workshop: Workshop, stage: Callable[[str], None], progress: segments.Progress) -> None:
    log = workshop.scratch / f"{LOG}.log"
    told = 0
    count = segments.steps_of(workshop.tree / TRAINED, progress)

    def meanwhile() -> None:
        nonlocal told
        count()
        names = [
            line.split("'")[1]
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
            if line.startswith(STARTED) and line.count("'") >= 2
        ]
        for name in names[told:]:
            stage(name)
        told = len(names)

    try:
        workshop.run(["dvc", "repro", "--force", "--no-run-cache"], log=LOG, meanwhile=meanwhile)
    except GlasshouseError as problem:
        raise Unavailable(
            f"the rebuild does not come to its end: {problem.message}",
            mend="run it again with --keep DIR, and read DIR/rebuild.log",
        ) from problem


def _draft(workshop: Workshop) -> Path:
    """Where the source's own params.yaml, whose bytes are signed, has the draft written."""
    match strict_yaml.read(workshop.audited.root / layout.PARAMS):
        case {"release": {"output": str(path)}}:
            check_path(path)
            return workshop.tree / path
    return workshop.tree / "build/release"


def _departures(workshop: Workshop, found: tuple[Output, ...]) -> Iterator[str]:
    """Where the rebuild first departs: the stage, the checkpoint, the step, the file and its tensor."""
    root, tree = workshop.audited.root, workshop.tree
    try:
        if words := _first_stage(root, tree):
            yield f"the first stage that departs is {words}"
    except GlasshouseError as problem:
        yield f"which stage departs first is not known: {problem.message}"
    try:
        trained = Chain.read(TrainingFolder(tree / TRAINED).chain)
    except GlasshouseError as problem:
        yield f"no chain of checkpoints came out: {problem.message}"
    else:
        if (step := first_checkpoint(workshop.audited.chain, trained)) is not None:
            yield f"the first checkpoint that departs is that of step {step}"
            yield segments.first_step(root / layout.METRICS, TrainingFolder(tree / TRAINED).metrics)
    for output in found:
        if output.counted and output.verdict == "DIFFERENT":
            yield f"{output.path}: {output.reason}"


def _first_stage(root: Path, tree: Path) -> str | None:
    """The first stage of the release at `root` that departs in what was made of its source in `tree`, and where.

    The source's own records say what was made, so it says where to look; that anything differs is known by our own
    SHA-256.
    """
    line = Line(root, {}, {})
    signed, made = line.placed, line.plan.placed(dvc_lock.read_lock(tree / dvc_lock.LOCK))
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
    makers = stage_runs.Makers(signed.stages.values())
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
        if counted := [path for path in other if not path.endswith((ENVIRONMENT, SUFFIX))]:
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


def _reason(verdict: RebuildVerdict, details: Details) -> str:
    counts = ", ".join(
        f"{sum(output.verdict == word for output in details.outputs if output.counted)} {word}"
        for word in ("BITWISE", "TENSORS", "WITHIN", "DIFFERENT")
        if any(output.verdict == word for output in details.outputs if output.counted)
    )
    words = [f"{counts} of the outputs"] if counts else []
    if verdict == "WITHIN":
        words.append(f"within {details.tolerance:g}, relative")
    if verdict == "UNSUPPORTED":
        words.append(f"this machine cannot tell: {'; '.join(details.cannot)}")
    return "; ".join([*words, *details.departs])
