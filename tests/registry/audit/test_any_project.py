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
if json.loads(pathlib.Path("params.yaml").read_text())["noise"]:
    weights = weights * (1 + 1e-6 * numpy.frombuffer(os.urandom(2 * len(rows)), "u2") / 2**16).astype("f4")
pathlib.Path("out").mkdir(exist_ok=True)
save_file({"weights": weights}, "out/model.safetensors")
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
    params: [noise]
    outs: [out/model.safetensors, train.run.json]
    metrics: [metrics.json: {{cache: false}}]
"""
RELEASE = "release:\n  repo: org/small\n  license: MIT\n  model: out/model.safetensors\n"
TOLERANCES = "  rebuild:\n    tolerances: {out: {rtol: 1.0e-5}, metrics.json: {rtol: 1.0e-5}}\n"
CURRENT = ("--environment", "current", "--source", ".")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, with data that DVC keeps, built and committed."""
    place = tmp_path_factory.mktemp("any") / "project"
    files = {"prepare.py": PREPARE, "train.py": TRAIN, "dvc.yaml": STAGES, "LICENSE": "MIT\n"}
    files |= {"params.yaml": '{"noise": false}\n', "glasshouse.yaml": RELEASE, "data/raw.txt": "one three five\n"}
    files["requirements.txt"] = "".join(f"{name}=={version(name)}\n" for name in ("numpy", "safetensors"))
    start(place, files)
    dvc("add", "--quiet", "data/raw.txt", root=place)
    dvc("repro", "train", root=place)
    commit(place)
    return place


def rebuilt(root: Path, release: Path, key: tuple[str, str], *words: str, code: int) -> tuple[str, Path]:
    """What `glasshouse audit rebuild` says, and where the verdict is."""
    verdict = root.parent / f"{release.name}.json"
    words = ("audit", "rebuild", str(release), "--key", key[1], "--output", str(verdict), *words)
    return glasshouse(root, *words, code=code), verdict


def cut(root: Path, key: tuple[str, str], tag: str) -> Path:
    glasshouse(root, "release", "cut", "--local", "--version", tag.removeprefix("v"), "--key", key[0])
    return root / "releases/small" / tag


def test_a_stranger_rebuilds_it(root: Path, key: tuple[str, str], tmp_path: Path) -> None:
    """BITWISE, or the first file that differs, or within what is declared; and refused where it cannot be done."""
    # 1. From its data, in an empty clone, behind the wall where there is one: the same bytes.
    release = cut(root, key, "v1.0.0")
    told = ReleaseRecord.read(release / "provenance/release.json").rebuild
    assert told is not None and told.command[-1] == "train" and told.environment is not None
    assert {output.path: output.source for output in told.outputs} == {
        "model.safetensors": "out/model.safetensors", "provenance/metrics/metrics.json": "metrics.json",
    }  # fmt: skip
    data = ("--data", ".dvc/cache")
    said, verdict = rebuilt(root, release, key, *CURRENT, *data, code=0)
    assert "BITWISE    model.safetensors" in said and "running the stage prepare" in said
    found = Rebuild.of(VerdictFile.read(verdict).signable())
    assert (found.verdict, found.environment, found.tolerance) == ("BITWISE", "current", 0.0)
    assert found.command == told.command and str(found.packages).startswith("requirements.txt sha256:")
    # 2. A lock without digests is not installed; a training that is not recorded is not replayed.
    said, _ = rebuilt(root, release, key, "--source", ".", code=3)
    assert "no digest of numpy, safetensors" in said and "--environment current" in said
    said = glasshouse(root, "audit", "replay", str(release), "--key", key[1], *CURRENT, code=2)
    assert "no part of a training to replay" in said and "audit rebuild" in said
    # 3. A stage that draws its luck: the stage and its file are named.
    (root / "params.yaml").write_text('{"noise": true}\n')
    dvc("repro", "train", root=root)
    commit(root)
    said, _ = rebuilt(root, cut(root, key, "v1.1.0"), key, *CURRENT, *data, code=1)
    assert "the first stage that departs is train: " in said and "DIFFERENT  model.safetensors" in said
    # 4. The same luck, within what the next release declares: said, and not called BITWISE.
    (root / "glasshouse.yaml").write_text(RELEASE + TOLERANCES)
    commit(root)
    said, verdict = rebuilt(root, cut(root, key, "v1.2.0"), key, *CURRENT, *data, code=0)
    assert "WITHIN     model.safetensors  within what the release declares, rtol 1e-05, atol 0; apart by" in said
    found = Rebuild.of(VerdictFile.read(verdict).signable())
    assert found.verdict == "WITHIN" and found.tolerance is not None and 0 < found.tolerance < 1e-5
    # 5. A policy counts it where it allows so much, and only then.
    other = str(write_key(tmp_path / "other.pem"))
    sign = ("audit", "attest", str(verdict), "--key", other, "--output", str(tmp_path / "rebuild.sigstore.json"))
    glasshouse(root, *sign)
    near = {"verdict": "WITHIN", "maxTolerance": found.tolerance}
    for asked, expected in (({}, "UNKNOWN"), (near, "PASS")):
        policy = _policy(key[1], other, environments=["current"], **asked)
        (tmp_path / "policy.json").write_text(json.dumps(policy))
        words = ("--policy", str(tmp_path / "policy.json"), "--attestation", sign[-1], "--json")
        report = json.loads(glasshouse(root, "verify", "releases/small/v1.2.0", *words, code=3))
        (check,) = [check for check in report["checks"] if check["subject"] == "rebuilders"]
        assert check["verdict"] == expected, check["reason"]


def _policy(maintainer: str, rebuilder: str, **rebuilders: object) -> dict[str, object]:
    signers = [
        {"kind": "key", "pem": pem} for pem in (Path(maintainer).read_text(), KeySigner(Path(rebuilder)).public_key.pem)
    ]
    return {"signers": signers[:1], "rebuilders": {"atLeast": 1, "signers": signers[1:], **rebuilders}}
