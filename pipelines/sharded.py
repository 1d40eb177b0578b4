"""A training whose parameters, gradients and optimizer state are shared among its processes: FSDP2, with our own sums.

    at rest      each process holds some rows of every parameter, of its moments and of its gradient
    at work      the parameters of one layer are put together, used, and given up
    gradients    of one layer, of one micro-batch a process: `Halving` adds them by the tree of pipelines.reduce, and
                 leaves each process its rows

In round j, process r of W takes micro-batch j W + r. So what the processes add is a whole subtree, and the rounds go on
with the same tree, each process for its own rows.

Law: the same bits as one process. No process ever holds the gradients of more than one layer, but for its own rows.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Shard
from transformers import PreTrainedModel

from pipelines import group, norm, reduce, rows, shard_files
from pipelines.checkpoints import Write
from pipelines.cores import Cores
from pipelines.determinism import Profile
from pipelines.group import WorkerRank
from pipelines.layout import layout_of
from pipelines.params import Params
from pipelines.shard_files import SharedFiles
from pipelines.tensor_files import Tensors
from pipelines.tokens import TokenSplit
from pipelines.worker import Gradient, Training
from registry.errors import InputError
from registry.records.training_folder import OPTIMIZER, WEIGHTS


class Halving:
    """Sums by the tree, of which each process gets a part: what FSDP2 calls a reduce-scatter.

    At level l, process r exchanges with r XOR 2**l: it sends the parts of the processes that differ from it in bit l,
    and adds the parts that it receives to those that are left. After the last level, its own part is left.
    """

    def allocate(self, size: tuple[int, ...], *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Memory to send from, and to receive into."""
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self, output_tensor: torch.Tensor, input_tensor: torch.Tensor, group: Any, op: Any, async_op: bool = False
    ) -> None:
        """Leave this process's part of the sum of all `input_tensor` in `output_tensor`. It is a sum, whatever `op`."""
        rank, world = dist.get_rank(group), dist.get_world_size(group)
        parts = input_tensor.view(world, -1)  # of those processes that agree with this one in the bits so far
        for level in range(world.bit_length() - 1):
            bit = rank >> level & 1
            sent, kept = parts[1 - bit :: 2].contiguous(), parts[bit::2]
            parts = output_tensor.view(1, -1) if len(kept) == 1 else torch.empty_like(kept)
            _exchange(sent, parts, rank ^ (1 << level), group)
            parts.add_(kept)


def _exchange(sent: torch.Tensor, received: torch.Tensor, partner: int, group: Any) -> None:
    exchange = [
        dist.P2POp(dist.isend, sent, group=group, group_peer=partner),
        dist.P2POp(dist.irecv, received, group=group, group_peer=partner),
    ]
    for request in dist.batch_isend_irecv(exchange):
        request.wait()


def shard(model: PreTrainedModel, mesh: DeviceMesh, numbers: torch.dtype | None = None) -> None:
    """Share the parameters of `model` among all processes: layer by layer, and what lies beside the layers.

    numbers: what the model computes with, where they are not those of the parameters. Gradients are summed in float32.
    Raises InputError for a model whose file has other tensors than its parameters.
    """
    if layout_of(model).places is not None:
        raise InputError(
            f"train.sharding: fsdp does not know how a file of this {model.config.model_type} is laid out",
            mend="set train.sharding to none, or choose an architecture whose file has a tensor for each parameter",
        )
    layers = set(model._no_split_modules or ())
    for module in [*(part for part in model.modules() if type(part).__name__ in layers), model]:
        policy = MixedPrecisionPolicy(param_dtype=numbers, reduce_dtype=torch.float32, cast_forward_inputs=False)
        made = fully_shard(module, mesh=mesh, mp_policy=policy)
        assert isinstance(made, FSDPModule)
        made.set_custom_reduce_scatter(Halving())  # type: ignore[arg-type]
        made.set_gradient_divide_factor(1.0)


class ShardedTraining(Training):
    """The state of one training in one process, which holds its own rows of every parameter."""

    def __init__(
        self,
        params: Params,
        profile: Profile,
        place: WorkerRank,
        model: PreTrainedModel,
        train: TokenSplit,
        held: TokenSplit,
    ) -> None:
        self._mesh = init_device_mesh(profile.device, (place.world,))
        self._beside = group.beside(params.train.launch)
        shard(model, self._mesh, torch.bfloat16 if params.train.weights == "bfloat16" else None)
        super().__init__(params, profile, place, model, train, held)
        self.rounds = False  # FSDP2 does: it keeps the masters, and rounds what it puts together
        self._files: SharedFiles | None = None

    @property
    def idle(self) -> int:
        """As `Training.idle`: all processes hash, so they share those cores."""
        return self.place.idle // self.place.world

    def snapshot(self, cores: Cores) -> Write:
        """As `Training.snapshot`: each process copies its rows, and hashes its part."""
        if self._files is None:
            weights = {name: self._of_all(name, tensor) for name, tensor in self.own.items()}
            self._files = SharedFiles({WEIGHTS: weights, OPTIMIZER: self._moments()}, self._beside)
        self._files.take()
        return partial(self._files.save, cores=cores)

    def _read(self, folder: Path) -> None:
        shard_files.fill(dict(self.parameters), folder / WEIGHTS)
        shard_files.fill(self._moments(), folder / OPTIMIZER)

    def _summed(self, number: int) -> tuple[Gradient, float]:
        trees = {name: reduce.TreeSum() for name in self.own}

        def term(leaf: int) -> torch.Tensor:
            loss = self._backward(self._positions(number, leaf))
            for name, parameter in self.parameters.items():
                trees[name].add(
                    torch.zeros_like(self.own[name]) if parameter.grad is None else rows.own(parameter.grad)
                )
                parameter.grad = None
            return loss

        loss = self._loss_sum(self.settings.micro_batches, term)
        return {name: tree.total() for name, tree in trees.items()}, loss

    def _row_sums(self, gradient: Gradient) -> torch.Tensor:
        sums = torch.zeros(sum(len(parameter) for parameter in self.parameters.values()), dtype=torch.float64)
        start = 0
        for name, parameter in self.parameters.items():
            place = rows.held(parameter)
            if place.start < place.stop:
                sums[start + place.start : start + place.stop] = norm.row_sums(gradient[name])
            start += len(parameter)
        sums = sums.to(self.rows.device)
        dist.all_reduce(sums)  # each adds 0 for the rows of others, so no order matters
        return sums

    def _loss_sum(self, leaves: int, term: Any) -> float:
        world = self.place.world
        losses = torch.zeros(leaves, dtype=torch.float64, device=self.rows.device)
        for leaf in range(self.place.rank, leaves, world):
            losses[leaf] = term(leaf)
        dist.all_reduce(losses)  # as above
        tree = reduce.TreeSum()
        for loss in losses.float():
            tree.add(loss.clone())
        return float(tree.total())

    def _moments(self) -> Tensors:
        """The optimizer's state, by its names in a file."""
        return {
            name: self._of_all(name.rpartition(".")[0], tensor) if tensor.ndim else tensor
            for name, tensor in self.layout.stored_state(self.optimizer.state()).items()
        }

    def _of_all(self, name: str, tensor: torch.Tensor) -> DTensor:
        """The tensor of which `tensor` are the rows that are here, as those of the parameter `name`."""
        parameter = self.parameters[name]
        return DTensor.from_local(
            tensor, self._mesh, [Shard(0)], run_check=False, shape=parameter.shape, stride=parameter.stride()
        )
