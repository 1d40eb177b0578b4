"""Measure the exported model: `python -m pipelines.evaluate`.

    build/model, build/tokens, build/train -> build/evaluation
    evaluation.json, the loss curve as loss.svg, loss.png and loss.csv, and sample.txt

Every token of the validation split is predicted once: the first after an end-of-text token, as if a document had ended
before it, and the others in windows of the model's context. Figures are rounded to DIGITS, beyond what a C library's
logarithm could move.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import curve, determinism, params, stage, tracking
from pipelines.checkpoints import RunFolder
from pipelines.export import OUT as MODEL
from pipelines.params import Params
from pipelines.train import OUT as TRAINED
from pipelines.train import TOKENS
from registry.digest import sha256_file
from registry.files import directory_beside
from registry.records import folders
from registry.records.checkpoint_chain import Chain
from registry.records.evaluation import Baseline, Baselines, Evaluation, Metrics, Sample, Validation

if TYPE_CHECKING:  # they load torch, which has to come after the profile
    import torch
    from transformers import PreTrainedModel

    from pipelines.tokens import TokenSplit

OUT = Path(folders.EVALUATION)
BATCH_ROWS = 8
CHUNK = 1 << 22
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all predicted tokens: the loss in nats, and how many were thought likeliest."""

    nats: float
    correct: int
    tokens: int


def main() -> None:
    """Evaluate what the earlier stages left in the current directory."""
    settings = params.load()
    profile = determinism.named(settings.train.profile)
    determinism.apply(profile)
    determinism.check(profile)
    from pipelines import fine_tuning, weight_files
    from pipelines import model as models
    from pipelines.tokens import TokenSplit

    train, held = TokenSplit.open(TOKENS, "train"), TokenSplit.open(TOKENS, "validation")
    model = fine_tuning.exported(settings, profile, MODEL)
    model.eval()
    with models.arithmetic(profile):
        totals = predict(model, held, settings.model.context, models.end_of_text(MODEL))
        sample = go_on(model, settings)
    record = evaluation(weight_files.digest(MODEL, fine_tuning.exported_weights(settings)), totals, train, held, sample)
    with directory_beside(OUT) as folder:
        (folder / "evaluation.json").write_bytes(record.to_bytes())
        (folder / "sample.txt").write_text(sample.prompt + sample.text, encoding="utf-8")
        curve.draw(RunFolder(TRAINED).metrics, folder)
    figures, others = record.metrics, record.baselines
    shown = {f"evaluation.{name}": float(value) for name, value in figures.as_json().items()}
    tracking.evaluated(Chain.read(RunFolder(TRAINED).chain).recipe, shown, OUT)
    print(
        f"validation: {figures.bits_per_byte:.4f} bits per byte "
        f"(uniform {others.uniform.bits_per_byte:.4f}, unigram {others.unigram.bits_per_byte:.4f}), "
        f"perplexity {figures.perplexity:.2f}, next token right in {figures.next_token_accuracy:.1%}"
    )


def predict(model: PreTrainedModel, held: TokenSplit, context: int, before: int) -> Totals:
    """Predict every token of the split, in windows of `context` tokens; the first after the token `before`."""
    import torch
    from torch.nn import functional

    losses: list[float] = []
    correct = 0
    with torch.no_grad(), stage.progress("evaluating", held.count) as advance:
        for rows in _windows(held, context, before):
            rows = rows.to(model.device)
            logits = model(input_ids=rows[:, :-1], use_cache=False).logits.flatten(0, 1)
            targets = rows[:, 1:].flatten()
            losses.append(float(functional.cross_entropy(logits, targets, reduction="sum")))
            correct += int((logits.argmax(-1) == targets).sum())
            advance(targets.numel())
    return Totals(nats=math.fsum(losses), correct=correct, tokens=held.count)


def _windows(split: TokenSplit, context: int, before: int) -> Iterator[torch.Tensor]:
    """Batches of windows, (rows, up to context + 1), over `before` and then the split; each begins where one ended."""
    import numpy as np
    import torch

    step = context * BATCH_ROWS
    last = np.array([before], dtype=np.int64)
    for start in range(0, split.count, step):
        tokens = np.concatenate([last, split.slice(start, min(step, split.count - start))])
        last = tokens[-1:]
        whole = (len(tokens) - 1) // context
        if whole:
            index = np.arange(whole)[:, None] * context + np.arange(context + 1)[None, :]
            yield torch.from_numpy(tokens[index])
        if (len(tokens) - 1) % context:
            yield torch.from_numpy(tokens[whole * context :])[None, :]


def evaluation(weights: str, totals: Totals, train: TokenSplit, held: TokenSplit, sample: Sample) -> Evaluation:
    """The record. weights: their digest. Bits per byte: all the bits spent on the split, by its documents' bytes."""
    size = train.record.splits.validation

    def bits_per_byte(nats: float) -> float:
        return round(nats / math.log(2) / size.size, DIGITS)

    return Evaluation(
        weights=weights,
        tokens=sha256_file(TOKENS / "tokens.json"),
        validation=Validation(documents=size.documents, size=size.size, tokens=totals.tokens),
        metrics=Metrics(
            bits_per_byte=bits_per_byte(totals.nats),
            perplexity=round(math.exp(totals.nats / totals.tokens), DIGITS),
            next_token_accuracy=round(totals.correct / totals.tokens, DIGITS),
        ),
        baselines=Baselines(
            uniform=Baseline(bits_per_byte=bits_per_byte(held.count * math.log(train.record.vocabulary))),
            unigram=Baseline(bits_per_byte=bits_per_byte(unigram_nats(train, held))),
        ),
        sample=sample,
    )


def unigram_nats(train: TokenSplit, held: TokenSplit) -> float:
    """Nats that token frequencies of the train split, plus one each, spend on the validation split."""
    vocabulary = train.record.vocabulary
    seen, asked = counts(train, vocabulary), counts(held, vocabulary)
    total = math.log(train.count + vocabulary)
    return math.fsum(times * (total - math.log(seen[token] + 1)) for token, times in enumerate(asked) if times)


def counts(split: TokenSplit, vocabulary: int) -> list[int]:
    """How often each token occurs, counted a chunk at a time."""
    import numpy as np

    found = np.zeros(vocabulary, dtype=np.int64)
    for start in range(0, split.count, CHUNK):
        found += np.bincount(split.slice(start, min(CHUNK, split.count - start)), minlength=vocabulary)
    return [int(number) for number in found]


def go_on(model: PreTrainedModel, settings: Params) -> Sample:
    """The text with which the model goes on from the prompt, always taking the likeliest token."""
    from transformers import AutoTokenizer

    from pipelines import model as models

    tokenizer = AutoTokenizer.from_pretrained(MODEL, local_files_only=True)
    prompt = tokenizer.encode(settings.evaluate.prompt)
    tokens = list(models.greedy(model, prompt, settings.evaluate.sample_tokens))
    return Sample(prompt=settings.evaluate.prompt, text=tokenizer.decode(tokens, skip_special_tokens=True))


if __name__ == "__main__":
    stage.run(main)
