"""Hostile sources, each audited with and without the wall.

Whatever a source does: nothing outside the scratch folder is written, nothing is left running, the audit ends in time
and in bounded memory, and nothing that was not trained is BITWISE. Without the wall a source runs as the auditor, and
can copy by name what the auditor can read: so nothing at all is BITWISE there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine.kept import KeptAnswers
from registry.attest.audits import Challenge, ReplayedSegment
from registry.attest.statement import Subject
from registry.audit import inputs, rebuilding, view, workshop
from registry.audit.checkpoint_sources import InFolder, Shelf
from registry.audit.data import Data
from registry.audit.packages import Setup
from registry.audit.sandbox import Allowance, Sandbox
from registry.audit.segments import Effort, Segments
from registry.audit.subject import Audited, RecordedTraining
from registry.audit.workshop import Workshop
from registry.digest import sha256_file
from registry.errors import Unavailable
from registry.project import git
from registry.records import layout
from registry.records.checkpoint_chain import Chain, FileDigests, ProfileName
from registry.records.environment import Environment
from registry.records.project import Project
from registry.records.rebuild import DeclaredOutput, DeclaredRebuild
from registry.records.release_record import ReleaseRecord
from registry.records.training_folder import OPTIMIZER, WEIGHTS, step_name
from registry.tensors import tensors_digest
from tests import synthetic_release
from tests.registry.audit.hostile_source import HONEST

MIB = 1 << 20
STEPS = (0, 10, 20, 30)
MARK = f"glasshouse-escape-{os.getpid()}"
"""What processes that try to stay behind are called."""
SECRET = "hunter2"
HONEST_FIRST = "if INITIAL: honest(); sys.exit()\n"
"""Where a source does not say otherwise, it lies once it has a checkpoint to begin with."""
HELD = Allowance(seconds=20, memory=600 * MIB, processes=64, log=MIB, free=0, names=0)
WAYS = pytest.mark.parametrize(
    "walled",
    [
        pytest.param(True, id="walled", marks=pytest.mark.skipif(view.fault() is not None, reason=view.fault() or "")),
        pytest.param(False, id="bare"),
    ],
)

DAEMON = f"""
def stay():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", "{MARK}"])
        os._exit(0)
"""


@dataclass(frozen=True)
class Source:
    """A hostile source."""

    name: str
    """What it does."""
    code: str
    """Its module, after HONEST."""
    allowance: Allowance = HELD
    """What it is held to."""
    honest: bool = False
    """Whether it trains all the same, so that BITWISE is right behind the wall."""
    chosen: tuple[int, ...] = (1,)
    """The segments that it is to train."""
    says: str = ""
    """What is in its log, or in the verdict."""


SOURCES = (
    Source("does what it should", "honest()", honest=True),
    Source(
        "lays links where logs and outputs of later steps go",
        """
if INITIAL:
    for place in ("seed.log", "segment-0.log", "logs/segment-0.log", "logs/segment-1.log", "chain.json", "given",
                  "taken", "taken/segment-0", "rooms/segment-0", "rooms/segment-1", "checkpoints"):
        quietly((SCRATCH / place).parent.mkdir, 0o777, True, True)
        quietly((SCRATCH / place).symlink_to, VICTIM / "planted")
print("touch OWNED")
honest()
""",
        honest=True,
    ),
    Source(
        "lays a link in place of its own room",
        """
if INITIAL:
    quietly(os.rename, SCRATCH / "rooms", SCRATCH / "rooms-of-before")
    quietly((SCRATCH / "rooms").symlink_to, VICTIM)
    sys.exit()
honest()
""",
        honest=True,
    ),
    Source(
        "has a pipe for its metrics and its chain",
        """
for after, until, start, out in segments():
    out.mkdir(parents=True)
    for name in ("metrics.jsonl", "checkpoints.json"):
        os.mkfifo(out / name)
    import time; time.sleep(0.5)
if INITIAL: honest()
""",
    ),
    Source(
        "has a device for its metrics and its chain",
        """
