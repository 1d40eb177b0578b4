"""Every store of large files keeps the same laws: a folder, what fsspec reaches, S3's own protocol."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from moto.server import ThreadedMotoServer

from registry.errors import InputError, Unavailable
from registry.hub.client import HubClient
from registry.manifest import Difference, Manifest
from registry.server import check, collecting
from registry.server.backup import back_up
from registry.server.problems import Problem
from registry.server.state import Hub
from registry.server.store import stores
from registry.server.store.blobs import Blob, BlobStore, shard
from registry.server.store.local import LocalBlobs
from registry.server.store.remote import RemoteBlobs
from registry.server.store.stores import blob_store
from tests import team_instance
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, upload

REPO = "glasshouse/model"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of a prefix in a server that speaks S3, on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield "s3://bucket/hub"
    server.stop()


@pytest.fixture(params=["local", "memory", "file", "dir", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    match request.param:
        case "local":
            return LocalBlobs(tmp_path / "store")
        case "memory":
            return RemoteBlobs(f"memory://{tmp_path.name}")
        case "s3":
            return RemoteBlobs(f"{request.getfixturevalue('s3')}/{tmp_path.name}")
        case "dir":
            return RemoteBlobs(f"dir::file://{tmp_path}/store")
        case _:
            return RemoteBlobs(f"file://{tmp_path}/store")


def put(store: BlobStore, folder: Path, data: bytes, size: int | None = None, sha256: str | None = None) -> str:
    digest = sha256 or hashlib.sha256(data).hexdigest()
    source = folder / "upload"
    source.write_bytes(data)
    store.put(source, digest, len(data) if size is None else size)
    return digest


def test_what_is_put_is_there_and_can_be_put_again(store: BlobStore, tmp_path: Path) -> None:
    large, empty = os.urandom(9 << 20), b""
    names = {put(store, tmp_path, data): data for data in (large, empty, large)}
    assert {Blob(name, len(data)) for name, data in names.items()} == set(store.all())
    for name, data in names.items():
        assert store.size(name) == len(data) and store.digest(name) == name
        for start, end in ((0, len(data)), (0, 0), *((5, 6), (3, 5 << 20), (len(data) - 1, len(data))) * bool(data)):
            assert b"".join(store.read(name, start, end)) == data[start:end]
    name = next(iter(names))
    assert abs(store.modified(name) - (tmp_path / "release").parent.stat().st_mtime) < 3600
    store.remove(name)
    store.remove(name)
    assert store.size(name) is None and [blob.size for blob in store.all()] == [0]


def test_what_another_process_removes_is_seen(s3: str, tmp_path: Path) -> None:
    """Once it had listed them, the library would believe for ever that they are there."""
    store = RemoteBlobs(f"{s3}/{tmp_path.name}")
    name = put(store, tmp_path, b"there")
    assert [blob.sha256 for blob in store.all()] == [name]
    team_instance.client(os.environ).delete_object(Bucket="bucket", Key=f"hub/{tmp_path.name}/{shard(name)}")
    assert store.size(name) is None


def test_of_two_who_put_one_blob_one_waits(tmp_path: Path) -> None:
    """Else one that fails could take away what the other has just put."""
    large = Hub.open(tmp_path / "hub").large
    came = {digest: Event() for digest in ("a" * 64, "b" * 64)}

    def another(digest: str) -> None:
        with large.alone(digest):
            came[digest].set()

    with ThreadPoolExecutor(2) as pool:
        with large.alone("a" * 64):
            for digest in came:
                pool.submit(another, digest)
            assert came["b" * 64].wait(20) and not came["a" * 64].wait(0.1)
        assert came["a" * 64].wait(20)


def test_what_is_not_there_is_a_404(store: BlobStore) -> None:
    name = "0" * 64
    assert store.size(name) is None and list(store.all()) == []
    for call in (lambda: list(store.read(name, 0, 5)), lambda: store.modified(name)):
        with pytest.raises(Problem) as raised:
            call()
        assert raised.value.status == 404
    for bad in ("../../etc/passwd", "0" * 63, "A" * 64, ""):
        with pytest.raises(Problem):
            store.size(bad)


def test_half_a_blob_is_never_seen(store: BlobStore, tmp_path: Path) -> None:
    """What was damaged after it was checked here is not given its name elsewhere."""
    if isinstance(store, LocalBlobs):
        pytest.skip("a folder takes the very file that was checked")
    with pytest.raises(Problem) as raised:
        put(store, tmp_path, os.urandom(9 << 20), sha256="1" * 64)
    assert raised.value.status == 503
    assert store.size("1" * 64) is None and list(store.all()) == []


def test_a_server_whose_large_files_are_in_s3(s3: str, tmp_path: Path, folder: Path) -> None:
    url, root = f"{s3}/server", tmp_path / "hub"
    with HubInstance.start(root, part_size=1 << 20, options=("--blobs", url, "--workers", "2")) as hub:
        client = HubClient(hub.url, hub.token)
        client.repos.ensure(REPO)
        made = client.trees.publish(REPO, folder, "Release", client.refs.head(REPO))
        assert client.trees.compare(REPO, made, Manifest.of_directory(folder)) == Difference((), (), ())
        client.trees.download(REPO, made, tmp_path / "copy")
        assert Manifest.of_directory(tmp_path / "copy") == Manifest.of_directory(folder)
        path = f"/{REPO}/resolve/{made}/model.safetensors"
        status, _, body = ask(hub, "GET", path, headers={"Range": "bytes=300-309"})
        assert (status, body) == (206, (folder / "model.safetensors").read_bytes()[300:310])
        orphan = upload(hub, REPO, b"orphan" * 100)
    assert not list((root / "blobs").glob("sha256/??/??/*")) and not list((root / "blobs" / "uploads").iterdir())
    found = check.examine(root)  # the folder knows where they are
    assert found.faults == () and found.blobs == 2
    assert back_up(root, tmp_path / "copy of the hub").size == 0  # they stay where they are, and the copy knows, too
    copied = check.examine(tmp_path / "copy of the hub")
    assert copied.faults == () and copied.blobs == 2
    assert not list((tmp_path / "copy of the hub" / "blobs").glob("sha256/??/??/*"))
    ledger = root / "repos" / "models" / f"{REPO}.git" / "contents"
    ledger.write_text("".join(line for line in ledger.read_text().splitlines(True) if orphan not in line))
    found = check.examine(root)
    collecting.collect(root)
    assert found.unused == (orphan,) and blob_store(root).size(orphan) == 600  # it is young
    assert collecting.collect(root, younger=-60).freed >= 600 and blob_store(root).size(orphan) is None
    sha256 = Manifest.of_directory(folder).by_path()["model.safetensors"].sha256
    blob_store(root).remove(str(sha256))
    assert "is not in the store" in check.examine(root).faults[0]


def test_a_store_that_does_not_answer_is_a_503_and_recovers(tmp_path: Path) -> None:
    """The store is a folder that loses its rights, as root sees only where it is no folder."""
    place = tmp_path / "elsewhere"
    with HubInstance.start(tmp_path / "hub", options=("--blobs", f"file://{place}")) as hub:
        ask(hub, "POST", "/api/repos/create", {"name": "model", "organization": "glasshouse"})
        place.rename(tmp_path / "away")
        place.write_text("no folder")
        data = b"x" * 1000
        body = {"operation": "upload", "objects": [{"oid": hashlib.sha256(data).hexdigest(), "size": 1000}]}
        answer = ask(hub, "POST", f"/{REPO}.git/info/lfs/objects/batch", body)
        assert answer[0] == 200
        with pytest.raises(AssertionError):
            upload(hub, REPO, data)
        place.unlink()
        (tmp_path / "away").rename(place)
        upload(hub, REPO, data)
        hub.process.send_signal(signal.SIGTERM)
        assert hub.process.wait(timeout=60) == 0
    assert check.examine(tmp_path / "hub").faults == ()
    log = (tmp_path / "hub" / "server.log").read_text()
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("nothing://bucket", InputError),
        ("s3://user:word@bucket/x", InputError),
        ("file:///proc/nothing/x", Unavailable),
    ],
)
def test_a_store_that_cannot_be_used_is_told_at_once(tmp_path: Path, url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        blob_store(tmp_path, url)
    assert isinstance(blob_store(tmp_path), LocalBlobs)  # and not remembered


def test_a_folder_keeps_to_its_store(tmp_path: Path) -> None:
    blob_store(tmp_path / "one", f"file://{tmp_path}/store")
    assert isinstance(blob_store(tmp_path / "one"), RemoteBlobs)
    with pytest.raises(InputError, match="are at file"):
        blob_store(tmp_path / "one", f"file://{tmp_path}/another")
    put(blob_store(tmp_path / "two"), tmp_path, b"x")
    with pytest.raises(InputError, match="in it already"):
        blob_store(tmp_path / "two", f"file://{tmp_path}/store")


def test_a_store_of_ones_own_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `stores.py` says of adding one: the scheme of the URL chooses it, now and at the next start."""

    class Shelf(LocalBlobs):
        def __init__(self, url: str) -> None:
            super().__init__(Path(url.removeprefix("shelf://")))

    monkeypatch.setitem(stores.STORES, "shelf", Shelf)
    name = put(blob_store(tmp_path / "hub", f"shelf://{tmp_path}/books"), tmp_path, b"a book")
    again = blob_store(tmp_path / "hub")
    assert isinstance(again, Shelf) and again.size(name) == 6
    assert isinstance(blob_store(tmp_path / "other", f"file://{tmp_path}/more"), RemoteBlobs)
