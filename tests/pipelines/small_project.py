"""A project small enough to run its data stages in a second: params.yaml and some text of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = ("glass", "house", "light", "window", "pane", "frame", "seal", "sand", "river", "stone", "brook", "kiln")


def params(**changed: Any) -> dict[str, Any]:
    """What params.yaml says, as far as the data stages read it."""
    source = {
        "kind": "files", "name": "texts", "include": ["texts/*.txt"], "license": "CC0-1.0", "url": "https://example.org/",
    }  # fmt: skip
    filters = {"min_bytes": 10, "max_bytes": 10_000, "licenses": ["CC0-1.0", "MIT"]}
    return {
        "seed": 7,
        "corpus": {"sources": [source], "filters": filters, "validation_fraction": 0.25},
        "tokenizer": {"vocabulary": 300, "sample_bytes": 1_000_000},
        "encode": {"shard_tokens": 1024},
        **changed,
    }


def write_project(root: Path, documents: int = 40, **changed: Any) -> Path:
    """Write the project below `root` and return `root`. Its other sections, if any, come from `changed`."""
    (root / "texts").mkdir(parents=True)
    for number in range(documents):
        words = [WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(60)]
        (root / f"texts/{number:03d}.txt").write_text(f"Text {number}: {' '.join(words)}\n", encoding="utf-8")
    (root / "params.yaml").write_text(json.dumps(params(**changed)), encoding="utf-8")
    return root
