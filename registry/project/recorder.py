"""Run a stage's command, and record what went in and what came out, measured before it started and after it ended.

DVC hashes the dependencies of a stage once it is over: code that is edited while the stage runs is then recorded as
used, and was not. Here they are hashed twice, and a stage whose dependencies moved meanwhile fails. A stage of several
commands is measured before the first and after the last, by two commands of its own: what moves between two of them
has moved while the stage ran.

The record is an output of the stage, so that DVC gives it back with the others when it takes them from a cache. A note
in `.dvc/tmp`, which never leaves the working copy, tells whether the run was here (registry.project.stage_runs).

Outputs that DVC keeps between runs (`persist`) are an input that nobody names. They may stay only where the run that
left them had the same command, settings and dependencies: that is, where an interrupted run goes on.
"""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Literal

from pydantic import Field

from registry import suffixes, variables
from registry.errors import GlasshouseError, InputError, Refused
from registry.files import write_atomic
from registry.project import dvc_lock, dvc_yaml, git, templates, wrapping
from registry.project.known_digests import KnownDigests
from registry.project.measure import measure_paths
from registry.records import addresses
from registry.records.record import Record, Sha256
from registry.records.run import MAX_BYTES, Run

NOTES = ".dvc/tmp/glasshouse"
BEGIN, END = "--begin", "--end"
"""Options of `glasshouse record`, by which the first and the last command of several are known."""


class StageNote(Record):
    """What is known in this working copy of a stage's last run."""

    schema_: Literal["glasshouse.note/v1"] = Field("glasshouse.note/v1", alias="schema")
    """The format, with its version."""
    inputs: Sha256
    """The digest of command, settings and dependencies."""
    run: Sha256 | None
    """The digest of its record; None until the run ended well."""
    begun: Run | None = None
    """What went in, where the run has not ended yet."""


