"""The contract of a replay: `python -m loom.again`, with the options of registry.records.replay_command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from registry.records import replay_command
from registry.records.checkpoint_chain import Chain
from registry.records.training_folder import TrainingFolder

from .weave import Cloth, begun, environment, settings, train


def main() -> None:
    """Do what one of the options asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument(replay_command.ENVIRONMENT, type=Path)
    parser.add_argument(replay_command.INITIAL, type=Path)
    parser.add_argument(replay_command.CHAIN, type=Path)
    parser.add_argument(replay_command.SEGMENT, nargs=4, action="append")
    asked = parser.parse_args()
    if asked.environment:
        asked.environment.mkdir(parents=True)
        TrainingFolder(asked.environment).environment.write_bytes(environment().to_bytes())
    elif asked.initial:
        folder = TrainingFolder(asked.initial)
        Cloth.new(settings()["seed"]).save(folder, begun(), 0, settings()["loom"]["threads"], None)
    else:
        signed = Chain.read(asked.chain)
        if signed.up_to(0) != begun():
            sys.exit("the chain is of another training\nmend: check out the commit that the release names")
        for after, until, checkpoint, out in asked.segment:
            segment(signed, int(after), int(until), Path(checkpoint), TrainingFolder(Path(out)))


def segment(signed: Chain, after: int, until: int, checkpoint: Path, folder: TrainingFolder) -> None:
    """One segment of the chain `signed`, from a checkpoint, to a new folder."""
    folder.root.mkdir(parents=True)
    known = signed.up_to([entry.step for entry in signed.entries].index(after) + 1)
    train(folder, Cloth.load(checkpoint), known, after, until, until)


if __name__ == "__main__":
    main()
