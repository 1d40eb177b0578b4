"""The server, asked directly: what the clients rely on, and what nobody should be able to ask for."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.hub.client import HubClient
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
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=30)
    authorization = {"Authorization": f"Bearer {token or hub.token}"} if token != "" else {}
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    connection.request(method, path.removeprefix(hub.url), data, authorization | (headers or {}))
    response = connection.getresponse()
    answer = response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
    connection.close()
    return answer


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
    old = client.head(repo)
    assert commit(hub, repo, put("a.txt"))[0] == 200
    new = client.head(repo)
    stale = {"key": "header", "value": {"summary": "Late", "parentCommit": old}}
    assert commit(hub, repo, stale, put("b.txt"))[0] == 412
    assert client.head(repo) == new


def test_of_many_commits_upon_one_parent_one_is_made(hub: HubInstance, client: HubClient, repo: str) -> None:
    header = {"key": "header", "value": {"summary": "A race", "parentCommit": client.head(repo)}}
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: commit(hub, repo, header, put(f"{n}.txt"))[0], range(8)))
    assert sorted(statuses) == [200] + [412] * 7
    assert len(client.files(repo, client.head(repo))) == 2


def test_commits_without_a_parent_queue_up(hub: HubInstance, client: HubClient, repo: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: commit(hub, repo, put(f"{n}.txt"))[0], range(8)))
    assert statuses == [200] * 8
    assert len(client.files(repo, client.head(repo))) == 9


BAD_PATHS = [
    "../up.txt", "/absolute.txt", "a/../b.txt", "a//b.txt", "./a.txt", "a/.git/config", ".GIT/hooks/x", "git~1/x",
    "a\\b.txt", "a\nb.txt", "a\r\nX-Injected: y", "a\0b", "C:/x.txt", "trailing. ", "e\u0301.txt", "\ud800.txt",
    "x" * 1100,
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths_are_4xx_everywhere(hub: HubInstance, client: HubClient, repo: str, path: str) -> None:
    before = client.head(repo)
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
    assert client.head(repo) == before


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
    assert client.head(repo, "steps/000100") == client.resolve(repo, "v1")
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
    assert client.tags(repo).keys() == {"v1"}


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


@pytest.mark.parametrize(
    "target",
    [
        "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "//etc/passwd",
        "/glasshouse/..%2f..%2fsecret/resolve/main/x",
        "/a%0d%0aX-Injected:%20y", "/%ff%fe", "/%", "/api/models/glasshouse/x/tree/main?cursor=-1", "/api/models/%00/x",
        "/api/models/x/y/revision/%2e%2e", "/api/models/glasshouse/model-0/tree/main?cursor=999999999999999999999",
        "/glasshouse/model-0/info/refs?service=git-receive-pack", "/glasshouse/model-0/info/refs?service=--help",
    ],
)  # fmt: skip
def test_hostile_addresses_are_4xx(hub: HubInstance, repo: str, target: str) -> None:
    status, headers, body = ask(hub, "GET", target)
    assert 400 <= status < 500
    assert "x-injected" not in headers
    assert b"root:" not in body


def raw(hub: HubInstance, data: bytes) -> bytes:
    address = "127.0.0.1", int(hub.url.rsplit(":", 1)[1])
    with socket.create_connection(address, timeout=10) as connection, suppress(ConnectionError):
        connection.sendall(data)  # the server may hang up before it has heard it all
        return connection.recv(200)
    return b""


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET http://[ HTTP/1.1\r\nHost: [\r\n\r\n",
        b"GET /api/whoami-v2 HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /api/models/a/b HTTP/1.1\r\nHost: evil\x01\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_http_does_no_harm(hub: HubInstance, data: bytes) -> None:
    assert b" 500 " not in raw(hub, data)[:20]
    assert ask(hub, "GET", "/healthz")[0] == 200


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
paths = st.text(max_size=12) | st.sampled_from(["a", "a/b", "README.md", *BAD_PATHS])
values = st.fixed_dictionaries(
    {},
    optional={
        "path": paths | json_values,
        "content": st.text(max_size=12) | json_values,
        "encoding": st.sampled_from(["base64", "utf-8", "rot13"]),
        "oid": st.sampled_from(["0" * 64, "x", 1]),
        "algo": st.sampled_from(["sha256", "md5"]),
        "size": st.integers(-1, 2**70),
        "summary": st.text(max_size=12) | json_values,
        "parentCommit": st.sampled_from(["0" * 40, "zz", "", None]),
    },
)
lines = st.fixed_dictionaries(
    {"key": st.sampled_from(["header", "file", "lfsFile", "deletedFile", "deletedFolder", "else"])},
    optional={"value": values | json_values},
)
ndjson = st.lists(lines, max_size=4).map(lambda rows: b"\n".join(json.dumps(row).encode() for row in rows))
bodies = ndjson | json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
named = st.fixed_dictionaries(
    {},
    optional={
        "files": st.lists(values, max_size=3) | json_values,
        "paths": st.lists(paths, max_size=3) | json_values,
        "tag": paths,
        "message": st.text(max_size=12) | json_values,
        "startingPoint": paths,
        "name": paths,
        "organization": st.sampled_from(["glasshouse", "builder", "../x", None]),
        "type": st.sampled_from(["model", "dataset", "space", None, 1]),
        "content": st.text(max_size=40).map(lambda text: f"---\n{text}\n---\n") | json_values,
        "operation": st.sampled_from(["upload", "download", "verify"]),
        "objects": st.lists(values, max_size=3) | json_values,
        "transfers": st.lists(st.text(max_size=6), max_size=2) | json_values,
    },
).map(lambda value: json.dumps(value).encode())
fuzz = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(body=bodies)
def test_no_commit_makes_the_server_fail(hub: HubInstance, repo: str, body: bytes) -> None:
    assert ask(hub, "POST", f"/api/models/{repo}/commit/main", body)[0] < 500


@fuzz
@given(body=named | bodies, at=st.sampled_from(["main", "x", "refs%2Fheads%2Fmain", "%2e%2e"]))
def test_no_body_makes_the_server_fail(hub: HubInstance, repo: str, body: bytes, at: str) -> None:
    kind = {"Content-Type": "application/json"}
    for path in (
        f"/api/models/{repo}/preupload/{at}",
        f"/api/models/{repo}/paths-info/{at}",
        f"/api/models/{repo}/tag/{at}",
        f"/api/models/{repo}/branch/{at}",
        f"/{repo}.git/info/lfs/objects/batch",
        f"/{repo}/git-upload-pack",
        "/api/repos/create",
        "/api/validate-yaml",
    ):
        assert ask(hub, "POST", path, body, kind)[0] < 500, path


@fuzz
@given(
    segments=st.lists(st.text(max_size=6) | st.sampled_from(["api", "models", "resolve", "tree", "main", "..", "lfs"]))
)
def test_no_address_makes_the_server_fail(hub: HubInstance, repo: str, segments: list[str]) -> None:
    tail = "/".join(quote(segment, safe="", errors="surrogatepass") for segment in segments)
    for prefix in ("/", f"/api/models/{repo}/", f"/{repo}/resolve/", f"/{repo}/"):
        assert ask(hub, "GET", prefix + tail)[0] < 500


def test_base64_is_checked(hub: HubInstance, client: HubClient, repo: str) -> None:
    line = {"key": "file", "value": {"path": "a.bin", "content": "a!b=", "encoding": "base64"}}
    assert commit(hub, repo, line)[0] == 400
    line["value"]["content"] = base64.b64encode(b"\r\n\0").decode()  # type: ignore[index]
    assert commit(hub, repo, line)[0] == 200
    assert client.read(repo, client.head(repo), "a.bin", max_bytes=10) == b"\r\n\0"
