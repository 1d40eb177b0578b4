"""The work run by datatrove: FOLDER of JSON lines, params.yaml, tokenizer.json, OUT, WORKERS.

Three pipelines, as its own removal of near-duplicates has them: each file is looked at, one task decides, and each
file's texts that stay are encoded. Between them lie files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document as Row
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.readers import JsonlReader

from tests.bench._peers.common import LOOKED, TOKENS, TOLD, Look, Stays, Tokens, batches


class LookStep(PipelineStep):  # type: ignore[misc]
    """The rules, asked of the rows of one file."""

    name = "rules"

    def __init__(self, settings: str, out: str) -> None:
        super().__init__()
        self.settings, self.out = settings, out

    def run(self, data: Iterable[Row], rank: int = 0, world_size: int = 1) -> Iterator[Row]:
        look = Look(self.settings)
        with pq.ParquetWriter(Path(self.out) / f"{rank:05d}.looked", LOOKED) as writer:
            for some in batches(row.text for row in data):
                writer.write_table(look.table(some))
        yield from ()


class StaysStep(PipelineStep):  # type: ignore[misc]
    """Duplicates, in all files."""

    name = "duplicates"

    def __init__(self, settings: str, out: str) -> None:
        super().__init__()
        self.settings, self.out = settings, out

    def run(self, data: object, rank: int = 0, world_size: int = 1) -> Iterator[Row]:
        stays = Stays(self.settings)
        for path in sorted(Path(self.out).glob("*.looked")):
            mask = stays.mask(pq.read_table(path, columns=TOLD))
            pq.write_table(pa.table({"stays": mask}), path.with_suffix(".stays"))
        yield from ()


class TokensStep(PipelineStep):  # type: ignore[misc]
    """The tokenizer, for the texts of one file that stay."""

    name = "tokens"

    def __init__(self, tokenizer: str, out: str) -> None:
        super().__init__()
        self.tokenizer, self.out = tokenizer, out

    def run(self, data: object, rank: int = 0, world_size: int = 1) -> Iterator[Row]:
        tokens, path = Tokens(self.tokenizer), Path(self.out) / f"{rank:05d}.looked"
        mask = pq.read_table(path.with_suffix(".stays")).column("stays")
        texts = pq.read_table(path, columns=["text"]).column("text").filter(mask).to_pylist()
        with pq.ParquetWriter(path.with_suffix(".parquet"), TOKENS) as writer:
            for some in batches(texts):
                writer.write_table(tokens.table(some))
        yield from ()


def main() -> None:
    folder, settings, tokenizer, out, workers = sys.argv[1:]
    Path(out).mkdir()
    files = len(list(Path(folder).glob("*.jsonl")))
    for number, (tasks, steps) in enumerate(
        [
            (files, [JsonlReader(folder, text_key="text"), LookStep(settings, out)]),
            (1, [StaysStep(settings, out)]),
            (files, [TokensStep(tokenizer, out)]),
        ]
    ):
        LocalPipelineExecutor(
            steps, tasks=tasks, workers=int(workers), logging_dir=f"{out}/logs{number}", start_method="forkserver"
        ).run()


if __name__ == "__main__":
    main()
