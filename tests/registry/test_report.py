"""registry.report: UNKNOWN is never folded into PASS or FAIL."""

import itertools

import pytest

from registry.report import Check, Report, Step, Verdict


@pytest.mark.parametrize("verdicts", [v for n in range(4) for v in itertools.product(Verdict, repeat=n)])
def test_the_law_of_verdicts(verdicts: tuple[Verdict, ...]) -> None:
    report = Report("x", tuple(Check(Step.BOUNDS, verdict, "x", "y") for verdict in verdicts))
    if Verdict.FAIL in verdicts:
        assert report.verdict is Verdict.FAIL
    elif set(verdicts) == {Verdict.PASS}:
        assert report.verdict is Verdict.PASS
    else:
        assert report.verdict is Verdict.UNKNOWN


def test_exit_codes() -> None:
    assert [verdict.exit_code for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN)] == [0, 1, 3]
