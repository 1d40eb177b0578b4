"""Evaluate again: the stages that measured, on the weights of the release; then compare the figures.

    1 plan       which stages, and where what they read can be had    measures.py
    2 workshop   the signed source, its packages, and this machine    workshop.py
    3 inputs     the weights laid, the rest made anew and held to what was recorded
    4 stages     those that measure
    5 figures    each against the signed one                          remeasured.py
    6 verdict    all of it in one statement, to be signed             evaluation_verdict.py

What is run is the release's own code, walled in: tasks, templates and metrics of strangers are code, too. That the code
measures honestly is not shown: it is what was signed, and it can be read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime

from registry.audit import evaluation_verdict, hostile, inputs, measures, remeasured, workshop
from registry.audit.evaluation_verdict import EvaluationDetails, EvaluationOutcome
from registry.audit.measures import Plan
from registry.audit.remeasured import RemeasuredRecord
from registry.audit.stages import ROOM, TIMES
from registry.audit.subject import Audited
from registry.audit.workshop import Options, Workshop
from registry.digest import sha256_file
from registry.errors import GlasshouseError, Unavailable
from registry.manifest import walk
from registry.records import layout
from registry.records.listing import Listings
from registry.records.run import Stages

REPRO = ("dvc", "repro", "--force", "--no-run-cache", "--single-item")


def planned(audited: Audited) -> Plan:
    """What is to be run. Raises Unavailable where it cannot be, or where the release does not tell of its stages."""
    path = audited.root / layout.STAGES
    if not path.is_file():
        raise Unavailable(f"the release has no {layout.STAGES}", mend="glasshouse audit rebuild makes all of it anew")
    digests = {name: sha256_file(audited.root / name) for name, _ in walk(audited.root)}
    weights = frozenset(file.sha256 for file in audited.record.weights)
    listings = Listings.at(audited.root, digests, frozenset(digests.values()))
    return measures.plan(Stages.read(path), digests, weights, listings)


def evaluate(
    audited: Audited,
    options: Options,
    *,
    tolerance: float = 0.0,
    stage: Callable[[str], None] = lambda name: None,
    say: Callable[[str], None] = lambda words: None,
) -> EvaluationOutcome:
    """Evaluate again, and compare.

    tolerance: how far apart, relatively, a figure may be for WITHIN.  stage: told each stage as it starts.  say: told
    what is done. Raises what `planned` and `workshop.make` raise, and Unavailable where a stage does not end well.
    """
    # 1. See what is to be run, before any code is.
    plan, started = planned(audited), datetime.now(UTC)
    # 2. Make the workshop, where the release's code runs.
    with workshop.opened(audited, options, say) as place:
        if place.profiled and place.here is None:  # a machine that cannot hold the numeric profile can tell nothing
            return evaluation_verdict.outcome(place, _details(place, plan, (), (), tolerance), started)
        # 3. Lay the weights, and make the rest.
        inputs.prepare(place, options.data)
        inputs.withhold(place, plan.compared)
        _lay(place, plan)
        for name in plan.makers:
            _run(place, name, stage)
        departs = tuple(_departs(place, plan))
        # 4. Measure; on other inputs that would tell nothing.
        for name in () if departs else plan.stages:
            _run(place, name, stage)
        released = sum(size for _, size in walk(audited.root))
        built = place.end(max_bytes=TIMES * released + ROOM)
        # 5. Compare the figures.
        found = () if departs else tuple(_compared(built, plan, tolerance))
        # 6. All of it is one verdict.
        return evaluation_verdict.outcome(built, _details(built, plan, found, departs, tolerance), started)


def _lay(place: Workshop, plan: Plan) -> None:
    """Put files of the release where the source reads them, and take away the figures that it may have."""
    for path in plan.compared.values():
        hostile.gone(place.tree / path, place.tree)
    for path, released in plan.laid.items():
        target = place.tree / path
        for folder in reversed(target.relative_to(place.tree).parents[:-1]):
            hostile.folder(place.tree / folder, place.tree)
        hostile.gone(target, place.tree)
        with (place.audited.root / released).open("rb") as source, hostile.new_file(target, place.tree) as stream:
            shutil.copyfileobj(source, stream)


def _run(place: Workshop, name: str, stage: Callable[[str], None]) -> None:
    stage(name)
    log = f"stage-{name.replace('/', '-')[:80]}"
    try:
        place.run([*REPRO, name], log=log, changes=True)
    except GlasshouseError as problem:
        raise Unavailable(
            f"the stage {name} does not come to its end: {problem.message}",
            mend=f"run it again with --keep DIR, and read DIR/logs/{log}.log",
        ) from problem


def _departs(place: Workshop, plan: Plan) -> list[str]:
    """What was made anew otherwise than it was when the weights were measured, in words."""
    return [
        f"{dep.path} came out otherwise than it was measured on"
        for dep in plan.held
        if inputs.digest(place, dep) != dep.sha256
    ]


def _compared(place: Workshop, plan: Plan, tolerance: float) -> list[RemeasuredRecord]:
    rebuild = place.audited.record.rebuild
    declared = {output.path: output for output in rebuild.outputs} if rebuild else {}
    return [
        remeasured.compared(path, place.audited.root / path, place.tree / source, tolerance, declared.get(path))
        for path, source in sorted(plan.compared.items())
    ]


def _details(
    place: Workshop, plan: Plan, found: tuple[RemeasuredRecord, ...], departs: tuple[str, ...], tolerance: float
) -> EvaluationDetails:
    return EvaluationDetails(
        records=found,
        stages=plan.stages,
        departs=departs,
        tolerance=tolerance,
        environment=place.here,
        cannot=place.cannot,
        profiled=place.profiled,
        walled=place.sandbox.bubblewrap,
    )
