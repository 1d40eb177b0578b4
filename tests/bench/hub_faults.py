"""kill -9 of `glasshouse release publish --checkpoints`, and of the server under it: no release, or the whole one.

First the client at every request by which it changes something, before it is sent and after it is answered, by one
commit and by a pull request of several. Then client and server at random moments. Each time the store passes its check,
and the same command, run again, finishes: one commit, one tag, a branch for each checkpoint.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from tests.hub_instance import HubInstance
from tests.sudden_death import PART_SIZE, Release, at_request, command, finished, left_behind

POINTS = 20
SMALL = 200_000
SIZE = 24 << 20


def main() -> None:
    """Every request, then POINTS random moments of each."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        every_request(Path(name))
        chance = random.Random(20_261_123)
        release = Release.write(Path(name) / "random", SIZE)
        begins, took = undisturbed(Path(name) / "undisturbed", release)
        size = sum(path.stat().st_size for path in release.folder.parent.rglob("*") if path.is_file())
        print(f"publishing {size >> 20} MiB takes {took:.1f} s undisturbed; it begins to send after {begins:.1f} s")
        for who in ("client", "server"):
            moments = [chance.uniform(begins, took * 1.05) for _ in range(POINTS)]
            seen = [killed(Path(name) / f"{who}-{n}", release, who, moment) for n, moment in enumerate(moments)]
            print(f"{who}: {POINTS} kills, {sum(seen)} left a whole release, {POINTS - sum(seen)} none; all finished")


def every_request(root: Path) -> None:
    """kill -9 of the client at each of its requests, and the command again."""
    with HubInstance.start(root / "hub", part_size=PART_SIZE) as hub:
        for few in (False, True):
            way = "a pull request" if few else "one commit"
            release = Release.write(root / way, SMALL, repo=f"glasshouse/whole-{few}".lower(), steps=1)
            requests = at_request(hub, release, None, few=few)
            seen = []
            for number in range(len(requests)):
                for answered in (False, True):
                    repo = f"glasshouse/r{number}-{answered}-{few}".lower()
                    release = Release.write(root / repo.replace("/", "-"), SMALL, repo=repo, steps=1)
                    at_request(hub, release, number, answered=answered, few=few)
                    seen.append(left_behind(hub, release))
                    at_request(hub, release, None, few=few)
                    finished(hub, release, requests=int(few))
            whole = sum(seen)
            print(
                f"by {way}: {len(seen)} kills at {len(requests)} requests, {whole} left a whole release; all finished"
            )


def undisturbed(root: Path, release: Release) -> tuple[float, float]:
    """(seconds of a dry run, seconds of one publication)."""
    with HubInstance.start(root, part_size=PART_SIZE) as hub:
        times = []
        for more in (("--dry-run",), ()):
            started = time.monotonic()
            assert command(hub, release, *more).wait() == 0
            times.append(time.monotonic() - started)
        finished(hub, release)
        return times[0], times[1]


def killed(root: Path, release: Release, who: str, delay: float) -> bool:
    """One kill of `who` after `delay` seconds, and the publication again; whether a release was there in between."""
    with HubInstance.start(root, part_size=PART_SIZE) as hub:
        client = command(hub, release)
        time.sleep(delay)
        (client if who == "client" else hub.process).kill()
        if who == "server":  # the client would wait for it, and try again
            client.kill()
        client.wait()
    with HubInstance.start(root, part_size=PART_SIZE) as hub:
        whole = left_behind(hub, release)
        assert command(hub, release).wait() == 0
        finished(hub, release)
    return whole
