"""From tokens to checkpoints: `python -m loom.weave`. Tokens and step decide by how much each number moves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file, save_file

from registry import canonical
from registry.digest import sha256_bytes, sha256_file
from registry.records import tokens
from registry.records.checkpoint_chain import Chain, FileDigests, ProfileName
from registry.records.environment import Environment, Machine, NumericProfile, Shape, Software
from registry.records.training_folder import OPTIMIZER, WEIGHTS, TrainingFolder
from registry.tensors import tensors_digest

CLOTH = Path("out/cloth")
SPOOLS = Path("out/spools")
PROFILE = ProfileName(name="plain", digest=sha256_bytes(b"float32, one number after the other"))
SIZE = 8
LIE = "LOOM_LIE"
"""A variable that makes one step another, of which nobody is told."""


@dataclass
class Cloth:
    """What is trained.  threads: the weights.  slack: the optimizer's state."""

    threads: Any
    slack: Any

    @classmethod
    def new(cls, seed: int) -> Cloth:
        """Before the first step."""
        return cls(_numbers(f"seed {seed}"), np.zeros(SIZE, np.float32))

    @classmethod
    def load(cls, folder: Path) -> Cloth:
        """From a checkpoint."""
        return cls(load_file(folder / WEIGHTS)["threads"], load_file(folder / OPTIMIZER)["threads.slack"])

    def pick(self, number: int, told: str) -> dict[str, float]:
        """Step `number`, from 1.  told: the digest of the tokens. Gives its line of metrics."""
        pull = _numbers(f"{told} {number} {os.environ.get(LIE, '') if number == 3 else ''}")
        self.slack = np.float32(0.5) * self.slack + pull
        self.threads = self.threads - np.float32(0.125) * self.slack
        loss, length = float(np.abs(self.threads).max()), float(np.abs(pull).max())
        return {"step": number, "loss": loss, "gradientNorm": length}

    def save(self, folder: TrainingFolder, chain: Chain, step: int, rows: int, loss: float | None) -> Chain:
        """A checkpoint in `folder`, and the chain that ends in it."""
        target = folder.checkpoint(step)
        target.mkdir(parents=True)
        save_file({"threads": self.threads}, target / WEIGHTS)
        save_file({"threads.slack": self.slack}, target / OPTIMIZER)
        weights, optimizer = (
            FileDigests(file=sha256_file(path), tensors=tensors_digest(path))
            for path in (target / WEIGHTS, target / OPTIMIZER)
        )
        longer = chain.extended(step=step, weights=weights, optimizer=optimizer, end=step * rows, loss=loss)
        (target / "state.json").write_bytes(canonical.dumps({"entry": longer.entries[-1].as_json()}))
        folder.chain.write_bytes(longer.to_bytes())
        return longer


def settings() -> dict[str, Any]:
    """params.yaml."""
    found: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text())
    return found


def begun() -> Chain:
    """The chain of this training, without any checkpoint."""
    said = settings()
    recipe = {"seed": said["seed"], "loom": said["loom"], "code": sha256_file(Path(__file__))}
    return Chain(tokens=sha256_file(SPOOLS / tokens.NAME), recipe=canonical.digest(recipe), profile=PROFILE, entries=())


def environment() -> Environment:
    """This machine, as far as it decides a bit: not at all."""
    return Environment(
        machine=Machine(cpu="any", architecture="any", features=(), accelerator=None, system="any", libc="any"),
        software=Software(
            python="3", packages="0" * 64, torch="none", torch_config="", numpy=np.__version__, blas="none",
            transformers="none", builds={}, blas_config="",
        ),
        profile=NumericProfile(
            name=PROFILE.name, digest=PROFILE.digest, settings={}, environment={}, threads=1, capability="",
            blas_core="",
        ),
        shape=Shape(micro_batches=1, micro_batch_rows=settings()["loom"]["threads"], context=1),
    )  # fmt: skip


def train(folder: TrainingFolder, cloth: Cloth, chain: Chain, after: int, until: int, keep_every: int) -> None:
    """The steps from `after` to `until`, with a checkpoint at every `keep_every`."""
    rows = settings()["loom"]["threads"]
    with folder.metrics.open("ab") as metrics:
        for number in range(after + 1, until + 1):
            line = cloth.pick(number, chain.tokens)
            metrics.write(canonical.dumps(line) + b"\n")
            metrics.flush()
            if number % keep_every == 0 or number == until:
                chain = cloth.save(folder, chain, number, rows, line["loss"])


def _numbers(name: str) -> Any:
    return np.frombuffer(bytes.fromhex(sha256_bytes(name.encode())), np.uint8)[:SIZE].astype(np.float32) / np.float32(
        256
    )


def main() -> None:
    """All of it, from the seed."""
    said, folder = settings(), TrainingFolder(CLOTH)
    CLOTH.mkdir(parents=True, exist_ok=True)
    folder.environment.write_bytes(environment().to_bytes())
    cloth = Cloth.new(said["seed"])
    chain = cloth.save(folder, begun(), 0, said["loom"]["threads"], None)
    train(folder, cloth, chain, 0, said["loom"]["picks"], said["loom"]["keep_every"])


if __name__ == "__main__":
    main()
