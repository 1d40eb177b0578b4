"""What may be named: all else is a 4xx, wherever it is asked for."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from registry.hub.client import HubClient
from tests.hub_instance import HubInstance
from tests.registry.server.asking import BAD_PATHS, ask, commit, put


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths_are_4xx_everywhere(hub: HubInstance, client: HubClient, repo: str, path: str) -> None:
    before = client.refs.head(repo)
    lfs = {"key": "lfsFile", "value": {"path": path, "oid": "0" * 64, "algo": "sha256", "size": 1}}
    gone = {"key": "deletedFile", "value": {"path": path}}
    question = {"files": [{"path": path, "sample": "", "size": 1}]}
    for status, *_ in (
        commit(hub, repo, put(path)),
        commit(hub, repo, lfs),
        commit(hub, repo, gone),
        ask(hub, "POST", f"/api/models/{repo}/preupload/main", question),
        ask(
            hub, "POST", f"/api/models/{repo}/paths-info/main", {"paths": [path]}, {"Content-Type": "application/json"}
        ),
        ask(hub, "GET", f"/{repo}/resolve/main/{quote(path, safe='', errors='surrogatepass')}"),
        ask(hub, "GET", f"/api/models/{repo}/tree/main/{quote(path, safe='', errors='surrogatepass')}"),
    ):
        assert 400 <= status < 500
    assert client.refs.head(repo) == before


@pytest.mark.parametrize("name", ["..", ".hidden", "a--b", "a.git", "a b", "a/b", "", "x" * 97, "a\r\nb", "ü", "-a"])
def test_bad_repository_names_are_refused(hub: HubInstance, name: str) -> None:
    answer = ask(hub, "POST", "/api/repos/create", {"name": name, "organization": "glasshouse"})
    assert answer[0] in (400, 403)
    assert ask(hub, "GET", f"/api/models/glasshouse/{quote(name, safe='')}")[0] in (400, 404)


@pytest.mark.parametrize("name", ["..", "a..b", "a~1", "-x", "refs/heads/x", "a.lock", "a b", "HEAD", "0" * 40, "a\nb"])
def test_bad_refs_are_refused(hub: HubInstance, repo: str, name: str) -> None:
    assert ask(hub, "POST", f"/api/models/{repo}/branch/{quote(name, safe='')}", {})[0] == 400
    assert ask(hub, "POST", f"/api/models/{repo}/tag/main", {"tag": name})[0] == 400


def test_spaces_are_refused(hub: HubInstance) -> None:
    new = {"name": "space", "organization": "glasshouse", "type": "space", "sdk": "static"}
    status, _, said = ask(hub, "POST", "/api/repos/create", new)
    assert status == 400 and b"'model' or 'dataset'" in said
    for path in ("/api/spaces", "/api/spaces/glasshouse/space", "/spaces/glasshouse/space/resolve/main/app.py"):
        assert ask(hub, "GET", path)[0] == 404
