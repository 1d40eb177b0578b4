"""Trainings that a benchmark starts and stops: `python -m tests.bench._trainers KIND SIZE`, RANK and WORLD_SIZE set.

Says `ready` and what it computes with; then for each line `n` of its standard input does n steps, and says the
seconds that its processor worked. Kinds:

    portable, native      pipelines.worker under that profile, as `python -m pipelines.train` runs it
    plain                 a loop as nanoGPT has it, over the same model written in torch; THREADS threads
    plain-ddp             the same, DistributedDataParallel over gloo
    plain-tree            the same, its gradients summed by pipelines.reduce
    native-fsdp           native, with train.sharding: fsdp; portable-fsdp likewise
    plain-fsdp            the plain loop, FSDP2 over gloo as torch has it, a micro-batch at a time
    plain-fsdp-tree       the same, its gradients summed by pipelines.sharded and pipelines.reduce

For a line `memory` it says the most bytes that it ever held. A training of pipelines.worker also takes these, and says
the seconds that its processor worked:

    keep        a checkpoint, waited for
    begin       a step, and a checkpoint of which only the beginning is waited for
    wait        until that checkpoint is whole
    save        torch.save of what this process has of the same state, flushed
    clean       what those wrote is removed
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import determinism

if TYPE_CHECKING:
    import numpy as np
    import torch

    from pipelines.worker import Training

TOKENS = 2_000_000
RATE, DECAY, BETAS, CLIP, WARMUP, STEPS = 1e-3, 0.1, (0.9, 0.95), 1.0, 10, 1000


@dataclass(frozen=True)
class Size:
    """A Llama and a batch: `micro_batches` of `rows` rows of `context` tokens."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    context: int = 256
    vocabulary: int = 4096
    micro_batches: int = 4
    rows: int = 2

    @property
    def tokens(self) -> int:
        """Tokens in a step."""
        return self.micro_batches * self.rows * self.context


SIZES = {
    "demo": Size(hidden=128, ffn=344, layers=4, heads=4, kv_heads=2),
    "larger": Size(hidden=384, ffn=1024, layers=6, heads=6, kv_heads=6),
}
"""The demo's own model, and one of 12 million parameters."""


def main() -> None:
    """Be one process of a training."""
    kind, size = sys.argv[1], SIZES[sys.argv[2]]
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with ExitStack() as stack:
        more: dict[str, Callable[[], object]] = {}
        if kind.removesuffix("-fsdp") in determinism.PROFILES:
            training, words = ours(kind, size, rank, world, stack)
            step: Callable[[int], Any] = training.step
            more = keeping(training, stack)
        else:
            step, words = plain(kind, size, rank, world)
        number = 0
        print(f"ready {words}", flush=True)
        for line in map(str.strip, sys.stdin):
            if line == "memory":
                print(peak(), flush=True)
                continue
            started = time.process_time()
            for _ in range(int(line) if line.isdecimal() else line == "begin"):
                step(number)
                number += 1
            if line in more:
                more[line]()
            print(time.process_time() - started, flush=True)


