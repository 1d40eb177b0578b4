"""registry.report: UNKNOWN is never folded into PASS or FAIL."""

import itertools
from typing import NoReturn

import pytest

from registry import errors
from registry.errors import GlasshouseError
from registry.report import Check, Report, Step, Verdict, ask
from registry.verification.case import STEPS


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


def test_verification_has_the_steps_that_the_page_names() -> None:
    assert [(int(step), step.word) for step in STEPS] == list(
        enumerate(("bounds", "place", "bytes", "signatures", "complete", "lineage", "policy", "status"))
    )


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GlasshouseError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_only_what_speaks_against_a_thing_fails_it(kind: type[GlasshouseError]) -> None:
    """By the exit code: 1 is said of what was checked and does not hold; a format that is not kept is bad input."""
    problem = (
        errors.DigestMismatch("x", signed="y", found="z") if kind is errors.DigestMismatch else kind("x", mend="y")
    )

    def question() -> NoReturn:
        raise problem

    against = problem.exit_code == 1 or kind is errors.Malformed
    assert ask(Step.BYTES, "a", question) == Check(
        Step.BYTES, Verdict.FAIL if against else Verdict.UNKNOWN, "a", problem.message
    )


def test_an_answer_passes_with_what_was_found() -> None:
    assert ask(Step.BYTES, "a", lambda: "b") == Check(Step.BYTES, Verdict.PASS, "a", "b")