for after, until, start, out in segments():
    out.mkdir(parents=True)
    for name in ("metrics.jsonl", "checkpoints.json"):
        (out / name).symlink_to("/dev/zero")
    import time; time.sleep(0.5)
if INITIAL: honest()
""",
    ),
    Source(
        "has a socket and a pipe for weights",
        """
import socket
def fill(until, start, out):
    folder = out / "checkpoints" / f"step-{until:06d}"
    folder.mkdir(parents=True)
    os.chdir(folder)
    socket.socket(socket.AF_UNIX).bind("model.safetensors")
    os.mkfifo("optimizer.safetensors")
pretend(fill)
""",
    ),
    Source(
        "has a link to the auditor's checkpoints",
        """
pretend(lambda until, start, out: (out / "checkpoints").symlink_to(ANSWERS))
""",
    ),
    Source(
        "has links to the auditor's files",
        """
def fill(until, start, out):
    folder = out / "checkpoints" / f"step-{until:06d}"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).symlink_to(ANSWERS / folder.name / name)
pretend(fill)
""",
    ),
    Source(
        "has second names of the auditor's files",
        """
def fill(until, start, out):
    folder = out / "checkpoints" / f"step-{until:06d}"
    folder.mkdir(parents=True)
    for name in NAMES:
        quietly(os.link, ANSWERS / folder.name / name, folder / name)
pretend(fill)
""",
    ),
    Source(
        "is itself a link to what was trained before",
        """
if INITIAL: honest()
for after, until, start, out in segments():
    out.symlink_to(ANSWERS.parent / f"trained-{until}")
""",
    ),
    Source(
        "searches the scratch folder for what it is to make",
        """
def fill(until, start, out):
    for folder, _, names in os.walk(SCRATCH):
        if folder.endswith(f"step-{until:06d}") and set(NAMES) <= set(names):
            save(out, until, {name: pathlib.Path(folder, name).read_bytes() for name in NAMES})
            return
pretend(fill)
""",
        chosen=(0, 1, 2),
    ),
    Source(
        "looks beside the checkpoint that it is given",
        """
def fill(until, start, out):
    there = start.parent / f"step-{until:06d}"
    if there.exists():
        save(out, until, {name: (there / name).read_bytes() for name in NAMES})
pretend(fill)
""",
        chosen=(0, 1, 2),
    ),
    Source(
        "keeps what it is given for the next step, wherever it can write",
        """
PLACES = [SCRATCH, ROOT, SCRATCH / "taken", SCRATCH / "logs", pathlib.Path("/tmp"), pathlib.Path("/dev/shm"),
          pathlib.Path("/var/tmp"), pathlib.Path.home(), pathlib.Path.home().parent.parent]
def fill(until, start, out):
    for number, place in enumerate(PLACES):
        kept = place / f".kept-{TOLD['mark']}" / f"step-{until:06d}"
        if kept.exists():
            save(out, until, {name: (kept / name).read_bytes() for name in NAMES})
            return
for after, until, start, out in segments():
    for place in PLACES:
        kept = place / f".kept-{TOLD['mark']}" / start.name
        quietly(kept.mkdir, 0o777, True, True)
        for name in NAMES:
            quietly((kept / name).write_bytes, (start / name).read_bytes())
pretend(fill)
""",
        chosen=(0, 1, 2),
    ),
    Source(
        "copies the auditor's checkpoints by name",
        """
def fill(until, start, out):
    there = ANSWERS / f"step-{until:06d}"
    if there.exists():
        save(out, until, {name: (there / name).read_bytes() for name in NAMES})
pretend(fill)
""",
    ),
    Source(
        "writes weights of a terabyte that has holes",
        """
def fill(until, start, out):
    save(out, until, checkpoint(0))
    for name in NAMES:
        quietly(os.truncate, out / "checkpoints" / f"step-{until:06d}" / name, 1 << 39)
pretend(fill)
""",
    ),
    Source(
        "leaves a daemon in a session of its own",
        DAEMON + "stay()\nhonest()",
        honest=True,
    ),
    Source(
        "leaves daemons and waits to be killed",
        DAEMON + "stay(); stay()\nimport time; time.sleep(600)",
        replace(HELD, seconds=0.5),
        says="ran for more than",
    ),
    Source(
        "moves on from process to process",
        """
