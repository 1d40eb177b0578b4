"""One process of a training: its share of every step, and, as process 0, the keeping of checkpoints and metrics.

    rows of a step   micro_batches leaves of micro_batch_rows rows; positions go on from step to step
    gradient         sum over all tokens, by the tree of pipelines.reduce, divided by their number
    update           clipped to clip_norm, then AdamW; matrices are decayed, vectors are not

Every process holds the same weights and makes the same update, so the number of processes changes no bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from pipelines import fine_tuning, reduce, schedule
from pipelines import model as models
from pipelines.checkpoints import RunFolder
from pipelines.determinism import Profile
from pipelines.layout import layout_of
from pipelines.params import Params, Train
from pipelines.tokens import TokenSplit
from registry.errors import InputError, VerificationError
from registry.records import order
from registry.records.checkpoint_chain import Chain
from registry.records.training_folder import OPTIMIZER, WEIGHTS

Advance = Callable[[int, float], None]
"""Called with the number of steps done, and the loss of the last."""


@dataclass(frozen=True, slots=True)
class WorkerRank:
    """Which of how many processes this is."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A split as windows of context + 1 tokens, each beginning with the last token of the one before."""

    split: TokenSplit
    context: int
    device: str

    @property
    def count(self) -> int:
        """How many there are. Raises InputError where there is not one."""
        if (rows := order.rows_of(self.split.count, self.context)) < 1:
            raise InputError(
                f"{self.split.count} tokens do not fill one row of {self.context}",
                mend="give the corpus more text, or lower model.context in params.yaml",
            )
        return rows

    def batch(self, numbers: list[int]) -> torch.Tensor:
        """Those rows, (rows, context + 1), int64."""
        places = [order.window(number, self.context) for number in numbers]
        windows = [self.split.slice(place.start, len(place)) for place in places]
        return torch.from_numpy(np.stack(windows)).to(self.device)


