"""Large files from one repository to another, and to a disk, by Xet: as the stock client does both, and for whom."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from registry.server.check import examine
from registry.server.store import unpacked
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload


@pytest.fixture(scope="module")
def hub(xet_hub: HubInstance) -> HubInstance:
    return xet_hub


@pytest.fixture
def weights() -> bytes:
    return os.urandom(300_000)


@pytest.fixture
def source(hub: HubInstance, repo: str, weights: bytes) -> str:
    """A repository with a large file, and one that is not."""
    sha256 = upload(hub, repo, weights)
    large = {"key": "lfsFile", "value": {"path": "folder/model.safetensors", "oid": sha256, "algo": "sha256"}}
    assert commit(hub, repo, large, put("folder/config.json", "{}"))[0] == 200
    return repo


def share(hub: HubInstance, source: str, target: str, *names: str, token: str | None = None) -> tuple[int, Any]:
    body = {"target": {"type": "model", "name": target}, "files": [{"sha256": n, "xetHash": n} for n in names]}
    status, _, answer = ask(hub, "POST", f"/api/models/{source}/lfs-files/duplicate", body, token=token)
    return status, json.loads(answer)


def test_the_stock_client_copies_a_folder_and_no_byte_of_it_travels(
    hub: HubInstance, client: HubClient, source: str, weights: bytes
) -> None:
    target, api = f"{source}-copy", client.connection.api
    client.repos.ensure(target)
    api.copy_files(f"hf://{source}/folder/", f"hf://{target}/there/")
    head = client.refs.head(target)
    assert {row.path for row in client.files.list(target, head)} >= {"there/model.safetensors", "there/config.json"}
    assert client.files.read(target, head, "there/model.safetensors", max_bytes=1 << 20) == weights
    assert examine(hub.root).faults == ()


def test_the_stock_client_reads_by_xet(
    hub: HubInstance, client: HubClient, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of two xorbs: a snapshot takes it so, for the tree names it; so does the file system."""
    from huggingface_hub import HfFileSystem, file_download, snapshot_download

    def by_http(*given: Any, **named: Any) -> None:
        raise AssertionError("not by Xet")

    data, path = os.urandom(unpacked.XORB + 1_000_001), tmp_path / "model.bin"
    path.write_bytes(data)
    client.connection.api.upload_file(path_or_fileobj=path, path_in_repo="model.bin", repo_id=repo)
    client.connection.api.delete_file(".gitattributes", repo)
    monkeypatch.setattr(file_download, "http_get", by_http)
    found = snapshot_download(repo, endpoint=hub.url, token=hub.token, cache_dir=tmp_path / "cache")
    assert Path(found, "model.bin").read_bytes() == data
    HfFileSystem(endpoint=hub.url, token=hub.token).get_file(f"{repo}/model.bin", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == data


def test_what_is_not_theirs_to_read_is_not_copied(hub: HubInstance, source: str, weights: bytes) -> None:
    """Not by its digest from one's own repository; not from a private one, nor through a gate."""
    sha256, stranger = hashlib.sha256(weights).hexdigest(), hub.user("stranger", Role.WRITE)
    assert ask(hub, "POST", "/api/repos/create", {"name": "own"}, token=stranger)[0] == 200
    assert share(hub, "stranger/own", "stranger/own", sha256, token=stranger)[1]["failed"][0]["sha256"] == sha256
    for settings in ({"private": True}, {"private": False, "gated": "manual"}):
        assert ask(hub, "PUT", f"/api/models/{source}/settings", settings)[0] == 200
        assert share(hub, source, "stranger/own", sha256, token=stranger)[0] in (403, 404)
    assert ask(hub, "PUT", f"/api/models/{source}/settings", {"gated": False})[0] == 200
    assert share(hub, source, "stranger/own", "0" * 64, token=stranger)[1]["failed"][0]["sha256"] == "0" * 64
    assert share(hub, source, source, sha256, token=stranger)[0] == 403  # read it they may, and not write there
    assert share(hub, source, "stranger/own", sha256, token="")[0] == 401
    assert share(hub, source, "stranger/nothing", sha256, token=stranger)[0] == 404
    assert share(hub, source, "stranger/own", sha256, token=stranger) == (
        200,
        {"success": [{"sha256": sha256}], "failed": []},
    )


def test_a_copy_counts_for_who_takes_it(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path, xet=True, options=("--quota", "1000")) as hub:
        other = hub.user("other", Role.WRITE)
        assert ask(hub, "POST", "/api/repos/create", {"name": "a", "organization": "glasshouse"})[0] == 200
        assert ask(hub, "POST", "/api/repos/create", {"name": "b"}, token=other)[0] == 200
        names = [upload(hub, "glasshouse/a", letter * 400) for letter in (b"x", b"y")]
        assert share(hub, "glasshouse/a", "other/b", *names, token=other)[0] == 200
        more = upload(hub, "glasshouse/a", b"z" * 150)
        assert share(hub, "glasshouse/a", "other/b", names[0], token=other)[0] == 200  # it has that already
        assert share(hub, "glasshouse/a", "other/b", more, token=other)[0] == 200
        assert upload_refused(hub, other)


def upload_refused(hub: HubInstance, token: str) -> bool:
    body = {"operation": "upload", "transfers": [], "objects": [{"oid": "1" * 64, "size": 100}]}
    return ask(hub, "POST", "/other/b.git/info/lfs/objects/batch", body, token=token)[0] == 403


@pytest.fixture
def reader(hub: HubInstance, source: str) -> dict[str, str]:
    status, headers, _ = ask(hub, "GET", f"/api/models/{source}/xet-read-token/main", token="")
    assert status == 200
    return {"Authorization": f"Bearer {headers['x-xet-access-token']}"}


def test_a_reading_token_is_for_reading_one_repository(
    hub: HubInstance, client: HubClient, source: str, weights: bytes, reader: dict[str, str]
) -> None:
    place = f"/xet/v1/reconstructions/{hashlib.sha256(weights).hexdigest()}"
    status, _, answer = ask(hub, "GET", place, headers=reader, token="")
    told = json.loads(answer)
    assert status == 200 and sum(term["unpacked_length"] for term in told["terms"]) == len(weights)
    ((row,),) = told["fetch_info"].values()
    at = f"bytes={row['url_range']['start']}-{row['url_range']['end']}"
    assert ask(hub, "GET", row["url"], headers={"Range": at}, token="")[0] == 206
    assert ask(hub, "GET", row["url"].replace("number=0", "number=1"), token="")[0] == 403
    assert ask(hub, "GET", place, headers=reader | {"Range": "bytes=300000-"}, token="")[0] == 416
    assert ask(hub, "GET", place, token="")[0] == 401
    assert ask(hub, "POST", f"/xet/v1/xorbs/default/{'a' * 64}", b"", reader, token="")[0] == 401
    client.repos.ensure("glasshouse/elsewhere")
    other = upload(hub, "glasshouse/elsewhere", b"z" * 400)
    assert ask(hub, "GET", f"/xet/v1/reconstructions/{other}", headers=reader, token="")[0] == 404
    assert ask(hub, "PUT", f"/api/models/{source}/settings", {"private": True})[0] == 200
    assert ask(hub, "GET", f"/api/models/{source}/xet-read-token/main", token="")[0] == 404
