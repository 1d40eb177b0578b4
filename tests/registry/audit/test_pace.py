"""How many segments are trained at a time: never more processes than cores, and never slower than one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.audit.pace import Pace, soonest


@pytest.mark.parametrize(
    ("steps", "cores", "leaves", "expected"),
    [
        ([120], 2, 4, Pace(1, 2)),
        ([120, 120], 2, 4, Pace(2, 1)),
        ([120, 120, 120], 2, 4, Pace(1, 2)),  # two at once would leave a core idle beside the third
        ([120, 2, 1], 2, 4, Pace(1, 2)),
        ([1] * 8, 16, 4, Pace(8, 2)),
        ([120], 64, 4, Pace(1, 4)),
        ([120], 1, 1, Pace(1, 1)),
    ],
)
def test_the_soonest_pace(steps: list[int], cores: int, leaves: int, expected: Pace) -> None:
    assert soonest(dict(enumerate(steps)), cores, leaves) == expected


@given(
    st.dictionaries(st.integers(0, 10_000), st.integers(1, 1000), min_size=1, max_size=20),
    st.integers(1, 64),
    st.sampled_from([1, 2, 4, 8]),
)
def test_any_pace_fits_the_machine_and_beats_one_by_one(steps: dict[int, int], cores: int, leaves: int) -> None:
    found = soonest(steps, cores, leaves)
    assert found.at_once * found.processes <= cores and found.at_once <= len(steps)
    assert found.processes <= leaves and found.processes & (found.processes - 1) == 0
    assert found.needs(steps) <= Pace.of(1, cores, leaves).needs(steps)
    shares = found.shares(steps)
    assert len(shares) <= found.at_once and sorted(number for share in shares for number in share) == sorted(steps)
