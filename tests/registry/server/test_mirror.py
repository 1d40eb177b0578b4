"""A server that mirrors another: what it lacks comes from there, once, checked, and says whose it is."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download

from registry import api
from registry.errors import Unavailable
from registry.report import Verdict
from registry.server.access.tokens import Role
from registry.server.routes.mirroring import asked_for
from registry.server.store import fetching, git, refs
from tests import synthetic_release
from tests.go_between import Answer, GoBetween, honest, standing_before
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key
from tests.registry.server.asking import ask, commit, put, upload

NUMBERS = itertools.count()
PAST = 4000
"""Seconds, after which even a commit is asked for again."""


@dataclass(frozen=True)
class World:
    """An upstream, what stands between, and the mirror."""

    upstream: HubInstance
    between: GoBetween
    mirror: HubInstance

    def repo(self, data: bytes = b"", **more: object) -> str:
        """A new repository upstream, with a small file, and a large one of these bytes."""
        name = f"model-{next(NUMBERS)}"
        assert ask(self.upstream, "POST", "/api/repos/create", {"name": name, "organization": "up", **more})[0] == 200
        lines = [put("config.json", "{}")]
        if data:
            oid = upload(self.upstream, f"up/{name}", data)
            lines.append({"key": "lfsFile", "value": {"path": "weights.bin", "oid": oid, "size": len(data)}})
        assert commit(self.upstream, f"up/{name}", *lines)[0] == 200
        return f"up/{name}"

    def get(self, path: str, token: str = "", **headers: str) -> Answer:
        """What the mirror answers, by default to a stranger."""
        return ask(self.mirror, "GET", path, headers=headers, token=token)

    def grow_old(self, repo: str, seconds: float = PAST) -> None:
        """Let the copy of a repository be so old."""
        place = self.mirror.root / "mirror" / "repos" / "models" / f"{repo}.git" / "upstream"
        os.utime(place, (time.time() - seconds,) * 2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The three of them; `own` is a namespace of the mirror."""
    root = tmp_path_factory.mktemp("mirror")
    before = "import registry.server.store.mirror as mirror; mirror.FRESH_SECONDS = 0.5"
    with (
        HubInstance.start(root / "upstream", organizations=("up", "own")) as upstream,
        standing_before(upstream.url) as between,
        HubInstance.start(
            root / "mirror", organizations=("own",), options=("--mirror", between.url), before=before
        ) as mirror,
    ):
        yield World(upstream, between, mirror)


@pytest.fixture(autouse=True)
def _honest(world: World) -> Iterator[None]:
    yield
    world.between.twist = honest
    world.between.seen.clear()


def test_the_stock_client_downloads_what_only_upstream_has(world: World, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    repo = world.repo(data)
    options: Any = {"endpoint": world.mirror.url, "token": False, "cache_dir": tmp_path / "cache"}
    folder = Path(snapshot_download(repo, **options))
    assert (folder / "weights.bin").read_bytes() == data
    assert Path(hf_hub_download(repo, "config.json", **options)).read_text() == "{}"
    here, there = (HfApi(url, token=False) for url in (world.mirror.url, world.upstream.url))
    assert here.model_info(repo).sha == there.model_info(repo).sha
    assert [row.path for row in here.list_repo_tree(repo)] == [row.path for row in there.list_repo_tree(repo)]
    assert [each.commit_id for each in here.list_repo_commits(repo)] == [
        each.commit_id for each in there.list_repo_commits(repo)
    ]
    assert all(token is None for _, token in world.between.seen)


def test_a_release_is_verified_through_it(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = api.KeySigner(write_key(tmp_path / "private.pem"))
    synthetic_release.write(tmp_path / "model", repo="up/signed", weights_bytes=300_000)
    api.sign(tmp_path / "model", signer)
    monkeypatch.setenv("GLASSHOUSE_CACHE", str(tmp_path / "cache"))
    for name, value in world.upstream.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    api.publish(tmp_path / "model")
    monkeypatch.setenv("HF_ENDPOINT", world.mirror.url)
    monkeypatch.delenv("HF_TOKEN")
    assert api.verify("hf://up/signed@v1.0.0", api.Policy(signers=(signer.public_key,))).verdict is Verdict.PASS


def test_a_clone_is_whole(world: World, tmp_path: Path) -> None:
    data = os.urandom(50_000)
    repo = world.repo(data)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", f"{world.mirror.url}/{repo}", clone], check=True)
    assert (clone / "weights.bin").read_bytes() == data
    assert not subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, check=True).stdout


def test_it_says_whose_it_is_and_nobody_changes_it_here(world: World) -> None:
    repo = world.repo()
    begun = time.monotonic()
    _, headers, _ = world.get(f"/{repo}/resolve/main/config.json")
    assert headers["x-mirror-of"] == f"{world.between.url}/{repo}"
    assert 0 <= int(headers["age"]) <= time.monotonic() - begun + 1
    page = world.get(f"/{repo}", Accept="text/html")[2].decode()
    assert f'A copy of <a rel="nofollow noopener noreferrer" href="{world.between.url}/{repo}">' in page
    admin = world.mirror.user("root", Role.ADMIN)
    body = json.dumps({"key": "header", "value": {"summary": "x"}}).encode()
    status, _, answer = ask(world.mirror, "POST", f"/api/models/{repo}/commit/main", body, token=admin)
    assert status == 403 and b"is changed there" in answer
    owner, name = repo.split("/")
    for method, path, asked in (
        ("POST", f"/api/models/{repo}/branch/b", {}),
        ("POST", f"/api/models/{repo}/discussions", {"title": "x", "pullRequest": True}),
        ("POST", f"/api/models/{repo}/duplicate", {"repository": "own/copy"}),
        ("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": "own/moved"}),
        ("DELETE", "/api/repos/delete", {"organization": owner, "name": name}),
    ):
        assert ask(world.mirror, method, path, asked, token=admin)[0] == 403, path
    assert "x-mirror-of" not in world.get("/api/models")[1]


