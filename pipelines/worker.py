"""One process of a training: its share of every step, and, as process 0, the keeping of checkpoints and metrics.

    rows of a step   micro_batches leaves of micro_batch_rows rows; positions go on from step to step
    gradient         sum over all tokens, by the tree of pipelines.reduce, divided by their number
    update           clipped to clip_norm, then AdamW; matrices are decayed, vectors are not

Every process holds the same weights and makes the same update, so the number of processes changes no bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from pipelines import fine_tuning, norm, reduce, rows, schedule, tensor_files
from pipelines import model as models
from pipelines.adamw import VectorAdamW
from pipelines.checkpoints import RunFolder, Write
from pipelines.compiled import compile_layers, kernels_made
from pipelines.cores import Cores
from pipelines.determinism import Profile
from pipelines.group import WorkerRank
from pipelines.keeping import CheckpointKeeper
from pipelines.layout import layout_of
from pipelines.params import Params
from pipelines.tensor_files import Image
from pipelines.tokens import TokenSplit
from registry import canonical
from registry.errors import GlasshouseError, InputError, Refused, VerificationError
from registry.records import order
from registry.records.checkpoint_chain import Chain, FileDigests
from registry.records.training_folder import OPTIMIZER, WEIGHTS

Gradient = Mapping[str, torch.Tensor]
"""By the name of each parameter, the rows that are here."""
Advance = Callable[[int, float], None]
"""Called with the number of steps done, and the loss of the last."""


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
        if params.train.activations == "recomputed":
            models.recompute(model)
        if params.train.compile:
            compile_layers(model)
        self.parameters = models.parameters(model)
        self.own = {name: rows.own(parameter) for name, parameter in self.parameters.items()}
        self.rounds = params.train.weights == "bfloat16"
        self.layout = layout_of(model)
        self.optimizer = VectorAdamW(self.own, params.train)
        self._images: Mapping[str, Image] = {}

    @property
    def idle(self) -> int:
        """Cores that this process may keep busy beside the training."""
        return self.place.idle

    def load(self, folder: RunFolder, chain: Chain) -> int:
        """Take up the last checkpoint of the chain, or the first weights where none is. Returns the steps done."""
        for name, parameter in self.parameters.items() if self.rounds else ():
            self._show(parameter, self.own[name])
        if chain.entries:
            folder.verify(chain.entries[-1])
            self._read(folder.checkpoint(chain.entries[-1].step))
        else:
            fine_tuning.begin(self.model, self.params)
        self._round()
        return chain.entries[-1].step if chain.entries else 0

    def snapshot(self, cores: Cores) -> Write:
        """Copy what a checkpoint holds, as it is now. Every process calls this, and then what it returns.

        That writes the copy, in any thread, whatever the training does meanwhile; what hashes enters `cores`. The next
        copy takes the place of this one.
        """
        if self.place.rank > 0:
            return lambda _: {}
        images = self._copied()

        def write(folder: Path | None) -> Mapping[str, FileDigests]:
            assert folder is not None
            return tensor_files.save({folder / name: image for name, image in images.items()}, cores)

        return write

    def _copied(self) -> Mapping[str, Image]:
        """What of a checkpoint is here, as it is now, by the names of its files."""
        files = {
            WEIGHTS: self.layout.stored(self.own),
            OPTIMIZER: self.layout.stored_state(self.optimizer.state()),
        }
        for name, image in self._images.items():
            image.take(files[name])
        self._images = self._images or {name: Image(tensors) for name, tensors in files.items()}
        return self._images

    def step(self, number: int) -> Mapping[str, float]:
        """Do step `number` (0, 1, ...) and return its figures."""
        settings = self.settings
        gradient, loss_sum = self._summed(number)
        tokens = settings.rows * self.params.model.context
        for part in gradient.values():
            part.div_(tokens)
        loss, length = loss_sum / tokens, norm.length(self._row_sums(gradient))
        if not math.isfinite(loss) or not math.isfinite(length):
            raise VerificationError(
                f"training diverged at step {number + 1}: loss {loss}, gradient {length}",
                mend="lower train.learning_rate in params.yaml, or lengthen train.warmup_steps",
            )
        if length > settings.clip_norm:
            for part in gradient.values():
                part.mul_(settings.clip_norm / length)
        rate = schedule.learning_rate(settings, number)
        self.optimizer.update(gradient, rate)
        self._round()
        done = number + 1
        return {"step": done, "tokens": done * tokens, "loss": loss, "gradientNorm": length, "learningRate": rate}

    def validation_loss(self) -> float:
        """Mean loss in nats a token over rows spread evenly over the validation split."""
        leaves, size, count = self.settings.validation_micro_batches, self.settings.micro_batch_rows, self.held.count

        def term(leaf: int) -> torch.Tensor:
            numbers = [index * count // (leaves * size) for index in range(leaf * size, (leaf + 1) * size)]
            return models.loss_sum(self.model, self.held.batch(numbers))

        with torch.no_grad():
            total = self._loss_sum(leaves, term)
        return total / (leaves * size * self.params.model.context)

    def _round(self) -> None:
        """Give the model its parameters in bfloat16, where it computes in that: rounded from their masters."""
        for name, parameter in self.parameters.items() if self.rounds else ():
            self._show(parameter, self.own[name].to(torch.bfloat16))

    @staticmethod
    def _show(parameter: torch.nn.Parameter, numbers: torch.Tensor) -> None:
        parameter.grad = None
        parameter.data = numbers

    def _read(self, folder: Path) -> None:
        """Take the parameters and the optimizer's state from the files in `folder`."""
        models.load(self.model, folder / WEIGHTS)
        path = folder / OPTIMIZER
        state = self.optimizer.state()
        kept = {f"{name}.{key}": tensor for name, kinds in state.items() for key, tensor in kinds.items()}
        models.assign(kept, self.layout.restored_state(models.read_tensors(path), path), path)

    def _summed(self, number: int) -> tuple[Gradient, float]:
        """The gradient and the loss of step `number`, summed over its tokens."""
        tree = reduce.TreeSum()
        for leaf in reduce.leaves_of(self.place.rank, self.place.world, self.settings.micro_batches):
            loss = self._backward(self._positions(number, leaf))
            tree.add(torch.cat([*self._flat(), loss.view(1)]))
        total = reduce.across(tree.total(), self.place.rank, self.place.world)
        parts = torch.split(total[:-1], [tensor.numel() for tensor in self.own.values()])
        named = zip(self.own.items(), parts, strict=True)
        return {name: part.view_as(tensor) for (name, tensor), part in named}, float(total[-1])

    def _flat(self) -> Iterator[torch.Tensor]:
        for parameter in self.parameters.values():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            yield gradient.flatten().float()

    def _row_sums(self, gradient: Gradient) -> torch.Tensor:
        """The sums of squares of all rows of all parameters, in their order."""
        return torch.cat([norm.row_sums(part) for part in gradient.values()])

    def _loss_sum(self, leaves: int, term: Callable[[int], torch.Tensor]) -> float:
        """The sum of `term(leaf)` over all `leaves`, by the tree; this process asks for its share of them."""
        tree = reduce.TreeSum()
        for leaf in reduce.leaves_of(self.place.rank, self.place.world, leaves):
            tree.add(term(leaf).view(1))
        return float(reduce.across(tree.total(), self.place.rank, self.place.world)[0])

    def _positions(self, number: int, leaf: int) -> range:
        """Which rows of the data order micro-batch `leaf` of step `number` is."""
        first = number * self.settings.rows + leaf * self.settings.micro_batch_rows
        return range(first, first + self.settings.micro_batch_rows)

    def _backward(self, positions: range) -> torch.Tensor:
        """Leave each parameter the gradient of the rows at those positions, summed. Returns their summed loss."""
        numbers = [order.row(self.params.seed, position, self.rows.count) for position in positions]
        loss = models.loss_sum(self.model, self.rows.batch(numbers))
        for parameter in self.parameters.values():
            parameter.grad = None
        with kernels_made():
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def training_of(
    params: Params, profile: Profile, place: WorkerRank, model: PreTrainedModel, train: TokenSplit, held: TokenSplit
) -> Training:
    """The training that params.yaml asks for. One process shares nothing, and gets the same bits."""
    if params.train.sharding == "fsdp" and place.world > 1:
        from pipelines.sharded import ShardedTraining

        return ShardedTraining(params, profile, place, model, train, held)
    return Training(params, profile, place, model, train, held)