if os.fork() == 0:
    os.setsid()
    import time
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if os.fork(): os._exit(0)
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", TOLD["mark"]])
honest()
""",
        honest=True,
    ),
    Source(
        "starts processes without end",
        """
import time
children = 0
while children < 300:
    children += 1
    if os.fork() == 0:
        os.setsid()
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", TOLD["mark"]])
time.sleep(600)
""",
        says="processes at a time",
    ),
    Source(
        "takes all memory",
        """
held = []
while True: held.append(b"x" * (16 << 20))
""",
        says="bytes of memory",
    ),
    Source(
        "takes all memory by files without a name",
        """
place = os.memfd_create("held")
while True: os.write(place, b"x" * (16 << 20))
""",
        says="bytes of memory",
    ),
    Source(
        "takes all memory that its processes share",
        """
import mmap
held = []
while True:
    held.append(mmap.mmap(-1, 16 << 20)); held[-1].write(b"x" * (16 << 20))
""",
        says="bytes of memory",
    ),
    Source(
        "says things without end",
        """
line = b"x" * 65535 + b"\\n"
for _ in range(1000): os.write(1, line)
print("the last word", flush=True)
sys.exit(2)
""",
        says="the last word",
    ),
    Source(
        "fills the disk",
        """
with open(pathlib.Path.home() / "full", "wb") as stream:
    while True: stream.write(b"x" * (4 << 20)); stream.flush()
""",
        replace(HELD, free=shutil.disk_usage("/tmp").free - 200 * MIB),
        says="left less than",
    ),
    Source(
        "waits for ever, deaf to signals",
        """
import signal, time
for number in range(1, 32):
    if number not in (9, 19):
        signal.signal(number, signal.SIG_IGN)
time.sleep(600)
""",
        replace(HELD, seconds=0.5),
        says="ran for more than",
    ),
    Source(
        "lays folders in one another, and locks them",
        """
honest()
for after, until, start, out in segments():
    os.chdir(out)
    for level in range(1050):
        os.mkdir("d")
        os.chdir("d")
    os.chmod(".", 0)
    os.mkdir(out / "locked"); (out / "locked/file").write_text("x"); os.chmod(out / "locked", 0)
""",
    ),
    Source(
        "asks for secrets, and for another's files",
        """
found = [name for name, value in os.environ.items() if "hunter2" in value]
found += [path for path in ("/etc/shadow", "/etc/hostname", str(VICTIM)) if os.path.exists(path)]
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        found += ["/proc"] * (b"hunter2" in (process / "environ").read_bytes())
    except OSError:
        pass
import socket
found += [name for _, name in socket.if_nameindex() if name != "lo"]
print("FOUND", sorted(set(found)), flush=True)
honest()
""",
        honest=True,
        says="FOUND",
    ),
)


@dataclass(frozen=True)
class Seen:
    """What an audit of a source saw."""

    segments: tuple[ReplayedSegment, ...]
    log: str
    left: tuple[str, ...]


@pytest.fixture(scope="module")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The auditor's own folders: the checkpoints of the release, trainings, a home, programs, and the release."""
    root = tmp_path_factory.mktemp("auditor")
    (root / "victim").mkdir()
    (root / "victim/.bashrc").write_text("# the auditor's own\n")
    (root / "env/bin").mkdir(parents=True)
    (root / "env/bin/python").symlink_to(Path(sys.executable).resolve())
    (root / "env/bin/dvc").write_text('#!/bin/sh\nexec python -m again "$@"\n')
    (root / "env/bin/dvc").chmod(0o755)
    namespace: dict[str, Any] = {"__file__": str(root / "again.py")}
    told(root, root)
    (root / "chain.json").write_text('{"entries": []}')
    arguments, sys.argv = sys.argv, ["again", "--initial", "nowhere"]
    try:
        exec(compile(HONEST, "again.py", "exec"), namespace)
    finally:
        sys.argv = arguments
    for step in STEPS:
        namespace["save"](root, step, namespace["checkpoint"](step))
    chain = made_chain(root / "checkpoints")
    for step in STEPS:
        shutil.copytree(root / "checkpoints", root / f"trained-{step}/checkpoints")
        kept = chain.up_to(STEPS.index(step) + 1)
        (root / f"trained-{step}/checkpoints.json").write_bytes(kept.to_bytes())
    synthetic_release.write(root / "release")
    return root


