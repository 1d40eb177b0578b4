"""DVC's remotes on servers of their own: what they give is told for what it is, and nothing damaged is released.

`make remotes` brings DVC's drivers. Where openssh's server is missing, the tests of SSH are skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.attest.localkey import KeySigner
from registry.digest import sha256_bytes
from registry.project import stage_runs
from tests.audited import WALLED
from tests.conftest import ROOT, Project, project_in
from tests.dvc_remotes import REMOTES, SSHD, DvcRemote
from tests.registry.attest.conftest import write_key
from tests.registry.project.small_dvc import RECORD, commit, git, start

pytestmark = pytest.mark.remotes
MORE = str(ROOT / ".team")
"""Where `make remotes` installs the drivers."""
ONE = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
OTHER = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a"
    "085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)
"""Two blocks of one MD5, whatever follows them. Source: X. Wang, D. Feng, X. Lai, H. Yu, "Collisions for Hash Functions
MD4, MD5, HAVAL-128 and RIPEMD" (2004), Table 2."""
RAW = b" one three five\n"
PREPARE = """import pathlib
pathlib.Path("build").mkdir(exist_ok=True)
pathlib.Path("build/rows.bin").write_bytes(pathlib.Path("data/raw.bin").read_bytes()[::-1])
"""
TRAIN = """import pathlib, numpy
from safetensors.numpy import save_file
rows = pathlib.Path("build/rows.bin").read_bytes()
pathlib.Path("out").mkdir(exist_ok=True)
save_file({"weights": numpy.frombuffer(rows, "u1").astype("f4")}, "out/model.safetensors")
"""
STAGES = """stages:
  prepare:
    cmd: {record}python prepare.py
    deps: [prepare.py, data/raw.bin]
    outs: [build/rows.bin{prepared}]
  train:
    cmd: {record}python train.py
    deps: [train.py, build/rows.bin]
    outs: [out/model.safetensors{trained}]
"""
RECORDED = {"record": f"{RECORD} -- ", "prepared": ", prepare.run.json", "trained": ", train.run.json"}
UNRECORDED = dict.fromkeys(RECORDED, "")
RELEASE = "release:\n  repo: org/small\n  license: MIT\n  model: out/model.safetensors\n"


def test_the_blocks_are_of_one_md5() -> None:
    assert ONE != OTHER and len(ONE) == len(OTHER) == 128
    assert hashlib.md5(ONE + RAW).hexdigest() == hashlib.md5(OTHER + RAW).hexdigest()
    assert sha256_bytes(ONE) != sha256_bytes(OTHER)


@dataclass(frozen=True)
class Shared:
    """A project of somebody else, whose data stand on a remote."""

    origin: Path
    remote: DvcRemote

    def place(self, data: bytes) -> str:
        """Where the remote has the object of those bytes."""
        md5 = hashlib.md5(data).hexdigest()
        return f"files/md5/{md5[:2]}/{md5[2:]}"

    def clone(self, root: Path, pulls: int | None = 0) -> Project:
        """A clone of one's own, that has pulled from the remote.  pulls: what `dvc pull` ends in."""
        git("clone", "--quiet", str(self.origin), str(root), root=self.origin)
        project = person(root, self.remote)
        for key, value in self.remote.settings.items():
            project.run("dvc", "remote", "modify", "--local", "shared", key, value)
        done = project.run("dvc", "pull", check=False)
        assert pulls is None or done.returncode == pulls, done.stdout + done.stderr
        return project

    @contextmanager
    def damaged(self, data: bytes, by: bytes | None) -> Iterator[None]:
        """Within: the remote has `by` in place of `data`, or nothing."""
        path = self.place(data)
        if by is None:
            self.remote.lose(path)
        else:
            self.remote.put(path, by)
        try:
            yield
        finally:
            self.remote.put(path, data)


def person(root: Path, remote: DvcRemote) -> Project:
    """The project at `root`, of somebody with DVC's drivers and what the remote asks for."""
    project = project_in(root)
    more = {"PYTHONPATH": os.pathsep.join((str(ROOT), MORE)), "HF_ENDPOINT": "http://127.0.0.1:9", **remote.variables}
    return Project(root, {**project.environment, **more})


def said(project: Project, *words: str, code: int) -> str:
    """What the command says, which ends in `code`."""
    done = project.run(sys.executable, "-m", "registry", *words, check=False)
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=sorted(REMOTES))
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DvcRemote]:
    if request.param == "ssh" and SSHD is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no sshd: apt-get install openssh-server")
    with REMOTES[request.param](tmp_path_factory.mktemp(request.param)) as served:
        yield served


def shared(root: Path, remote: DvcRemote, stages: dict[str, str]) -> Shared:
    """A project that was run and pushed."""
    files = {"prepare.py": PREPARE, "train.py": TRAIN, "dvc.yaml": STAGES.format(**stages), "LICENSE": "MIT\n"}
    start(root, {**files, "glasshouse.yaml": RELEASE})
    (root / "data").mkdir()
    (root / "data/raw.bin").write_bytes(ONE + RAW)
    project = person(root, remote)
    project.run("dvc", "add", "--quiet", "data/raw.bin")
    project.run("dvc", "repro")
    project.run("dvc", "remote", "add", "--default", "shared", remote.url)
    for key, value in remote.settings.items():
        project.run("dvc", "remote", "modify", "--local", "shared", key, value)
    if remote.pushes:
        project.run("dvc", "push")
    else:
        outbox = root.parent / "outbox"
        project.run("dvc", "remote", "add", "--local", "outbox", str(outbox))
        project.run("dvc", "push", "--remote", "outbox")
        for path in outbox.glob("files/md5/??/*"):
            remote.put(path.relative_to(outbox).as_posix(), path.read_bytes())
    commit(root)
    return Shared(root, remote)


