"""The rules and the tokenizer run by Ray Data: FOLDER of JSON lines, params.yaml, tokenizer.json, OUT."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data

from tests.bench._peers.common import Share

ROWS = 400
"""In a batch: about a megabyte, as our shards have."""


class Stage:
    """All that is done with a batch of rows."""

    def __init__(self, params: str, tokenizer: str) -> None:
        self.share = Share(Path(params), Path(tokenizer))

    def __call__(self, batch: pa.Table) -> pa.Table:
        return self.share.table(batch.column("text").to_pylist())


def main() -> None:
    folder, params, tokenizer, out, workers = sys.argv[1:]
    context: Any = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    ray.init(num_cpus=int(workers), include_dashboard=False, log_to_driver=False, object_store_memory=512 << 20)
    rows = ray.data.read_json(sorted(map(str, Path(folder).glob("*.jsonl"))))
    done = rows.map_batches(
        Stage, fn_constructor_args=(params, tokenizer), batch_size=ROWS, batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=int(workers)), num_cpus=0.5,
    )  # fmt: skip
    done.write_parquet(out)


if __name__ == "__main__":
    main()