class Training:
    """The state of one training in one process: model, optimizer, and where in the chain it stands."""

    def __init__(
        self,
        params: Params,
        profile: Profile,
        place: WorkerRank,
        model: PreTrainedModel,
        train: TokenSplit,
        held: TokenSplit,
    ) -> None:
        self.params, self.settings, self.place, self.model = params, params.train, place, model
        self.rows = Rows(train, params.model.context, profile.device)
        self.held = Rows(held, params.model.context, profile.device)
        self.parameters = models.parameters(model)
        self.layout = layout_of(model)
        self.optimizer = optimizer_of(self.parameters, params.train)

    def load(self, folder: RunFolder, chain: Chain) -> int:
        """Take up the last checkpoint of the chain, or the first weights where none is. Returns the steps done."""
        if not chain.entries:
            fine_tuning.begin(self.model, self.params)
            return 0
        entry = chain.entries[-1]
        folder.verify(entry)
        path = folder.checkpoint(entry.step)
        models.load(self.model, path / WEIGHTS)
        found = self.layout.restored_state(models.read_tensors(path / OPTIMIZER), path / OPTIMIZER)
        kept = {f"{name}.{key}": tensor for name, state in self._state().items() for key, tensor in state.items()}
        models.assign(kept, found, path / OPTIMIZER)
        return entry.step

    def optimizer_tensors(self) -> dict[str, torch.Tensor]:
        """The optimizer's state as it lies in a file: both moments, and the number of steps, by name."""
        return self.layout.stored_state(self._state())

    def weights(self) -> dict[str, torch.Tensor]:
        """The parameters as they lie in a file, by name."""
        return self.layout.stored({name: parameter.detach() for name, parameter in self.parameters.items()})

    def _state(self) -> dict[str, dict[str, torch.Tensor]]:
        return {name: self.optimizer.state[parameter] for name, parameter in self.parameters.items()}

    def step(self, number: int) -> Mapping[str, float]:
        """Do step `number` (0, 1, ...) and return its figures."""
        settings = self.settings
        tree = reduce.TreeSum()
        for leaf in reduce.leaves_of(self.place.rank, self.place.world, settings.micro_batches):
            first = number * settings.rows + leaf * settings.micro_batch_rows
            tree.add(self._gradient(range(first, first + settings.micro_batch_rows)))
        total = reduce.across(tree.total(), self.place.rank, self.place.world)
        tokens = settings.rows * self.params.model.context
        loss = float(total[-1]) / tokens
        gradient = total[:-1].div_(tokens)
        wide = gradient.double()
        norm = math.sqrt(float(wide.view(1, -1) @ wide.view(-1, 1)))  # a product: its order does not depend on threads
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise VerificationError(
                f"training diverged at step {number + 1}: loss {loss}, gradient {norm}",
                mend="lower train.learning_rate in params.yaml, or lengthen train.warmup_steps",
            )
        if norm > settings.clip_norm:
            gradient.mul_(settings.clip_norm / norm)
        rate = schedule.learning_rate(settings, number)
        self._update(gradient, rate)
        done = number + 1
        return {"step": done, "tokens": done * tokens, "loss": loss, "gradientNorm": norm, "learningRate": rate}

    def validation_loss(self) -> float:
        """Mean loss in nats a token over rows spread evenly over the validation split."""
        leaves, size, count = self.settings.validation_micro_batches, self.settings.micro_batch_rows, self.held.count
        tree = reduce.TreeSum()
        with torch.no_grad():
            for leaf in reduce.leaves_of(self.place.rank, self.place.world, leaves):
                numbers = [index * count // (leaves * size) for index in range(leaf * size, (leaf + 1) * size)]
                tree.add(models.loss_sum(self.model, self.held.batch(numbers)).view(1))
        total = reduce.across(tree.total(), self.place.rank, self.place.world)
        return float(total[0]) / (leaves * size * self.params.model.context)

    def _gradient(self, positions: range) -> torch.Tensor:
        """Summed gradients of all parameters, flat, and at the end the summed loss, of the rows at those positions."""
        numbers = [order.row(self.params.seed, position, self.rows.count) for position in positions]
        loss = models.loss_sum(self.model, self.rows.batch(numbers))
        for parameter in self.parameters.values():
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        flat = [
            torch.zeros_like(parameter).flatten() if parameter.grad is None else parameter.grad.flatten()
            for parameter in self.parameters.values()
        ]
        return torch.cat([*flat, loss.detach().view(1)])

    def _update(self, gradient: torch.Tensor, rate: float) -> None:
        start = 0
        for parameter in self.parameters.values():
            parameter.grad = gradient[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()


def optimizer_of(parameters: Mapping[str, torch.nn.Parameter], settings: Train) -> torch.optim.AdamW:
    """AdamW in its fused form (the one that gave the same bits on every CPU), with state that starts at zero."""
    matrices = [parameter for parameter in parameters.values() if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters.values() if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        fused=True,
    )
    for parameter in parameters.values():
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def run(training: Training, folder: RunFolder, chain: Chain, done: int, advance: Advance) -> Chain:
    """Train from where `chain` ends, `done` steps after the first, to the last step; the whole chain, in process 0.

    `training` has loaded what stands there.
    """
    settings, first = training.settings, training.place.rank == 0
    advance(done, math.nan)
    if first and not chain.entries:
        chain = _keep(training, folder, chain, 0, None)
    for figures in _steps(training, done):
        if not first:
            continue
        folder.append_metrics(figures)
        done = int(figures["step"])
        if schedule.is_checkpoint(settings, done):
            chain = _keep(training, folder, chain, done, figures["loss"])
        advance(done, figures["loss"])
    return chain


def _steps(training: Training, done: int) -> Iterator[dict[str, float]]:
    for number in range(done, training.settings.steps):
        figures = dict(training.step(number))
        if schedule.is_validation(training.settings, number + 1):
            figures["validationLoss"] = training.validation_loss()
        yield figures


def _keep(training: Training, folder: RunFolder, chain: Chain, done: int, loss: float | None) -> Chain:
    tensors = {WEIGHTS: training.weights(), OPTIMIZER: training.optimizer_tensors()}
    return folder.save(chain, tensors, step=done, end=done * training.settings.rows, loss=loss)


def agree(folder: RunFolder, recipe: Chain, place: WorkerRank) -> Chain:
    """Process 0 clears the folder up to its last whole checkpoint; then all processes read the same chain."""
    chain = folder.resume(recipe) if place.rank == 0 else recipe
    if place.world > 1:
        dist.barrier()
        chain = Chain.read(folder.chain)
        dist.barrier()  # before process 0 writes the chain again
    return chain
