"""`glasshouse audit`: train parts of a release again, rebuild all of it, measure it, and sign what was seen."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from registry.cli import attest, lint, output, signing
from registry.cli.tree import App
from registry.cli.verify import Endpoint, Verifying
from registry.errors import InputError

if TYPE_CHECKING:
    from registry.attest.verifier import Verifier
    from registry.audit.checkpoint_sources import CheckpointSource
    from registry.audit.evaluation_verdict import EvaluationOutcome
    from registry.audit.measures import Plan
    from registry.audit.metrics import Progress
    from registry.audit.rebuild_verdict import RebuildOutcome
    from registry.audit.replay_verdict import ReplayOutcome
    from registry.audit.subject import Audited
    from registry.audit.verdict_file import VerdictFile
    from registry.audit.workshop import Options

app = App(
    help="Check a release by doing it again: replay, rebuild, evaluate, and sign what was seen.", no_args_is_help=True
)

SIGNER = "--identity ci@example.org --issuer https://issuer.example"
CODES = "Exit codes: 0 it came out the same, 1 it did not, 2 bad input, 3 it cannot be told here."

Ref = Annotated[str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, or a directory.")]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", help="URL or path to fetch the source from, instead of where the release says."),
]
EnvironmentOption = Annotated[
    Literal["fresh", "current"],
    typer.Option(
        "--environment",
        help="`fresh`: packages from the release's own lock. `current`: those that you have, as the verdict says.",
    ),
]
PythonOption = Annotated[
    str,
    typer.Option(
        "--python",
        help="The interpreter of the current environment, or the one that a fresh one is made with.",
        show_default="this command's",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(help="A remote of DVC's, or DIR/.dvc/cache, with the data of .dvc files; else the source's own."),
]
Base = Annotated[
    Path | None,
    typer.Option(help="A folder with the files of the model that the release began with; else they are fetched."),
]
Accelerator = Annotated[
    bool, typer.Option("--accelerator", help="Let the source see graphics cards, where the release does not say so.")
]
NoSandbox = Annotated[
    bool,
    typer.Option(
        "--no-sandbox",
        help="Run the source without bubblewrap's wall: it can read and change what you can, also the checkpoints that "
        "it is to make. For a machine to throw away.",
    ),
]
OldSandbox = Annotated[bool, typer.Option("--sandbox", hidden=True, help="Not needed any more: it is so without.")]
Hours = Annotated[
    float, typer.Option("--hours", help="How long one command of the source may run.", min=0.01, show_default="a week")
]
WEEK = 7 * 24.0
Keep = Annotated[
    Path | None, typer.Option("--keep", help="Work in this new folder, and leave it: logs, source, what was made.")
]
Tolerance = Annotated[
    float, typer.Option(help="How far tensors and figures may be apart, relatively, for WITHIN.", min=0.0)
]
Apart = Annotated[float, typer.Option(help="How far a figure may be apart, relatively, for WITHIN.", min=0.0)]
VerdictOption = Annotated[Path, typer.Option("--output", help="Where to write the verdict.")]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")]
VERDICT = Path("verdict.json")


@app.command(epilog=f"Example: glasshouse audit replay hf://org/model@v1.0.0 --segments 3 {SIGNER}. {CODES}")
@signing.grouped
def replay(
    reference: Ref,
    segments: Annotated[
        int | None, typer.Option(help="How many segments to replay, chosen by chance.", show_default="1", min=1)
    ] = None,
    segment: Annotated[int | None, typer.Option(help="Replay this one, from checkpoint I to I + 1.", min=0)] = None,
    nonce: Annotated[
        str | None,
        typer.Option(help="Hex that decides the choice: a public beacon's value, later than the release."),
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="Folder with step-000100/ and so on; without it, the Hub's branches.")
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(help="Segments trained at a time.", show_default="as many as is soonest", min=1)
    ] = None,
    tolerance: Tolerance = 0.0,
    source: SourceOption = None,
    environment: EnvironmentOption = "fresh",
    base: Base = None,
    no_sandbox: NoSandbox = False,
    hours: Hours = WEEK,
    keep: Keep = None,
    verdict: VerdictOption = VERDICT,
    *,
    trust: Verifying,
    endpoint: Endpoint = None,
    as_json: Json = False,
    old_sandbox: OldSandbox = False,
) -> None:
    """Train some segments between checkpoints again, and compare. Runs the release's code, once it verifies."""
    from registry.audit import challenge, replaying, verdict_file
    from registry.audit.segments import Effort

    if segments is not None and segment is not None:
        raise InputError("--segments and --segment contradict each other", mend="give one of them")
    walled = _walled(no_sandbox, old_sandbox)
    options = _options(source, environment, walled, hours, keep, verdict, base=base, endpoint=endpoint)
    checker = trust.verifier()
    with _admitted(reference, checker, endpoint) as audited:
        asked = challenge.draw(audited.chain, audited.logged_at, count=segments, segment=segment, nonce=nonce)
        steps = sum(
            after.step - before.step
            for number in asked.chosen
            for before, after in [audited.chain.entries[number : number + 2]]
        )
        places = _checkpoints(reference, checkpoints, endpoint)
        with _bar("replaying", steps, "steps") as progress:
            effort = Effort(at_once, tolerance)
            outcome = replaying.replay(audited, options, asked, places, effort, progress=progress, say=output.say)
        made = verdict_file.of_replay(audited, outcome)
    _finish(made, verdict, as_json, lambda: _show_replay(outcome))