def keeping(training: Training, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """What a training does about its checkpoints, by what it is told."""
    import torch

    from pipelines import worker
    from pipelines.checkpoints import RunFolder
    from pipelines.keeping import CheckpointKeeper
    from registry.records.checkpoint_chain import Chain, ProfileName

    root, rank = Path(f"{os.environ['MEETING']}-train"), training.place.rank
    folder, own = RunFolder(root), root / f"state-{rank}.pt"
    chain = Chain(tokens="a" * 64, recipe="b" * 64, profile=ProfileName(name="any", digest="c" * 64), entries=())
    if rank == 0:
        folder.resume(chain)
    keeper = stack.enter_context(CheckpointKeeper(folder, chain, first=rank == 0, idle=training.idle))

    def begin() -> None:
        worker.keep(training, keeper, 0, None)

    def keep() -> None:
        begin()
        keeper.wait()

    def save() -> None:
        shares = type(training) is not worker.Training
        if rank == 0 or shares:
            with own.open("wb") as file:
                torch.save({"model": training.own, "optimizer": training.optimizer.state()}, file)
                file.flush()
                os.fsync(file.fileno())

    def clean() -> None:
        keeper.wait()
        own.unlink(missing_ok=True)
        if rank == 0:
            shutil.rmtree(folder.checkpoint(0), ignore_errors=True)

    return {"keep": keep, "begin": begin, "wait": keeper.wait, "save": save, "clean": clean}


def peak() -> int:
    """The most bytes of memory that this process ever held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) << 10


def tokens(size: Size) -> np.ndarray[Any, Any]:
    """Numbers to train on: speed does not ask what they mean."""
    import numpy as np

    return np.random.default_rng(1).integers(0, size.vocabulary, TOKENS).astype(np.uint16)


def ours(kind: str, size: Size, rank: int, world: int, stack: ExitStack) -> tuple[Training, str]:
    """A training of pipelines.worker, whose arithmetic holds until `stack` ends."""
    name = kind.removesuffix("-fsdp")
    profile = determinism.named(name)
    determinism.apply(profile)
    found = determinism.check(profile)
    import numpy as np

    from pipelines import model, worker
    from pipelines.group import WorkerRank
    from pipelines.params import Params
    from pipelines.tokens import TokenSplit
    from registry import canonical
    from tests.pipelines import small_project

    config = {
        "hidden_size": size.hidden, "intermediate_size": size.ffn, "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads, "num_key_value_heads": size.kv_heads, "tie_word_embeddings": True,
    }  # fmt: skip
    train = {
        **small_project.TRAIN, "profile": name, "steps": STEPS, "micro_batches": size.micro_batches,
        "micro_batch_rows": size.rows, "learning_rate": RATE, "final_learning_rate": RATE / 10, "warmup_steps": WARMUP,
        "weight_decay": DECAY, "beta1": BETAS[0], "beta2": BETAS[1], "clip_norm": CLIP,
        "sharding": "none" if kind == name else "fsdp",
    }  # fmt: skip
    chosen = small_project.params(
        model={"architecture": "llama", "context": size.context, "config": config}, train=train
    )
    params = Params.model_validate_json(canonical.dumps(chosen))
    group(world, rank)
    none = np.empty(0, np.int64)
    split = TokenSplit(None, TOKENS, (tokens(size),), np.zeros(1, np.int64), none, none)  # type: ignore[arg-type]
    made = model.blank(model.configuration(params.model, vocabulary=size.vocabulary, end_of_text=0), profile)
    training = worker.training_of(
        params, profile, WorkerRank(rank, world, idle=max(0, (os.cpu_count() or 1) - world)), made, split, split
    )
    model.initialise(made, 1)
    stack.enter_context(model.arithmetic(profile))
    count = sum(parameter.numel() for parameter in made.parameters())
    return training, f"{count:,} parameters; ATen {found.capability}, numpy's OpenBLAS {found.blas_core}"


def group(world: int, rank: int) -> None:
    """Join the other processes, where there are any."""
    if world > 1:
        import torch.distributed as dist

        dist.init_process_group("gloo", init_method=f"file://{os.environ['MEETING']}", rank=rank, world_size=world)


def plain(kind: str, size: Size, rank: int, world: int) -> tuple[Callable[[int], Any], str]:
    """A step as nanoGPT's train.py takes it: forward, backward, clip, step; the whole batch, or a process's share."""
    import numpy as np
    import torch
    from torch import nn

    from pipelines import reduce

    threads = int(os.environ["THREADS"])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    group(world, rank)
    model: nn.Module = _llama(size)
    shared = kind.startswith("plain-fsdp")
    if shared:
        _share(model, world, tree=kind == "plain-fsdp-tree")
    parameters = list(model.parameters())
    run = nn.parallel.DistributedDataParallel(model) if kind == "plain-ddp" else model
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS, fused=True)
    data, choice = tokens(size), np.random.default_rng(rank)
    rows = size.micro_batches * size.rows // world
    if kind == "plain-tree":  # like DistributedDataParallel, it keeps the memory that gradients are sent from
        flat = torch.zeros(sum(p.numel() for p in parameters))
        for p, gradient in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
            p.grad = gradient.view_as(p)

    def backward(rows: int, parts: int) -> Any:
        starts = choice.integers(0, TOKENS - size.context - 1, rows)
        x = torch.stack([torch.from_numpy(data[i : i + size.context].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + size.context].astype(np.int64)) for i in starts])
        loss = run(x, y) / parts
        loss.backward()
        return loss

    def step(number: int) -> float:
        share = min(1.0, (number - WARMUP) / (STEPS - WARMUP))
        rate = RATE * (number + 1) / WARMUP if number < WARMUP else RATE * (0.55 + 0.45 * math.cos(math.pi * share))
        for part in optimizer.param_groups:
            part["lr"] = rate
        if kind == "plain-fsdp-tree":
            trees = [reduce.TreeSum() for _ in parameters]
            for _ in range(rows // size.rows):
                loss = backward(size.rows, rows // size.rows * world)
                for p, each in zip(parameters, trees, strict=True):
                    each.add(p.grad)  # type: ignore[arg-type]
                    p.grad = None
            for p, each in zip(parameters, trees, strict=True):
                p.grad = each.total()
        elif shared:
            for _ in range(rows // size.rows):
                loss = backward(size.rows, rows // size.rows)
        else:
            loss = backward(rows, 1)
        if kind == "plain-tree":
            reduce.across(flat, rank, world).div_(world)
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=kind != "plain-tree")
        return float(loss.detach())

    count = sum(parameter.numel() for parameter in parameters)
    return step, f"{count:,} parameters; ATen {torch.backends.cpu.get_cpu_capability()}, {_blas()}"


def _share(model: Any, world: int, *, tree: bool) -> None:
    """Share the parameters block by block: as torch does, or with the tree."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from pipelines.sharded import Halving

    mesh = init_device_mesh("cpu", (world,))
    for module in [*model.blocks, model]:
        made: Any = fully_shard(module, mesh=mesh)
        if tree:
            made.set_custom_reduce_scatter(Halving())
            made.set_gradient_divide_factor(1.0)


def _blas() -> str:
    """Which library multiplies for torch, and by which code path if it says."""
    import torch

    name = "MKL" if torch.backends.mkl.is_available() else "another BLAS"  # type: ignore[no-untyped-call]
    if name == "MKL":
        with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON):  # type: ignore[no-untyped-call]
            torch.ones(8, 8) @ torch.ones(8, 8)  # it prints its code path, on standard output
    return name


