"""The runs behind what is about to be released, held to dvc.lock and to the files as they are now.

A stage without a record of its run can be released all the same: what it read is then what DVC's lock says, and the
digests are those of the files as they are at the release. That is said of it (`unrecorded`), and signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from registry import suffixes
from registry.errors import Refused
from registry.project import dvc_lock, dvc_yaml
from registry.project.committed import Committed
from registry.project.dvc_yaml import Pipeline
from registry.project.known_digests import KnownDigests
from registry.project.locked_stages import read, writing, written
from registry.project.measure import files, measure_paths
from registry.project.recorder import ran_here
from registry.project.tracked import Tracked
from registry.records.addresses import check_names
from registry.records.run import MAX_BYTES, MAX_COMMITTED, Evidence, Measured, Run, StageRun, Stages

REPAIR = "remove it from .dvc/cache and from the remote, dvc push from there, and dvc pull here: docs/how-to/team.md"
"""What mends an object that a remote of DVC's has wrong: DVC itself sends nothing that seems to be there."""


def gather(root: Path, folders: Iterable[str] = ("",), *, rehash: bool = False) -> Stages:
    """Every stage of the project at `root` that writes something, with the run that made its outputs.

    folders: where the dvc.yaml files are whose stages are meant. Everything in the project that a stage read or wrote
    is hashed again; without `rehash`, a file that has not changed since it was hashed is not. Raises Refused, with the
    mend, where a record is not of the present command, settings, dependencies or outputs, or a dependency is not as the
    commit has it.
    """
    lock = dvc_lock.merged(dvc_lock.read_lock(root / folder / dvc_lock.LOCK, folder) for folder in folders)
    plan = dvc_yaml.resolved(root, lock.stages)
    stages = writing(plan.placed(lock))
    check_names([stage.name for stage in stages])
    runs = {stage.name: recorded(root, stage) for stage in stages}
    paths = {path for stage in stages for path in (*read(stage), *written(stage))}
    paths |= {item.path for run in runs.values() if run for item in (*run.deps, *run.outs)}
    now, held = measure_paths(root, paths, known=KnownDigests(root, anew=rehash)), Committed.at_head(root)
    held.check({path for stage in stages for path in read(stage)})
    tracked = Tracked(root, held)
    every = ((stage, *_stage_run(root, plan, stage, runs[stage.name], now)) for stage in stages)
    known = tuple(_known(stage, evidence, run, held, tracked) for stage, evidence, run in every)
    return Stages(stages=known, kept=None if rehash else True)


def recorded(root: Path, stage: dvc_lock.LockedStage) -> Run | None:
    """The record of its run, in the project at `root`; None where it has none.

    Raises InputError for a spoilt one, Refused for one that is not that of the lock: DVC's caches and remotes give
    what they hold, and it does not look. The record binds the outputs by SHA-256, and the lock, a file of the commit,
    binds the record.
    """
    records = [artifact for artifact in stage.outs if artifact.path.endswith(suffixes.RUN)]
    if len(records) != 1:
        return None
    path = root / records[0].path
    if not path.is_file():
        raise Refused(f"{records[0].path} is not there", mend="dvc pull, or dvc repro")
    run = Run.read(path, max_bytes=MAX_BYTES)
    if dvc_lock.file_md5(path) != records[0].md5:
        _gap(stage.name, f"the record of its run, {records[0].path}, is not the one that dvc.lock names")
    return run


def _known(stage: dvc_lock.LockedStage, evidence: Evidence, run: Run, held: Committed, tracked: Tracked) -> StageRun:
    """What is known of a run: which of its dependencies the commit has, and which a .dvc file of the commit names."""
    whole = {dep.path for dep in run.deps if held.holds(dep)}
    rows = {row.path: row for dep in run.deps if dep.path not in whole for row in tracked.touching(dep.path)}
    mixed = [dep for dep in run.deps if dep.path not in whole and any(row.startswith(f"{dep.path}/") for row in rows)]
    parts = {path for dep in mixed for path in held.held_in(dep)}
    return StageRun(
        evidence=evidence,
        committed=tuple(sorted(whole | parts if len(whole | parts) <= MAX_COMMITTED else whole)),
        tracked=tuple(row for _, row in sorted(rows.items())),
        outside=stage.outside,
        run=run,
    )


