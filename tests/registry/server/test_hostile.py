"""What nobody should be able to ask the server for: on the wire, in addresses, in bodies, in its own folder."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.hub.client import HubClient
from registry.server.store import git
from tests.hub_instance import HubInstance
from tests.registry.server.asking import BAD_PATHS, ask, commit, put, raw, upload


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


def get(target: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: hub", b"Connection: close", *lines, b"", b""))


HUGE = b"y" * 200_000


POST = b"POST /api/validate-yaml HTTP/1.1\r\nHost: a\r\n"


SMUGGLED = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET http://[ HTTP/1.1\r\nHost: [\r\n\r\n",
        get(b"/healthz", b"X: " + HUGE), get(b"/" + HUGE), get(b"/healthz", *(b"X-%d: y" % n for n in range(20_000))),
        get(b"/healthz", b"Host: another"), b"GET /healthz HTTP/1.1\r\n\r\n", get(b"/healthz", b"X: a\rb"),
        get(b"/healthz", b"X: a\x00b"), get(b"/healthz", b"X : y"), get(b"/healthz", b"no colon"), get(b"/\x00"),
        get(b"/api/models/a/b", b"Range: bytes=\xff"), get(b"/a b"), get(b"/\xe6\x97\xa5"),
        get(b"/%e6%97%a5/\xc3\xa9"),
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: -1\r\n\r\n" + SMUGGLED, POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        get(b"/glasshouse/..%2f..%2fsecret/resolve/main/x"), get(b"/../../etc/passwd"), get(b"/%2e%2e/%2e%2e/passwd"),
        get(b"/api/models/glasshouse/%2e%2e%2f%2e%2e"), get(b"/api/models/glasshouse/..;/x"), get(b"//etc/passwd"),
        get(b"/glasshouse/model-0/resolve/main/..%5c..%5ctokens.json"), get(b"/%0d%0aX-Injected:%20y"),
        get(b"/glasshouse/model-0/resolve/main/%2fetc%2fpasswd"), get(b"/healthz%00.json"), get(b"/api/models/%ff/x"),
        get(b"/glasshouse/model-0.git/../../../tokens.json"), get(b"/lfs/object?oid=../../../../tokens.json"),
    ],
)  # fmt: skip
def test_what_is_hostile_on_the_wire_is_declined(hub: HubInstance, repo: str, data: bytes) -> None:
    """A 4xx, or silence; the next client is served."""
    line = raw(hub, data)
    assert line == b"" or line.split()[1].startswith(b"4"), line
    assert ask(hub, "GET", "/healthz")[0] == 200


def test_a_redirect_or_link_names_no_host_that_was_not_asked_for(hub: HubInstance, repo: str) -> None:
    """The Host header comes back in addresses; what is no host is declined before that."""
    for host in (b"evil\x01", b"a b", b"a/b", b"a@b", b"a\\b", b"a?b", b"a#b", b'a"b', b"<a>", b"a\tb"):
        line = raw(hub, b"GET /api/models/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (repo.encode(), host))
        assert line == b"" or line.split()[1].startswith(b"4"), (host, line)


def test_links_in_a_repository_are_refused(hub: HubInstance, client: HubClient, repo: str) -> None:
    """A commit makes plain files only; a link that got into the store by other means is not followed."""
    folder = hub.root / "repos" / "models" / f"{repo}.git"
    assert commit(hub, repo, put("target.txt", "secret"))[0] == 200
    for extra in ({"mode": "120000"}, {"type": "symlink"}, {"encoding": "symlink"}):
        line = put("link", "../../../../tokens.json")
        line["value"] |= extra
        assert commit(hub, repo, line)[0] in (200, 400)
    assert b"120000" not in git.run(folder, "ls-tree", "-r", "main")
    blob = git.run(folder, "hash-object", "-w", "--stdin", given=b"../../../../tokens.json").decode().strip()
    tree = git.run(folder, "mktree", given=f"120000 blob {blob}\tlink\n".encode()).decode().strip()
    made = git.run(folder, "-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", "-m", "x", tree).decode().strip()
    git.run(folder, "update-ref", "refs/heads/linked", made)
    assert ask(hub, "GET", f"/{repo}/resolve/linked/link")[2] in (
        b"../../../../tokens.json",
        b"",
    )  # the text of the link
    for path in ("link/x", "link/.."):
        assert ask(hub, "GET", f"/{repo}/resolve/linked/{quote(path, safe='')}")[0] in (400, 404)


def test_a_blob_that_is_a_link_is_not_followed(hub: HubInstance, repo: str) -> None:
    """Somebody with a shell on the server put it there."""
    sha256 = upload(hub, repo, b"to be a link" * 9)
    line = {"key": "lfsFile", "value": {"path": "large.bin", "oid": sha256, "algo": "sha256"}}
    assert commit(hub, repo, line)[0] == 200
    hub.blob(sha256).unlink()
    hub.blob(sha256).symlink_to(hub.root / "tokens.json")
    try:
        status, _, body = ask(hub, "GET", f"/{repo}/resolve/main/large.bin")
        assert status == 404 and b"sha256" not in body
    finally:
        hub.blob(sha256).unlink()
        assert upload(hub, repo, b"another" * 9)


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
