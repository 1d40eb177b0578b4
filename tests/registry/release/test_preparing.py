"""registry.release.prepare: what a maintainer is told of a source that others cannot fetch, and what is recorded."""

import pytest

from registry.errors import InputError
from registry.project.git import GitSource
from registry.records.release_record import ReleaseRecord, SourceCode
from registry.release import preparing
from tests.registry.provenance.test_stage_lineage import RECORD

HERE = GitSource(commit="0" * 40, committed_at="2026-01-01T00:00:00Z", remote="https://git.example/p", pushed=True)


@pytest.mark.parametrize(
    ("remote", "pushed", "told"),
    [
        ("https://git.example/p", True, []),
        ("https://git.example/p", False, ["no branch of a remote has the commit 000000000000"]),
        (None, True, ["no remote of the repository is a place to fetch from"]),
    ],
)
def test_a_source_that_nobody_can_fetch_is_told(remote: str | None, pushed: bool, told: list[str]) -> None:
    source = GitSource(HERE.commit, HERE.committed_at, remote, None, pushed)
    assert [words.partition(", so nobody")[0] for words in preparing.unreachable(source)] == told


def test_the_folder_of_a_project_stands_in_the_record_only_where_there_is_one() -> None:
    assert "folder" not in RECORD.as_json()["source"]
    inside = RECORD.model_copy(update={"source": RECORD.source.model_copy(update={"folder": "models/small"})})
    assert ReleaseRecord.from_bytes(inside.to_bytes(), name="it") == inside
    assert ReleaseRecord.from_bytes(RECORD.to_bytes(), name="it") == RECORD


@pytest.mark.parametrize("lie", [{"folder": "../up"}, {"folder": "/etc"}, {"remote": "x" * 2000}])
def test_a_source_that_no_release_can_name_is_refused(lie: dict[str, str]) -> None:
    """An address longer than a statement has room for once ended `verify` in a traceback."""
    with pytest.raises(InputError):
        SourceCode.from_json({**RECORD.source.as_json(), **lie}, name="it")
