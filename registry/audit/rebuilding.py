"""Rebuild: everything anew, from the signed commit to what its stages write, with empty caches; then compare.

    1 workshop     the signed source, its packages, and this machine    workshop.py
    2 stages       the data they begin with, then they, from nothing    inputs.py, stages.py
    3 outputs      every file against the released one                  outputs.py
    4 departures   where it first departs                               departures.py
    5 verdict      all of it in one statement, to be signed             rebuild_verdict.py

Each step takes what the one before it gave.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from registry.attest.predicates import RebuildVerdict
from registry.audit import departures, inputs, outputs, rebuild_verdict, stages, workshop
from registry.audit.metrics import Progress
from registry.audit.outputs import Output
from registry.audit.rebuild_verdict import Details, RebuildOutcome
from registry.audit.subject import Audited
from registry.audit.workshop import Options, Workshop


def rebuild(
    audited: Audited,
    options: Options,
    *,
    tolerance: float = 0.0,
    stage: Callable[[str], None] = lambda name: None,
    progress: Progress = lambda steps: None,
    say: Callable[[str], None] = lambda words: None,
) -> RebuildOutcome:
    """Rebuild the release, and compare.

    tolerance: how far apart, relatively, tensors and figures may be for WITHIN.  stage: told each stage as it starts.
    progress: told training steps.  say: told what is done. Raises what `workshop.make` raises, and Unavailable where
    the rebuild does not come to an end.
    """
    # 1. Make the workshop, where the release's code runs.
    with workshop.opened(audited, options, say) as place:
        return rebuild_in(place, data=options.data, tolerance=tolerance, stage=stage, progress=progress)


def rebuild_in(
    place: Workshop,
    *,
    data: str | None = None,
    tolerance: float = 0.0,
    stage: Callable[[str], None] = lambda name: None,
    progress: Progress = lambda steps: None,
) -> RebuildOutcome:
    """The steps 2 to 5 of `rebuild`, in a workshop that is open.  data: as `Options.data`."""
    started = datetime.now(UTC)
    if place.profiled and place.here is None:  # a machine that cannot hold the numeric profile can tell nothing
        return rebuild_verdict.outcome(place, _details(place, (), (), tolerance), started)
    # 2. Fetch what the stages begin with, and run them, from nothing.
    inputs.prepare(place, data)
    inputs.withhold(place, [one.path for one in place.audited.record.weights])
    built = stages.run(place, stage, progress)
    # 3. and 4. Compare every file, and find where the rebuild departs.
    _, details = judge(built, tolerance)
    # 5. All of it is one verdict.
    return rebuild_verdict.outcome(built, details, started)


def judge(place: Workshop, tolerance: float) -> tuple[RebuildVerdict, Details]:
    """How what stands rebuilt in `place` compares with the release."""
    rebuild = place.audited.record.rebuild
    declared = {output.path: output for output in rebuild.outputs} if rebuild else {}
    found = outputs.compared(place.audited.root, stages.made(place), tolerance, declared)
    departs = () if outputs.overall(found) == "BITWISE" else tuple(departures.told(place, found))
    details = _details(place, found, departs, tolerance)
    return details.verdict, details


def _details(place: Workshop, found: tuple[Output, ...], departs: tuple[str, ...], tolerance: float) -> Details:
    return Details(
        outputs=found,
        departs=departs,
        tolerance=tolerance,
        environment=place.here,
        cannot=place.cannot,
        profiled=place.profiled,
        walled=place.sandbox.bubblewrap,
        base=place.base.words if place.base else None,
    )