def test_a_name_whose_owner_is_here_never_comes_from_upstream(world: World) -> None:
    for name in ("secret", "other"):
        assert ask(world.upstream, "POST", "/api/repos/create", {"name": name, "organization": "own"})[0] == 200
    assert world.get("/api/models/own/other")[0] == 200  # nothing here is own/…, yet
    made = {"name": "secret", "organization": "own", "private": True}
    assert ask(world.mirror, "POST", "/api/repos/create", made)[0] == 200
    world.between.seen.clear()
    for path in ("own/secret", "own/other", "OWN/Other", "own/new"):
        assert world.get(f"/api/models/{path}")[0] == 404
        assert world.get(f"/api/datasets/{path}")[0] == 404
    assert world.between.seen == []


def test_two_who_ask_at_once_have_it_fetched_once_and_ranges_are_answered(world: World) -> None:
    data = os.urandom(2_000_000)
    repo = world.repo(data)
    started = threading.Barrier(6)

    def slow(path: str, answer: Answer) -> Answer:
        if path.startswith("/lfs/object"):
            time.sleep(0.5)
        return answer

    world.between.twist = slow

    def fetched(_: int) -> bytes:
        started.wait()
        return world.get(f"/{repo}/resolve/main/weights.bin")[2]

    with ThreadPoolExecutor(6) as many:
        assert set(many.map(fetched, range(6))) == {data}
    assert world.between.count("/lfs/object?") == 1
    status, headers, part = world.get(f"/{repo}/resolve/main/weights.bin", Range="bytes=1000-1999")
    assert (status, part, headers["content-range"]) == (206, data[1000:2000], "bytes 1000-1999/2000000")
    assert world.between.count("/lfs/object?") == 1
    kept = world.mirror.root / "mirror" / "blobs" / "sha256"
    assert any(path.name == hashlib.sha256(data).hexdigest() for path in kept.glob("??/??/*"))


@pytest.mark.parametrize("lies", [1, 100])
def test_a_file_that_is_not_what_its_commit_says_never_arrives_whole(world: World, lies: int) -> None:
    """Nor one of which the beginning is of a first answer that was wrong, and the rest of a second one."""
    data = b"first" + os.urandom(2_000_000)
    repo, left = world.repo(data), list(range(lies))

    def lie(path: str, answer: Answer) -> Answer:
        if not path.startswith("/lfs/object?") or not left:
            return answer
        left.pop()
        return answer[0], answer[1], b"other" + answer[2][5:]

    world.between.twist = lie
    try:
        status, _, came = world.get(f"/{repo}/resolve/main/weights.bin")
        whole = status == 200
    except Exception:  # noqa: BLE001 - cut, however the client says so
        whole, came = False, b""
    assert came == data or not (whole and len(came) == len(data))
    kept = world.mirror.root / "mirror"
    if left:
        assert not [path for path in kept.rglob(f"{hashlib.sha256(data).hexdigest()}*") if path.stat().st_size]
    world.between.twist = honest
    assert world.get(f"/{repo}/resolve/main/weights.bin")[2] == data


