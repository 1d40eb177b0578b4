"""Rules of the corpus, on planted documents: each is handled as its rule says, counted, and told in its row."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasketch import LeanMinHash, MinHashLSH
from hypothesis import given
from hypothesis import strategies as st

from pipelines import params
from pipelines.corpus import build, languages, met, near_duplicates, parquet, quality, scrub
from pipelines.corpus.evaluation_sets import EvaluationSets
from pipelines.corpus.near_duplicates import Neighbours, Signature
from pipelines.params import Decontamination, NearDuplicates, Quality
from registry.digest import sha256_bytes
from registry.errors import InputError, Unavailable
from registry.manifest import Manifest
from registry.records import data_manifest
from registry.records.data_manifest import Summary
from registry.records.data_row import LANGUAGE, Row
from tests.pipelines.small_project import write_project

WORDS = [
    f"{first}{second}" for first in ("ba", "de", "ki", "lo", "mu", "ne", "ru", "so") for second in ("ta", "vi", "ze")
]


def prose(seed: int, count: int = 120) -> str:
    """Words that no other seed has in this order."""
    chance = random.Random(seed)
    return " ".join(chance.choice(WORDS) for _ in range(count)) + ".\n"


SOURCE = {
    "kind": "rows",
    "name": "rows",
    "include": ["rows/*.jsonl"],
    "license_column": "license",
    "origin_column": "where",
    "status": "withdrawn",
    "url": "https://e.org/",
}
TEXTS = {
    "kind": "files", "name": "texts", "include": ["texts/*.txt"], "license": "CC0-1.0", "url": "https://example.org/",
}  # fmt: skip
PASSAGE = prose(1000, 20)
TOKEN = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----"
ROWS: Mapping[str, tuple[str, str]] = {
    "good": ("MIT", prose(1)),
    "not allowed": ("GPL-3.0-only", prose(2)),
    "without": ("", prose(3)),
    "alike": ("MIT", prose(1).replace(".\n", " more.\n")),
    "evaluation": ("MIT", f"{prose(4)} {PASSAGE.upper()} {prose(5)}"),
    "email": ("MIT", f"{prose(6)} Write to jane.doe@mail.example.org or to bob@b.example. {prose(7)}"),
    "key": ("MIT", f"{prose(8)} {TOKEN} {PEM} {prose(9)}"),
    "nul": ("MIT", f"{prose(10)}\0{prose(11)}"),
    "long line": ("MIT", "x" * (20 << 20)),
    "few": ("MIT", "two words here, no more than that"),
    "lines": ("MIT", prose(12) + "the same line\n" * 80),
    "same": ("MIT", prose(1)),
    "stated": ("MIT", f"# SPDX-License-Identifier: CC0-1.0\n{prose(14)}"),
}
LATIN = "Grüße, und mehr als zehn Wörter stehen hier in dieser kleinen Datei."
RULES = {
    "filters": {"min_bytes": 10, "max_bytes": 1 << 20, "licenses": ["CC0-1.0", "MIT"]},
    "quality": {"min_words": 10, "max_repeated_lines": 0.5},
    "scrub": ["emails", "secrets"],
    "decontaminate": {"include": ["evaluation/*.jsonl"], "words": 13},
    "near_duplicates": {"threshold": 0.8},
}


def project(root: Path) -> Path:
    corpus = {"sources": [SOURCE, TEXTS], "validation_fraction": 0.25, **RULES}
    write_project(root, documents=0, corpus=corpus)
    for folder in ("rows", "evaluation"):
        (root / folder).mkdir()
    lines = [
        json.dumps({"license": licence, "text": text, "where": "" if name == "stated" else f"https://e.org/{number}"})
        for number, (name, (licence, text)) in enumerate(ROWS.items())
    ]
    (root / "rows/planted.jsonl").write_text("\n".join(lines))
    (root / "evaluation/quiz.jsonl").write_text(json.dumps({"text": PASSAGE}))
    (root / "texts/latin.txt").write_bytes(
        "Grüße, und mehr als zehn Wörter stehen hier in dieser kleinen Datei.".encode("latin-1")
    )
    for number in range(20):
        (root / f"texts/{number:03d}.txt").write_text(prose(100 + number))
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, dict[str, Row], Path]:
    """The corpus, by one process, and the rows of what was planted, by their names."""
    root = project(tmp_path_factory.mktemp("planted") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSHOUSE_PROCESSES", "1")
        summary = build.write(params.load(root / "params.yaml"), root, root / "out")
    rows = list(data_manifest.iter_rows(root / "out" / data_manifest.ROWS))
    names = dict(zip(ROWS, [row for row in rows if row.source == "files:rows"], strict=True))
    return summary, names | {row.path: row for row in rows if row.source != "files:rows"}, root


@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        ("good", None), ("not allowed", "license"), ("without", "license"), ("alike", "near-duplicate"),
        ("evaluation", "contaminated"), ("email", None), ("key", None), ("nul", "encoding"), ("long line", "size"),
        ("few", "few-words"), ("lines", "repeated-lines"), ("same", "duplicate"), ("texts/latin.txt", "encoding"),
        ("texts/003.txt", None),
    ],
)  # fmt: skip
def test_each_planted_document_is_handled_as_its_rule_says(
    built: tuple[Summary, dict[str, Row], Path], planted: str, reason: str | None
) -> None:
    row = built[1][planted]
    assert row.reason == reason
    if planted in ROWS and row.original is None:
        assert row.sha256 == sha256_bytes(ROWS[planted][1].encode())  # what is dropped is known by its digest, too


def test_what_the_rules_did_is_counted(built: tuple[Summary, dict[str, Row], Path]) -> None:
    summary, _, root = built
    assert summary.excluded == {
        "license": 2, "near-duplicate": 1, "contaminated": 1, "encoding": 2, "size": 1, "few-words": 1,
        "repeated-lines": 1, "duplicate": 1,
    }  # fmt: skip
    assert summary.scrubbed == {"emails": 2, "secrets": 2}
    data_manifest.verify(summary, root / "out" / data_manifest.ROWS)


def test_rows_tell_what_a_document_was_like(built: tuple[Summary, dict[str, Row], Path]) -> None:
    rows = built[1]
    assert rows["alike"].cluster == rows["good"].sha256
    overlap = rows["evaluation"].overlap
    assert overlap is not None and (overlap.passage, overlap.ngrams) == ("evaluation/quiz.jsonl/000000000000", 8)
    for name, count in (("email", {"emails": 2}), ("key", {"secrets": 2})):
        row, original = rows[name], ROWS[name][1].encode()
        assert row.scrubbed == count and row.original is not None
        assert (row.original.sha256, row.original.size) == (sha256_bytes(original), len(original))
    assert rows["good"].to_bytes().count(b'":') == 9, "a row says what every row does, and no more"


def test_rows_and_sources_tell_how_much_is_known_of_them(built: tuple[Summary, dict[str, Row], Path]) -> None:
    summary, rows, _ = built
    bases = {name: rows[name].license_basis for name in ("good", "without", "stated", "texts/003.txt")}
    assert bases == {"good": "declared", "without": "none", "stated": "detected", "texts/003.txt": "asserted"}
    assert (rows["stated"].license, rows["stated"].origin) == ("CC0-1.0", None)
    assert rows["good"].origin == rows["good"].place == "https://e.org/0"
    assert rows["texts/003.txt"].place == "files:texts/texts/003.txt"
    used = {basis: tally.documents for basis, tally in (summary.license_bases or {}).items()}
    assert used == {"declared": 3, "detected": 1, "asserted": 20}
    assert [(source.id, source.status) for source in summary.sources] == [
        ("files:rows", "withdrawn"), ("files:texts", "rebuildable")
    ]  # fmt: skip


def test_documents_in_other_languages_are_left_out_and_each_tells_its_own(tmp_path: Path) -> None:
    said = {
        "en": "The house stands on a hill, and from its windows you can see the river and the sea behind it.",
        "de": "Das Haus steht auf einem Hügel, und aus seinen Fenstern sieht man den Fluss und dahinter das Meer.",
        "fr": "La maison se trouve sur une colline, et de ses fenêtres on voit la rivière et la mer derrière elle.",
        "zxx": "0123 4567 8901 2345 6789",
    }
    texts = {**TEXTS, "license": "MIT"}
    wanted: dict[str, Any] = {
        "sources": [texts], "filters": RULES["filters"], "validation_fraction": 0.4, "manifest": "parquet",
        "languages": {"allowed": ["de", "en"]},
    }  # fmt: skip
    root = tmp_path / "project"
    write_project(root, documents=0, corpus=wanted)
    for name, text in said.items():
        (root / f"texts/{name}.txt").write_text(text)
        (root / f"texts/{name}-2.txt").write_text(f"{text} {text}")
    summary = build.write(params.load(root / "params.yaml"), root, root / "out")
    rows = list(data_manifest.iter_rows(root / "out" / data_manifest.TABLE))
    assert {row.path: row.language for row in rows} == {
        f"texts/{name}{end}.txt": name for name in said for end in ("", "-2")
    }
    assert summary.excluded == {"language": 4}
    assert {name: tally.documents for name, tally in (summary.languages or {}).items()} == {"en": 2, "de": 2}
    data_manifest.verify(summary, root / "out" / summary.stored_in)
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace('["de", "en"]', '["tlh"]'))
    with pytest.raises(InputError, match="'tlh' is not a language"):
        build.write(params.load(root / "params.yaml"), root, root / "never")


@given(st.text())
def test_a_language_is_told_as_the_library_tells_it(text: str) -> None:
    """Where its rounding leaves no doubt."""
    from py3langid.langid import LanguageIdentifier

    found = languages.identifier().of(text)
    library = _library()
    assert isinstance(library, LanguageIdentifier)
    first, second, *_ = library.rank(text[: languages.MAX_CHARACTERS])
    if first[1] - second[1] > 0.01 and first[1] > -1e30:
        assert found == first[0]
    assert re.fullmatch(LANGUAGE, found)


@cache
def _library() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)


def test_what_is_used_has_no_secret_and_no_address(built: tuple[Summary, dict[str, Row], Path]) -> None:
    _, rows, root = built
    texts = {text.sha256: text.text for text in parquet.read(root / "out" / parquet.NAME)}
    assert "Write to <EMAIL> or to <EMAIL>." in texts[rows["email"].sha256]
    assert " <SECRET> <SECRET> " in texts[rows["key"].sha256]
    assert not any(secret in text for text in texts.values() for secret in (TOKEN, "MIIB", "jane", "\0"))


def test_four_processes_write_the_same_bytes(
    built: tuple[Summary, dict[str, Row], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = built[2]
    monkeypatch.setenv("GLASSHOUSE_PROCESSES", "4")
    build.write(params.load(root / "params.yaml"), root, root / "again")
    assert Manifest.of_directory(root / "again").entries == Manifest.of_directory(root / "out").entries


@pytest.mark.parametrize("count", ["none", "0", "-1", "9999"])
def test_a_number_of_processes_that_is_none_is_bad_input(
    built: tuple[Summary, dict[str, Row], Path], monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    monkeypatch.setenv("GLASSHOUSE_PROCESSES", count)
    with pytest.raises(InputError, match="GLASSHOUSE_PROCESSES"):
        build.write(params.load(built[2] / "params.yaml"), built[2], built[2] / "never")


@pytest.mark.parametrize(
    ("text", "wanted", "reason"),
    [
        ("one two", {"min_words": 3}, "few-words"),
        ("one two three", {"min_words": 3, "max_words": 3}, None),
        ("one two three four", {"max_words": 3}, "many-words"),
        ("a b c", {"min_word_length": 2.0}, "word-length"),
        ("abcdefghijkl", {"max_word_length": 10.0}, "word-length"),
        ("# # ... word", {"max_symbols": 0.1}, "symbols"),
        ("1 2 3 word", {"min_letters": 0.5}, "letters"),
        ("line\nline\nline\nother", {"max_repeated_lines": 0.4}, "repeated-lines"),
        ("", {"max_symbols": 0.0, "min_letters": 1.0, "max_repeated_lines": 0.0}, None),
    ],
)
def test_each_rule_of_quality_has_its_reason(text: str, wanted: dict[str, Any], reason: str | None) -> None:
    assert quality.objection(text, Quality(**wanted)) == reason


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a@b", "a@b"), ("@decorator.name", "@decorator.name"), ("x = a @ b.c", "x = a @ b.c"),
        ("<a.b+c@mail.example.org>,", "<<EMAIL>>,"), ("AKIAIOSFODNN7EXAMPLE", "<SECRET>"),
        ("https://user:hunter2@host.example.org/", "https<SECRET>host.example.org/"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "<SECRET>"), ("127.0.0.1 and 8.8.8.8", "127.0.0.1 and 8.8.8.8"),
    ],
)  # fmt: skip
def test_what_is_an_address_or_a_secret(text: str, kept: str) -> None:
    assert scrub.scrubbed(text, ("emails", "secrets"))[0] == kept


@given(st.text() | st.lists(st.sampled_from(["a@b.c", "@", ".", "://u:p@h", TOKEN, PEM, " ", "<EMAIL>"])).map("".join))
def test_a_scrubbed_text_does_not_change_again(text: str) -> None:
    once, _ = scrub.scrubbed(text, ("emails", "secrets"))
    assert scrub.scrubbed(once, ("emails", "secrets")) == (once, {})


@given(st.lists(st.sampled_from(WORDS), min_size=8, max_size=40), st.text(max_size=50), st.text(max_size=50))
def test_a_passage_is_found_whatever_stands_around_it(passage: list[str], before: str, after: str) -> None:
    found = EvaluationSets.of([("quiz", " ".join(passage))], Decontamination(include=("quiz",)))
    lines = "\n".join(passage).title()
    assert found.overlap(f"{before} {lines}, {after}") is not None


def test_signatures_estimate_how_alike_texts_are() -> None:
    wanted = NearDuplicates(threshold=0.5, words=3)
    numbers = [near_duplicates.signature(text, wanted) for text in (prose(1), prose(1).upper(), prose(2), "...")]
    first, same, other, nothing = (None if found is None else found.tolist() for found in numbers)
    assert first is not None and other is not None and nothing is None
    assert first == same
    assert sum(map(int.__eq__, first, other)) < len(first) / 10


def test_a_signature_is_the_same_for_ever() -> None:
    """A golden: other numbers leave out other documents."""
    found = near_duplicates.signature("one two three four five six", NearDuplicates(permutations=16))
    assert found is not None and found.tolist() == GOLDEN


def test_a_long_text_is_permuted_piece_by_piece() -> None:
    words = [f"{number}" for number in range(near_duplicates.PARTS + 9)]
    wanted = NearDuplicates(words=1, permutations=16)
    whole = near_duplicates.signature(" ".join(words), wanted)
    parts = (words[:5], words[5 : near_duplicates.PARTS], words[near_duplicates.PARTS :])
    found = [near_duplicates.signature(" ".join(part), wanted) for part in parts]
    assert whole is not None and whole.tolist() == [min(numbers) for numbers in zip(*found, strict=True)]


def test_neighbours_are_those_of_the_library() -> None:
    """Signatures of which many are like one of before, in more numbers or fewer."""
    chance, wanted = np.random.default_rng(7), NearDuplicates(threshold=0.6, permutations=32)
    lsh = MinHashLSH(threshold=wanted.threshold, num_perm=wanted.permutations)
    ours, kept = Neighbours(wanted), list[tuple[str, Signature]]()
    alike = 0
    for number in range(600):
        made = chance.integers(0, 1 << 32, 32, dtype=np.uint32)
        if kept:
            others = chance.random(32) < chance.random()
            made[others] = kept[int(chance.integers(len(kept)))][1][others]
        sketch = LeanMinHash(seed=1, hashvalues=made.astype(np.uint64), scheme=near_duplicates.SCHEME)
        near = (kept[other] for other in sorted(lsh.query(sketch)))
        first = next((name for name, other in near if float(np.mean(other == made)) >= wanted.threshold), None)
        assert ours.of(made) == first
        if first is None:
            name = f"{number:064x}"
            ours.keep(name, made)
            lsh.insert(len(kept), sketch)
            kept.append((name, made))
        else:
            alike += 1
    assert 100 < alike < 500


def test_a_disk_that_is_full_is_told() -> None:
    database = met.Database("texts (text BLOB)")
    database.ask("PRAGMA max_page_count = 9")
    with pytest.raises(Unavailable, match="could not be kept") as full:
        database.add("INSERT INTO texts VALUES (?)", [(b"a" * 100_000,)])
    assert "TMPDIR" in full.value.mend


GOLDEN = [
    2474185642, 1564309309, 1179867838, 339670352, 814872850, 3038661785, 3004151750, 1065595128, 15676191, 31559400,
    1201617750, 302521872, 1821177785, 137786578, 560724246, 1495900384,
]  # fmt: skip


def test_a_process_that_makes_signatures_loads_nothing_that_cuts_bands() -> None:
    code = (
        "import sys; from pipelines.corpus import near_duplicates as near; from pipelines.params import NearDuplicates;"
        "near.signature('a b c d e f', wanted := NearDuplicates()); print('scipy.integrate' in sys.modules);"
        "near.Neighbours(wanted); print('scipy.integrate' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "True"]
