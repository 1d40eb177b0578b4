"""glasshouse data trace says what the training loop read: its own record of one run, token by token."""

from __future__ import annotations

import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path

from registry.attest.verifier import Trust
from registry.catalog import entry, shelves, tracing, training_data
from registry.catalog.entry import Whom
from registry.records import data_manifest, layout
from tests.conftest import Project, Released

SPY = """
import json
from pipelines import train

begun = train._train

def spying(*given):
    from pipelines import worker
    from pipelines.tokens import TokenSplit

    taken, read, step = [], TokenSplit.slice, worker.Training.step

    def spied(self, start, length):
        taken.append([self.document_at(place) for place in range(start, start + length)])
        return read(self, start, length)

    def stepped(self, number):
        taken.clear()
        TokenSplit.slice = spied
        try:
            return step(self, number)
        finally:
            TokenSplit.slice = read
            print(json.dumps([number + 1, taken]), flush=True)

    worker.Training.step = stepped
    begun(*given)

train._train = spying
train.main()
"""
"""Trains, as a worker, and says after each step to which document each token belongs that it read."""


def test_the_trace_agrees_with_what_the_training_loop_read(released: Released, tmp_path: Path) -> None:
    root = tmp_path / "place"
    for name in ("build/tokens", "build/tokenizer"):
        shutil.copytree(released.project.root / name, root / name)
    for name in ("params.yaml", "requirements.lock"):
        shutil.copyfile(released.project.root / name, root / name)
    place = Project(root, released.project.environment)
    done = place.run(
        sys.executable, "-c", SPY, variables={"RANK": "0", "WORLD_SIZE": "1", "GLASSHOUSE_TRACKING": "off"}
    )
    read = dict(json.loads(line) for line in done.stdout.splitlines())
    assert sorted(read) == list(range(1, 11))
    steps: dict[str, set[int]] = defaultdict(set)
    shelf = shelves.find(str(released.folder), endpoint=None)
    with training_data.read(entry.read(shelf, Whom(Trust())), None) as data:
        for step, rows in read.items():
            told = [
                [part.row.sha256 for part in row.documents for _ in range(part.start, part.end)]
                for row in tracing.at_step(data, step)
            ]
            assert told == rows
            for digest in {digest for row in rows for digest in row}:
                steps[digest].add(step)
        for row in data_manifest.iter_rows(released.folder / layout.DATA_ROWS):
            assert set(tracing.of_document(data, row.sha256).steps) == steps[row.sha256]


def test_the_command_answers_from_the_hub(released: Released) -> None:
    words = ("glasshouse", "data", "trace", released.reference, "--step", "1", "--json")
    done = released.project.run(*words, *released.signer, variables=released.hub)
    said = json.loads(done.stdout)
    assert said["release"]["signature"]["verdict"] == "PASS" and len(said["rows"]) == 8
    done = released.project.run(*words, check=False, variables=released.hub)
    assert done.returncode == 3 and json.loads(done.stdout)["rows"] == said["rows"]
