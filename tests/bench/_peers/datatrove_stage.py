"""The rules and the tokenizer run by datatrove: FOLDER of JSON lines, params.yaml, tokenizer.json, OUT."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from datatrove.data import Document as Row
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.readers import JsonlReader

from tests.bench._peers.common import Share


class Stage(PipelineStep):  # type: ignore[misc]
    """All that is done with the rows of one file."""

    name = "rules and tokens"

    def __init__(self, params: str, tokenizer: str, out: str) -> None:
        super().__init__()
        self.places = params, tokenizer, out

    def run(self, data: Iterable[Row], rank: int = 0, world_size: int = 1) -> Iterator[Row]:
        params, tokenizer, out = self.places
        Share(Path(params), Path(tokenizer)).write((row.text for row in data), Path(out), f"{rank:05d}")
        yield from ()


def main() -> None:
    folder, params, tokenizer, out, workers = sys.argv[1:]
    files = len(list(Path(folder).glob("*.jsonl")))
    steps = [JsonlReader(folder, text_key="text"), Stage(params, tokenizer, out)]
    LocalPipelineExecutor(
        steps, tasks=files, workers=int(workers), logging_dir=f"{out}/logs", start_method="forkserver"
    ).run()


if __name__ == "__main__":
    main()
