"""An honest release never fails: twenty replays of random segments of a small one, on one process and on several."""

from __future__ import annotations

from collections import Counter

from registry.audit import challenge, data
from registry.audit.segments import SOONEST, Effort
from tests.audited import Bench, segments
from tests.conftest import new_project
from tests.pipelines.small_project import TRAIN

REPLAYS = 20


def main() -> None:
    """Print how many segments came out the same. Ends the benchmark where one did not."""
    with Bench.start() as bench:
        train = TRAIN | {"steps": 24, "checkpoint_every": 2}
        project = new_project(bench.folder / "small" / "project", train=train)
        bench.build(project)
        place = bench.open(project, bench.admit(bench.sign(project)), "audit")
        made = data.remake(place)
        counts: Counter[str] = Counter()
        for number in range(REPLAYS):
            asked = challenge.draw(place.audited.chain, place.audited.logged_at, count=1 + number % 3)
            effort = Effort(at_once=1) if number % 2 else SOONEST
            found = segments(made, project, f"replay-{number}", asked.chosen, effort).replay()
            counts.update(segment.verdict for segment in found)
        total = len(place.audited.chain.entries) - 1
        said = ", ".join(f"{count} {word}" for word, count in counts.items())
        print(f"{REPLAYS} replays of an honest release of {total} segments, {counts.total()} drawn: {said}")
        if set(counts) != {"BITWISE"}:
            raise SystemExit("an honest segment came out otherwise")


if __name__ == "__main__":
    main()