def project() -> Path:
    """The root of the DVC project around this directory. Raises InputError where there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
    raise InputError(f"{here} is not in a DVC project", mend="dvc init, or go to the project")


def record(root: Path, command: Sequence[str], *, discard: bool = False, rehash: bool = False) -> int:
    """Run `command`, the command of the stage that DVC is running, and write its record; the command's exit code.

    discard: remove what a run of other inputs left, instead of refusing to start.  rehash: hash also what has not
    changed since it was hashed. Where the command fails there is no record. Raises Refused where a dependency changed
    while it ran, InputError where dvc.yaml or a path is not fit.
    """
    stage = _stage(root)
    if len(stage.commands) > 1:
        raise InputError(
            f"the stage {stage.name} has {len(stage.commands)} commands, and this one is not all of it",
            mend=f"make `glasshouse record {BEGIN}` its first command and `glasshouse record {END}` its last",
        )
    if (sign := wrapping.after_record(stage.command)) is not None:
        raise InputError(
            f"the stage {stage.name}: a shell ends `glasshouse record` at {sign!r}, so what follows is not measured",
            mend=f"write its cmd as a list: [glasshouse record {BEGIN}, COMMAND, glasshouse record {END}]; "
            "docs/how-to/record.md shows it",
        )
    known = KnownDigests(root, anew=rehash)
    before = _begin(root, stage, discard, known)
    if code := _child(command):
        return code
    _finish(root, stage, before, known)
    return 0


def begin(root: Path, *, discard: bool = False, rehash: bool = False) -> None:
    """Measure what goes into the stage that DVC is running, as its first command. discard, rehash: as in `record`."""
    stage = _stage(root)
    if BEGIN not in stage.commands[0].split() or END not in stage.commands[-1].split():
        raise InputError(
            f"the stage {stage.name} has commands that would not be measured",
            mend=f"let `glasshouse record {BEGIN}` be its first command and `glasshouse record {END}` its last",
        )
    _begin(root, stage, discard, KnownDigests(root, anew=rehash))


def end(root: Path, *, rehash: bool = False) -> None:
    """Measure what came out of the stage that `begin` began, as its last command, and write its record.

    Raises Refused where it did not begin, or where dvc.yaml or a dependency changed meanwhile.
    """
    stage = _stage(root)
    note = _note(root, stage.name)
    if note is None or note.begun is None:
        raise Refused(
            f"the stage {stage.name} ends, and nothing was measured when it began",
            mend=f"make `glasshouse record {BEGIN}` its first command",
        )
    _finish(root, stage, note.begun, KnownDigests(root, anew=rehash))


def ran_here(root: Path, run: Run) -> bool:
    """Whether the last run of this stage in this working copy is `run`."""
    return (note := _note(root, run.stage)) is not None and note.run == run.digest


def _stage(root: Path) -> dvc_yaml.DeclaredStage:
    """The stage that DVC is running. Raises InputError where it is none that can be recorded."""
    name = _name(root)
    addresses.check_names([name])
    stage = dvc_yaml.resolved(root, [name]).stage(name)
    _record_path(stage)
    if not dvc_lock.keeps(name, stage.commands, [*stage.deps, *stage.outs]):
        raise InputError(
            f"the stage {name} has two spaces in a row, of which dvc.lock loses one where dvc folds a long line",
            mend="write its command and paths with single spaces; what needs two can stand in a script",
        )
    return stage


def _name(root: Path) -> str:
    address = os.environ.get(variables.DVC_STAGE, "")
    if not address:
        raise InputError("no stage is running", mend="dvc repro: it runs the commands of dvc.yaml, this one among them")
    said, _, name = address.rpartition(f"{dvc_yaml.FILE}:")
    last = [part for part in said.split("/") if part not in ("", ".", "..")]  # from where dvc was called
    named = [addresses.address(folder, name) for folder in _folders(root) if _ends_in(folder.split("/"), last)]
    found = {place: plan for place in named if (plan := _plan(root, place))}
    if not found:
        raise InputError(
            f"the stage {address[:120]} is not in the project's {dvc_yaml.FILE}",
            mend=f"git add its {dvc_yaml.FILE}, so that it is found; or write the stage into it",
        )
    if len(found) > 1:
        found = {place: plan for place, plan in found.items() if _works_here(root, plan.folder(place))} or found
    if len(found) > 1:
        raise InputError(
            f"{', '.join(list(found)[:5])} are called {name} and work in one directory: which runs is not told",
            mend="give each stage its own name",
        )
    return next(iter(found))


def _folders(root: Path) -> list[str]:
    """Where a dvc.yaml is: at the root, and in the folders below that git does not ignore."""
    listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", f"*{dvc_yaml.FILE}")
    try:
        paths = {dvc_yaml.FILE, *git.ask(root, *listed).split("\0")}
    except InputError:  # a project without git
        paths = {dvc_yaml.FILE}
    return sorted(path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] == dvc_yaml.FILE)


def _ends_in(parts: list[str], last: list[str]) -> bool:
    return parts[len(parts) - len(last) :] == last if last else True


def _plan(root: Path, place: str) -> dvc_yaml.Pipeline | None:
    """The dvc.yaml of the stage at an address; None where it does not have the stage."""
    folder, _ = addresses.split(place)
    try:
        plan = dvc_yaml.read(root / folder / dvc_yaml.FILE, folder)
    except InputError:
        return None  # so dvc does not run it
    return plan if place in plan else None


def _works_here(root: Path, folder: str) -> bool:
    """Whether a stage that works in `folder`, from the root, or what that is a template of, works in this directory."""
    here, whole = Path.cwd().resolve(), root.resolve()
    return here.is_relative_to(whole) and templates.fits(folder, here.relative_to(whole).as_posix())


def _record_path(stage: dvc_yaml.DeclaredStage) -> str:
    found = [path for path in stage.outs if path.endswith(suffixes.RUN)]
    if len(found) != 1 or len(stage.outs) < 2:
        _, name = addresses.split(stage.name)
        raise InputError(
            f"the stage {stage.name} needs one output whose name ends in {suffixes.RUN}, and others beside it",
            mend=f"add it to the stage's outs in {dvc_yaml.FILE}, such as build/runs/{name}{suffixes.RUN}",
        )
    return found[0]


def _inputs(root: Path, stage: dvc_yaml.DeclaredStage, known: KnownDigests) -> Run:
    """The record of a run of `stage` as of now, but for its outputs."""
    paths = dvc_yaml.deps(stage)
    found = measure_paths(root, paths, known=known)
    return Run(
        stage=stage.name,
        command=stage.command,
        params=dvc_yaml.settings(root, stage),
        deps=tuple(found[path] for path in paths),
        outs=(),
    )


def _changed(before: Run, after: Run) -> list[str]:
    """Each dependency, file of settings, or file inside a directory that is not what it was; sorted."""
    changed = {path for path in before.params | after.params if before.params.get(path) != after.params.get(path)}
    was, became = ({dep.path: dep for dep in run.deps} for run in (before, after))
    if before.command != after.command or was.keys() != became.keys():
        changed.add(dvc_yaml.FILE)
    for path in was.keys() & became.keys():
        if was[path] != became[path]:
            one, other = was[path].inside(), became[path].inside()
            changed |= {name for name in one | other if one.get(name) != other.get(name)} or {path}
    return sorted(changed)


def _begin(root: Path, stage: dvc_yaml.DeclaredStage, discard: bool, known: KnownDigests) -> Run:
    """What goes in, noted, once nothing is left of a run with other inputs."""
    before = _inputs(root, stage, known)
    note = _note(root, stage.name)
    left = [path for path in stage.kept if (root / path).exists()]
    if left and (note is None or note.inputs != before.digest):
        if not discard:
            raise Refused(
                f"{stage.name}: {', '.join(left)} may be left from a run with other inputs, and dvc keeps it (persist)",
                mend=f"rm -r {shlex.join(left)}; or, to have that done whenever it is so: glasshouse record --discard",
            )
        for path in left:
            _remove(root / path)
    _write_note(root, stage.name, StageNote(inputs=before.digest, run=None, begun=before))
    return before


def _finish(root: Path, stage: dvc_yaml.DeclaredStage, before: Run, known: KnownDigests) -> None:
    """Write the record of a run that `before` went into. Raises Refused where that has changed."""
    if changed := _changed(before, _inputs(root, stage, known)):
        raise Refused(
            f"{stage.name}: {', '.join(changed[:5])} changed while it ran, so what it used is not known",
            mend=f"leave its dependencies alone while it runs, and run it again: dvc repro {stage.name}",
        )
    into = _record_path(stage)
    outs = measure_paths(root, written := [path for path in stage.outs if path != into], known=known)
    run = before.model_copy(update={"outs": tuple(outs[path] for path in written)})
    write_atomic(root / into, run.to_bytes())
    _write_note(root, stage.name, StageNote(inputs=before.digest, run=run.digest))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _note(root: Path, stage: str) -> StageNote | None:
    try:
        return StageNote.read(root / NOTES / f"{addresses.slug(stage)}.json", max_bytes=MAX_BYTES)
    except GlasshouseError:
        return None  # none, or one that cannot be used: then nothing is known


def _write_note(root: Path, stage: str, note: StageNote) -> None:
    write_atomic(root / NOTES / f"{addresses.slug(stage)}.json", note.to_bytes())


def _child(command: Sequence[str]) -> int:
    """Run `command` with this process's own input and output; its exit code, as a shell gives it.

    A signal that asks this process to end is handed on; Ctrl-C reaches both by itself. Either way the child is awaited.
    """
    try:
        child = subprocess.Popen(command)
    except OSError as problem:
        raise InputError(f"{command[0]} does not start: {problem.strerror}", mend=f"install {command[0]}") from problem

    def hand_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
