"""What reaches a terminal: nothing that a hostile name could drive it with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.cli import output
from registry.doctor import Condition
from registry.errors import InputError
from registry.report import Check, Established, Report, Step, StepSummary, Verdict

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202egpj.exe\r\n0 bounds PASS [bold]x[/bold] [link=http://evil]y[/link]"
TEXTS = st.text() | st.text(alphabet=st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs"])) | st.just(HOSTILE)


def safe(shown: str) -> bool:
    return all(line.isprintable() for line in shown.split("\n"))


@given(TEXTS)
def test_a_name_is_printed_in_one_line_and_drives_nothing(text: str) -> None:
    assert output.printable(text).isprintable()
    assert output.printable(output.printable(text)) == output.printable(text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, TEXTS)
def test_json_says_the_same_and_drives_nothing(capsys: pytest.CaptureFixture[str], key: str, text: str) -> None:
    output.data({key: [text, {"b": text}]})
    shown = capsys.readouterr().out
    assert safe(shown)
    assert _halves(json.loads(shown)) == _halves({key: [text, {"b": text}]})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(TEXTS)
def test_a_report_and_an_error_drive_nothing(capsys: pytest.CaptureFixture[str], text: str) -> None:
    checks = tuple(Check(step, verdict, text, text) for step, verdict in zip(Step, Verdict, strict=False))
    steps = tuple(StepSummary(check.step, check.verdict, text, 0.0) for check in checks)
    output.report(Report(text, checks))
    output.verification(Report(text, (*checks, *checks), steps))
    output.verification(Report(text, checks[:1], steps[:1], Established(text, text, text, text)))
    output.conditions([Condition(text, Verdict.FAIL, text, text), Condition(text, Verdict.PASS, text)])
    output.error(InputError(text, mend=text), as_json=False)
    output.error(InputError(text, mend=text), as_json=True)
    output.say(text)
    shown = capsys.readouterr()
    assert safe(shown.out) and safe(shown.err)


def test_markup_in_a_name_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.report(Report("[bold]x[/bold]", ()))
    assert "[bold]x[/bold]" in capsys.readouterr().out


def test_what_did_not_pass_is_listed_once_what_fails_first_and_not_without_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    untold = tuple(Check(Step.SIGNATURES, Verdict.UNKNOWN, f"u{n}", "no answer") for n in range(output.MOST))
    failed = Check(Step.SIGNATURES, Verdict.FAIL, "f", "altered")
    alone = Check(Step.STATUS, Verdict.UNKNOWN, "r", "no word")
    steps = (
        StepSummary(Step.SIGNATURES, Verdict.FAIL, "1 failed", 1.234),
        StepSummary(Step.STATUS, Verdict.UNKNOWN, "no word", 0),
    )
    output.verification(Report("r", (*untold, failed, alone), steps))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["3", "signatures", "FAIL", "1.23", "s", "1", "failed"]
    assert lines[2] == "FAIL     3 signatures: f: altered" and lines[3] == "UNKNOWN  3 signatures: u0: no answer"
    assert lines[-2].startswith("and 1 more") and lines[-1].startswith(f"FAIL: r: 1 of {output.MOST + 2} checks failed")
    assert len(lines) == len(steps) + output.MOST + 2


def test_a_second_line_of_an_error_is_not_taken_for_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    output.error(InputError("a\nglasshouse: all is well", mend="b"), as_json=False)
    assert "\nglasshouse" not in capsys.readouterr().err


def _halves(value: Any) -> str:
    """Lone surrogates and pairs of them are one, once they went through JSON."""
    return json.dumps(value)
