"""One user, one repository, one request: none of them stops the others; what is not offered is refused."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from registry.server.locks import locked
from registry.server.problems import Problem
from registry.server.store.uploads import Uploads, mark_of, new_id
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, batch, commit, put

NEW = {"name": "one", "organization": "glasshouse"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A server of narrow limits."""
    options = ("--user-uploads", "3", "--open-uploads", "5", "--quota", "100000")
    with HubInstance.start(tmp_path_factory.mktemp("small"), part_size=1000, options=options) as hub:
        assert ask(hub, "POST", "/api/repos/create", NEW)[0] == 200
        yield hub


def test_a_refused_part_opens_nothing(small: HubInstance) -> None:
    uploads = small.root / "blobs" / "uploads"
    for number in range(6):
        action = batch(small, "glasshouse/one", f"{number:064x}", 3000, "multipart")["actions"]["upload"]
        assert ask(small, "PUT", action["header"]["00001"], b"", token="")[0] == 422
    assert list(uploads.iterdir()) == []
    assert ask(small, "PUT", action["header"]["00001"], b"x" * 1000, token="")[0] == 200
    assert ask(small, "PUT", action["header"]["00002"], b"x", token="")[0] == 422
    (folder,) = uploads.iterdir()
    assert sorted(item.name for item in folder.iterdir()) == ["data", "part-1"]


def test_one_user_does_not_take_the_uploads_of_all(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, most=4, each=2)

    def opened(user: str) -> None:
        with uploads.part(new_id(user, "lab", "ab" * 32), 1, 0, 1) as upload:
            upload.write(b"x")

    for user in ("a", "a", "b"):
        opened(user)
    with pytest.raises(Problem, match="of yours"):
        opened("a")
    with pytest.raises(Problem, match="of yours"), uploads.one(1, mark_of("a")):
        pass
    with uploads.one(1, mark_of("c")), pytest.raises(Problem, match="too many uploads are"):
        opened("d")


def test_a_busy_repository_stops_nobody_else(hub: HubInstance, client: HubClient, repo: str) -> None:
    client.repos.ensure("glasshouse/another")
    lock = hub.root / "repos" / "models" / f"{repo}.git" / "glasshouse.lock"
    with ThreadPoolExecutor(60) as pool:
        with locked(lock):
            waiting = [
                pool.submit(ask, hub, "POST", f"/api/models/{repo}/tag/main", {"tag": f"v{n}"}) for n in range(50)
            ]
            time.sleep(0.5)
            answers = [ask(hub, "GET", path)[0] for path in ("/healthz", f"/api/models/{repo}")]
            answers.append(commit(hub, "glasshouse/another", put("a.txt"))[0])
            assert answers == [200, 200, 200] and not any(one.done() for one in waiting)
        assert [one.result()[0] for one in waiting] == [200] * 50


