"""The work run by Ray Data: FOLDER of JSON lines, params.yaml, tokenizer.json, OUT, WORKERS.

The cluster is the one at RAY_ADDRESS. Each batch is looked at, the driver decides, and the texts that stay are encoded.
Between them lie blocks in the cluster's memory, of which the driver gets digests and signatures.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data

from tests.bench._peers.common import ROWS, TOLD, Look, Stays, Tokens


class LookBatch:
    """The rules, asked of a batch of rows."""

    def __init__(self, settings: str) -> None:
        self.look = Look(settings)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return self.look.table(batch.column("text").to_pylist())


class TokensBatch:
    """The tokenizer, for a batch of texts."""

    def __init__(self, tokenizer: str) -> None:
        self.tokens = Tokens(tokenizer)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return self.tokens.table(batch.column("text").to_pylist())


def told(block: pa.Table) -> pa.Table:
    """What the driver decides by."""
    return block.select(TOLD)


def kept(block: pa.Table, mask: pa.Array) -> pa.Table:
    """The texts of a block that stay."""
    return block.select(["text"]).filter(mask)


def main() -> None:
    folder, settings, tokenizer, out, workers = sys.argv[1:]
    context: Any = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    ray.init("auto", log_to_driver=False)
    share: dict[str, Any] = {
        "batch_size": ROWS, "batch_format": "pyarrow", "num_cpus": 0.5,
        "compute": ray.data.ActorPoolStrategy(size=int(workers)),
    }  # fmt: skip
    rows = ray.data.read_json(sorted(map(str, Path(folder).glob("*.jsonl"))))
    blocks = rows.map_batches(LookBatch, fn_constructor_args=(settings,), **share).to_arrow_refs()
    stays, tell, keep = Stays(settings), ray.remote(told), ray.remote(kept)
    asked = [tell.remote(block) for block in blocks]
    left = [keep.remote(block, stays.mask(ray.get(table))) for block, table in zip(blocks, asked, strict=True)]
    texts = ray.data.from_arrow_refs(left)
    texts.map_batches(TokensBatch, fn_constructor_args=(tokenizer,), **share).write_parquet(out)


if __name__ == "__main__":
    main()
