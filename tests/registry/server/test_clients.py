"""The server with the clients people have: unmodified, in processes of their own, told only where it is."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from registry.hub.client import HubClient
from registry.manifest import Manifest
from tests.bench import hub_clients
from tests.hub_instance import HubInstance


def run(hub: HubInstance, home: Path, *command: str) -> str:
    """What the command prints; git-lfs fetches nothing before it is told."""
    return hub_clients.told(hub, home, *command, more={"GIT_LFS_SKIP_SMUDGE": "1"})


@pytest.fixture(scope="module")
def hub(xet_hub: HubInstance) -> HubInstance:
    """As people start it: with Xet, or the library would need another variable."""
    return xet_hub


@pytest.fixture
def released(client: HubClient, repo: str, folder: Path) -> str:
    commit = client.trees.publish(repo, folder, "Release", client.refs.head(repo))
    client.refs.tag(repo, "v1.0.0", commit, "Release v1.0.0")
    return commit


def test_the_hf_command_and_its_library(hub: HubInstance, tmp_path: Path) -> None:
    """The pinned version; `python -m tests.bench hub_clients` does the same with older ones."""
    hub_clients.exercise(hub, Path(sys.executable), tmp_path, "glasshouse/by-hf", {})


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
def test_git_lfs_fetches_large_files(hub: HubInstance, repo: str, released: str, folder: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(hub, tmp_path, "git", "clone", "--quiet", f"{hub.url}/{repo}", str(clone))
    assert (clone / "model.safetensors").stat().st_size < 200
    run(hub, tmp_path, "git", "-C", str(clone), "lfs", "install", "--local")
    run(hub, tmp_path, "git", "-C", str(clone), "lfs", "pull")
    assert (clone / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_git_clone_and_fsck(hub: HubInstance, repo: str, released: str, folder: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(hub, tmp_path, "git", "clone", "--quiet", "--branch", "v1.0.0", f"{hub.url}/{repo}", str(clone))
    assert run(hub, tmp_path, "git", "-C", str(clone), "rev-parse", "HEAD").strip() == released
    assert (clone / "README.md").read_bytes() == (folder / "README.md").read_bytes()
    sha256 = Manifest.of_directory(folder).by_path()["model.safetensors"].sha256
    assert f"oid sha256:{sha256}\nsize 2560000\n" in (clone / "model.safetensors").read_text()
    run(hub, tmp_path, "git", "-C", str(clone), "fsck", "--strict")
    run(hub, tmp_path, "git", "--git-dir", str(hub.root / "repos" / "models" / f"{repo}.git"), "fsck", "--strict")


def test_git_push_is_declined(hub: HubInstance, repo: str, released: str, tmp_path: Path) -> None:
    clone = str(tmp_path / "clone")
    run(hub, tmp_path, "git", "clone", "--quiet", f"{hub.url}/{repo}", clone)
    with pytest.raises(AssertionError, match="403"):
        run(hub, tmp_path, "git", "-C", clone, "push", "origin", "HEAD:refs/heads/other")


TRANSFORMERS = """
import sys
from transformers import AutoConfig, AutoModelForCausalLM
config = AutoConfig.from_pretrained(sys.argv[1], revision="v1.0.0")
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], revision="v1.0.0")
print(config.model_type, sum(p.numel() for p in model.parameters()))
"""


@pytest.mark.slow
def test_transformers_loads_a_tag(hub: HubInstance, client: HubClient, repo: str, tmp_path: Path) -> None:
    """That it does so from a server without Xet shows in tests/e2e/test_release.py."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "model")
    commit = client.trees.publish(repo, tmp_path / "model", "Release", client.refs.head(repo))
    client.refs.tag(repo, "v1.0.0", commit, "Release v1.0.0")
    said = run(hub, tmp_path, sys.executable, "-c", TRANSFORMERS, repo).split()
    assert said[-2:] == ["llama", str(sum(p.numel() for p in model.parameters()))]
    snapshots = tmp_path / ".cache" / "huggingface" / "hub" / f"models--{repo.replace('/', '--')}" / "snapshots"
    assert [snapshot.name for snapshot in snapshots.iterdir()] == [commit]


DATASETS = """
import json, os, sys
from datasets import load_dataset
rows = load_dataset(sys.argv[1], revision=sys.argv[2], split="train")
stream = load_dataset(sys.argv[1], revision=sys.argv[2], split="train", streaming=True)
print(json.dumps([rows["text"][:], [row["text"] for row in stream]]), flush=True)
os._exit(0)
"""
"""It leaves at once, because pyarrow's threads may abort the interpreter as it winds down (apache/arrow 45214)."""


def test_datasets_loads_and_streams_a_commit(hub: HubInstance, client: HubClient, repo: str, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    texts = [f"document {number}" for number in range(10)]
    (tmp_path / "data").mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "data" / "train.parquet")
    name = f"datasets/{repo}"
    client.repos.ensure(name)
    commit = client.trees.publish(name, tmp_path / "data", "Data", client.refs.head(name))
    said = run(hub, tmp_path, sys.executable, "-c", DATASETS, repo, commit)
    assert json.loads(said.splitlines()[-1]) == [texts, texts]
