"""How fast one address may ask."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from registry.server.access.limits import Rates
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 9), st.floats(0.5, 50))
def test_no_address_gets_more_than_its_share(waits: list[float], burst: int, rate: float) -> None:
    rates, now, allowed = Rates(rate, burst), 100.0, 0
    for wait in waits:
        now += wait
        allowed += rates.take("a", now) == 0.0
    assert allowed <= burst + rate * (now - 100.0) + 1e-6


def test_who_asks_too_fast_is_told_to_wait(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--rate", "1", "--burst", "5")) as hub:
        answers = [ask(hub, "GET", "/healthz") for _ in range(8)]
        assert [status for status, *_ in answers][:4] == [200] * 4 and answers[-1][0] == 429
        assert int(answers[-1][1]["retry-after"]) >= 1