def run(training: Training, folder: RunFolder, chain: Chain, done: int, advance: Advance) -> Chain:
    """Train from where `chain` ends, `done` steps after the first, to the last step; the whole chain, in process 0.

    `training` has loaded what stands there.
    """
    settings, first = training.settings, training.place.rank == 0
    advance(done, math.nan)
    with CheckpointKeeper(folder, chain, first=first, idle=training.idle) as keeper:
        if not chain.entries:
            keep(training, keeper, 0, None)
        for figures in _steps(training, done):
            keeper.look()
            done = int(figures["step"])
            if first:
                folder.append_metrics(figures)
            if schedule.is_checkpoint(settings, done):
                keep(training, keeper, done, figures["loss"])
            if first:
                advance(done, figures["loss"])
        return keeper.wait()


def _steps(training: Training, done: int) -> Iterator[dict[str, float]]:
    for number in range(done, training.settings.steps):
        figures = dict(training.step(number))
        if schedule.is_validation(training.settings, number + 1):
            figures["validationLoss"] = training.validation_loss()
        yield figures


def keep(training: Training, keeper: CheckpointKeeper, done: int, loss: float | None) -> None:
    """Have the state kept as the checkpoint after `done` steps. It is copied here, and written beside the training."""
    keeper.keep(training.snapshot, step=done, end=done * training.settings.rows, loss=loss)


def agree(folder: RunFolder, recipe: Chain, place: WorkerRank) -> Chain:
    """Process 0 clears the folder up to its last whole checkpoint; then all processes read the same chain.

    Raises Refused where another process trains by another recipe, before anything is cleared, or sees another folder
    than process 0.
    """
    if place.world == 1:
        return folder.resume(recipe)
    _check_same(
        recipe.recipe, place, "trains by another recipe",
        mend="give every node the same commit, params.yaml, requirements.lock and build/tokens",
    )  # fmt: skip
    chain, head = folder.resume(recipe) if place.rank == 0 else recipe, "none"
    dist.barrier()
    with suppress(GlasshouseError):  # a folder of its own may hold anything, or nothing
        chain = Chain.read(folder.chain)
        head = canonical.digest(chain.as_json())
    words = f"sees other checkpoints in {folder.root}"
    _check_same(head, place, words, mend=f"let all nodes share one {folder.root}")  # nobody goes on before all read
    return chain


def _check_same(said: str, place: WorkerRank, words: str, *, mend: str) -> None:
    """Refuse, in each process, what one says otherwise than process 0. words: of that one."""
    heard = [""] * place.world
    dist.all_gather_object(heard, said)
    if unlike := [rank for rank, other in enumerate(heard) if other != heard[0]]:
        dist.barrier()  # all have heard it before one of them ends: else the others lose its connection, and learn less
        raise Refused(f"process {unlike[0]} {words} than process 0", mend=mend)
