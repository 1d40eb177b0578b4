"""What the source made against what was signed: by the places that the project declares, whatever lies there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry.attest.statement import Subject
from registry.audit import data
from registry.audit.packages import Setup
from registry.audit.sandbox import Sandbox
from registry.audit.subject import Audited, RecordedTraining
from registry.audit.workshop import Workshop
from registry.errors import Unavailable, VerificationError
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.project import Project
from registry.records.release_record import ReleaseRecord
from tests import synthetic_release

SECTION = {
    "provenance": ["yarn/data-manifest.jsonl", "yarn/data-manifest.json", "spools/tokens.json"],
    "replay": {"made": {"tokenizer.json": "spools/words.json"}},
}


@pytest.fixture
def place(tmp_path: Path) -> Workshop:
    """A workshop whose source made everything as it was signed, at places of its own."""
    root, tree = tmp_path / "release", tmp_path / "source"
    synthetic_release.write(root)
    project = Project.parse({"release": SECTION})
    for there in (layout.DATA_ROWS, layout.DATA_SUMMARY, layout.TOKENS, "tokenizer.json"):
        here = tree / str(project.source_of(there))
        here.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / there, here)
    audited = Audited(
        root, Subject("x", "0" * 64), None, ReleaseRecord.read(root / layout.RECORD),
        RecordedTraining(Chain.read(root / layout.CHECKPOINTS), Environment.read(root / layout.ENVIRONMENT)), project,
    )  # fmt: skip
    return Workshop(audited, tree, Sandbox(tmp_path, tmp_path), Setup("current"), audited.environment, ())


def test_what_is_the_same_is_named(place: Workshop) -> None:
    assert data.check(place) == (layout.DATA_ROWS, layout.DATA_SUMMARY, "tokenizer.json", layout.TOKENS)


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("spools/words.json", b"{}", r"spools/words\.json of the source is not tokenizer\.json as it was signed"),
        ("spools/tokens.json", b"{}", r"spools/tokens\.json of the source is not provenance/tokens\.json"),
        ("yarn/data-manifest.jsonl", b"", "row 1 is missing here, texts/000.txt .* as signed"),
        ("yarn/data-manifest.jsonl", b"\xff no row\n", "line 1"),
    ],
)
def test_the_first_that_departs_is_named(place: Workshop, path: str, text: bytes, named: str) -> None:
    (place.tree / path).write_bytes(text)
    with pytest.raises(VerificationError, match=named):
        data.check(place)


def test_what_is_not_there_or_is_a_link_accuses_nobody(place: Workshop) -> None:
    words = place.tree / "spools/words.json"
    words.rename(place.tree / "elsewhere")
    with pytest.raises(Unavailable, match=r"does not make tokenizer\.json"):
        data.check(place)
    words.symlink_to(place.tree / "elsewhere")
    with pytest.raises(Unavailable, match=r"does not make tokenizer\.json"):
        data.check(place)


def test_what_the_release_does_not_have_is_not_asked_for(place: Workshop) -> None:
    for path in (layout.DATA_ROWS, "tokenizer.json"):
        (place.audited.root / path).unlink()
    assert data.check(place) == (layout.DATA_SUMMARY, layout.TOKENS)
