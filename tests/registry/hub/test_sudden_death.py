"""A few of the kills of tests/bench/hub_faults.py, early, midway and late."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import hub_faults


@pytest.mark.parametrize(("who", "delay"), [("client", 0.9), ("client", 1.6), ("server", 0.9), ("server", 1.6)])
def test_a_publication_is_finished_after_a_kill(tmp_path: Path, who: str, delay: float) -> None:
    folder = hub_faults.release(tmp_path / "release", 16 << 20)
    hub_faults.killed(tmp_path / "hub", folder, who, delay)