@app.command(epilog=f"Example: glasshouse audit rebuild hf://org/model@v1.0.0 {SIGNER}. {CODES}")
@signing.grouped
def rebuild(
    reference: Ref,
    tolerance: Tolerance = 0.0,
    source: SourceOption = None,
    environment: EnvironmentOption = "fresh",
    python: PythonOption = sys.executable,
    data: Data = None,
    base: Base = None,
    accelerator: Accelerator = False,
    no_sandbox: NoSandbox = False,
    hours: Hours = WEEK,
    keep: Keep = None,
    verdict: VerdictOption = VERDICT,
    *,
    trust: Verifying,
    endpoint: Endpoint = None,
    as_json: Json = False,
    old_sandbox: OldSandbox = False,
) -> None:
    """Rebuild all of it from the signed commit, and compare every output. Runs the release's code, once it verifies.

    What is run, and in what, is what the release declares: `dvc repro`, and its lock of packages, by default.
    """
    from registry.audit import rebuilding, verdict_file

    walled = _walled(no_sandbox, old_sandbox)
    options = _options(
        source,
        environment,
        walled,
        hours,
        keep,
        verdict,
        python,
        data=data,
        accelerator=accelerator,
        base=base,
        endpoint=endpoint,
    )
    checker = trust.verifier()
    with (
        _admitted(reference, checker, endpoint, replays=False) as audited,
        _rebuilding(audited) as progress,
    ):

        def stage(name: str) -> None:
            output.say(f"running the stage {output.printable(name)}")

        outcome = rebuilding.rebuild(
            audited, options, tolerance=tolerance, stage=stage, progress=progress, say=output.say
        )
        made = verdict_file.of_rebuild(audited, outcome)
    _finish(made, verdict, as_json, lambda: _show_rebuild(outcome))


