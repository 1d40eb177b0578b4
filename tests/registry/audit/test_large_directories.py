"""Directories of more files than a record lists, made anew behind the wall by a rebuild and an evaluation. `make slow`.

One file of them that comes out otherwise is seen: of the model, by a rebuild; of what was measured on, by an
evaluation, which then can tell nothing of the figures.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from registry.records.run import MAX_LISTED
from tests.audited import WALLED
from tests.registry.project.small_dvc import RECORD, commit, dvc, start
from tests.registry.release.test_adopt import glasshouse, key

__all__ = ["key"]
pytestmark = [pytest.mark.slow, WALLED]
FILES = MAX_LISTED + 50
MANY = f"""import os, pathlib, sys
def write(folder, luck):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    for number in range({FILES}):
        text = os.urandom(4).hex() if luck and number == 500 else f"row{{number:05}}"
        (folder / f"{{number:05}}.txt").write_text(text)
"""
SPREAD = f'{MANY}write("build/rows", luck=False)\n'
TRAIN = f"""{MANY}
import numpy
from safetensors.numpy import save_file

write("out/words", luck=False)
sizes = [path.stat().st_size for path in sorted(pathlib.Path("build/rows").iterdir())]
save_file({{"weights": numpy.array(sizes, dtype="f4")}}, "out/model.safetensors")
"""
MEASURE = """import json, pathlib
rows = sum(path.stat().st_size for path in pathlib.Path("build/rows").iterdir())
pathlib.Path("metrics.json").write_text(json.dumps({"bytes": rows}))
"""
STAGES = f"""stages:
  spread:
    cmd: {RECORD} -- python spread.py
    deps: [spread.py]
    outs: [build/rows, spread.run.json]
  train:
    cmd: {RECORD} -- python train.py
    deps: [train.py, build/rows]
    outs: [out, train.run.json]
  measure:
    cmd: {RECORD} -- python measure.py
    deps: [measure.py, build/rows, out]
    outs: [measure.run.json]
    metrics: [metrics.json: {{cache: false}}]
"""
RELEASE = "release:\n  repo: org/small\n  license: MIT\n  model: out\n"
LUCKY = ("luck=False)", "luck=True)")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, committed, not built."""
    place = tmp_path_factory.mktemp("large") / "project"
    files = {"spread.py": SPREAD, "train.py": TRAIN, "measure.py": MEASURE, "dvc.yaml": STAGES, "LICENSE": "MIT\n"}
    files |= {"glasshouse.yaml": RELEASE}
    files["requirements.txt"] = "".join(f"{name}=={version(name)}\n" for name in ("numpy", "safetensors"))
    start(place, files)
    commit(place)
    return place


def cut(root: Path, key: tuple[str, str], number: str) -> Path:
    """The release of the project as it stands, built."""
    dvc("repro", root=root)
    commit(root)
    glasshouse(root, "release", "cut", "--local", "--version", number, "--key", key[0])
    return root / f"releases/small/v{number}"


def audit(root: Path, key: tuple[str, str], word: str, release: Path, *, code: int) -> str:
    """What `glasshouse audit` says of it."""
    verdict = root.parent / f"{release.name}-{word}.json"
    words = (str(release), "--key", key[1], "--output", str(verdict), "--environment", "current", "--source", ".")
    return glasshouse(root, "audit", word, *words, code=code)


def test_one_file_of_a_thousand_that_comes_out_otherwise_is_seen(root: Path, key: tuple[str, str]) -> None:
    # 1. Nothing comes out otherwise.
    release = cut(root, key, "1.0.0")
    assert len(list(release.glob("provenance/listings/*/*.txt"))) == 2
    said = audit(root, key, "rebuild", release, code=0)
    assert f"BITWISE: {FILES + 2} BITWISE of the outputs" in said
    assert "BITWISE" in audit(root, key, "evaluate", release, code=0)
    # 2. One of those that it was measured on.
    (root / "spread.py").write_text(SPREAD.replace(*LUCKY))
    release = cut(root, key, "1.1.0")
    said = audit(root, key, "evaluate", release, code=3)
    assert "UNSUPPORTED: this audit cannot tell: build/rows came out otherwise than it was measured on" in said
    # 3. One of the model's own.
    (root / "spread.py").write_text(SPREAD)
    (root / "train.py").write_text(TRAIN.replace(*LUCKY))
    release = cut(root, key, "1.2.0")
    said = audit(root, key, "rebuild", release, code=1)
    assert "DIFFERENT  words/00500.txt" in said and "the first stage that departs is train: out" in said
    assert "BITWISE" in audit(root, key, "evaluate", release, code=0)