def test_waiting_for_a_lock_ends(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(TimeoutError), locked(tmp_path / "lock", seconds=0.05):
        pass
    with locked(tmp_path / "lock", seconds=0.05):
        pass


def test_what_does_not_fit_the_quota_is_not_stored(small: HubInstance) -> None:
    objects = small.root / "repos" / "models" / "glasshouse" / "one.git" / "objects"
    before = sorted(objects.rglob("*"))
    status, _, body = commit(small, "glasshouse/one", put("big.txt", "x" * 200_000))
    assert status == 403 and b"do not fit" in body
    assert sorted(objects.rglob("*")) == before


def test_what_is_not_offered_is_refused(hub: HubInstance, client: HubClient, repo: str) -> None:
    from huggingface_hub.errors import BadRequestError

    api, path = client.connection.api, f"/api/models/{repo}/settings"
    assert ask(hub, "PUT", path, {"discussionsDisabled": True})[0] == 400
    assert ask(hub, "PUT", path, {})[0] == 400
    assert ask(hub, "PUT", path, {"private": True})[0] == 200  # as older clients say it
    assert api.repo_info(repo).private
    api.update_repo_settings(repo, visibility="public", gated=False)
    assert not api.repo_info(repo).private
    for asked in ({"apps": "ollama"}, {"inference": "warm"}, {"sort": "likes"}):
        with pytest.raises(BadRequestError, match="does not offer"):
            list(api.list_models(**asked))  # type: ignore[arg-type]
    assert repo in {model.id for model in api.list_models(author="glasshouse", full=True, cardData=True)}
    assert ask(hub, "POST", "/api/repos/create", {"name": "x", "type": "model", "license": "mit"})[0] == 400


def test_what_was_said_of_releases_moves_forward_only(hub: HubInstance, client: HubClient, repo: str) -> None:
    for branch in ("status", "audits"):
        client.refs.ensure_branch(repo, branch)
        for token in (hub.token, hub.user("root", Role.ADMIN)):
            status, _, body = ask(hub, "DELETE", f"/api/models/{repo}/branch/{branch}", token=token)
            assert status == 403 and b"moves forward only" in body


def test_strangers_do_not_learn_that_something_private_was_there(hub: HubInstance, client: HubClient) -> None:
    client.repos.ensure("glasshouse/secret", private=True)
    HubClient(hub.url, hub.user("root", Role.ADMIN)).connection.api.delete_repo("glasshouse/secret")
    for path in ("/api/models/glasshouse/secret", "/api/models/glasshouse/never"):
        status, headers, body = ask(hub, "GET", path, token="")
        assert (status, headers["x-error-code"]) == (404, "RepoNotFound")
        assert json.loads(body)["error"] == "Repository not found"


def test_who_was_closed_does_not_open_it_again(hub: HubInstance, client: HubClient, repo: str) -> None:
    author = HubClient(hub.url, hub.user("author", Role.WRITE))
    author.pulls.propose(repo, "main", {"x.txt": b"text"}, "A change")
    path = f"/api/models/{repo}/discussions/1/status"
    assert ask(hub, "POST", path, {"status": "closed"})[0] == 200
    assert ask(hub, "POST", path, {"status": "open"}, token=author.connection.api.token)[0] == 403  # type: ignore[arg-type]
    assert ask(hub, "POST", path, {"status": "open"})[0] == 200


def test_a_page_elsewhere_makes_no_use_of_a_password(hub: HubInstance) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(f"x:{hub.token}".encode()).decode()}
    for origin, status in (("https://evil.example", 403), ("null", 403), (f"{hub.url}.evil", 403), (hub.url, 200)):
        assert ask(hub, "GET", "/api/whoami-v2", None, basic | {"Origin": origin}, token="")[0] == status
    assert ask(hub, "GET", "/api/whoami-v2", None, basic, token="")[0] == 200
    assert ask(hub, "GET", "/api/whoami-v2", None, {"Origin": "https://elsewhere.example"})[0] == 200


def test_what_is_on_its_way_counts_for_the_quota(tmp_path: Path) -> None:
    """Parts lie on the disk for a day, whether the rest ever comes; those of one file that is tried again, once."""
    with HubInstance.start(tmp_path / "hub", part_size=50_000, options=("--quota", "200000")) as hub:
        assert ask(hub, "POST", "/api/repos/create", NEW)[0] == 200

        def sent(oid: str) -> list[int]:
            upload = batch(hub, "glasshouse/one", oid, 150_000, "multipart")["actions"]["upload"]
            return [ask(hub, "PUT", upload["header"][f"0000{part}"], bytes(50_000), token="")[0] for part in (1, 2)]

        assert sent("ab" * 32) == [200, 200] and sent("cd" * 32) == [403, 403]
        (folder,) = (hub.root / "blobs" / "uploads").iterdir()
        for place in (folder, folder / "data"):
            os.utime(place, (0, 0))
        assert sent("ab" * 32) == [200, 200] and not folder.exists()
