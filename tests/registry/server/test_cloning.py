"""A clone is whole: with git-lfs each file is what was committed, and git sees no change."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from tests.bench import hub_clients
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload

PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 40
FILES = {
    "logo.png": PICTURE,
    "tokenizer.json": b'{"a": 1}\n' * 1_300_000,
    "MODEL.SafeTensors": b"\0weights" * 40,
    "a b/s[1]*?#!.dat": b"\0odd" * 40,
    "!x": b"\0odd" * 41,
    "\u65e5\u672c/\u00e9.dat": b"\0other" * 40,
    "config.json": b"{}\n",
    "empty.bin": b"",
    "crlf.txt": b"a\r\nb\r\n",
}
needs_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")


def send(
    client: HubClient, repo: str, files: dict[str, bytes], kind: str = "model", *, create_pr: bool = False
) -> None:
    """By the stock client, in one commit."""
    from huggingface_hub import CommitOperationAdd

    changes = [CommitOperationAdd(path, data) for path, data in files.items()]
    name = repo if kind == "model" else f"{kind}s/{repo}"
    how = client.commits.propose if create_pr else client.commits.make
    how(name, changes, "Files", client.refs.head(name), "main")


def clone(hub: HubInstance, path: str, home: Path, *, token: bool = False) -> Path:
    """A clone by git with git-lfs, as a person who installed both has it."""
    (home / ".gitconfig").write_text(
        '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n'
        "\tprocess = git-lfs filter-process\n\trequired = true\n"
        + ('[credential]\n\thelper = "!f() { echo username=x; echo password=' + hub.token + '; }; f"\n')
        * token
    )
    place = home / "clone"
    hub_clients.told(hub, home, "git", "clone", "--quiet", f"{hub.url}/{path}", str(place), more={"HOME": str(home)})
    return place


def check_whole(hub: HubInstance, home: Path, place: Path, files: dict[str, bytes]) -> None:
    found = {path: (place / path).read_bytes() for path in files}
    assert {path: hashlib.sha256(data).hexdigest() for path, data in found.items()} == {
        path: hashlib.sha256(data).hexdigest() for path, data in files.items()
    }
    (place / ".git" / "index").touch()  # as if all were older than it: git reads each file again
    git = ("git", "-C", str(place))
    hub_clients.told(hub, home, *git, "update-index", "--really-refresh", "-q", more={"HOME": str(home)})
    assert hub_clients.told(hub, home, *git, "status", "--porcelain", more={"HOME": str(home)}) == ""


@needs_lfs
def test_a_clone_has_every_file_and_no_change(hub: HubInstance, client: HubClient, repo: str, tmp_path: Path) -> None:
    send(client, repo, FILES)
    check_whole(hub, tmp_path, clone(hub, repo, tmp_path), FILES)


@needs_lfs
def test_a_private_data_set_is_cloned_with_its_large_files(hub: HubInstance, client: HubClient, tmp_path: Path) -> None:
    client.repos.ensure("datasets/glasshouse/private-clone", private=True)
    files = {"data/a.parquet": b"PAR1\0" * 50, "readme.txt": b"text\n"}
    send(client, "glasshouse/private-clone", files, "dataset")
    place = clone(hub, "datasets/glasshouse/private-clone", tmp_path, token=True)
    check_whole(hub, tmp_path, place, files)


def test_nobody_is_asked_for_a_token_by_the_batch_of_what_they_cannot_see(hub: HubInstance, client: HubClient) -> None:
    client.repos.ensure("glasshouse/hidden", private=True)
    body = {"operation": "download", "objects": []}
    stranger = hub.user("stranger", Role.READ)
    for name in ("hidden", "nothing"):
        path = f"/glasshouse/{name}.git/info/lfs/objects/batch"
        status, headers, _ = ask(hub, "POST", path, body, token="")
        assert (status, headers["lfs-authenticate"]) == (401, 'Basic realm="Hub"')
        assert ask(hub, "POST", path, body, token=stranger)[0] == 404


def attributes(hub: HubInstance, repo: str, path: str = ".gitattributes", at: str = "main") -> list[str]:
    return ask(hub, "GET", f"/{repo}/resolve/{at}/{path}")[2].decode().splitlines()


def test_whoever_drops_a_line_of_gitattributes_gets_it_back(hub: HubInstance, client: HubClient, repo: str) -> None:
    send(client, repo, {"logo.png": PICTURE, "sub/w.bin": b"\0" * 300})
    assert attributes(hub, repo)[-1] == "/logo.png filter=lfs diff=lfs merge=lfs -text"
    assert commit(hub, repo, put(".gitattributes", "*.md text"))[0] == 200
    assert attributes(hub, repo) == [
        "*.md text",
        "/logo.png filter=lfs diff=lfs merge=lfs -text",
        "/sub/w.bin filter=lfs diff=lfs merge=lfs -text",
    ]
    assert commit(hub, repo, put("sub/.gitattributes", "*.bin -filter\n"))[0] == 200
    line = "/w.bin filter=lfs diff=lfs merge=lfs -text"
    assert attributes(hub, repo, "sub/.gitattributes") == ["*.bin -filter", line]
    assert commit(hub, repo, {"key": "deletedFile", "value": {"path": ".gitattributes"}})[0] == 200
    send(client, repo, {"two.png": PICTURE * 2})
    files = {file.path for file in client.files.list(repo, client.refs.head(repo))}
    assert files == {"logo.png", "two.png", "sub/w.bin", "sub/.gitattributes"}  # it was taken away, and stays away


def test_what_gitattributes_keeps_large_is_sent_so(hub: HubInstance, client: HubClient, repo: str) -> None:
    from huggingface_hub import RepoFile

    assert commit(hub, repo, put(".gitattributes", "*.csv filter=lfs diff=lfs merge=lfs -text\n"))[0] == 200
    send(client, repo, {"rows.csv": b"a,b\n1,2\n"})
    (row,) = client.connection.api.get_paths_info(repo, ["rows.csv"])
    assert isinstance(row, RepoFile) and row.lfs is not None and row.lfs.size == 8


def test_two_requests_that_each_add_a_line_are_both_merged(hub: HubInstance, client: HubClient, repo: str) -> None:
    api = client.connection.api
    for name in ("one.png", "two.png"):
        send(client, repo, {name: PICTURE + name.encode()}, create_pr=True)
    for number in (1, 2):
        api.merge_pull_request(repo, number)
    assert [line.split()[0] for line in attributes(hub, repo)[-2:]] == ["/one.png", "/two.png"]


def test_a_file_that_looks_like_a_pointer_to_nothing_is_declined(
    hub: HubInstance, client: HubClient, repo: str
) -> None:
    data = b"\0large" * 99
    sha256 = upload(hub, repo, data)
    version = "version https://git-lfs.github.com/spec/v1\n"
    for text in (
        f"{version}oid sha256:{'0' * 64}\nsize 9\n",
        f"{version}oid sha256:{sha256}\nsize {len(data) + 1}\n",
        f"{version}oid sha256:{sha256}\nsize {len(data)}",
        f"{version}ext-0-x sha256:{'1' * 64}\noid sha256:{sha256}\nsize {len(data)}\n",
    ):
        status, _, body = commit(hub, repo, put("x.dat", text))
        assert status == 400 and b"does not exist: x.dat" in body
    assert commit(hub, repo, put("x.dat", f"{version}oid sha256:{sha256}\nsize {len(data)}\n"))[0] == 200
    assert ask(hub, "GET", f"/{repo}/resolve/main/x.dat")[2] == data
    assert attributes(hub, repo)[-1].startswith("/x.dat filter=lfs")


@pytest.mark.parametrize(
    "path",
    [".git::$INDEX_ALLOCATION/config", ".g\u200eit/config", "a/.GIT /x", "git~2/x", ".git./x", "x" * 256 + "/y"],
)
def test_what_is_gits_own_on_some_disk_is_declined(hub: HubInstance, repo: str, path: str) -> None:
    assert commit(hub, repo, put(path))[0] == 400
    assert ask(hub, "POST", f"/api/models/{repo}/preupload/main", {"files": [{"path": path, "size": 1}]})[0] == 400


def test_long_cards_and_long_messages_are_taken(hub: HubInstance, client: HubClient, repo: str) -> None:
    api = client.connection.api
    words = "---\nlicense: mit\n---\n" + "word " * 60_000
    message = "Why " * 40_000
    api.upload_file(path_or_fileobj=words.encode(), path_in_repo="README.md", repo_id=repo, commit_message="A card",
                    commit_description=message)  # fmt: skip
    assert ask(hub, "GET", f"/{repo}/resolve/main/README.md")[2].decode() == words
    assert api.list_repo_commits(repo)[0].message == message.strip()
    long = {"key": "header", "value": {"summary": "x" * (1 << 21)}}
    status, _, body = commit(hub, repo, long, put("a.txt"))
    assert status == 400 and "at most 1048576" in json.loads(body)["error"]


def test_git_push_shows_why_it_is_declined(hub: HubInstance, client: HubClient, repo: str, tmp_path: Path) -> None:
    send(client, repo, {"a.txt": b"text\n"})
    place = tmp_path / "clone"
    hub_clients.told(hub, tmp_path, "git", "clone", "--quiet", f"{hub.url}/{repo}", str(place), more={})
    with pytest.raises(AssertionError, match=f"remote: this server is not written by git push: hf upload {repo}"):
        hub_clients.told(hub, tmp_path, "git", "-C", str(place), "push", "origin", "HEAD:refs/heads/other", more={})
