"""Families of transformers: each is trained twice, exported, loaded and measured, as params.yaml alone says.

The first training has one process. The second has two, loses its last checkpoint, and goes on. Where the portable
profile refuses a family, it is trained under `native`, and the operation that was refused is named. The sizes are tiny:
the table tells that a family works, not how well it learns.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.families import FAMILIES
from registry.digest import sha256_file
from registry.records.evaluation import Evaluation
from tests.conftest import ROOT
from tests.pipelines.small_project import TRAIN, params, write_project

BASE = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "tie_word_embeddings": True,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(FAMILIES, BASE),
    "mixtral": {**BASE, "num_local_experts": 2, "num_experts_per_tok": 1},
    "gpt_neox": {
        key: value for key, value in BASE.items() if key not in ("num_key_value_heads", "tie_word_embeddings")
    },
    "gemma2": {**BASE, "head_dim": 16},
    "falcon": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
}
"""`model.config` of each family, as small as it goes."""
LINE = "| {:8} | {:8} | {:>7} | {:>13} | {:>12} | {} |"
STEPS = 20


@dataclass(frozen=True)
class Result:
    """What became of one family."""

    profile: str
    seconds: float
    bits_per_byte: float
    weights: str
    same: bool
    why: str


def main() -> None:
    """Print the table."""
    print(LINE.format("Family", "Profile", "Seconds", "Bits per byte", "Equal twice", "Why not portable"))
    print(LINE.format(*["---"] * 6))
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as scratch:
        data = write_project(Path(scratch, "data"))
        shutil.copyfile(ROOT / "requirements.lock", data / "requirements.lock")
        for stage in ("corpus", "tokenizer", "encode"):
            run(data, stage)
        for family in os.environ.get("GLASSHOUSE_BENCH_FAMILIES", ",".join(FAMILIES)).split(","):
            result = measure(data, Path(scratch, family), family)
            figures = (f"{result.seconds:.0f}", f"{result.bits_per_byte:.3f}", "yes" if result.same else "NO")
            print(LINE.format(family, result.profile, *figures, result.why), flush=True)


def measure(data: Path, place: Path, family: str) -> Result:
    """Train the family twice in `place`, on what the stages left in `data`."""
    profile, why = "portable", ""
    started = time.monotonic()
    first = begun(data, place / "portable", family, profile)
    if said := run(first, "train", fails=True, GLASSHOUSE_PROCESSES="1"):
        profile, why = "native", said
        first = begun(data, place / "native", family, profile)
        started = time.monotonic()
        run(first, "train", GLASSHOUSE_PROCESSES="1")
    seconds = time.monotonic() - started
    run(first, "export")
    run(first, "evaluate")
    second = begun(data, place / "again", family, profile)
    run(second, "train", GLASSHOUSE_PROCESSES="2")
    shutil.rmtree(second / f"build/train/checkpoints/step-{STEPS:06d}")
    run(second, "train", GLASSHOUSE_PROCESSES="2")
    weights = [
        sha256_file(folder / f"build/train/checkpoints/step-{STEPS:06d}/model.safetensors")
        for folder in (first, second)
    ]
    exported = sha256_file(first / "build/model/model.safetensors")
    figures = Evaluation.read(first / "build/evaluation/evaluation.json").metrics
    return Result(profile, seconds, figures.bits_per_byte, exported, {*weights} == {exported}, why)


def begun(data: Path, place: Path, family: str, profile: str) -> Path:
    """A project with the data, which trains that family."""
    shutil.copytree(data, place)
    changed = params(
        model={"architecture": family, "context": 16, "config": CONFIGS[family]},
        train={**TRAIN, "profile": profile, "steps": STEPS},
    )
    (place / "params.yaml").write_text(json.dumps(changed))
    return place


def run(root: Path, stage: str, *, fails: bool = False, **variables: str) -> str:
    """Run a stage; what it refused, in words, where it may fail."""
    environment = {**os.environ, "GLASSHOUSE_TRACKING": "off", "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-W", "ignore", "-m", f"pipelines.{stage}"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    refused = done.stderr.partition("\n  mend:")[0].strip().splitlines()[-1:] if done.returncode == 2 else []
    if done.returncode and not (fails and refused):
        raise SystemExit(f"{stage} of {root.name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return "".join(refused)
