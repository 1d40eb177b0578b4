"""A release that is too much for one commit goes through a pull request: whole on main, or not to be seen there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import sha256_bytes
from registry.errors import Refused
from registry.hub.client import HubClient
from registry.hub.client.folder import Folder
from registry.hub.transfer import RemoteFile
from registry.manifest import Entry, Manifest
from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance

LIMITS = "registry.hub.client.folder"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit takes two changes."""
    monkeypatch.setattr(f"{LIMITS}.COMMIT_FILES", 2)


@pytest.fixture
def many(folder: Path) -> Path:
    """Nine files: five commits, and one more that deletes what the server began with."""
    for number in range(5):
        (folder / f"part-{number}.safetensors").write_bytes(bytes([number]) * 1000)
    return folder


class Unplugged(BaseException):
    """As if the plug were pulled: nothing catches it."""


def unplug(monkeypatch: pytest.MonkeyPatch, client: HubClient, name: str, after: int) -> pytest.MonkeyPatch:
    """Let that call of the library be made `after` times, and the plug be pulled when the last was answered."""
    call, calls = getattr(client.connection.api, name), [0]

    def made(*arguments: Any, **named: Any) -> Any:
        answer = call(*arguments, **named)
        calls[0] += 1
        if calls[0] == after:
            raise Unplugged
        return answer

    monkeypatch.setattr(client.connection.api, name, made)
    return monkeypatch


def test_it_is_merged_once_all_of_it_is_there(client: HubClient, repo: str, many: Path) -> None:
    parent = client.refs.head(repo)
    commit = client.trees.publish(repo, many, "Release v1.0.0", parent)

    assert commit == client.refs.head(repo)
    assert not client.trees.compare(repo, commit, Manifest.of_directory(many))
    (pull,) = client.pulls.list(repo)
    assert pull.status == "merged" and pull.title.startswith("Release v1.0.0 (")
    assert client.trees.publish(repo, many, "Release v1.0.0", parent) == commit
    assert len(client.pulls.list(repo)) == 1


@pytest.mark.parametrize(
    ("name", "after"),
    [("create_pull_request", 1), ("create_commit", 1), ("create_commit", 4), ("change_discussion_status", 1),
     ("merge_pull_request", 1)],
)  # fmt: skip
def test_cut_off_anywhere_it_is_gone_on_with(
    client: HubClient, repo: str, many: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: int
) -> None:
    parent = client.refs.head(repo)
    with monkeypatch.context() as patch, pytest.raises(Unplugged):
        unplug(patch, client, name, after)
        client.trees.publish(repo, many, "Release", parent)
    assert name == "merge_pull_request" or client.refs.head(repo) == parent  # nothing is to be seen
    commit = client.trees.publish(repo, many, "Release", client.refs.head(repo))
    assert not client.trees.compare(repo, commit, Manifest.of_directory(many))
    (pull,) = client.pulls.list(repo)
    assert pull.status == "merged"
    titles = [c.title for c in client.connection.api.list_repo_commits(repo, revision="refs/pr/1")]
    assert len([title for title in titles if title.startswith("Release: ")]) == 5  # nothing was sent twice


def test_another_s_request_of_the_same_title_is_passed_over(
    hub: HubInstance, client: HubClient, repo: str, many: Path
) -> None:
    title = f"Release ({Manifest.of_directory(many).sha256[:16]})"
    stranger = HubClient(hub.url, hub.user("stranger", Role.WRITE))
    stranger.pulls.propose(repo, "main", {"evil.txt": b"evil"}, title)
    commit = client.trees.publish(repo, many, "Release", client.refs.head(repo))
    assert not client.trees.compare(repo, commit, Manifest.of_directory(many))
    assert {pull.number: pull.status for pull in client.pulls.list(repo)} == {1: "open", 2: "merged"}


def test_main_that_moved_meanwhile_is_not_merged_with(
    client: HubClient, repo: str, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "theirs.txt").write_text("theirs")
    parent, send = client.refs.head(repo), client.commits.make
    commits: list[str] = []

    def slow(*arguments: Any) -> str:
        if len(commits) == 2:
            HubClient(client.endpoint, "loopback-token").trees.publish(repo, other, "Theirs", parent)
        commits.append(send(*arguments))
        return commits[-1]

    with monkeypatch.context() as patch, pytest.raises(Refused, match="has moved"):
        patch.setattr(client.commits, "make", slow)
        client.trees.publish(repo, many, "Release", parent)
    theirs = client.refs.head(repo)
    assert [file.path for file in client.files.list(repo, theirs)] == ["theirs.txt"]
    commit = client.trees.publish(repo, many, "Release", theirs)  # as somebody decided who looked at it
    assert not client.trees.compare(repo, commit, Manifest.of_directory(many))
    assert {pull.number: pull.status for pull in client.pulls.list(repo)} == {1: "closed", 2: "merged"}


def test_a_branch_of_its_own_takes_one_commit(client: HubClient, repo: str, many: Path) -> None:
    parent = client.refs.ensure_branch(repo, "step-000100")
    commit = client.trees.publish(repo, many, "Checkpoint", parent, branch="step-000100")
    assert len(client.refs.history(repo, "step-000100")) == 2 and client.pulls.list(repo) == ()
    assert not client.trees.compare(repo, commit, Manifest.of_directory(many))


paths = st.sampled_from(["a", "b", "c/d", "c/e", "f", "g", "h.bin"])
trees = st.dictionaries(paths, st.binary(max_size=6), max_size=7)


@given(standing=trees, wanted=trees, files=st.integers(1, 4), size=st.integers(1, 12), keep=paths)
def test_the_commits_of_a_folder_make_it(
    standing: dict[str, bytes], wanted: dict[str, bytes], files: int, size: int, keep: str
) -> None:
    """Applied one after the other to any tree they give the folder's; none is beyond the limits; none says a thing
    that stands already."""
    from huggingface_hub import CommitOperationAdd

    entries = tuple(Entry(path, len(data), sha256_bytes(data)) for path, data in sorted(wanted.items()))
    listed = [RemoteFile(path, len(data), sha256_bytes(data), "0" * 40) for path, data in standing.items()]
    folder = Folder(Path("/nowhere"), Manifest(entries), (keep,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{LIMITS}.COMMIT_FILES", files)
        patch.setattr(f"{LIMITS}.COMMIT_BYTES", size)
        patch.setattr("huggingface_hub._commit_api.CommitOperationAdd.__post_init__", lambda self: None)
        patch.setattr(CommitOperationAdd, "upload_info", _Info(), raising=False)
        commits = folder.commits(listed)
    tree = dict(standing)
    for commit in commits:
        assert 1 <= len(commit) <= files
        added = [change.path_in_repo for change in commit if isinstance(change, CommitOperationAdd)]
        assert len(added) <= 1 or sum(len(wanted[path]) for path in added) <= size
        for change in commit:
            if isinstance(change, CommitOperationAdd):
                assert tree.get(change.path_in_repo) != wanted[change.path_in_repo]
                tree[change.path_in_repo] = wanted[change.path_in_repo]
            else:
                del tree[change.path_in_repo]
    assert tree == wanted | ({keep: standing[keep]} if keep in standing and keep not in wanted else {})


@dataclasses.dataclass
class _Info:
    """Stands for what the library would measure of a file that is not there."""

    sha256: bytes = b""
