"""Train one segment of a chain of checkpoints again, with the code that trained it, in a folder of its own.

    python -m pipelines.replay --chain checkpoints.json --after 60 --until 120 --checkpoint FOLDER --out FOLDER
    python -m pipelines.replay --initial --out FOLDER        the checkpoint at step 0, from the seed alone
    python -m pipelines.replay --environment --out FOLDER    only environment.json: does the profile hold here?

OUT becomes what `pipelines.checkpoints.RunFolder` says, with the chain up to the checkpoint that was made, and the
metrics of the steps in between. Nothing that DVC tracks is touched: build/tokens and build/tokenizer are read.

Law: an honest chain is extended by exactly its own next entry, however many processes work.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipelines import determinism, params, recipe, stage, supervise
from pipelines import train as training
from pipelines.checkpoints import OPTIMIZER, WEIGHTS, RunFolder
from pipelines.determinism import Profile
from pipelines.params import Params
from registry.errors import InputError, Refused, VerificationError
from registry.files import write_atomic
from registry.records.chain import Chain
from registry.records.environment import NumericProfile

if TYPE_CHECKING:  # it loads torch, which has to come after the profile
    from pipelines.worker import Place

TASK = "GLASSHOUSE_REPLAY"
"""The variable by which workers are told what to do."""


@dataclass(frozen=True, slots=True)
class Task:
    """From which step to which, and in which folder."""

    out: str
    after: int
    until: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Be the supervisor, or one of its workers where RANK says so."""
    settings = params.load()
    profile = determinism.named(settings.train.profile)
    determinism.apply(profile)
    if "RANK" in os.environ:
        work(settings, profile, Task(**json.loads(os.environ[TASK])))
        return
    options = _options(arguments)
    out = RunFolder(options.out)
    _empty(options.out)
    if options.environment:
        _describe(out, determinism.check(profile))
        return
    plan = recipe.chain(settings, training.TOKENS / "tokens.json")
    write_atomic(out.chain, (plan if options.initial else _begin(options, plan, out)).to_bytes())
    until = 0 if options.initial else options.until
    os.environ[TASK] = json.dumps(asdict(Task(str(options.out), 0 if options.initial else options.after, until)))
    alone = options.initial or profile.device == "cuda"
    supervise.run("pipelines.replay", 1 if alone else supervise.processes(settings.train.micro_batches), lambda: None)
    print(Chain.read(out.chain).entries[-1].to_bytes().decode())


def work(settings: Params, profile: Profile, task: Task) -> None:
    """Be one worker: RANK of WORLD_SIZE."""
    supervise.end_with_supervisor()
    from pipelines.worker import Place

    place = Place(rank=int(os.environ["RANK"]), world=int(os.environ["WORLD_SIZE"]))
    numeric = determinism.check(profile)
    with training._group(profile, place.world):
        _replay(settings, profile, place, numeric, task)


def _replay(settings: Params, profile: Profile, place: Place, numeric: NumericProfile, task: Task) -> None:
    from pipelines import model, worker
    from pipelines.tokens import TokenSplit

    folder = RunFolder(Path(task.out))
    chain = Chain.read(folder.chain)
    train, held = (TokenSplit.open(training.TOKENS, split) for split in ("train", "validation"))
    config = model.configuration(
        settings.model, vocabulary=train.record.vocabulary, end_of_text=model.end_of_text(training.TOKENIZER)
    )
    state = worker.Training(settings, profile, place, model.blank(config, profile), train, held)
    done, loss = state.load(folder, chain), None  # before the gate: safetensors reads through operations of its own
    with model.arithmetic(profile):
        for number in range(done, task.until):
            figures = state.step(number)
            loss = figures["loss"]
            if place.rank == 0:
                folder.append_metrics(figures)
    if place.rank == 0:
        _describe(folder, numeric)
        tensors = {WEIGHTS: state.weights(), OPTIMIZER: state.optimizer_tensors()}
        folder.save(chain, tensors, step=task.until, end=task.until * settings.train.rows, loss=loss)


def _begin(options: argparse.Namespace, plan: Chain, out: RunFolder) -> Chain:
    """The chain up to the checkpoint to begin with, which is copied to its place in `out`.

    Raises VerificationError where the chain is of another training than the current directory describes.
    """
    chain = Chain.read(options.chain)
    chain.verify()
    if chain.up_to(0) != plan:
        differ = [name for name in ("tokens", "recipe", "profile") if getattr(chain, name) != getattr(plan, name)]
        raise VerificationError(
            f"{options.chain} is of another training than this source, these tokens and these packages give: "
            f"{', '.join(differ)} differ",
            mend="check out the commit that the release names, and rebuild its tokens: dvc repro encode",
        )
    steps = [entry.step for entry in chain.entries]
    if options.after not in steps:
        _usage(f"the chain has no checkpoint at step {options.after}; it has {steps[:20]}")
    target = out.checkpoint(options.after)
    target.mkdir(parents=True)
    for name in (WEIGHTS, OPTIMIZER):
        source = options.checkpoint / name
        if source.is_symlink() or not source.is_file():
            _usage(f"{source} is missing or no plain file")
        shutil.copyfile(source, target / name)
    return chain.up_to(steps.index(options.after) + 1)


def _describe(folder: RunFolder, numeric: NumericProfile) -> None:
    """Write environment.json: the machine and the software that work here."""
    from pipelines import environment

    write_atomic(folder.root / training.ENVIRONMENT, environment.describe(numeric, recipe.LOCK).to_bytes())


def _empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty", mend="give a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.replay", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="a new folder for what is made")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--initial", action="store_true", help="make the checkpoint at step 0, from the seed")
    kind.add_argument("--environment", action="store_true", help="only check that the numeric profile holds here")
    kind.add_argument("--chain", type=Path, help="the signed chain of checkpoints")
    parser.add_argument("--after", type=int, help="the step of the checkpoint to begin with")
    parser.add_argument("--until", type=int, help="the step to stop after")
    parser.add_argument("--checkpoint", type=Path, help="the folder of the checkpoint to begin with")
    options = parser.parse_args(arguments)
    if options.chain:
        if None in (options.after, options.until, options.checkpoint):
            _usage("--chain needs --after, --until and --checkpoint")
        if options.until <= options.after:
            _usage(f"--until {options.until} does not come after --after {options.after}")
    return options


def _usage(found: str) -> NoReturn:
    raise InputError(found, mend="python -m pipelines.replay --help")


if __name__ == "__main__":
    stage.run(main)