def told(tree: Path, auditor: Path) -> None:
    """What a source knows of the auditor: everything, as one that guesses well."""
    words = {
        "scratch": str(tree.parent), "victim": str(auditor / "victim"), "answers": str(auditor / "checkpoints"),
        "release": str(auditor / "release"), "mark": MARK,
    }  # fmt: skip
    (tree / "told.json").write_text(json.dumps(words))


def made_chain(folder: Path) -> Chain:
    """The chain of the checkpoints in a folder."""
    chain = Chain(tokens="1" * 64, recipe="2" * 64, profile=ProfileName(name="portable", digest="3" * 64), entries=())
    for step in STEPS:
        weights, optimizer = (
            FileDigests(file=sha256_file(path), tensors=tensors_digest(path))
            for path in (folder / step_name(step) / name for name in (WEIGHTS, OPTIMIZER))
        )
        chain = chain.extended(step=step, weights=weights, optimizer=optimizer, end=step, loss=1.0 if step else None)
    return chain


def workshop_of(source: Source, scratch: Path, auditor: Path, walled: bool) -> Workshop:
    """The source, in a workshop in `scratch`."""
    tree, chain = scratch / "source", made_chain(auditor / "checkpoints")
    git.ask(scratch, "init", "--quiet", "--template=", str(tree), foreign=True)
    first = "" if "INITIAL" in source.code else HONEST_FIRST
    (tree / "again.py").write_text(HONEST + first + source.code)
    (tree / "chain.json").write_bytes(chain.to_bytes())
    told(tree, auditor)
    root = auditor / "release"
    project = Project.parse({"release": {"replay": {"module": "again"}}})
    audited = Audited(
        root, Subject("x", "0" * 64), None, ReleaseRecord.read(root / layout.RECORD),
        RecordedTraining(chain, Environment.read(root / layout.ENVIRONMENT)), project,
    )  # fmt: skip
    sandbox = Sandbox(scratch, auditor / "env/bin", walled, allowance=source.allowance)
    return Workshop(audited, tree, sandbox, Setup("current"), audited.environment, ())


def audit(source: Source, auditor: Path, walled: bool) -> Seen:
    """Replay it."""
    with workshop.scratch(None) as scratch:
        place = workshop_of(source, scratch, auditor, walled)
        chain = place.audited.chain
        asked = Challenge(head=chain.head, segments=len(STEPS) - 1, chosen=source.chosen)
        shelf = Shelf((InFolder(auditor / "checkpoints"),), scratch / "checkpoints")
        work = Segments(Data(place, "BITWISE", "made anew before"), asked, shelf, Effort(at_once=1))
        work.seed()
        made = tuple(work.replay())
        logs = [path for path in (scratch / "logs").glob("*") if path.is_file() and not path.is_symlink()]
        assert all(path.stat().st_size < source.allowance.log + MIB for path in logs)
        said = " ".join([*(path.read_text(errors="replace")[-4096:] for path in logs), *(one.reason for one in made)])
        left = running(str(scratch))
    assert not os.path.lexists(scratch)
    return Seen(made, said, left)


