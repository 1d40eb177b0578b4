"""The golden of the demo's weights: of these settings, and what is said of other weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry import canonical
from registry.digest import sha256_bytes
from registry.files import write_atomic
from tests.conftest import ROOT
from tests.goldens import demo_weights

GOLDEN = canonical.read(demo_weights.FILE)
LOCKED = (ROOT / "requirements.lock").read_text()
DIGEST = sha256_bytes(b"weights")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose weights have the digest of the golden, on a machine that stands there."""
    write_atomic(tmp_path / demo_weights.WEIGHTS, b"weights")
    write_atomic(tmp_path / "golden.json", canonical.dumps(GOLDEN | {"weights": DIGEST}))
    monkeypatch.setattr(demo_weights, "FILE", tmp_path / "golden.json")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    told(tmp_path)
    return tmp_path


def told(project: Path, profile: str = "portable", torch: str = "", cpu: str = "") -> None:
    """Write environment.json, changed as the arguments say."""
    with_avx512 = GOLDEN["reached"][1]
    machine = {"cpu": cpu or with_avx512["cpu"], "architecture": "x86_64", "features": with_avx512["features"],
               "accelerator": None, "system": "Linux", "libc": ""}  # fmt: skip
    software = {"python": "3.11", "packages": DIGEST, "torch": with_avx512["torch"], "torchConfig": "", "numpy": "2",
                "blas": "", "transformers": "5", "builds": GOLDEN["builds"] | ({"torch": torch} if torch else {}),
                "blasConfig": ""}  # fmt: skip
    numeric = {"name": profile, "digest": DIGEST, "settings": {}, "environment": {}, "threads": 1, "capability": "AVX2",
               "blasCore": "Haswell"}  # fmt: skip
    shape = {"microBatches": 4, "microBatchRows": 2, "context": 256}
    environment = {"schema": "glasshouse.environment/v2", "machine": machine, "software": software, "profile": numeric,
                   "shape": shape}  # fmt: skip
    write_atomic(project / demo_weights.ENVIRONMENT, canonical.dumps(environment))


def test_the_golden_is_of_the_settings_as_they_are() -> None:
    assert demo_weights.settings(ROOT / "params.yaml") == GOLDEN["settings"], (
        "run `make demo`, and write what it says there"
    )
    assert {kind["torch"] for kind in GOLDEN["reached"]} == {"2.13.0+cpu"} and "\ntorch==2.13.0+cpu " in LOCKED


def test_the_same_weights_are_one_line(project: Path) -> None:
    assert demo_weights.compare(project) == demo_weights.Compared(
        f"Weights {DIGEST[:16]}: the same that 2 kinds of machine reached"
    )
    told(project, cpu="A new one")
    found = demo_weights.compare(project)
    assert "yours is new. Please tell" in found.words and str(project / demo_weights.ENVIRONMENT) in found.words
    assert not found.broken


def test_other_weights_break_a_promise_where_there_is_one(project: Path) -> None:
    (project / demo_weights.WEIGHTS).write_bytes(b"others")
    found = demo_weights.compare(project)
    assert found.broken
    assert sha256_bytes(b"others") in found.words and DIGEST in found.words and "Please tell" in found.words
    told(project, torch=DIGEST)
    assert (
        not (found := demo_weights.compare(project)).broken
        and "other builds" in found.words
        and "Please" in found.words
    )
    told(project, profile="native")
    assert not (found := demo_weights.compare(project)).broken and "native does not promise" in found.words
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("steps: 480", "steps: 481"))
    assert not (found := demo_weights.compare(project)).broken and "not compared" in found.words
