"""From the last checkpoint to what is released: `python -m loom.finish`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from registry.digest import sha256_file
from registry.records import tokens
from registry.records.checkpoint_chain import Chain
from registry.records.evaluation import Baseline, Baselines, Evaluation, Metrics, Sample, Validation
from registry.records.tokens import Tokens
from registry.records.training_folder import WEIGHTS, TrainingFolder

from .weave import CLOTH, SPOOLS

BALE = Path("out/bale")
MEASURED = Path("out/measured")


def main() -> None:
    """out/cloth -> out/bale and out/measured."""
    folder = TrainingFolder(CLOTH)
    last = Chain.read(folder.chain).entries[-1]
    for made in (BALE, MEASURED):
        made.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder.checkpoint(last.step) / WEIGHTS, BALE / WEIGHTS)
    shutil.copyfile(SPOOLS / "words.json", BALE / "tokenizer.json")
    (BALE / "config.json").write_text(json.dumps({"architectures": ["Cloth"]}))
    held = Tokens.read(SPOOLS / tokens.NAME).splits.validation
    record = Evaluation(
        weights=sha256_file(BALE / WEIGHTS),
        tokens=sha256_file(SPOOLS / tokens.NAME),
        validation=Validation(documents=held.documents, size=held.size, tokens=held.tokens),
        metrics=Metrics(bits_per_byte=8.0, perplexity=2.0, next_token_accuracy=0.0),
        baselines=Baselines(uniform=Baseline(bits_per_byte=8.0), unigram=Baseline(bits_per_byte=5.0)),
        sample=Sample(prompt="warp", text="weft"),
    )
    (MEASURED / "evaluation.json").write_bytes(record.to_bytes())


if __name__ == "__main__":
    main()