def running(scratch: str) -> tuple[str, ...]:
    """Processes that have to do with an audit in that folder, and are not this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            if (MARK in words or scratch in words) and int(process.name) != os.getpid():
                found.append(words)
    return tuple(found)


def everything(folder: Path) -> dict[str, str]:
    """What lies below a folder: the bytes of each file, and where each link points."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@WAYS
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_hostile_source(source: Source, walled: bool, auditor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "SIGSTORE_ID_TOKEN", "AWS_SECRET_ACCESS_KEY", "PIP_INDEX_URL", "UV_INDEX_X_PASSWORD"):
        monkeypatch.setenv(name, SECRET)
    before = everything(auditor)
    seen = audit(source, auditor, walled)
    assert everything(auditor) == before
    assert seen.left == ()
    assert source.says in seen.log
    same = {segment.verdict for segment in seen.segments} & {"BITWISE", "TENSORS", "WITHIN"}
    assert same == ({"BITWISE"} if source.honest and walled else set()), seen
    found = re.search(r"FOUND (.*)", seen.log)
    assert found is None or (found[1] == "[]" if walled else "HF_TOKEN" not in found[1]), seen.log
    kept = [place for top in ("/tmp", "/var/tmp", "/dev/shm") for place in Path(top).glob(f".kept-{MARK}")]
    for place in kept:
        shutil.rmtree(place)
    assert not (walled and kept)


REBUILDS = (
    Source("its draft is a link to the release", 'pathlib.Path("build").mkdir(); os.symlink(TOLD["release"], DRAFT)'),
    Source(
        "its draft holds links to the release",
        """
import shutil
shutil.copytree(TOLD["release"], DRAFT, copy_function=os.symlink) if os.path.exists(TOLD["release"]) else None
""",
    ),
    Source(
        "its records are pipes and devices",
        """
os.makedirs("build/train"); os.makedirs(DRAFT)
for name in ("dvc.lock", "build/train/checkpoints.json", "build/train/metrics.jsonl", f"{DRAFT}/config.json"):
    os.mkfifo(name)
os.symlink("/dev/zero", f"{DRAFT}/model.safetensors")
os.symlink(TOLD["victim"], "build/runs")
""",
    ),
    Source("it ends as another folder", 'os.rename(ROOT, SCRATCH / "gone"); os.symlink(VICTIM, ROOT)'),
    Source("it names stages by the thousand", "print(\"Running stage '\\x1b[2J'\\n\" * 100_000)"),
)


DECLARED = DeclaredRebuild(
    command=("dvc", "repro"),
    outputs=tuple(
        DeclaredOutput(path=path, source=f"made/{path}", rtol=1e9, atol=1e9)
        for path in ("config.json", "model.safetensors", "provenance/evaluation.json")
    ),
)
OUTPUTS = (
    Source("its folder of outputs is a link", 'os.symlink(TOLD["release"], "made")'),
    Source(
        "its outputs are links, pipes and devices",
        """
os.makedirs("made/provenance"); os.mkfifo("made/config.json"); os.symlink("/dev/zero", "made/model.safetensors")
os.symlink(TOLD["release"] + "/provenance/evaluation.json", "made/provenance/evaluation.json")
""",
    ),
    Source(
        "its outputs have other bytes", 'os.makedirs("made"); open("made/model.safetensors", "wb").write(b"{" * 99)'
    ),
)


@WAYS
@pytest.mark.parametrize("source", OUTPUTS, ids=lambda source: source.name)
def test_hostile_outputs(source: Source, walled: bool, auditor: Path) -> None:
    """Of those that a release declares, whatever tolerance it declares."""
    before = everything(auditor)
    with workshop.scratch(None) as scratch:
        place = workshop_of(source, scratch, auditor, walled)
        record = place.audited.record.model_copy(update={"rebuild": DECLARED})
        found = rebuilding.rebuild_in(replace(place, audited=replace(place.audited, record=record)))
        assert found.statement.verdict == "DIFFERENT"
        assert [output.verdict for output in found.details.outputs] == ["DIFFERENT"] * 3
        assert running(str(scratch)) == ()
    assert everything(auditor) == before


@pytest.mark.parametrize("place_of", ["kept/model.safetensors", "provenance/made.bin"])
def test_a_source_that_brings_along_what_it_is_to_make(auditor: Path, place_of: str) -> None:
    """What a stage of the lock writes is removed, so that it is made; anything else is a copy of the answer."""
    with workshop.scratch(None) as scratch:
        place = workshop_of(Source("makes nothing", ""), scratch, auditor, False)
        for path in (place_of, "build/model/model.safetensors"):
            (place.tree / path).parent.mkdir(parents=True)
            shutil.copy(auditor / "release/model.safetensors", place.tree / path)
        with pytest.raises(Unavailable, match="a copy tells nothing"):
            inputs.withhold(place, ["model.safetensors"])
        (place.tree / place_of).unlink()
        inputs.withhold(place, ["model.safetensors"])
        assert not list(place.tree.rglob("*.safetensors"))


