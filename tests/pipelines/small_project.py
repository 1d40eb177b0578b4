"""A project small enough to run its data stages in a second: params.yaml and some text of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = ("glass", "house", "light", "window", "pane", "frame", "seal", "sand", "river", "stone", "brook", "kiln")

LLAMA = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "tie_word_embeddings": True,
}  # fmt: skip
TRAIN = {
    "profile": "portable", "steps": 10, "micro_batches": 4, "micro_batch_rows": 2, "learning_rate": 0.01,
    "final_learning_rate": 0.001, "warmup_steps": 2, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95,
    "clip_norm": 1.0, "checkpoint_every": 3, "validate_every": 4, "validation_micro_batches": 4,
}  # fmt: skip


def params(**changed: Any) -> dict[str, Any]:
    """What params.yaml says: tiny sizes throughout."""
    source = {
        "kind": "files", "name": "texts", "include": ["texts/*.txt"], "license": "CC0-1.0", "url": "https://example.org/",
    }  # fmt: skip
    filters = {"min_bytes": 10, "max_bytes": 10_000, "licenses": ["CC0-1.0", "MIT"]}
    return {
        "seed": 7,
        "corpus": {"sources": [source], "filters": filters, "validation_fraction": 0.25},
        "tokenizer": {"vocabulary": 300, "sample_bytes": 1_000_000},
        "encode": {"shard_tokens": 1024},
        "export": {"shard_bytes": 5_000_000_000},
        "model": {"architecture": "llama", "context": 16, "config": LLAMA},
        "train": TRAIN,
        "evaluate": {"prompt": "glass", "sample_tokens": 4},
        **changed,
    }


def write_project(root: Path, documents: int = 40, **changed: Any) -> Path:
    """Write the project below `root` and return `root`. Whole sections come from `changed`."""
    (root / "texts").mkdir(parents=True)
    for number in range(documents):
        words = [WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(60)]
        (root / f"texts/{number:03d}.txt").write_text(f"Text {number}: {' '.join(words)}\n", encoding="utf-8")
    (root / "params.yaml").write_text(json.dumps(params(**changed)), encoding="utf-8")
    return root
