"""Every case, tried one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.e2e.tampering import cases, contents, gone_bad, restated, unlogged
from tests.e2e.tampering.world import Case, NotAsExpected, World, run


def all_cases(world: World) -> Iterator[Case]:
    """All of them, for the release of `world`."""
    paths = [path.relative_to(world.good).as_posix() for path in sorted(world.good.rglob("*")) if path.is_file()]
    yield from cases.contents(world, paths)
    yield from cases.names(world, paths)
    yield from cases.other_releases(world)
    yield from cases.bundles(world)
    yield from cases.signers(world)
    yield from unlogged.cases(world)
    yield from cases.paths()
    yield from cases.sizes(world)
    yield from contents.cases()
    yield from gone_bad.cases()
    yield from restated.cases()


def attempt_all(around: World, scratch: Path) -> list[tuple[Case, int, str]]:
    """Every case with its exit code and reason. Raises NotAsExpected that names each case that ends otherwise."""
    outcomes, otherwise = [], []
    for case in all_cases(around):
        try:
            outcomes.append((case, *run(around, case, scratch)))
        except NotAsExpected as problem:
            otherwise.append(str(problem))
    if otherwise:
        raise NotAsExpected("\n".join(otherwise))
    return outcomes


def told(outcomes: Sequence[tuple[Case, int, str]], seconds: float) -> str:
    """The count and time, in a line."""
    steps = Counter("2 or 3" if isinstance(case.step, tuple) else str(case.step) for case, _, _ in outcomes)
    codes = Counter(code for _, code, _ in outcomes)
    words = f"{len({reason for _, _, reason in outcomes})} reasons"
    by_step = ", ".join(f"{count} at step {step}" for step, count in sorted(steps.items()))
    by_code = ", ".join(f"{count} with exit code {code}" for code, count in sorted(codes.items()))
    return f"{len(outcomes)} ways of tampering, all refused, in {seconds:.1f} s: {by_step}; {by_code}; {words}"
