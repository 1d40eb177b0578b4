"""Large files by LFS: signed links, parts, and only what was announced."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from registry.server.access.accounts import Accounts
from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance
from tests.registry.hub.conftest import PART_SIZE
from tests.registry.server.asking import ask, batch, commit, upload


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


def test_a_link_holds_as_long_as_whoever_was_given_it_may_do_so(xet_hub: HubInstance) -> None:
    """A token is revoked at once, and a repository is closed at once. What was given out before does not help."""
    hub, repo = xet_hub, "glasshouse/links"
    assert ask(hub, "POST", "/api/repos/create", {"name": "links", "organization": "glasshouse"})[0] == 200
    data, size = os.urandom(100), 2 * PART_SIZE + 1
    sha256 = upload(hub, repo, data)
    token = hub.user("leaver", Role.WRITE, "glasshouse")

    def links(token: str, operation: str, oid: str, size: int) -> dict[str, Any]:
        body = {"operation": operation, "transfers": ["multipart"], "objects": [{"oid": oid, "size": size}]}
        answer = ask(hub, "POST", f"/{repo}.git/info/lfs/objects/batch", body, token=token)[2]
        return dict(json.loads(answer)["objects"][0]["actions"])

    other = os.urandom(100)
    whole = links(token, "upload", hashlib.sha256(other).hexdigest(), 100)
    parts = links(token, "upload", "ab" * 32, size)["upload"]
    public, own = (links(name, "download", sha256, 100)["download"]["href"] for name in ("", token))
    sends, reads = (
        ask(hub, "GET", f"/api/models/{repo}/xet-{what}-token/main", token=token)[1] for what in ("write", "read")
    )
    send, read = ({"Authorization": f"Bearer {told['x-xet-access-token']}"} for told in (sends, reads))
    found = json.loads(ask(hub, "GET", f"/xet/v1/reconstructions/{sha256}", headers=read, token="")[2])
    ((piece,),) = found["fetch_info"].values()
    assert ask(hub, "PUT", parts["header"]["00001"], bytes(PART_SIZE), token="")[0] == 200
    asked: list[tuple[str, str, bytes | None, dict[str, str]]] = [
        ("GET", own, None, {}), ("PUT", whole["upload"]["href"], other, {}), ("POST", whole["verify"]["href"], b"", {}),
        ("PUT", parts["header"]["00002"], bytes(PART_SIZE), {}), ("POST", parts["href"], b"", {}),
        ("GET", f"/xet/v1/reconstructions/{sha256}", None, read), ("GET", piece["url"], None, {}),
        ("POST", f"/xet/v1/xorbs/default/{'0' * 64}", b"x", send), ("POST", "/xet/v1/shards", b"x", send),
    ]  # fmt: skip
    assert ask(hub, "GET", public, token="")[2] == ask(hub, "GET", own, token="")[2] == data

    assert ask(hub, "PUT", f"/api/models/{repo}/settings", {"private": True})[0] == 200
    assert ask(hub, "GET", public, token="")[0] == 404 and ask(hub, "GET", own, token="")[2] == data
    Accounts.of(hub.root).remove("leaver")
    assert [ask(hub, method, path, body, headers, token="")[0] for method, path, body, headers in asked] == [403] * 9
