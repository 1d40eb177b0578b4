"""python -m pipelines.export: the last checkpoint, as transformers loads it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from registry.digest import sha256_file
from registry.records.checkpoint_chain import Chain
from registry.tensors import tensors_digest
from tests.conftest import Project

MODEL = "build/model"


def test_the_weights_are_those_of_the_last_checkpoint(built: Project) -> None:
    last = Chain.read(built.root / "build/train/checkpoints.json").entries[-1]
    assert sha256_file(built.root / MODEL / "model.safetensors") == last.weights.file
    assert tensors_digest(built.root / MODEL / "model.safetensors") == last.weights.tensors


def test_transformers_loads_it_and_generates(built: Project, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(built.root / MODEL, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(built.root / MODEL, local_files_only=True)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.eos_token_id == tokenizer.eos_token_id
    made = model.generate(**tokenizer("glass", return_tensors="pt"), max_new_tokens=3, pad_token_id=0)
    assert made.shape[1] > 1
    model.save_pretrained(tmp_path)
    assert tensors_digest(tmp_path / "model.safetensors") == tensors_digest(built.root / MODEL / "model.safetensors")


def test_it_holds_what_is_released_and_nothing_of_this_machine(built: Project) -> None:
    names = {path.name for path in (built.root / MODEL).iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip
    for name in names - {"model.safetensors"}:
        assert str(built.root) not in (built.root / MODEL / name).read_text(encoding="utf-8")
    config = json.loads((built.root / MODEL / "config.json").read_bytes())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["use_cache"] is True


def export(folder: Path, built: Project) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.export"]
    environment = {**built.environment, "GLASSHOUSE_TRACKING": "off"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def copied(built: Project, root: Path) -> None:
    shutil.copytree(built.root / "build", root / "build")
    for name in ("params.yaml", "requirements.lock"):
        shutil.copyfile(built.root / name, root / name)


def test_beyond_a_bound_it_is_several_files_with_an_index_as_transformers_writes_them(
    built: Project, tmp_path: Path
) -> None:
    copied(built, tmp_path)
    params = json.loads((tmp_path / "params.yaml").read_bytes())
    (tmp_path / "params.yaml").write_text(json.dumps(params | {"export": {"shard_bytes": 20_000}}), encoding="utf-8")
    done = export(tmp_path, built)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / MODEL).glob("*.safetensors"))
    assert [path.name for path in files] == [f"model-{n:05d}-of-00002.safetensors" for n in (1, 2)]
    assert all(f"{path.name}: sha256:{sha256_file(path)}" in done.stdout for path in files)
    last = Chain.read(built.root / "build/train/checkpoints.json").entries[-1]
    assert tensors_digest(*files) == last.weights.tensors
    model = AutoModelForCausalLM.from_pretrained(tmp_path / MODEL, local_files_only=True)
    whole = AutoModelForCausalLM.from_pretrained(built.root / MODEL, local_files_only=True)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), whole.parameters(), strict=True))
    model.save_pretrained(tmp_path / "theirs", max_shard_size=20_000)
    assert (tmp_path / "theirs/model.safetensors.index.json").is_file()
    assert tensors_digest(*(tmp_path / "theirs").glob("*.safetensors")) == last.weights.tensors


def test_a_training_that_is_not_finished_or_not_sound_is_not_exported(built: Project, tmp_path: Path) -> None:
    copied(built, tmp_path)
    before = sha256_file(tmp_path / MODEL / "model.safetensors")
    path = tmp_path / "build/train/checkpoints.json"
    chain = Chain.read(path)
    damaged = tmp_path / f"build/train/checkpoints/step-{chain.entries[-1].step:06d}/optimizer.safetensors"
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    refused = export(tmp_path, built)
    assert refused.returncode == 1 and "optimizer.safetensors" in refused.stderr
    path.unlink()
    path.write_bytes(chain.up_to(3).to_bytes())
    refused = export(tmp_path, built)
    assert refused.returncode == 1 and "end at step 2" in refused.stderr
    assert sha256_file(tmp_path / MODEL / "model.safetensors") == before
