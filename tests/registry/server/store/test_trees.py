"""Trees that changes make: the same as git's own index would, whatever changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.store import git, history, objects, trees
from registry.server.store.changes import MAX_FOLDERS, Change, Delete, Put, outcome
from registry.server.store.repository import Repository

PATHS = ["a", "a-", "a.b", "a/b", "a/b/c", "a/b/d", "a/b.c", "d/e/f/g", "d/e/h", "na\u00efve/\u65e5\u672c", "z z/y"]
FIRST = ["a/b/c", "a/b/d", "a-", "d/e/f/g", "d/e/h", "na\u00efve/\u65e5\u672c", "z z/y"]


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root, name = tmp_path_factory.mktemp("repos"), RepoName("models", "a", "b")
    assert Repository.create(root, name, "builder", {path: path.encode() for path in FIRST})
    return Repository.open(root, name)


def by_index(folder: Path, head: str, changes: Sequence[Change], scratch: Path) -> str:
    """The tree that changes make, by an index of every file."""
    index = {"GIT_INDEX_FILE": str(scratch / "index")}
    git.run(folder, "read-tree", head, extra=index)
    objects.fill_index(folder, index, outcome(dict.fromkeys(objects.file_names(folder, head)), changes))
    return git.run(folder, "write-tree", extra=index).decode().strip()


def said(call: object, *given: object) -> str:
    assert callable(call)
    try:
        found = call(*given)
    except Problem as problem:
        return f"{problem.status} {problem.message.partition(': ')[2]}"  # of several paths, any is named
    return str(found[0] if isinstance(found, tuple) else found)


changes = st.lists(
    st.one_of(
        st.sampled_from(PATHS).map(lambda path: (path, None)),
        st.tuples(st.sampled_from([*PATHS, "d", "d/e", "a/b", "z z", "nothing"]), st.booleans()),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes)
def test_a_tree_is_what_an_index_of_all_would_make(
    repo: Repository, tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, bool | None]]
) -> None:
    blob = objects.object_name("blob", b"a-")  # it is there
    made = [Put(path, blob) if directory is None else Delete(path, directory) for path, directory in asked]
    head = repo.resolve("main")
    expected = said(by_index, repo.folder, head, made, tmp_path_factory.mktemp("index"))
    with git.scratch_index(repo.folder) as index:
        assert said(trees.made, repo.folder, head, made, index) == expected


def test_only_the_folders_on_the_way_are_read(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, contents = list[str](), objects.contents

    def noted(folder: Path, names: Sequence[str], kind: str | None = None) -> list[bytes | None]:
        asked.extend(names)
        return contents(folder, names, kind)

    monkeypatch.setattr(objects, "contents", noted)
    monkeypatch.setattr(objects, "file_names", None)
    head = repo.resolve("main")
    with git.scratch_index(repo.folder) as index:
        trees.made(repo.folder, head, [Put("d/new.txt", objects.object_name("blob", b"a-"))], index)
    assert asked == [f"{head}:", f"{head}:d"]


def test_folders_of_a_commit_are_bounded_before_they_are_made(repo: Repository) -> None:
    """A few thousand paths of hundreds of folders each would be gigabytes of names."""
    deep = [Put(f"{number}/" + "a/" * 480 + "f", "0" * 40) for number in range(MAX_FOLDERS // 480 + 1)]
    with pytest.raises(Problem, match="folders in one commit"):
        outcome({}, deep)
    with pytest.raises(Problem, match="folders in one commit"):
        trees.made(repo.folder, git.ABSENT, deep, {})


def test_more_paths_than_a_command_line_takes_are_looked_at(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    head = repo.resolve("main")
    long = [f"{'x' * 990}/{number}" for number in range(2500)]
    assert objects.tree(repo.folder, head, [*FIRST, *long])[-1].path == FIRST[-1]
    assert history.last_changes(repo.folder, head, [*FIRST, *long]).keys() == set(FIRST)
    assert objects.file_names(repo.folder, head, [*long, "d"]) == ["d/e/f/g", "d/e/h"]
    whole = objects.tree(repo.folder, head, FIRST), history.last_changes(repo.folder, head, ["d", *FIRST])
    monkeypatch.setattr(git, "MAX_ARGUMENTS", 10)
    cut = objects.tree(repo.folder, head, FIRST), history.last_changes(repo.folder, head, ["d", *FIRST])
    assert sorted(cut[0], key=str) == sorted(whole[0], key=str) and cut[1] == whole[1]
