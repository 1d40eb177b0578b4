"""A project that is not ours, and has no language model: a stranger rebuilds its releases, by what they declare."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from registry.attest.localkey import KeySigner
from registry.attest.predicates import Rebuild
from registry.audit.verdict_file import VerdictFile
from registry.records.release_record import ReleaseRecord
from tests.audited import WALLED
from tests.registry.attest.conftest import write_key
from tests.registry.project.small_dvc import RECORD, commit, dvc, start
from tests.registry.release.test_adopt import glasshouse, key

__all__ = ["key"]
pytestmark = WALLED
PREPARE = """import pathlib
lines = pathlib.Path("data/raw.txt").read_text().split()
pathlib.Path("build").mkdir(exist_ok=True)
pathlib.Path("build/rows.txt").write_text("\\n".join(sorted(lines)))
"""
TRAIN = """import json, os, pathlib
import numpy
from safetensors.numpy import save_file

rows = pathlib.Path("build/rows.txt").read_text().split()
weights = numpy.array([len(row) for row in rows], dtype="f4")
luck = 1 + 1e-6 * numpy.frombuffer(os.urandom(2 * len(rows)), "u2") / 2**16
pathlib.Path("out").mkdir(exist_ok=True)
save_file({"weights": weights * luck.astype("f4")}, "out/model.safetensors")
pathlib.Path("metrics.json").write_text(json.dumps({"mean": float(weights.mean())}))
"""
STAGES = f"""stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, data/raw.txt]
    outs: [build/rows.txt]
  train:
    cmd: {RECORD} -- python train.py
    deps: [train.py, build/rows.txt]
    outs: [out/model.safetensors, train.run.json]
    metrics: [metrics.json: {{cache: false}}]
"""
RELEASE = "release:\n  repo: org/small\n  license: MIT\n  model: out/model.safetensors\n"
TOLERANCES = "  rebuild:\n    tolerances: {out: {rtol: 1.0e-5}}\n"
CURRENT = ("--environment", "current", "--source", ".", "--data", ".dvc/cache")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, with data that DVC keeps, and a stage that draws its luck, built and committed."""
    place = tmp_path_factory.mktemp("any") / "project"
    files = {"prepare.py": PREPARE, "train.py": TRAIN, "dvc.yaml": STAGES, "LICENSE": "MIT\n"}
    files |= {"glasshouse.yaml": RELEASE, "data/raw.txt": "one three five\n"}
    files["requirements.txt"] = "".join(f"{name}=={version(name)}\n" for name in ("numpy", "safetensors"))
    start(place, files)
    dvc("add", "--quiet", "data/raw.txt", root=place)
    dvc("repro", "train", root=place)
    commit(place)
    return place


def rebuilt(root: Path, release: Path, key: tuple[str, str], *, code: int) -> tuple[str, Path]:
    """What `glasshouse audit rebuild` says, and where the verdict is."""
    verdict = root.parent / f"{release.name}.json"
    words = ("audit", "rebuild", str(release), "--key", key[1], "--output", str(verdict), *CURRENT)
    return glasshouse(root, *words, code=code), verdict


def cut(root: Path, key: tuple[str, str], tag: str) -> Path:
    glasshouse(root, "release", "cut", "--local", "--version", tag.removeprefix("v"), "--key", key[0])
    return root / "releases/small" / tag


def test_a_stranger_rebuilds_it(root: Path, key: tuple[str, str], tmp_path: Path) -> None:
    """From an empty clone and DVC's data: the first file that differs, and, where that is declared, how far it does.

    All of it BITWISE: tests/registry/release/test_adopt.py, and `make get-started`.
    """
    # 1. The stage and its file are named; what came out the same, too.
    release = cut(root, key, "v1.0.0")
    told = ReleaseRecord.read(release / "provenance/release.json").rebuild
    assert told is not None and told.command[-1] == "train" and told.environment is not None
    assert {output.path: output.source for output in told.outputs} == {
        "model.safetensors": "out/model.safetensors", "provenance/metrics/metrics.json": "metrics.json",
    }  # fmt: skip
    said, verdict = rebuilt(root, release, key, code=1)
    assert "running the stage prepare" in said and "BITWISE    provenance/metrics/metrics.json" in said
    assert "the first stage that departs is train: " in said and "DIFFERENT  model.safetensors" in said
    found = Rebuild.of(VerdictFile.read(verdict).signable())
    assert (found.verdict, found.environment, found.walled) == ("DIFFERENT", "current", True)
    assert found.command == told.command and str(found.packages).startswith("requirements.txt sha256:")
    # 2. A training that nobody recorded is not replayed: refused, and not failed.
    said = glasshouse(root, "audit", "replay", str(release), "--key", key[1], "--source", ".", code=2)
    assert "no part of a training to replay" in said and "audit rebuild" in said
    # 3. The same luck, within what the next release declares: said, and not called BITWISE.
    (root / "glasshouse.yaml").write_text(RELEASE + TOLERANCES)
    commit(root)
    said, verdict = rebuilt(root, cut(root, key, "v1.1.0"), key, code=0)
    assert "WITHIN     model.safetensors  within what the release declares, rtol 1e-05, atol 0; apart by" in said
    found = Rebuild.of(VerdictFile.read(verdict).signable())
    assert found.verdict == "WITHIN" and found.tolerance is not None and 0 < found.tolerance < 1e-5
    # 4. A cache that gives other data: nothing is told of the release.
    (kept,) = [path for path in root.glob(".dvc/cache/files/md5/*/*") if path.read_bytes() == b"one three five\n"]
    kept.chmod(0o644)
    kept.write_bytes(b"one three sixty\n")
    kept.chmod(0o444)
    said, _ = rebuilt(root, root / "releases/small/v1.1.0", key, code=3)
    assert "data/raw.txt, as a remote of DVC's gives it, is not what the stage prepare read" in said
    # 5. A policy counts it where it allows so much, and only then.
    other = write_key(tmp_path / "other.pem")
    bundle = str(tmp_path / "rebuild.sigstore.json")
    glasshouse(root, "audit", "attest", str(verdict), "--key", str(other), "--output", bundle)
    for most, expected in ((found.tolerance / 2, "UNKNOWN"), (found.tolerance, "PASS")):
        policy = _policy(key[1], other, verdict="WITHIN", maxTolerance=most, environments=["current"])
        (tmp_path / "policy.json").write_text(json.dumps(policy))
        words = ("--policy", str(tmp_path / "policy.json"), "--attestation", bundle, "--json")
        report = json.loads(glasshouse(root, "verify", "releases/small/v1.1.0", *words, code=3))
        (check,) = [check for check in report["checks"] if check["subject"] == "rebuilders"]
        assert check["verdict"] == expected, check["reason"]


def _policy(maintainer: str, rebuilder: Path, **rebuilders: object) -> dict[str, object]:
    signers = [
        {"kind": "key", "pem": pem} for pem in (Path(maintainer).read_text(), KeySigner(rebuilder).public_key.pem)
    ]
    return {"signers": signers[:1], "rebuilders": {"atLeast": 1, "signers": signers[1:], **rebuilders}}