@pytest.fixture(scope="module")
def recorded(remote: DvcRemote, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return shared(tmp_path_factory.mktemp("recorded") / "origin", remote, RECORDED)


@pytest.fixture(scope="module")
def unrecorded(remote: DvcRemote, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return shared(tmp_path_factory.mktemp("unrecorded") / "origin", remote, UNRECORDED)


@dataclass(frozen=True)
class Key:
    """The maintainer's, and words that name it."""

    cut: tuple[str, ...]
    public: tuple[str, str]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    private = write_key(tmp_path_factory.mktemp("key") / "private.pem")
    public = private.with_name("public.pem")
    public.write_text(KeySigner(private).public_key.pem)
    return Key(("release", "cut", "--local", "--key", str(private)), ("--key", str(public)))


def test_what_is_pulled_is_released_as_restored(recorded: Shared, key: Key, tmp_path: Path) -> None:
    assert {known.evidence for known in stage_runs.gather(recorded.origin).stages} == {"ran"}
    clone = recorded.clone(tmp_path / "clone")
    said(clone, *key.cut, code=0)
    release = clone.root / "releases/small/v1.0.0"
    stages = json.loads((release / "provenance/stages.json").read_text())["stages"]
    assert [each["evidence"] for each in stages] == ["restored", "restored"]
    report = said(clone, "verify", str(release), *key.public, "-v", code=3)  # no record of the machine
    assert report.count("taken from a cache or a remote of DVC") >= 2 and "FAIL" not in report


@pytest.mark.parametrize("damage", ["lost", "truncated", "other"])
def test_weights_that_the_remote_has_wrong_are_not_released(
    recorded: Shared, unrecorded: Shared, key: Key, damage: str, tmp_path: Path
) -> None:
    """`dvc pull` finds out what is lost, and nothing else."""
    for project, name in ((recorded, "recorded"), (unrecorded, "unrecorded")):
        weights = (project.origin / "out/model.safetensors").read_bytes()
        by = {"lost": None, "truncated": weights[:-4], "other": weights[:-4] + b"else"}[damage]
        with project.damaged(weights, by):
            clone = project.clone(tmp_path / name, 1 if damage == "lost" else 0)
        words = said(clone, *key.cut, code=2)
        expected = {
            "lost": "dvc calls these stages out of date: train",
            "truncated": "model.safetensors is called .safetensors, and is not",
            "other": "out/model.safetensors is not what it wrote by",
        }
        assert expected[damage] in words
        assert damage != "other" or "docs/how-to/team.md" in words
        assert not (clone.root / "releases/small/v1.0.0").exists()


def test_data_of_the_same_md5_are_told_by_whoever_measured(
    recorded: Shared, unrecorded: Shared, key: Key, tmp_path: Path
) -> None:
    """Where nobody did, the release says so, and its verification is UNKNOWN."""
    for project, name in ((recorded, "recorded"), (unrecorded, "unrecorded")):
        with project.damaged(ONE + RAW, OTHER + RAW):
            clone = project.clone(tmp_path / name)
        assert (clone.root / "data/raw.bin").read_bytes() == OTHER + RAW
        assert "up to date" in clone.run("dvc", "status").stdout
        if name == "recorded":
            assert "data/raw.bin is not what it read by the record" in said(clone, *key.cut, code=2)
            continue
        assert "nobody measured what it read" in said(clone, *key.cut, code=0)
        report = said(clone, "verify", "releases/small/v1.0.0", *key.public, code=3)
        assert "UNKNOWN" in report and "nobody measured" in report
    for by in ((ONE + RAW)[:64], RAW):
        with unrecorded.damaged(ONE + RAW, by):
            clone = unrecorded.clone(tmp_path / f"clone-{len(by)}")
        assert "data/raw.bin is not what it read by dvc.lock" in said(clone, *key.cut, code=2)


@WALLED
def test_an_auditor_is_told_what_a_remote_has_wrong(recorded: Shared, key: Key, tmp_path: Path) -> None:
    """The release holds. Data that are lost or wrong at their remote leave it unchecked, and accuse nobody."""
    clone = recorded.clone(tmp_path / "clone")
    said(clone, *key.cut, code=0)
    words = (
        *("audit", "rebuild", "releases/small/v1.0.0", *key.public, "--environment", "current"),
        *("--source", str(recorded.origin), "--output", str(tmp_path / "verdict.json")),
    )

    def data(name: str, pulls: int = 0) -> str:
        """What an auditor names: the remote, where it asks for nothing; else what they pulled by themselves."""
        open_to_all = recorded.remote.url.startswith("http") and not recorded.remote.settings
        return recorded.remote.url if open_to_all else str(recorded.clone(tmp_path / name, pulls).root / ".dvc/cache")

    assert "BITWISE" in said(clone, *words, "--data", data("whole"), code=0)
    for by in (OTHER + RAW, (ONE + RAW)[:64]):
        with recorded.damaged(ONE + RAW, by):
            told = said(clone, *words, "--data", data(f"by-{len(by)}"), code=3)
        assert "data/raw.bin" in told and "is not what the stage prepare read" in told and "--data URL" in told
    with recorded.damaged(ONE + RAW, None):
        told = said(clone, *words, "--data", data("lost", 1), code=3)
    assert "cannot be had" in told and "data/raw.bin.dvc" in told