@pytest.mark.parametrize("target", ["http://127.0.0.2/stolen", "file:///etc/passwd"])
def test_nobody_else_is_asked_however_upstream_leads_there(world: World, target: str) -> None:
    repo = world.repo(os.urandom(1000))

    def link(path: str, answer: Answer) -> Answer:
        if not path.endswith("/objects/batch"):
            return answer
        told = json.loads(answer[2])
        told["objects"][0]["actions"]["download"]["href"] = target
        return answer[0], answer[1], json.dumps(told).encode()

    def redirect(path: str, answer: Answer) -> Answer:
        return (302, {"location": target}, b"") if path.startswith("/lfs/object?") else answer

    world.between.twist = link if target.startswith("file") else redirect
    status, _, words = world.get(f"/{repo}/resolve/main/weights.bin")
    assert status == 503 and b"does not give" in words
    world.between.twist = lambda path, answer: (302, {"location": target}, b"")
    assert world.get(f"/api/models/up/elsewhere-{next(NUMBERS)}")[0] == 503


def test_answers_without_an_end_or_of_another_kind_are_refused(world: World) -> None:
    for body in (b"[" * (33 << 20), b"[]", b"<html>", b'{"id": 3}', b'{"id": "up/../x", "private": false}'):

        def twist(path: str, answer: Answer, body: bytes = body) -> Answer:
            return 200, {"content-type": "application/json"}, body

        world.between.twist = twist
        assert world.get(f"/api/models/up/odd-{next(NUMBERS)}")[0] in (404, 503)
    assert world.get("/healthz")[0] == 200


def test_what_main_stands_for_follows_upstream_and_a_commit_does_not(world: World) -> None:
    repo = world.repo()
    first = json.loads(world.get(f"/api/models/{repo}")[2])["sha"]
    assert commit(world.upstream, repo, put("more.txt"))[0] == 200
    time.sleep(0.6)
    second = json.loads(world.get(f"/api/models/{repo}")[2])["sha"]
    assert second != first
    world.between.seen.clear()
    time.sleep(0.6)
    assert world.get(f"/{repo}/resolve/{first}/config.json")[0] == 200
    assert world.between.seen == []


def test_where_upstream_is_down_the_copy_is_served_with_its_age(world: World) -> None:
    data = os.urandom(1000)
    repo = world.repo(data)
    assert world.get(f"/{repo}/resolve/main/weights.bin")[2] == data
    world.grow_old(repo, 500)
    time.sleep(0.6)
    world.between.twist = lambda path, answer: (502, {}, b"down")
    status, headers, came = world.get(f"/{repo}/resolve/main/weights.bin")
    assert (status, came) == (200, data)
    assert int(headers["age"]) >= 500
    assert world.get(f"/api/models/up/never-asked-{next(NUMBERS)}")[0] == 503


def test_what_is_private_or_gated_there_is_not_copied_and_what_becomes_so_is_not_shown(world: World) -> None:
    private = world.repo(private=True)
    assert world.get(f"/api/models/{private}")[0] == 404
    gated, open_first = world.repo(), world.repo()
    assert ask(world.upstream, "PUT", f"/api/models/{gated}/settings", {"gated": "manual"})[0] == 200
    assert world.get(f"/{gated}/resolve/main/config.json")[0] == 404
    assert world.get(f"/{open_first}/resolve/main/config.json")[0] == 200
    assert ask(world.upstream, "PUT", f"/api/models/{open_first}/settings", {"private": True})[0] == 200
    time.sleep(0.6)
    assert world.get(f"/{open_first}/resolve/main/config.json")[0] == 404


def test_by_the_operators_token_private_ones_are_copied_for_whom_they_are_for(world: World, tmp_path: Path) -> None:
    data = os.urandom(1000)
    repo = world.repo(data, private=True)
    before = f"import os; os.environ['GLASSHOUSE_MIRROR_TOKEN'] = {world.upstream.token!r}"
    with HubInstance.start(tmp_path / "mirror", options=("--mirror", world.between.url), before=before) as mirror:
        path = f"/{repo}/resolve/main/weights.bin"
        assert ask(mirror, "GET", path, token="")[0] == 404
        assert ask(mirror, "GET", path, token=mirror.user("other", Role.WRITE))[0] == 404
        assert ask(mirror, "GET", path, token=mirror.user("member", Role.READ, "up"))[2] == data
    tokens = {token for path, token in world.between.seen if path.startswith("/lfs/object?")}
    assert tokens == {None}  # a link is signed, and gets no token
    assert any(token for _, token in world.between.seen)


