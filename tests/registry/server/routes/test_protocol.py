"""The server, asked directly: what the clients rely on, and what nobody should be able to ask for."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from registry.errors import InputError
from registry.hub.client import HubClient
from registry.server import serve
from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance
from tests.registry.hub.conftest import PART_SIZE

Answer = tuple[int, dict[str, str], bytes]


def ask(
    hub: HubInstance,
    method: str,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    token: str | None = None,
) -> Answer:
    """One request, as it stands: nothing is quoted, checked or followed."""
    authorization = {"Authorization": f"Bearer {token or hub.token}"} if token != "" else {}
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    with closing(http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=60)) as connection:
        connection.request(method, path.removeprefix(hub.url), data, authorization | (headers or {}))
        response = connection.getresponse()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()


def commit(hub: HubInstance, repo: str, *lines: dict[str, Any], branch: str = "main") -> Answer:
    head = {"key": "header", "value": {"summary": "A commit"}}
    given = lines if any(line.get("key") == "header" for line in lines) else (head, *lines)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in given)
    return ask(hub, "POST", f"/api/models/{repo}/commit/{quote(branch, safe='')}", body)


def put(path: str, content: str = "text") -> dict[str, Any]:
    return {"key": "file", "value": {"path": path, "content": content, "encoding": "utf-8"}}


def test_a_commit_upon_another_parent_is_412_and_changes_nothing(
    hub: HubInstance, client: HubClient, repo: str
) -> None:
    old = client.refs.head(repo)
    assert commit(hub, repo, put("a.txt"))[0] == 200
    new = client.refs.head(repo)
    stale = {"key": "header", "value": {"summary": "Late", "parentCommit": old}}
    assert commit(hub, repo, stale, put("b.txt"))[0] == 412
    assert client.refs.head(repo) == new


def test_of_many_commits_upon_one_parent_one_is_made(hub: HubInstance, client: HubClient, repo: str) -> None:
    header = {"key": "header", "value": {"summary": "A race", "parentCommit": client.refs.head(repo)}}
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: commit(hub, repo, header, put(f"{n}.txt"))[0], range(8)))
    assert sorted(statuses) == [200] + [412] * 7
    assert len(client.files.list(repo, client.refs.head(repo))) == 2


def test_commits_without_a_parent_queue_up(hub: HubInstance, client: HubClient, repo: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: commit(hub, repo, put(f"{n}.txt"))[0], range(8)))
    assert statuses == [200] * 8
    assert len(client.files.list(repo, client.refs.head(repo))) == 9


BAD_PATHS = [
    "../up.txt", "/absolute.txt", "a/../b.txt", "a//b.txt", "./a.txt", "a/.git/config", ".GIT/hooks/x", "git~1/x",
    "a\\b.txt", "a\nb.txt", "a\r\nX-Injected: y", "a\0b", "C:/x.txt", "trailing. ", "e\u0301.txt", "\ud800.txt",
    "x" * 1100,
]  # fmt: skip


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


def test_a_file_cannot_be_a_folder_too(hub: HubInstance, repo: str) -> None:
    assert commit(hub, repo, put("a/b.txt"))[0] == 200
    assert commit(hub, repo, put("a"))[0] == 400
    assert commit(hub, repo, put("a/b.txt/c"))[0] == 400
    folder = {"key": "deletedFolder", "value": {"path": "a/"}}
    assert commit(hub, repo, folder, put("a"))[0] == 200
    assert commit(hub, repo, folder)[0] == 404


@pytest.mark.parametrize("name", ["..", ".hidden", "a--b", "a.git", "a b", "a/b", "", "x" * 97, "a\r\nb", "ü", "-a"])
def test_bad_repository_names_are_refused(hub: HubInstance, name: str) -> None:
    answer = ask(hub, "POST", "/api/repos/create", {"name": name, "organization": "glasshouse"})
    assert answer[0] in (400, 403)
    assert ask(hub, "GET", f"/api/models/glasshouse/{quote(name, safe='')}")[0] in (400, 404)


@pytest.mark.parametrize("name", ["..", "a..b", "a~1", "-x", "refs/heads/x", "a.lock", "a b", "HEAD", "0" * 40, "a\nb"])
def test_bad_refs_are_refused(hub: HubInstance, repo: str, name: str) -> None:
    assert ask(hub, "POST", f"/api/models/{repo}/branch/{quote(name, safe='')}", {})[0] == 400
    assert ask(hub, "POST", f"/api/models/{repo}/tag/main", {"tag": name})[0] == 400


def test_refs_do_not_move_and_do_not_hide_one_another(hub: HubInstance, client: HubClient, repo: str) -> None:
    api = f"/api/models/{repo}"
    assert ask(hub, "POST", f"{api}/tag/main", {"tag": "v1", "message": "# One"})[0] == 200
    assert ask(hub, "POST", f"{api}/branch/steps%2F000100", {"startingPoint": "v1"})[0] == 200
    assert client.refs.head(repo, "steps/000100") == client.refs.resolve(repo, "v1")
    for method, path, body, status in (
        ("POST", f"{api}/tag/main", {"tag": "v1"}, 409),
        ("POST", f"{api}/branch/v1", {}, 409),
        ("POST", f"{api}/tag/main", {"tag": "main"}, 409),
        ("POST", f"{api}/branch/steps", {}, 409),
        ("POST", f"{api}/branch/steps%2F000100%2Fx", {}, 409),
        ("POST", f"{api}/branch/more", {"startingPoint": "nothing"}, 404),
        ("DELETE", f"{api}/tag/v2", None, 404),
        ("DELETE", f"{api}/branch/main", None, 403),
        ("DELETE", f"{api}/branch/nothing", None, 404),
        ("POST", f"{api}/commit/v1", b'{"key":"header","value":{}}\n', 404),
        ("DELETE", f"{api}/branch/steps%2F000100", None, 200),
    ):
        assert ask(hub, method, path, body)[0] == status, (method, path)
    assert client.refs.tags(repo).keys() == {"v1"}


def test_a_tree_comes_in_pages_of_one_commit(hub: HubInstance, client: HubClient, repo: str) -> None:
    assert commit(hub, repo, *(put(f"data/{n:03}.txt") for n in range(25)))[0] == 200
    path, found, pages = f"/api/models/{repo}/tree/main/data?limit=10", [], 0
    while path:
        status, headers, body = ask(hub, "GET", path)
        assert status == 200
        found += [row["path"] for row in json.loads(body)]
        pages += 1
        if pages == 1:
            assert commit(hub, repo, put("data/000-late.txt"))[0] == 200
        path = headers["link"].split(">")[0].removeprefix("<") if "link" in headers else ""
    assert (pages, found) == (3, [f"data/{n:03}.txt" for n in range(25)])


def test_rows_tell_which_commit_changed_them_last(hub: HubInstance, client: HubClient, repo: str) -> None:
    for path in ("a/x.txt", "a/y.txt", "b.txt"):
        header = {"key": "header", "value": {"summary": f"Add {path}", "description": "\x1e\x1e\n\x1e"}}
        assert commit(hub, repo, put(path), header)[0] == 200
    rows = client.connection.api.list_repo_tree(repo, recursive=True, expand=True)
    titles = {row.path: row.last_commit.title for row in rows if row.last_commit is not None}
    told = {"a": "Add a/y.txt", "a/x.txt": "Add a/x.txt", "a/y.txt": "Add a/y.txt", "b.txt": "Add b.txt"}
    assert titles == {".gitattributes": "initial commit", **told}
    (row,) = client.connection.api.get_paths_info(repo, ["a/x.txt"], expand=True)
    assert row.last_commit is not None and row.last_commit.title == "Add a/x.txt"
    assert client.connection.api.get_paths_info(repo, ["a/x.txt"])[0].last_commit is None


def test_links_lead_to_where_the_server_is_reached(tmp_path: Path) -> None:
    """Behind a proxy: not to the host and scheme of the request that came from there."""
    with HubInstance.start(tmp_path / "hub", options=("--url", "https://hub.example.org/")) as hub:
        made = json.loads(ask(hub, "POST", "/api/repos/create", {"name": "model", "organization": "glasshouse"})[2])
        assert made["url"] == "https://hub.example.org/glasshouse/model"
        href = batch(hub, "glasshouse/model", "0" * 64, 5)["actions"]["upload"]["href"]
        assert href.startswith("https://hub.example.org/lfs/object?")


@pytest.mark.parametrize("url", ["hub.example.org", "https://", "https://a b", "javascript:x", "https://a?b"])
def test_only_an_address_can_be_the_servers(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="no address"):
        serve(root=tmp_path, url=url)


def test_repositories_are_listed_to_those_who_may_read_them(hub: HubInstance, client: HubClient, repo: str) -> None:
    stem = f"{repo.split('/')[1]}-listed"
    names = [f"glasshouse/{stem}-{number}" for number in range(3)]
    for number, name in enumerate(names):
        client.repos.ensure(name, private=number == 1)
    client.repos.ensure(f"datasets/glasshouse/{stem}")

    def listed(query: str, token: str | None = None, kind: str = "models") -> list[str]:
        path, found = f"/api/{kind}?{query}", []
        while path:
            status, headers, body = ask(hub, "GET", path, token=token)
            assert status == 200
            found += [row["id"] for row in json.loads(body)]
            path = headers["link"].split(">")[0].removeprefix("<") if "link" in headers else ""
        return found

    assert listed(f"search={stem}&limit=2") == names
    assert listed(f"search={stem}", token="") == [names[0], names[2]]
    assert listed(f"search={stem}", token=hub.user("stranger", Role.WRITE)) == [names[0], names[2]]
    assert listed(f"author=glasshouse&search={stem.upper()}") == names and listed("author=nobody") == []
    assert listed(f"search={stem}", kind="datasets") == [f"glasshouse/{stem}"]


def test_spaces_are_refused(hub: HubInstance) -> None:
    new = {"name": "space", "organization": "glasshouse", "type": "space", "sdk": "static"}
    status, _, said = ask(hub, "POST", "/api/repos/create", new)
    assert status == 400 and b"'model' or 'dataset'" in said
    for path in ("/api/spaces", "/api/spaces/glasshouse/space", "/spaces/glasshouse/space/resolve/main/app.py"):
        assert ask(hub, "GET", path)[0] == 404


def test_ranges_and_heads(hub: HubInstance, repo: str) -> None:
    large = b"0123456789" * 10_000
    sha256 = upload(hub, repo, large)
    line = {"key": "lfsFile", "value": {"path": "large.bin", "oid": sha256, "algo": "sha256", "size": len(large)}}
    assert commit(hub, repo, line, put("small.txt", "0123456789"))[0] == 200
    for path, size in (("large.bin", len(large)), ("small.txt", 10)):
        url = f"/{repo}/resolve/main/{path}"
        status, headers, body = ask(hub, "HEAD", url)
        assert (status, headers["content-length"], body) == (200, str(size), b"")
        assert len(headers["x-repo-commit"]) == 40
        assert headers["x-content-type-options"] == "nosniff"
        status, headers, body = ask(hub, "GET", url, headers={"Range": "bytes=3-5"})
        assert (status, headers["content-range"], body) == (206, f"bytes 3-5/{size}", b"345")
        assert ask(hub, "GET", url, headers={"Range": f"bytes={size}-"})[0] == 416
        assert ask(hub, "GET", url, headers={"Range": "bytes=-4"})[2] == b"6789"
        assert ask(hub, "GET", url, headers={"Range": f"bytes={size - 2}-"})[2] == b"89"
        assert ask(hub, "GET", url, headers={"Range": f"bytes=0-{size * 2}"})[0] == 206
        part = {"Range": "bytes=3-5", "If-Range": headers["etag"]}
        assert ask(hub, "GET", url, headers=part)[0] == 206
        for whole in ({"If-Range": '"x"'}, {"Range": "bytes=5-3"}, {"Range": "bytes=0-1,3-4"}, {"Range": "lines=1-2"}):
            status, _, body = ask(hub, "GET", url, headers=part | whole)
            assert (status, len(body)) == (200, size)
    assert ask(hub, "HEAD", f"/{repo}/resolve/main/large.bin")[1]["etag"] == f'"{sha256}"'


def upload(hub: HubInstance, repo: str, data: bytes) -> str:
    """Send one large file by the basic transfer; its SHA-256."""
    sha256 = hashlib.sha256(data).hexdigest()
    action = batch(hub, repo, sha256, len(data))["actions"]["upload"]
    assert ask(hub, "PUT", action["href"], data, token="")[0] == 200
    return sha256


def batch(hub: HubInstance, repo: str, sha256: str, size: int, *transfers: str, operation: str = "upload") -> Any:
    body = {"operation": operation, "transfers": list(transfers), "objects": [{"oid": sha256, "size": size}]}
    status, _, answer = ask(hub, "POST", f"/{repo}.git/info/lfs/objects/batch", body)
    assert status == 200
    return json.loads(answer)["objects"][0]


def test_only_what_was_announced_is_taken_in(hub: HubInstance, repo: str) -> None:
    data = b"announced" * 100
    uploads = hub.root / "blobs" / "uploads"
    before = set(uploads.iterdir())
    sha256 = hashlib.sha256(data).hexdigest()
    href = batch(hub, repo, sha256, len(data))["actions"]["upload"]["href"]
    assert ask(hub, "PUT", href, data[:-1] + b"!", token="")[0] == 422
    assert ask(hub, "PUT", href, data[:-1], token="")[0] == 422
    assert ask(hub, "PUT", href, data + b"!", token="")[0] == 413
    assert not hub.blob(sha256).exists()
    line = {"key": "lfsFile", "value": {"path": "x.bin", "oid": sha256, "algo": "sha256"}}
    assert commit(hub, repo, line)[0] == 400
    assert ask(hub, "PUT", href, data, token="")[0] == 200
    assert "actions" not in batch(hub, repo, sha256, len(data))
    download = batch(hub, repo, sha256, len(data), operation="download")["actions"]["download"]["href"]
    assert ask(hub, "GET", download, token="")[2] == data
    assert set(uploads.iterdir()) == before


def test_links_are_for_what_they_were_signed_for(hub: HubInstance, repo: str) -> None:
    data = b"signed" * 100
    href = batch(hub, repo, hashlib.sha256(data).hexdigest(), len(data))["actions"]["upload"]["href"]
    other = hashlib.sha256(b"other").hexdigest()
    for forged in (
        href.replace("size=600", "size=601"),
        href.replace(hashlib.sha256(data).hexdigest(), other),
        href.split("&expires")[0],
        href.replace("/lfs/object", "/lfs/part"),
        href.replace("expires=", "expires=9"),
        href + "&extra=1",
        f"/lfs/object?action=put&oid={other}&size=5",
        "/lfs/object?expires=x&signature=%C3%A9",
    ):
        assert ask(hub, "PUT", forged, data, token="")[0] == 403
    assert ask(hub, "GET", href, token="")[0] == 403


def test_a_blob_in_parts_is_joined_and_checked(hub: HubInstance, repo: str) -> None:
    data = b"parted!" * (PART_SIZE // 3)
    sha256 = hashlib.sha256(data).hexdigest()
    action = batch(hub, repo, sha256, len(data), "basic", "multipart")["actions"]["upload"]
    urls = [url for key, url in sorted(action["header"].items()) if key.isdigit()]
    parts = [data[start : start + PART_SIZE] for start in range(0, len(data), PART_SIZE)]
    assert len(urls) == len(parts) == 3
    assert ask(hub, "PUT", urls[0], parts[0][:-1], token="")[0] == 422
    for url, part in zip(urls[:2], parts[:2], strict=True):
        assert ask(hub, "PUT", url, part, token="")[0] == 200
    assert ask(hub, "POST", action["href"], {"oid": sha256, "parts": []}, token="")[0] == 400
    assert ask(hub, "PUT", urls[2], parts[2], token="")[0] == 200
    for _ in range(2):  # the second time as if the first answer had been lost
        assert ask(hub, "POST", action["href"], {"oid": sha256, "parts": []}, token="")[0] == 200
    assert hub.blob(sha256).read_bytes() == data


@pytest.mark.parametrize("token", ["", "nobody-has-this"])
@pytest.mark.parametrize("path", ["preupload/main", "commit/main", "tag/main", "branch/x"])
def test_nobody_writes_without_a_token(hub: HubInstance, repo: str, token: str, path: str) -> None:
    assert ask(hub, "POST", f"/api/models/{repo}/{path}", {"files": [], "tag": "x"}, token=token)[0] == 401


def test_base64_is_checked(hub: HubInstance, client: HubClient, repo: str) -> None:
    line = {"key": "file", "value": {"path": "a.bin", "content": "a!b=", "encoding": "base64"}}
    assert commit(hub, repo, line)[0] == 400
    line["value"]["content"] = base64.b64encode(b"\r\n\0").decode()  # type: ignore[index]
    assert commit(hub, repo, line)[0] == 200
    assert client.files.read(repo, client.refs.head(repo), "a.bin", max_bytes=10) == b"\r\n\0"