def test_a_release_that_does_not_say_how_its_weights_are_made_is_not_rebuilt(auditor: Path) -> None:
    """What it declares could all come out the same, and tell nothing."""
    source = Source(
        "makes a file that is not weights", 'os.makedirs("made"); open("made/config.json", "w").write("{}")'
    )
    with workshop.scratch(None) as scratch:
        place = workshop_of(source, scratch, auditor, False)
        rebuild = DECLARED.model_copy(update={"outputs": DECLARED.outputs[:1]})
        record = place.audited.record.model_copy(update={"rebuild": rebuild})
        with pytest.raises(Unavailable, match="tells nothing of its weights"):
            rebuilding.rebuild_in(replace(place, audited=replace(place.audited, record=record)))


KEPT = Source(
    "it brings along what a killed stage would have kept",
    """
from pipelines.engine.kept import KeptAnswers
from pipelines.engine.work import answers

class Engine:
    width = 0
    def begin(self, shard):
        return lambda: b"what the work gives"

os.makedirs("made/provenance")
for name in ("config.json", "provenance/evaluation.json"):
    kept = KeptAnswers(ROOT / "build/.corpus.shards", "the work")
    pathlib.Path("made", name).write_bytes(b"".join(answers(Engine(), [name.encode()], kept)))
    os.environ.pop("GLASSHOUSE_REHASH", None)
""",
)
"""The stage's own code, honest; what it writes second is written as where nobody audits: so the answers that lie there
would have been taken."""
OF_STAGES = (
    "registry/__init__.py", "registry/errors.py", "registry/files.py", "registry/variables.py",
    "pipelines/__init__.py", "pipelines/engine/__init__.py", "pipelines/engine/kept.py", "pipelines/engine/work.py",
)  # fmt: skip
"""What a stage needs for it."""


@WAYS
def test_a_source_that_brings_along_answers_of_shards(walled: bool, auditor: Path) -> None:
    """A rebuild does not read them, though they are where a killed stage keeps its own, and say what was released."""
    with workshop.scratch(None) as scratch:
        place = workshop_of(KEPT, scratch, auditor, walled)
        for name in OF_STAGES:
            (place.tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(__file__).parents[3] / name, place.tree / name)
        kept = KeptAnswers(place.tree / "build/.corpus.shards", "the work")
        for name in ("config.json", "provenance/evaluation.json"):
            kept.write(kept.place(name.encode()), (auditor / "release" / name).read_bytes())
        record = place.audited.record.model_copy(update={"rebuild": DECLARED})
        found = rebuilding.rebuild_in(replace(place, audited=replace(place.audited, record=record)))
        same = {output.path: output.reason for output in found.details.outputs if output.verdict == "BITWISE"}
        told = [output.reason for output in found.details.outputs if output.path == "config.json"]
    assert found.statement.verdict == "DIFFERENT" and "config.json" not in same
    assert not walled or set(same) == {"provenance/evaluation.json"}, told


@WAYS
@pytest.mark.parametrize("source", REBUILDS, ids=lambda source: source.name)
def test_a_hostile_rebuild(source: Source, walled: bool, auditor: Path) -> None:
    """`dvc repro` of the source is its own module here: whatever it does, it may do as a stage."""
    draft = Project.parse({}).draft
    code = f"DRAFT = {draft!r}\n{source.code}"
    before = everything(auditor)
    with workshop.scratch(None) as scratch:
        place = workshop_of(replace(source, code=code), scratch, auditor, walled)
        try:
            found = rebuilding.rebuild_in(place)
        except Unavailable:
            pass
        else:
            assert found.statement.verdict == "DIFFERENT"
            assert not any(output.verdict == "BITWISE" for output in found.details.outputs)
        assert running(str(scratch)) == ()
    assert everything(auditor) == before and not os.path.lexists(scratch)
