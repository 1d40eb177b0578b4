"""The summary that the EU asks for: each section of the template, what is known, and what is not provided."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from registry.files import write_atomic
from registry.openness.documents import agreement, every, training_answers, training_summary
from registry.records import layout
from registry.report import Verdict
from tests import synthetic_release
from tests.registry.openness.documents.conftest import PARAMS, digests

SECTIONS = ["1.1", "1.2", "1.3", "2.1", "2.2.1", "2.2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2", "3.3"]


def answers(folder: Path) -> dict[str, list[Any]]:
    """[answer, who says so] by section and question."""
    summary = json.loads((folder / layout.TRAINING_SUMMARY).read_bytes())
    assert [section["number"] for section in summary["sections"]] == SECTIONS
    return {
        f"{section['number']} {row['question']}": [row["answer"], row["saidBy"]]
        for section in summary["sections"]
        for row in section["answers"]
    }


def test_what_nobody_says_is_not_provided(synthetic: Path) -> None:
    found = answers(synthetic)
    assert found["1.3 Text: size"] == ["Less than 1 billion tokens (240 tokens)", "records"]
    assert found["1.1 Name and contact of the provider"] == found["2.3 Used"] == [None, None]
    page = (synthetic / layout.TRAINING_PAGE).read_text()
    assert re.findall(r"^### (\S+)", page, re.MULTILINE) == SECTIONS
    assert page.count("*not provided*") == sum(value is None for value, _ in found.values()) > 30


@pytest.mark.parametrize("more", [0, 1, 100_000])
def test_a_row_of_a_page_is_read_in_time_that_grows_with_it(more: int) -> None:
    answer = " | ".join(["l"] * (more + 1))
    assert list(training_summary.page_said(f"| Model | {answer} | records |")) == [("Model", [answer, "records"])]
    assert list(training_summary.page_said("| Model | records |")) == []


def test_what_the_provider_says_is_told_as_its_own(full: Path) -> None:
    found, page = answers(full), (full / layout.TRAINING_PAGE).read_text()
    assert found["1.1 Name and contact of the provider"] == ["A provider | <b>1 Street</b>", "provider"]
    assert r"| A provider \| &lt;b>1 Street&lt;/b> | provider |" in page
    assert found["1.3 Image: size"] == ["1 million to 1 billion images (2,000,000 images)", "provider"]
    assert found["1.3 Languages"] == [["en", "code"], "provider"]
    assert found["2.3 Used"] == [False, "provider"] and "2.3 Behaviour" not in found
    assert found["2.4 Used, of other services of the provider"] == found["3.1 Measures"] == [None, None]
    assert found["2.6 Used"] == [True, "records"]
    checks = list(agreement.checks(full, digests(full)))
    assert {check.verdict for check in checks} == {Verdict.PASS} and len(checks) == len(every.DOCUMENTS)
    assert json.loads((full / layout.CROISSANT).read_bytes())["rai:dataLimitations"] == ["Forty | texts"]


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "Less"),
        (10**9 - 1, "Less"),
        (10**9, "1 billion to"),
        (10**13 - 1, "1 billion to"),
        (10**13, "More than 10 t"),
    ],
)
def test_sizes_of_text_are_those_of_the_template(amount: int, words: str) -> None:
    assert training_answers.size("text", amount).startswith(words)


def test_a_section_that_no_project_can_have_fails(tmp_path: Path) -> None:
    root = tmp_path / "release"
    synthetic_release.write(root, extra={layout.PARAMS: PARAMS.encode()})
    write_atomic(root / layout.PARAMS, PARAMS.replace("provider:", "povider:").encode())
    for check in agreement.checks(root, digests(root)):
        assert check.verdict is Verdict.FAIL and "release.eu.povider" in check.reason


def test_a_release_without_data_has_neither_summary_nor_croissant(tmp_path: Path) -> None:
    root = tmp_path / "release"
    synthetic_release.write(root)
    for path in (layout.DATA_SUMMARY, *layout.DOCUMENTS):
        (root / path).unlink()
    every.write(root)
    assert [path for path in layout.DOCUMENTS if (root / path).is_file()] == [layout.BOM, layout.SPDX]
