"""Run a stage's command, and record what went in and what came out, measured before it started and after it ended.

DVC hashes the dependencies of a stage once it is over: code that is edited while the stage runs is then recorded as
used, and was not. Here they are hashed twice, and a stage whose dependencies moved meanwhile fails.

The record is an output of the stage, so that DVC gives it back with the others when it takes them from a cache. A note
in `.dvc/tmp`, which never leaves the working copy, tells whether the run was here (registry.provenance.stages).

Outputs that DVC keeps between runs (`persist`) are an input that nobody names. They may stay only where the run that
left them had the same command, settings and dependencies: that is, where an interrupted run goes on.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from pydantic import Field

from registry import canonical
from registry.errors import GlasshouseError, InputError, Refused
from registry.files import write_atomic
from registry.provenance import pipeline
from registry.provenance.measure import measure
from registry.records.record import Record, Sha256
from registry.records.run import MAX_BYTES, SUFFIX, Run

STAGE = "DVC_STAGE"
"""The variable in which DVC names the stage to its command."""
NOTES = ".dvc/tmp/glasshouse"


class Note(Record):
    """What is known in this working copy of a stage's last run.

    inputs: digest of command, settings and dependencies.  run: digest of its record; None until it ended well.
    """

    schema_: Literal["glasshouse.note/v1"] = Field("glasshouse.note/v1", alias="schema")
    inputs: Sha256
    run: Sha256 | None


def project() -> Path:
    """The root of the DVC project around this directory. Raises InputError where there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
    raise InputError(f"{here} is in no DVC project", mend="dvc init, or go to the project")


def record(root: Path, command: Sequence[str], *, discard: bool = False) -> int:
    """Run `command`, the command of the stage that DVC is running, and write its record; the command's exit code.

    discard: remove what a run of other inputs left, instead of refusing to start. Where the command fails there is no
    record. Raises Refused where a dependency changed while it ran, InputError where dvc.yaml or a path is not fit.
    """
    stage = pipeline.read(root / pipeline.FILE).stage(_name())
    into, written = _record_path(stage), tuple(path for path in stage.outs if not path.endswith(SUFFIX))
    before = _inputs(root, stage)
    digest = canonical.digest(before)
    _begin(root, stage, digest, discard)
    if code := _child(command):
        return code
    after = _inputs(root, stage)
    if changed := _changed(before, after):
        raise Refused(
            f"{stage.name}: {', '.join(changed[:5])} changed while it ran, so what it used is not known",
            mend=f"leave its dependencies alone while it runs, and run it again: dvc repro {stage.name}",
        )
    outs = measure(root, written)
    run = Run.from_json(before | {"outs": [outs[path].as_json() for path in written]}, name=into)
    write_atomic(root / into, run.to_bytes())
    _write_note(root, stage.name, Note(inputs=digest, run=run.digest))
    return 0


def ran_here(root: Path, run: Run) -> bool:
    """Whether the last run of this stage in this working copy is `run`."""
    return (note := _note(root, run.stage)) is not None and note.run == run.digest


def _name() -> str:
    address = os.environ.get(STAGE, "")
    if not address:
        raise InputError("no stage is running", mend="dvc repro: it runs the commands of dvc.yaml, this one among them")
    return address.rpartition(":")[2]


def _record_path(stage: pipeline.Stage) -> str:
    wanted = f"{stage.name}{SUFFIX}"
    found = [path for path in stage.outs if path.rpartition("/")[2] == wanted]
    if len(found) != 1 or len(stage.outs) < 2:
        raise InputError(
            f"the stage {stage.name} needs one output called {wanted}, and others beside it",
            mend=f"add it to the stage's outs in {pipeline.FILE}, such as build/runs/{wanted}",
        )
    return found[0]


def _inputs(root: Path, stage: pipeline.Stage) -> dict[str, Any]:
    """The record of a run of `stage` as of now, but for its outputs."""
    paths = pipeline.deps(stage)
    found = measure(root, paths)
    run = Run(
        stage=stage.name,
        command=stage.command,
        params=pipeline.settings(root, stage),
        deps=tuple(found[path] for path in paths),
        outs=(),
    )
    return run.as_json()


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Each dependency, file of settings, or file inside a directory that is not what it was."""
    changed = [path for path in before["params"] if before["params"][path] != after["params"].get(path)]
    for one, other in zip(before["deps"], after["deps"], strict=True):
        if one != other:
            was, became = one["files"] or {}, other["files"] or {}
            inside = sorted(name for name in was | became if was.get(name) != became.get(name))
            changed += [f"{one['path']}/{name}" for name in inside] or [one["path"]]
    return changed


def _begin(root: Path, stage: pipeline.Stage, inputs: str, discard: bool) -> None:
    """See to it that nothing is left of a run with other inputs, and note that one with these begins."""
    note = _note(root, stage.name)
    left = [path for path in stage.kept if (root / path).exists()]
    if left and (note is None or note.inputs != inputs):
        if not discard:
            raise Refused(
                f"{stage.name}: {', '.join(left)} may be left of a run with other inputs, and dvc keeps it (persist)",
                mend=f"rm -r {' '.join(left)}; or, to have it removed whenever that is so: glasshouse record --discard",
            )
        for path in left:
            _remove(root / path)
    _write_note(root, stage.name, Note(inputs=inputs, run=None))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _note(root: Path, stage: str) -> Note | None:
    try:
        return Note.read(root / NOTES / f"{stage}.json", max_bytes=MAX_BYTES)
    except GlasshouseError:
        return None  # none, or one that cannot be used: then nothing is known


def _write_note(root: Path, stage: str, note: Note) -> None:
    write_atomic(root / NOTES / f"{stage}.json", note.to_bytes())


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