@app.command(epilog=f"Example: glasshouse audit evaluate hf://org/model@v1.0.0 {SIGNER}. {CODES}")
@signing.grouped
def evaluate(
    reference: Ref,
    tolerance: Apart = 0.0,
    source: SourceOption = None,
    environment: EnvironmentOption = "fresh",
    python: PythonOption = sys.executable,
    data: Data = None,
    accelerator: Accelerator = False,
    no_sandbox: NoSandbox = False,
    hours: Hours = WEEK,
    keep: Keep = None,
    verdict: VerdictOption = VERDICT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run, and run nothing.")] = False,
    *,
    trust: Verifying,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Measure the released weights again, and compare every figure. Runs the release's code, once it verifies.

    What is run is the stages that measured them: the evaluation, tasks of lm-evaluation-harness, DVC's own metrics.
    """
    from registry.audit import evaluating, verdict_file

    walled = dry_run or _walled(no_sandbox, False)
    options = _options(source, environment, walled, hours, keep, verdict, python, data=data, accelerator=accelerator)
    checker = trust.verifier()
    with _admitted(reference, checker, endpoint, replays=False, runs=not dry_run) as audited:
        if dry_run:
            _show_plan(evaluating.planned(audited), as_json)
            return

        def stage(name: str) -> None:
            output.say(f"running the stage {output.printable(name)}")

        outcome = evaluating.evaluate(audited, options, tolerance=tolerance, stage=stage, say=output.say)
        made = verdict_file.of_evaluation(audited, outcome)
    _finish(made, verdict, as_json, lambda: _show_evaluation(outcome))


def _walled(no_sandbox: bool, sandbox: bool) -> bool:
    """Whether the source is walled in. Raises InputError where it is to be, and cannot."""
    from registry.audit import view

    if no_sandbox and sandbox:
        raise InputError("--sandbox and --no-sandbox contradict each other", mend="leave both out for the sandbox")
    if no_sandbox:
        output.say("without the sandbox: the source runs as you, and can read and change what you can")
        return False
    if (fault := view.fault()) is not None:
        raise InputError(
            f"{fault}, and it is what walls in the code of a release",
            mend=f"{view.MEND}; or give --no-sandbox, on a machine to throw away: the code then can do what you can",
        )
    return True


def _options(
    source: str | None,
    environment: Literal["fresh", "current"],
    walled: bool,
    hours: float,
    keep: Path | None,
    verdict: Path,
    python: str = sys.executable,
    *,
    data: str | None = None,
    accelerator: bool = False,
    base: Path | None = None,
    endpoint: str | None = None,
) -> Options:
    from registry.audit.packages import Setup
    from registry.audit.sandbox import Allowance
    from registry.audit.workshop import Options

    if verdict.is_dir():  # which is to be told before hours are spent, not after
        raise InputError(f"{verdict} is a folder", mend="give the name of a file: --output verdict.json")
    if keep is not None and keep.exists():
        raise InputError(f"{keep} exists", mend="give a new folder: --keep DIR")
    if shutil.which(python) is None:
        raise InputError(f"{python} is not a program", mend="give an interpreter: --python ENV/bin/python")
    setup = Setup(environment, str(Path(str(shutil.which(python))).absolute()))
    allowance = Allowance(seconds=hours * 3600)
    return Options(source, setup, walled, keep, allowance, data, accelerator, base, endpoint)


@contextmanager
def _admitted(
    reference: str, checker: Verifier, endpoint: str | None, *, replays: bool = True, runs: bool = True
) -> Iterator[Audited]:
    """The release that `reference` names, fetched and verified: no code of another is run.

    replays: as `admit` has it.  runs: whether what follows does run some.
    """
    from registry.audit.subject import admit
    from registry.hub.reference import parse
    from registry.report import Verdict
    from registry.verification.fetch import fetched
    from registry.verification.steps import verify

    asked = parse(reference)
    with _ended_by_signals(), fetched(asked, endpoint=endpoint, into=None, progress=None) as place:
        report = verify(place.tree, asked, place.words, checker)
        audited = admit(place.root, report, checker, replays=replays)
        unknown = "" if report.verdict is Verdict.PASS else ", but for what nobody recorded"
        output.say(f"{reference} verifies{unknown}; {'what follows runs its code' if runs else 'nothing of it is run'}")
        yield audited


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Within: SIGTERM and SIGHUP end an audit as Ctrl-C does, which leaves no process of it and no file."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for again in before:
            signal.signal(again, signal.SIG_IGN)  # it is cleaning up, and a second one would cut that short
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _checkpoints(reference: str, folder: Path | None, endpoint: str | None) -> list[CheckpointSource]:
    """Where to look for checkpoints: the folder, then the Hub that the release came from."""
    from registry.audit.checkpoint_sources import InFolder, OnHub
    from registry.hub.client import HubClient
    from registry.hub.reference import HubReference, parse

    places: list[CheckpointSource] = [InFolder(folder.resolve())] if folder else []
    asked = parse(reference)
    if isinstance(asked, HubReference):
        places.append(OnHub(HubClient(endpoint), asked.repository))
    return places


def _finish(made: VerdictFile, path: Path, as_json: bool, show: Any) -> None:
    """Write the verdict, show it, and end in its exit code."""
    from registry.audit.compare import answer
    from registry.files import write_atomic

    write_atomic(path, made.to_bytes())
    if as_json:
        output.data(made.as_json())
    else:
        show()
        output.say(f"the verdict is in {path}; sign it: glasshouse audit attest {path}")
    raise typer.Exit(answer(made.statement["predicate"]["verdict"]).exit_code)


def _show_replay(outcome: ReplayOutcome) -> None:
    from registry.audit.challenge import odds

    said = outcome.statement
    output.report(outcome.report)
    if not said.replayed:
        print(f"{said.verdict}: {output.printable(said.reason)}")
        return
    same = [segment for segment in said.replayed if segment.verdict in ("BITWISE", "TENSORS")]
    print(f"{said.verdict}: {len(same)} of {said.challenge.segments} segments came out the same on {said.machine}")
    if said.challenge.nonce is None:
        print("The segment was named, not chosen by chance: this says nothing of the others.")
        return
    for forged, chance in odds(said.challenge, len(same)).items():
        print(f"  had {forged} segment{'s' if forged > 1 else ''} been forged, this had found it out with {chance:.1%}")
    print(f"  nonce {said.challenge.nonce}, logged at {said.challenge.logged_at or 'no time that a log knows'}")


def _show_rebuild(outcome: RebuildOutcome) -> None:
    for found in outcome.details.outputs:
        mark = found.verdict if found.counted or found.verdict == "BITWISE" else "-"
        print(f"{mark:10} {output.printable(found.path)}  {output.printable(found.reason)}".rstrip())
    for words in outcome.details.departs:
        print(f"  {output.printable(words)}")
    if outcome.details.base is not None:
        print(f"{'given':10} the base {output.printable(outcome.details.base)}")
    print(f"{outcome.statement.verdict}: {output.printable(outcome.statement.reason)}")


def _show_plan(plan: Plan, as_json: bool) -> None:
    """What an evaluation would run."""
    if as_json:
        output.data(
            {"stages": plan.stages, "makers": plan.makers, "laid": dict(plan.laid), "compared": dict(plan.compared)}
        )
        return
    for name in plan.makers:
        print(f"would run   {output.printable(name)}, for what the release does not have")
    for name in plan.stages:
        print(f"would run   {output.printable(name)}, which measures")
    for path in plan.compared:
        print(f"would compare {output.printable(path)}")


def _show_evaluation(outcome: EvaluationOutcome) -> None:
    for record in outcome.details.records:
        print(f"{record.verdict:11} {output.printable(record.path)}  {output.printable(record.reason)}".rstrip())
        for figure in record.figures:
            mark = " " if figure.signed == figure.found else "!"
            shown = [f"{value:.10g}" if value is not None else "none" for value in (figure.signed, figure.found)]
            print(f"  {mark} {output.printable(figure.name)}: {shown[0]} as signed, {shown[1]} here")
    print(f"{outcome.statement.verdict}: {output.printable(outcome.statement.reason)}")


@contextmanager
def _rebuilding(audited: Audited) -> Iterator[Progress]:
    """The progress of a rebuild, by training steps where the release tells how many there are."""
    if audited.training is None:
        yield lambda _: None
        return
    with _bar("rebuilding", audited.chain.entries[-1].step, "training steps") as progress:
        yield progress


@contextmanager
def _bar(words: str, total: int, unit: str) -> Iterator[Progress]:
    """A progress bar with an estimate of the time left, for a person; nothing for a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(words, total=total)
        yield lambda done: bar.advance(task, done)


app.command("attest", epilog=attest.EXAMPLE)(attest.attest)
app.command("lint", epilog=lint.EXAMPLE)(lint.lint)
