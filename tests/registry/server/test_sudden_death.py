"""A few of the kills of tests/bench/hub_faults.py: at the steps that change most, and of the server midway."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import hub_faults
from tests.hub_instance import HubInstance
from tests.sudden_death import Release, at_request, finished, left_behind

SIZE = 100_000
STEPS = (("/commit/step-", False), ("/tag/", False), ("/commit/refs", True))
"""Further ones, for `make slow`."""
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """One of these tests' own, since its whole store is checked: other tests damage the shared one on purpose."""
    with HubInstance.start(tmp_path_factory.mktemp("hub")) as instance:
        yield instance


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """With a checkpoint, for a repository of its own."""
    return Release.write(tmp_path, SIZE, repo=f"glasshouse/killed-{next(_NUMBERS)}", steps=1)


@pytest.mark.parametrize(
    ("path", "few"),
    [
        ("/commit/main", False),
        ("/merge", True),
        *(pytest.param(*more, marks=pytest.mark.slow) for more in STEPS),
    ],
)
def test_killed_at_a_step_it_is_finished_by_publishing_again(
    hub: HubInstance, release: Release, path: str, few: bool
) -> None:
    """Once the request was answered, and nobody is there any more to hear it."""
    at_request(hub, release, path, few=few)
    assert left_behind(hub, release) == (path == "/tag/")
    at_request(hub, release, None, few=few)
    finished(hub, release, requests=int(few))


def test_a_server_that_died_has_no_half_release(tmp_path: Path) -> None:
    hub_faults.killed(tmp_path / "hub", Release.write(tmp_path, 8 << 20), "server", 1.4)
