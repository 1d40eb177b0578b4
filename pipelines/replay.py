"""Train segments of a chain of checkpoints again, with the code that trained it, each in a folder of its own.

    python -m pipelines.replay --chain checkpoints.json --segment AFTER UNTIL CHECKPOINT OUT [--segment ...]
    python -m pipelines.replay --initial OUT        the checkpoint at step 0, from the seed alone
    python -m pipelines.replay --environment OUT    only environment.json: does the profile hold here?

AFTER and UNTIL are steps, CHECKPOINT is the folder of the checkpoint at AFTER. OUT becomes what
`registry.records.training_folder` says, with the chain up to the checkpoint that was made, and the metrics of the steps
in between. Segments are trained one after the other by the same processes, so that starting them is paid for once.
Nothing that DVC tracks is touched: build/tokens and build/tokenizer are read.

Law: an honest chain is extended by exactly its own next entry, however many processes work, whatever they did before.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from pipelines import determinism, group, params, recipe, stage, supervise, train
from pipelines.checkpoints import RunFolder
from pipelines.determinism import Profile
from pipelines.group import WorkerRank
from pipelines.params import Params
from registry import variables
from registry.errors import InputError, Refused, VerificationError
from registry.files import write_atomic
from registry.records import replay_command
from registry.records.checkpoint_chain import Chain
from registry.records.environment import NumericProfile
from registry.records.training_folder import OPTIMIZER, WEIGHTS


@dataclass(frozen=True, slots=True)
class Task:
    """A segment: the step that it begins after, that which it ends with, and the folder to write to."""

    after: int
    until: int
    out: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Be the supervisor, or one of its workers where RANK says so."""
    settings = params.load()
    profile = determinism.named(settings.train.profile)
    determinism.apply(profile)
    if variables.RANK in os.environ:
        work(settings, profile, [Task(**task) for task in json.loads(os.environ[variables.REPLAY])])
        return
    options = _options(arguments)
    if options.environment:
        _describe(_empty(options.environment), determinism.check(profile), settings)
        return
    plan = recipe.chain(settings, train.TOKENS / "tokens.json")
    if options.initial:
        write_atomic(_empty(options.initial).chain, plan.to_bytes())
        tasks = [Task(0, 0, str(options.initial))]
    else:
        chain = _chain(options.chain, plan)
        tasks = [_begin(chain, *words) for words in options.segment]
    os.environ[variables.REPLAY] = json.dumps([asdict(task) for task in tasks])
    alone = options.initial or profile.device == "cuda"
    supervise.run("pipelines.replay", 1 if alone else supervise.processes(settings.train.micro_batches), lambda: None)
    for task in tasks:
        print(Chain.read(RunFolder(Path(task.out)).chain).entries[-1].to_bytes().decode())


def work(settings: Params, profile: Profile, tasks: Sequence[Task]) -> None:
    """Be one worker: RANK of WORLD_SIZE."""
    supervise.end_with_supervisor()
    place = group.of_environment(settings.train.micro_batches)
    numeric = determinism.check(profile)
    with group.joined(profile, place):
        _replay(settings, profile, place, numeric, tasks)


def _replay(
    settings: Params, profile: Profile, place: WorkerRank, numeric: NumericProfile, tasks: Sequence[Task]
) -> None:
    from pipelines import fine_tuning, model, worker
    from pipelines.keeping import CheckpointKeeper
    from pipelines.tokens import TokenSplit

    learned, held = (TokenSplit.open(train.TOKENS, split) for split in ("train", "validation"))
    trained = fine_tuning.blank(
        settings, profile, vocabulary=learned.record.vocabulary, end_of_text=model.end_of_text(train.TOKENIZER)
    )
    state = worker.training_of(settings, profile, place, trained, learned, held)
    for task in tasks:
        folder = RunFolder(Path(task.out))
        chain = Chain.read(folder.chain)
        done, loss = state.load(folder, chain), None  # before the gate: safetensors reads through operations of its own
        with model.arithmetic(profile):
            for number in range(done, task.until):
                figures = state.step(number)
                loss = figures["loss"]
                if place.rank == 0:
                    folder.append_metrics(figures)
        if place.rank == 0:
            _describe(folder, numeric, settings)
        with CheckpointKeeper(folder, chain, first=place.rank == 0) as keeper:
            worker.keep(state, keeper, task.until, loss)


def _chain(path: Path, plan: Chain) -> Chain:
    """The signed chain in the file at `path`.

    Raises VerificationError where it is of another training than the current directory describes, which is `plan`.
    """
    chain = Chain.read(path)
    chain.verify()
    if chain.up_to(0) != plan:
        differ = [name for name in ("tokens", "recipe", "profile") if getattr(chain, name) != getattr(plan, name)]
        raise VerificationError(
            f"{path} is of another training than this source, these tokens and these packages give: "
            f"{', '.join(differ)} differ",
            mend="check out the commit that the release names, and rebuild its tokens: dvc repro encode",
        )
    return chain


def _begin(chain: Chain, after: str, until: str, checkpoint: str, out: str) -> Task:
    """A new folder `out` with the chain up to the checkpoint to begin with, and a copy of that checkpoint."""
    if not (after.isdecimal() and until.isdecimal() and int(after) < int(until)):
        _usage(f"--segment {after} {until} is not from one step to a later one")
    task = Task(int(after), int(until), out)
    steps = [entry.step for entry in chain.entries]
    if task.after not in steps:
        _usage(f"the chain has no checkpoint at step {task.after}; it has {steps[:20]}")
    folder = _empty(Path(out))
    target = folder.checkpoint(task.after)
    target.mkdir(parents=True)
    for name in (WEIGHTS, OPTIMIZER):
        source = Path(checkpoint) / name
        if source.is_symlink() or not source.is_file():
            _usage(f"{source} is missing or no plain file")
        shutil.copyfile(source, target / name)
    write_atomic(folder.chain, chain.up_to(steps.index(task.after) + 1).to_bytes())
    return task


def _describe(folder: RunFolder, numeric: NumericProfile, settings: Params) -> None:
    """Write environment.json: the machine and the software that work here."""
    from pipelines import environment

    write_atomic(folder.environment, environment.describe(numeric, settings, recipe.LOCK).to_bytes())


def _empty(folder: Path) -> RunFolder:
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty", mend="give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    return RunFolder(folder)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.replay", description=__doc__.split("\n", 1)[0])
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        replay_command.INITIAL, type=Path, metavar="OUT", help="make the checkpoint at step 0, from the seed"
    )
    kind.add_argument(
        replay_command.ENVIRONMENT, type=Path, metavar="OUT", help="only check that the numeric profile holds here"
    )
    kind.add_argument(replay_command.CHAIN, type=Path, help="the signed chain of checkpoints")
    parser.add_argument(
        replay_command.SEGMENT,
        nargs=4,
        action="append",
        metavar=("AFTER", "UNTIL", "CHECKPOINT", "OUT"),
        help="one of its segments",
    )
    options = parser.parse_args(arguments)
    if bool(options.chain) != bool(options.segment):
        _usage("--chain and --segment need each other")
    return options


def _usage(found: str) -> NoReturn:
    raise InputError(found, mend="python -m pipelines.replay --help")


if __name__ == "__main__":
    stage.run(main)