def _llama(size: Size) -> torch.nn.Module:
    """Llama as nanoGPT would write it: one product for queries, keys and values, sdpa, F.rms_norm, F.cross_entropy."""
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812

    width = size.hidden // size.heads
    angles = torch.outer(torch.arange(size.context), 10000.0 ** (-torch.arange(0, width, 2) / width))
    cos, sin = angles.cos(), angles.sin()

    def rotated(x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(size.hidden, (size.heads + 2 * size.kv_heads) * width, bias=False)
            self.out = nn.Linear(size.hidden, size.hidden, bias=False)
            self.gate = nn.Linear(size.hidden, size.ffn, bias=False)
            self.up = nn.Linear(size.hidden, size.ffn, bias=False)
            self.down = nn.Linear(size.ffn, size.hidden, bias=False)
            self.norm1, self.norm2 = nn.RMSNorm(size.hidden, eps=1e-6), nn.RMSNorm(size.hidden, eps=1e-6)

        def forward(self, x: torch.Tensor) -> Any:
            rows, length, _ = x.shape
            parts = self.qkv(self.norm1(x)).split([size.hidden, size.kv_heads * width, size.kv_heads * width], dim=-1)
            q, k, v = (part.view(rows, length, -1, width).transpose(1, 2) for part in parts)
            gqa = size.heads != size.kv_heads
            y = F.scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True, enable_gqa=gqa)
            x = x + self.out(y.transpose(1, 2).reshape(rows, length, size.hidden))
            h = self.norm2(x)
            return x + self.down(F.silu(self.gate(h)) * self.up(h))

    class Llama(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(size.vocabulary, size.hidden)
            self.blocks = nn.ModuleList(Block() for _ in range(size.layers))
            self.norm = nn.RMSNorm(size.hidden, eps=1e-6)
            for parameter in self.parameters():
                if parameter.ndim > 1:
                    nn.init.normal_(parameter, std=0.02)

        def forward(self, x: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            h = self.embedding(x)
            for block in self.blocks:
                h = block(h)
            logits = F.linear(self.norm(h), self.embedding.weight)
            return F.cross_entropy(logits.view(-1, size.vocabulary), targets.view(-1))

    return Llama()


if __name__ == "__main__":
    main()
