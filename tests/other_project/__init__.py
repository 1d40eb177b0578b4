"""Another project than this one: other stages, other paths, another trainer. It says how it is replayed, and can be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import Project, repository

HERE = Path(__file__).parent
SOURCE = HERE / "loom"
LOCK = "numpy==2.4.6 --hash=sha256:" + "0" * 64 + "\n"

PARAMS: dict[str, Any] = {
    "seed": 11,
    "loom": {"picks": 6, "threads": 4, "keep_every": 2},
    "release": {
        "repo": "weavers/cloth",
        "title": "A cloth",
        "license": "Apache-2.0",
        "languages": ["en"],
        "model": "out/bale",
        "output": "out/bundle",
        "provenance": [
            "out/yarn/data-manifest.json",
            "out/yarn/data-manifest.jsonl",
            "out/spools/tokens.json",
            "out/cloth/checkpoints.json",
            "out/cloth/metrics.jsonl",
            "out/cloth/environment.json",
            "out/measured/evaluation.json",
            "params.yaml",
            "locks/requirements.lock",
        ],
        "replay": {
            "module": "loom.again",
            "data": "spin",
            "made": {"tokenizer.json": "out/spools/words.json"},
            "steps": "loom.picks",
            "rows": ["loom.threads"],
            "processes": None,
            "adamw": None,
        },
        "intended_use": "To be replayed.",
        "limits": "It is a cloth.",
    },
}
STAGES = {
    "gather": ("python -m loom.data gather", ["loom", "texts"], ["out/yarn"], []),
    "spin": ("python -m loom.data spin", ["loom", "out/yarn"], ["out/spools"], []),
    "weave": ("python -m loom.weave", ["loom", "out/spools"], ["out/cloth"], ["seed", "loom"]),
    "finish": ("python -m loom.finish", ["loom", "out/cloth", "out/spools"], ["out/bale", "out/measured"], []),
    "bundle": (
        "glasshouse release prepare --draft",
        ["LICENSE", "locks/requirements.lock", "out/bale", "out/cloth", "out/measured", "out/spools", "out/yarn"],
        ["out/bundle"],
        ["release"],
    ),
}
"""Each stage: its command, what it reads, what it writes, and its settings."""


def new_project(root: Path) -> Project:
    """The project in the new folder `root`, committed, not built."""
    shutil.copytree(SOURCE, root / "loom", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "texts").mkdir()
    for number in range(8):
        (root / f"texts/{number}.txt").write_text(f"warp and weft number {number}\n")
    (root / "locks").mkdir()
    (root / "locks/requirements.lock").write_text(LOCK)
    (root / "LICENSE").write_text("Apache License 2.0\n")
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS, sort_keys=False))
    stages = {
        name: {
            "cmd": f"glasshouse record -- {command}", "deps": deps, "params": settings,
            "outs": [*outs, f"out/runs/{name}.run.json"],
        }
        for name, (command, deps, outs, settings) in STAGES.items()
    }  # fmt: skip
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (root / ".gitignore").write_text("/out\n/releases\n__pycache__\n")
    (root / ".dvcignore").write_text("__pycache__\n")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc/.gitignore").write_text("/tmp\n/cache\n")
    return repository(root)
