"""python -m pipelines.evaluate: the figures, against a count by hand, and the pictures' bytes."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipelines import curve
from pipelines.tokens import TokenSplit
from registry.digest import sha256_file
from registry.errors import InputError
from registry.records.evaluation import Evaluation
from tests.conftest import Project

FOLDER = "build/evaluation"


@pytest.fixture(scope="module")
def record(built: Project) -> Evaluation:
    return Evaluation.read(built.root / FOLDER / "evaluation.json")


def test_it_speaks_of_these_weights_and_tokens(built: Project, record: Evaluation) -> None:
    assert record.weights == sha256_file(built.root / "build/model/model.safetensors")
    assert record.tokens == sha256_file(built.root / "build/tokens/tokens.json")


def test_bits_per_byte_are_those_that_transformers_finds(built: Project, record: Evaluation) -> None:
    held = TokenSplit.open(built.root / "build/tokens", "validation")
    model = AutoModelForCausalLM.from_pretrained(built.root / "build/model", local_files_only=True)
    context, end = model.config.max_position_embeddings, model.config.eos_token_id
    tokens = [end, *held.slice(0, held.count).tolist()]
    nats, right = 0.0, 0
    for start in range(0, held.count, context):
        window = torch.tensor([tokens[start : start + context + 1]])
        with torch.no_grad():
            logits = model(window[:, :-1]).logits[0]
        nats += float(functional.cross_entropy(logits, window[0, 1:], reduction="sum"))
        right += int((logits.argmax(-1) == window[0, 1:]).sum())
    size = held.record.splits.validation.size
    assert record.validation.tokens == held.count
    assert record.validation.size == size
    assert record.metrics.bits_per_byte == pytest.approx(nats / math.log(2) / size, abs=1e-4)
    assert record.metrics.perplexity == pytest.approx(math.exp(nats / held.count), rel=1e-4)
    assert record.metrics.next_token_accuracy == pytest.approx(right / held.count, abs=2 / held.count)


def test_baselines_are_counts_of_the_train_split(built: Project, record: Evaluation) -> None:
    train, held = (TokenSplit.open(built.root / "build/tokens", split) for split in ("train", "validation"))
    seen = Counter(train.slice(0, train.count).tolist())
    vocabulary, size = held.record.vocabulary, held.record.splits.validation.size
    bits = [-math.log2((seen[token] + 1) / (train.count + vocabulary)) for token in held.slice(0, held.count).tolist()]
    assert record.baselines.unigram.bits_per_byte == pytest.approx(sum(bits) / size, abs=1e-6)
    assert record.baselines.uniform.bits_per_byte == pytest.approx(held.count * math.log2(vocabulary) / size, abs=1e-6)


def test_the_sample_is_what_transformers_generates(built: Project, record: Evaluation) -> None:
    folder = built.root / "build/model"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    prompt = tokenizer(record.sample.prompt, return_tensors="pt")
    made = model.generate(**prompt, max_new_tokens=4, do_sample=False, eos_token_id=None, pad_token_id=0)
    text = tokenizer.decode(made[0][prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert record.sample.text == text
    assert (built.root / FOLDER / "sample.txt").read_text(encoding="utf-8") == record.sample.prompt + text


def test_the_picture_is_one(built: Project) -> None:
    folder = built.root / FOLDER
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    svg = (folder / "loss.svg").read_text(encoding="utf-8")
    assert "<svg" in svg and "date" not in svg
    rows = (folder / "loss.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "step,loss,validation"
    assert len(rows) == 11


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_metrics_that_are_none_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(data + b"\n")
    with pytest.raises(InputError):
        curve.read(path)


def test_points_are_read_back(tmp_path: Path) -> None:
    lines = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.25, "validationLoss": 2}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert curve.read(path) == [curve.Point(1, 2.5, None), curve.Point(2, 2.25, 2.0)]
