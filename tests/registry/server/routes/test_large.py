"""Large files by LFS: signed links, parts, and only what was announced."""

from __future__ import annotations

import hashlib

from tests.hub_instance import HubInstance
from tests.registry.hub.conftest import PART_SIZE
from tests.registry.server.asking import ask, batch, commit


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