def test_what_is_kept_has_a_bound(world: World, tmp_path: Path) -> None:
    size = 400_000
    repos = [world.repo(os.urandom(size)) for _ in range(3)]
    options = ("--mirror", world.between.url, "--mirror-size", str(2 * size + 200_000))
    with HubInstance.start(tmp_path / "mirror", options=options) as mirror:
        for repo in repos:
            assert len(ask(mirror, "GET", f"/{repo}/resolve/main/weights.bin", token="")[2]) == size
        kept = [path for path in (mirror.root / "mirror" / "blobs").rglob("*") if path.is_file()]
        assert len(kept) == 2
        large = world.repo(os.urandom(3 * size))
        assert ask(mirror, "GET", f"/{large}/resolve/main/weights.bin", token="")[0] == 403


def test_a_name_without_an_owner_leads_to_the_whole_one(world: World, tmp_path: Path) -> None:
    repo = world.repo()

    def legacy(path: str, answer: Answer) -> Answer:
        if path.startswith("/api/models/gpt9"):
            return 307, {"location": path.replace("gpt9", repo)}, b""
        return answer

    world.between.twist = legacy
    options: Any = {"endpoint": world.mirror.url, "token": False, "cache_dir": tmp_path}
    assert Path(hf_hub_download("gpt9", "config.json", **options)).read_text() == "{}"
    assert HfApi(world.mirror.url, token=False).model_info("gpt9").id == repo
    assert world.get("/api/models/gpt8")[0] == 404


def test_what_git_would_not_take_does_not_come_in(world: World) -> None:
    repo = world.repo()
    folder = world.upstream.root / "repos" / "models" / f"{repo}.git"
    blob = git.run(folder, "hash-object", "-w", "--stdin", given=b"[core]").decode().strip()
    tree = git.run(folder, "mktree", given=f"100644 blob {blob}\t.git\n".encode()).decode().strip()
    who = {f"GIT_{role}_{key}": "x" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    made = git.run(folder, "commit-tree", tree, given=b"x", extra=who).decode().strip()
    git.run(folder, "update-ref", "refs/heads/other", made)
    status, _, words = world.get(f"/api/models/{repo}")
    assert status == 503 and b"hasDotgit" in words
    assert not (world.mirror.root / "mirror" / "repos" / "models" / f"{repo}.git").exists()


def test_git_ends_at_its_bound_of_bytes(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = world.repo()
    assert commit(world.upstream, repo, put("large.txt", os.urandom(400_000).hex()))[0] == 200
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path], check=True)
    monkeypatch.setattr(fetching, "MAX_PACK", 100_000)
    with pytest.raises(Unavailable, match="git cannot fetch"):
        fetching.fetch(tmp_path, f"{world.upstream.url}/{repo}", None)
    monkeypatch.setattr(fetching, "MAX_PACK", 10_000_000)
    fetching.fetch(tmp_path, f"{world.upstream.url}/{repo}", None)
    assert "refs/heads/main" in refs.named(tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("GET", "/api/models/a/b", ("a/b", None)),
        ("GET", "/api/models/a/b/tree/refs%2Fpr%2F1/x", ("a/b", "refs/pr/1")),
        ("HEAD", "/datasets/a/b/resolve/v1/x/y", ("datasets/a/b", "v1")),
        ("GET", "/a/b.git/info/refs", ("a/b", None)),
        ("POST", "/a/b.git/info/lfs/objects/batch", ("a/b", None)),
        ("POST", "/api/models/a/b/paths-info/main", ("a/b", "main")),
        ("GET", "/v2/a/b/manifests/latest", ("a/b", None)),
        ("POST", "/api/models/a/b/commit/main", None),
        ("DELETE", "/api/repos/delete", None),
        ("GET", "/api/repos/create", None),
        ("GET", "/lfs/object", None),
        ("GET", "/metrics", None),
        ("GET", "/a", None),
        ("GET", "/xet/v1/shards", None),
    ],
)
def test_which_requests_read_a_repository(method: str, path: str, asked: tuple[str, str | None] | None) -> None:
    found = asked_for({"method": method, "path": path})
    assert (None if found is None else (found[0].url_path, found[1])) == asked
