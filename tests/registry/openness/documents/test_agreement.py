"""A document that says other than the records is seen, whoever made it; an old one is not called wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.files import write_atomic
from registry.openness.documents import agreement, every, maker
from registry.records import layout
from registry.report import Verdict
from tests.registry.openness.documents.conftest import Changed, digests

PATHS = [document.path for document in every.DOCUMENTS]
OLDER, OLD = "0.0.9+edition.99", f"0.0.9+edition.{maker.EDITION - 1}"


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    """Puts `new` where `old` stands first."""
    return lambda data: data.replace(old.encode(), new.encode(), 1)


def older(data: bytes) -> bytes:
    """As another version would have made it."""
    return data.replace(maker.OURS.encode(), OLDER.encode())


def test_documents_are_what_the_records_give(release: Path) -> None:
    found = list(agreement.checks(release, digests(release)))
    assert [check.subject for check in found] == [f"{path} <- records" for path in PATHS]
    assert all(check.verdict is Verdict.PASS and "byte for byte" in check.reason for check in found)


def test_a_release_without_documents_is_asked_for_none(synthetic: Path) -> None:
    there = {path: sha256 for path, sha256 in digests(synthetic).items() if path not in layout.DOCUMENTS}
    assert list(agreement.checks(synthetic, there)) == []


WRONG = [
    (layout.BOM, "Apache-2.0", "MIT", "licence expression"),
    (layout.BOM, '"1.0.0"', '"1.0.1"', "version"),
    (layout.BOM, '"value": "4096"', '"value": "4097"', "parameters"),
    (layout.BOM, "CC0-1.0 AND MIT", "MIT", "data data"),
    (layout.BOM, '"name": "files:texts"', '"name": "files:others"', "source files:"),
    (layout.BOM, '"version": "2.4.6"', '"version": "2.4.7"', "library pkg:pypi/numpy@2.4.6"),
    (layout.BOM, "glasshouse:record:provenance/tokens.json", "glasshouse:record:provenance/other.json", "record:"),
    (layout.BOM, '"value": "2.5"', '"value": "1.5"', "metric bits per byte"),
    (layout.SPDX, 'licence/Apache-2.0"\n   ]', 'licence/MIT"\n   ]', "relation/model/hasDeclaredLicense, to"),
    (
        layout.SPDX,
        '"software_packageVersion": "1.0.0"',
        '"software_packageVersion": "1.0.1"',
        "model, software_package",
    ),
    (layout.SPDX, '"value": "4096"', '"value": "4097"', "model, ai_hyperparameter"),
    (layout.SPDX, '"value": "2.5"', '"value": "1.5"', "model, ai_metric"),
    (layout.SPDX, '"dataset_datasetSize": 270', '"dataset_datasetSize": 271', "data, dataset_datasetSize"),
    (layout.SPDX, 'Expression": "CC0-1.0"', 'Expression": "MIT"', "licence/CC0-1.0, simplelicensing"),
    (layout.CROISSANT, "licenses/CC0-1.0", "licenses/MIT", "license"),
    (layout.CROISSANT, '"version": "1.0.0"', '"version": "1.0.1"', "version"),
    (layout.CROISSANT, "30 for training", "31 for training", "rai:dataPreprocessingProtocol"),
    (layout.CROISSANT, '"identifier": "files:texts"', '"identifier": "files:others"', "source files:"),
    (layout.TRAINING_SUMMARY, "(240 tokens)", "(241 tokens)", "1.3 Text: size"),
    (layout.TRAINING_SUMMARY, '"version": "1.0.0"', '"version": "1.0.1"', "version"),
    (layout.TRAINING_SUMMARY, "CC0-1.0: 20", "MIT-0: 20", "3.3 Licences of the documents"),
    (layout.TRAINING_SUMMARY, '"saidBy": null', '"saidBy": "records"', "1.1 Name and contact of the provider"),
    (layout.TRAINING_PAGE, "(240 tokens)", "(241 tokens)", "1.3 Text: size"),
    (layout.TRAINING_PAGE, "| 1.0.0 |", "| 1.0.1 |", "Version of the summary"),
    (layout.TRAINING_PAGE, "CC0-1.0: 20", "MIT-0: 20", "3.3 Licences of the documents"),
    (layout.TRAINING_PAGE, "the provider | *not provided* |", "the provider | Somebody |", "1.1 Name and contact"),
]
"""(document, what it says, what else it would say, where that is seen)."""


@pytest.mark.parametrize("made", ["by this version", "by another one"])
@pytest.mark.parametrize(("path", "said", "lie", "where"), WRONG)
def test_a_wrong_fact_is_seen(changed: Changed, path: str, said: str, lie: str, where: str, made: str) -> None:
    lied = replaced(said, lie)
    answer = changed(path, lied if made == "by this version" else lambda data: older(lied(data)))
    renamed = said.endswith('"files:texts"') or "record:" in said  # then one fact is missing, and one unheard of
    expected = Verdict.UNKNOWN if renamed and made == "by another one" else Verdict.FAIL
    assert answer.verdict is expected and where in answer.reason, answer


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_digest_of_the_weights_or_the_data_is_seen(changed: Changed, synthetic: Path, path: str) -> None:
    found = digests(synthetic)
    text = (synthetic / path).read_text()
    sha256 = next(found[name] for name in (layout.WEIGHTS, layout.DATA_SUMMARY) if found[name] in text)
    for edit in (replaced(sha256, "0" * 64), lambda data: older(replaced(sha256, "0" * 64)(data))):
        answer = changed(path, edit)
        assert answer.verdict is Verdict.FAIL and "0" * 20 in answer.reason, answer


@pytest.mark.parametrize("path", PATHS)
def test_one_of_another_version_is_held_to_its_facts(changed: Changed, path: str) -> None:
    answer = changed(path, older)
    assert answer.verdict is Verdict.PASS and f"made by glasshouse {OLDER}" in answer.reason


def test_an_older_edition_can_tell_less_and_nothing_else(changed: Changed) -> None:
    def old(*edits: tuple[str, str]) -> Callable[[bytes], bytes]:
        def edit(data: bytes) -> bytes:
            for before, after in edits:
                data = replaced(before, after)(data)
            return data.replace(maker.OURS.encode(), OLD.encode())

        return edit

    less = ('   "software_packageVersion": "1.0.0",\n', "")
    told = changed(layout.SPDX, old(less))
    assert told.verdict is Verdict.PASS and told.reason.endswith("; 1 that are told today are not in it")
    assert changed(layout.SPDX, old(less, ('"value": "4096"', '"value": "1"'))).verdict is Verdict.FAIL
    assert changed(layout.SPDX, lambda data: older(replaced(*less)(data))).verdict is Verdict.UNKNOWN
    unbound = changed(layout.TRAINING_PAGE, old(("| provenance/release.json |", "| provenance/other.json |")))
    assert unbound.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("path", PATHS)
def test_a_byte_more_is_not_what_this_version_makes(changed: Changed, path: str) -> None:
    answer = changed(path, lambda data: data + b"\n")
    assert answer.verdict is Verdict.FAIL and "not what glasshouse" in answer.reason
    assert changed(path, lambda data: older(data) + b"\n").verdict is Verdict.PASS


BESIDE = [
    (layout.BOM, '{\n     "type": "file"', '{"name": "model.safetensors", "hashes": []}, {"type": "file"'),
    (layout.SPDX, '{\n   "type": "Organization"', '{"type": "x", "spdxId": "a#model", "name": "b"}, {"type": "x"'),
    (layout.CROISSANT, '{\n   "@type": "cr:FileObject"', '{"name": "release.json", "sha256": "0"}, {"x": "y"'),
    (
        layout.TRAINING_SUMMARY,
        '{\n     "question"',
        '{"question": "Name and contact of the provider", "answer": 1, "saidBy": 2}, {"question"',
    ),
    (layout.TRAINING_PAGE, "| Model |", "| Model | another/one | records |\n| Model |"),
]
"""(document, before what a lie is put, and the lie)."""


@pytest.mark.parametrize(("path", "before", "lie"), BESIDE)
def test_a_lie_beside_the_truth_is_seen(changed: Changed, path: str, before: str, lie: str) -> None:
    answer = changed(path, lambda data: older(replaced(before, lie)(data)))
    assert answer.verdict is Verdict.FAIL and "not of the form" in answer.reason


@pytest.mark.parametrize("path", PATHS)
def test_whose_it_is_cannot_be_told(changed: Changed, path: str) -> None:
    answer = changed(path, lambda data: data.replace(maker.OURS.encode(), b"9.9"))
    assert answer.verdict is Verdict.UNKNOWN and "which version" in answer.reason


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"metadata": 7}', b"[" * 100_000, b"\xff", b"| a | b | c |"]
)
def test_what_is_not_such_a_document_passes_nowhere(changed: Changed, path: str, data: bytes) -> None:
    assert changed(path, lambda _: data).verdict is not Verdict.PASS


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "document", [one for one in every.DOCUMENTS if one.path.endswith(".json")], ids=lambda one: one.path
)
def test_of_no_value_in_it_anything_is_raised(document: every.Form, synthetic: Path, tmp_path: Path) -> None:
    root = shutil.copytree(synthetic, tmp_path / "release")
    value = json.loads((root / document.path).read_bytes())

    @settings(max_examples=25)
    @given(st.data())
    def put(choice: st.DataObject) -> None:
        here, parts = value, list[Any]()
        while isinstance(here, dict | list) and here and (not parts or choice.draw(st.booleans())):
            keys = sorted(here) if isinstance(here, dict) else range(len(here))
            parts.append(choice.draw(st.sampled_from(keys)))
            here = here[parts[-1]]
        write_atomic(root / document.path, json.dumps(_with(value, parts, choice.draw(VALUES))).encode())
        (answer,) = (c for c in agreement.checks(root, found) if c.subject.startswith(document.path))
        assert answer.reason

    found = digests(root)
    put()


def _with(value: Any, parts: list[Any], leaf: Any) -> Any:
    """`value`, with `leaf` at the place `parts`."""
    if not parts:
        return leaf
    copy = value.copy()
    copy[parts[0]] = _with(value[parts[0]], parts[1:], leaf)
    return copy
