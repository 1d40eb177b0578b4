"""Train the model: `python -m pipelines.train`, or `torchrun --nproc-per-node N -m pipelines.train`.

    build/tokens -> build/train   checkpoints/, checkpoints.json, metrics.jsonl, environment.json

Run alone it starts one process a core, and records the run in MLflow while they work. Killed at any moment and run
again, it goes on from the last whole checkpoint and ends in the same bytes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipelines import determinism, group, nodes, params, recipe, stage, supervise, tracking
from pipelines.checkpoints import RunFolder
from pipelines.determinism import Profile
from pipelines.group import WorkerRank
from pipelines.params import Params
from registry import variables
from registry.files import write_atomic
from registry.records import folders
from registry.records.environment import NumericProfile

if TYPE_CHECKING:  # it loads torch, which has to come after the profile
    from pipelines.worker import Advance

TOKENS = Path(folders.TOKENS)
TOKENIZER = Path(folders.TOKENIZER)
OUT = Path(folders.TRAINED)
MODULE = "pipelines.train"


def main() -> None:
    """Be the supervisor, or one of its workers where RANK says so."""
    settings = params.load()
    profile = determinism.named(settings.train.profile)
    determinism.apply(profile)
    if variables.RANK in os.environ:
        work(settings, profile)
        return
    if settings.train.launch is not None and not nodes.keeps_record():
        nodes.run(MODULE, lambda: None)
        return
    plan = recipe.chain(settings, TOKENS / "tokens.json")
    with tracking.training(settings, plan, RunFolder(OUT)) as follow:
        if settings.train.launch is not None:
            nodes.run(MODULE, follow)
        else:
            count = 1 if profile.device == "cuda" else supervise.processes(settings.train.micro_batches)
            supervise.run(MODULE, count, follow)


def work(settings: Params, profile: Profile) -> None:
    """Be one worker: RANK of WORLD_SIZE."""
    supervise.end_with_supervisor()
    place = group.of_environment(settings.train.micro_batches)
    numeric = determinism.check(profile)
    group.take_device(profile)
    with group.joined(profile, place, settings.train.launch):
        if not place.spare:
            _train(settings, profile, place, numeric)


def _train(settings: Params, profile: Profile, place: WorkerRank, numeric: NumericProfile) -> None:
    from pipelines import environment, fine_tuning, model, worker
    from pipelines.tokens import TokenSplit

    folder = RunFolder(OUT)
    with nodes.refusal_kept():
        chain = worker.agree(folder, recipe.chain(settings, TOKENS / "tokens.json"), place)
    train, held = TokenSplit.open(TOKENS, "train"), TokenSplit.open(TOKENS, "validation")
    if place.rank == 0:
        write_atomic(folder.environment, environment.describe(numeric, settings, recipe.LOCK).to_bytes())
    trained = fine_tuning.blank(
        settings, profile, vocabulary=train.record.vocabulary, end_of_text=model.end_of_text(TOKENIZER)
    )
    training = worker.training_of(settings, profile, place, trained, train, held)
    done = training.load(folder, chain)  # before the gate: safetensors reads through operations of its own
    with model.arithmetic(profile), _bar(settings, place.rank) as advance:
        worker.run(training, folder, chain, done, advance)


@contextmanager
def _bar(settings: Params, rank: int) -> Iterator[Advance]:
    """Progress on a person's terminal, from process 0: steps, loss, tokens a second, time."""
    console = Console(stderr=True)
    columns = (
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    tokens = settings.train.rows * settings.model.context
    with Progress(*columns, console=console, disable=rank > 0 or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("training", total=settings.train.steps, figures="")

        def advance(done: int, loss: float) -> None:
            speed = bar.tasks[task].speed
            words = "" if math.isnan(loss) else f"loss {loss:.3f}"
            bar.update(task, completed=done, figures=words + (f", {speed * tokens:,.0f} tokens/s" if speed else ""))

        yield advance


if __name__ == "__main__":
    stage.run(main)
