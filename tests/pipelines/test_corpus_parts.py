"""The small parts of pipelines.corpus: globs, licences, the judge, reading a file that may be a trap."""

import os
from email.message import Message
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.corpus import licences
from pipelines.corpus.documents import Document, read
from pipelines.corpus.globs import selects
from pipelines.corpus.judge import Judge, share
from pipelines.params import Corpus
from registry.digest import sha256_bytes
from registry.errors import InputError
from registry.records.data_row import NO_LICENCE
from tests.pipelines.small_project import params


@pytest.mark.parametrize(
    ("glob", "taken", "left"),
    [
        ("**/*.py", ["a.py", "x/a.py", "x/y/a.py", "x/.py"], ["a.pyc", "a.py/b", "apy"]),
        ("*.py", ["a.py"], ["x/a.py"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "y/x/a", "xx/a"]),
        ("x/?.md", ["x/a.md"], ["x/ab.md", "x//.md"]),
        ("a+(b)[c].py", ["a+(b)[c].py"], ["aab.py"]),
    ],
)
def test_globs(glob: str, taken: list[str], left: list[str]) -> None:
    takes = selects([glob])
    assert [path for path in taken if not takes(path)] == []
    assert [path for path in left if takes(path)] == []
    assert not any(selects([glob], exclude=["**"])(path) for path in taken)


@given(st.text(st.characters(exclude_characters="*?", codec="utf-8"), min_size=1), st.text())
def test_a_glob_without_signs_takes_itself_only(glob: str, path: str) -> None:
    assert selects([glob])(glob)
    assert selects([glob])(path) == (path == glob)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"License-Expression": "Apache-2.0 OR BSD-2-Clause"}, "Apache-2.0 OR BSD-2-Clause"),
        ({"License": "MIT"}, "MIT"),
        ({"License": "Apache 2.0 License"}, "Apache-2.0"),
        ({"License": "Copyright 2018 X\n\n    Apache License\n   Version 2.0, January 2004\n..."}, "Apache-2.0"),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "see LICENSE", "Classifier": "License :: OSI Approved :: ISC License (ISCL)"}, "ISC"),
        ({"License": "BSD", "Classifier": "License :: OSI Approved :: BSD License"}, NO_LICENCE),
        ({"Classifier": "License :: OSI Approved :: Apache Software License"}, NO_LICENCE),
        ({"License-Expression": "MIT AND"}, NO_LICENCE),
        ({}, NO_LICENCE),
    ],
)
def test_a_package_s_licence_is_what_cannot_be_doubted(headers: dict[str, str], expected: str) -> None:
    metadata = Message()
    for name, value in headers.items():
        metadata[name] = value
    assert licences.of_package(metadata) == expected  # type: ignore[arg-type]


def test_two_classifiers_are_one_too_many() -> None:
    metadata = Message()
    metadata["Classifier"] = "License :: OSI Approved :: MIT License"
    metadata["Classifier"] = "License :: Other/Proprietary License"
    assert licences.of_package(metadata) == NO_LICENCE  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"# SPDX-License-Identifier: GPL-3.0-only\n", "GPL-3.0-only"),
        (b"// SPDX-License-Identifier: MIT OR Apache-2.0 \r\n", "MIT OR Apache-2.0"),
        (b"# SPDX-License-Identifier: Ours\n", NO_LICENCE),
        (b"# a file\n" + b" " * 4096 + b"# SPDX-License-Identifier: GPL-3.0-only\n", None),
        (b"", None),
    ],
)
def test_a_file_can_state_a_licence_of_its_own(head: bytes, expected: str | None) -> None:
    assert licences.of_file(head) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("mit", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND (Apache-2.0 OR GPL-3.0-only)", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("GPL-3.0-only", False),
        (NO_LICENCE, False),
        ("", False),
    ],
)
def test_what_a_list_of_licences_allows(expression: str, expected: bool) -> None:
    assert licences.allows(["MIT", "Apache-2.0"])(expression) is expected


def test_a_list_with_a_licence_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match="Ours"):
        licences.allows(["MIT", "Ours"])


@example("()")
@example("( AND MIT")
@given(st.text() | st.lists(st.sampled_from(["MIT", "Apache-2.0", "AND", "OR", "WITH", "(", ")", "X"])).map(" ".join))
def test_any_wording_is_an_expression_or_none(wording: str) -> None:
    if (found := licences.normal(wording)) is not None:
        assert licences.normal(found) == found


def judge(seed: int = 7) -> Judge:
    return Judge(Corpus.model_validate(params()["corpus"], strict=False), seed)


def document(data: bytes, licence: str = "MIT") -> Document:
    return Document("a", licence, len(data), sha256_bytes(data), data)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (document(b"short"), "size"),
        (document(b"long " * 3000), "size"),
        (Document("a", "MIT", 1 << 40, "0" * 64, None), "size"),
        (document(b"long enough", "GPL-3.0-only"), "license"),
        (document(b"long enough", NO_LICENCE), "license"),
        (document(b"# SPDX-License-Identifier: GPL-3.0-only\n"), "license"),
        (document(b"long enough, but \xff"), "encoding"),
        (document(b"long enough"), None),
    ],
)
def test_the_judge_says_why(given: Document, reason: str | None) -> None:
    row = judge().row(given, "files:texts")
    assert row.reason == reason
    assert (row.use == "excluded") == (reason is not None)


def test_of_equal_documents_the_first_that_could_be_used_stays() -> None:
    court = judge()
    rows = [court.row(document(b"long enough", licence), "files:texts") for licence in ("GPL-3.0-only", "MIT", "MIT")]
    assert [row.reason for row in rows] == ["license", None, "duplicate"]


def test_the_split_is_the_document_s_own() -> None:
    documents = [document(b"document %6d" % number) for number in range(2000)]
    forth, back, other = judge(), judge(), judge(seed=8)
    uses = {each.sha256: forth.row(each, "files:texts").use for each in documents}
    assert uses == {each.sha256: back.row(each, "files:texts").use for each in reversed(documents)}
    assert uses != {each.sha256: other.row(each, "files:texts").use for each in documents}
    assert 400 < list(uses.values()).count("validation") < 600  # a quarter of 2,000; five standard deviations are 97


def test_a_share_is_the_same_for_ever() -> None:
    """A golden: another value moves documents between training and validation."""
    assert share(2026, "split", "0" * 64) == 0.4253338873380734
    assert 0 <= share(2026, "split", "1" * 64) < 1


def test_reading_keeps_no_more_than_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read(tmp_path, "a", "MIT", 5) == Document("a", "MIT", 5, sha256_bytes(b"12345"), b"12345")
    assert read(tmp_path, "a", "MIT", 4) == Document("a", "MIT", 5, sha256_bytes(b"12345"), None)


def test_what_is_no_plain_file_below_the_root_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "way").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    for path in ("link", "way/secret", "../secret", str(tmp_path / "secret"), "folder", "pipe", "missing"):
        with pytest.raises(InputError):
            read(root, path, "MIT", 100)