def _stage_run(
    root: Path, plan: Pipeline, stage: dvc_lock.LockedStage, run: Run | None, now: Mapping[str, Measured]
) -> tuple[Evidence, Run]:
    deps, outs = (tuple(now[path] for path in paths(stage)) for paths in (read, written))
    if run is None:
        _as_locked(root, stage, frozen=plan.frozen(stage.name))
        params = dvc_yaml.locked_settings(root, stage.params)
        run = Run(stage=stage.name, command=stage.command, params=params, deps=deps, outs=outs)
        return "unrecorded", run
    if (run.stage, run.command) != (stage.name, stage.command):
        _gap(stage.name, "the record of its run is of another command")
    if run.params != dvc_yaml.settings(root, plan.stage(stage.name)):
        _gap(stage.name, "the settings are not those that it ran with")
    evidence: Evidence = "ran" if ran_here(root, run) else "restored"
    _same(stage.name, "what it read", run.deps, deps, now, evidence)
    _same(stage.name, "what it wrote", run.outs, outs, now, evidence)
    return evidence, run


def _as_locked(root: Path, stage: dvc_lock.LockedStage, *, frozen: bool) -> None:
    """Refuse a stage that nobody measured, where what it read or wrote is not what the lock says.

    DVC does not look: not at what a cache or a remote gave it, and at nothing that a frozen stage reads.
    """
    if wrong := _unlike(root, stage.outs):
        raise Refused(
            f"the stage {stage.name}: {wrong} is not what it wrote by dvc.lock; a cache or a remote of DVC's gave "
            "other bytes, for DVC takes its word",
            mend=f"run it again: dvc repro --force {stage.name}; or, where another copy has it whole: {REPAIR}",
        )
    wrong = _unlike(root, stage.deps)
    now = dvc_yaml.locked_settings(root, stage.params) if frozen else stage.params
    wrong = wrong or ", ".join([path for path, values in stage.params.items() if now[path] != values][:3])
    if wrong:
        unfreeze = f"dvc unfreeze {stage.name} && " if frozen else ""
        raise Refused(
            f"the stage {stage.name} {'is frozen, and ' if frozen else ': '}{wrong} is not what it read by dvc.lock",
            mend=f"bring that back; or {unfreeze}dvc repro {stage.name}, and commit dvc.lock",
        )


def _unlike(root: Path, artifacts: Iterable[dvc_lock.Artifact]) -> str:
    """The first three of `artifacts` whose bytes, hashed here, are not those of the lock; empty where all are."""
    names = {artifact: files(root, artifact.path, bytecode=True) for artifact in artifacts}
    wrong = sorted(item.path for item in names if not dvc_lock.has(item, root / item.path, names[item]))
    return ", ".join(wrong[:3])


def _same(
    stage: str,
    what: str,
    recorded: Iterable[Measured],
    needed: Iterable[Measured],
    now: Mapping[str, Measured],
    evidence: Evidence,
) -> None:
    """What was recorded is there, as recorded; and what the lock names was recorded."""
    found = {item.path: item for item in recorded}
    wrong = [item.path for item in needed if item.path not in found]
    wrong += [path for path, item in found.items() if now[path] != item]
    if wrong:
        _gap(stage, f"{', '.join(sorted(wrong)[:3])} is not {what} by the record of its run", evidence)


def _gap(stage: str, found: str, evidence: Evidence = "ran") -> NoReturn:
    again = f"run it again: dvc repro --force {stage} (where it is frozen, dvc unfreeze {stage} first), "
    pulled = f"; or, where another copy has it whole: {REPAIR}" if evidence == "restored" else ""
    raise Refused(f"the stage {stage}: {found}", mend=f"{again}and commit dvc.lock{pulled}")
