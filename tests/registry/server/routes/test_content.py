"""The bytes of a file: whole, a range, or none that the client has already."""

from __future__ import annotations

from pathlib import Path

from registry.hub.client import HubClient
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload


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


def test_an_etag_spares_a_download(hub: HubInstance, client: HubClient, repo: str, folder: Path) -> None:
    client.trees.publish(repo, folder, "Release", client.refs.head(repo))
    for path in ("README.md", "model.safetensors"):
        _, headers, body = ask(hub, "GET", f"/{repo}/resolve/main/{path}")
        for known in (f'W/"x", {headers["etag"]}', "*"):
            again = {"If-None-Match": known}
            assert ask(hub, "GET", f"/{repo}/resolve/main/{path}", headers=again)[::2] == (304, b"")
        other = {"If-None-Match": '"other"'}
        assert ask(hub, "GET", f"/{repo}/resolve/main/{path}", headers=other)[2] == body
