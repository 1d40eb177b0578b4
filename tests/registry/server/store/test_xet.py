"""Uploads by Xet: as the real client sends them, and as nobody should."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from registry.server.check import examine
from registry.server.problems import Problem
from registry.server.store import xet
from tests.hub_instance import HubInstance
from tests.registry.server.asking import Answer, ask

HF = Path(sys.executable).parent / "hf"


@pytest.fixture(scope="module")
def hub(xet_hub: HubInstance) -> HubInstance:
    return xet_hub


def head(packed: int, scheme: int, size: int, version: int = 0) -> bytes:
    return bytes([version]) + packed.to_bytes(3, "little") + bytes([scheme]) + size.to_bytes(3, "little")


def pack(data: bytes, scheme: int) -> bytes:
    """A chunk, as xet-core packs it."""
    planes = b"".join(data[plane::4] for plane in range(4)) if scheme == 2 else data
    packed = planes if scheme == 0 else lz4.frame.compress(planes)
    return head(len(packed), scheme, len(data)) + packed


def shard(*files: tuple[str, list[tuple[str, int, int, int]]], flags: int = 1 << 30) -> bytes:
    """A shard of files: (SHA-256, [(xorb, first chunk, end, bytes)])."""
    out = b"HFRepoMetaData\0" + bytes(33)
    for sha256, segments in files:
        out += struct.pack("<32sIIQ", bytes(32), flags, len(segments), 0)
        for xorb, start, end, size in segments:
            out += struct.pack("<32sIIII", binary(xorb), 0, size, start, end)
        out += struct.pack("<32s16x", binary(sha256))
    return out + b"\xff" * 32 + bytes(16)


def binary(text: str) -> bytes:
    return struct.pack("<4Q", *(int(text[place : place + 16], 16) for place in range(0, 64, 16)))


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.sampled_from([0, 1, 2])), max_size=5))
def test_what_is_packed_is_unpacked(parts: list[tuple[bytes, int]]) -> None:
    packed = b"".join(pack(*part) for part in parts) + b"XETBLOB" + bytes(50)
    found = xet.chunks(io.BytesIO(packed), len(packed))
    assert [xet.unpack(packed[c.offset : c.offset + c.packed], c) for c in found] == [data for data, _ in parts]


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda data: b"HFRepoMetaData\0" + bytes(33) + data))
def test_any_bytes_are_read_or_declined(data: bytes) -> None:
    for read in (
        lambda: [xet.unpack(data[c.offset : c.offset + c.packed], c) for c in xet.chunks(io.BytesIO(data), len(data))],
        lambda: list(xet.files(data)),
    ):
        try:
            read()
        except Problem as problem:
            assert problem.status == 400


def test_a_chunk_cannot_blow_up() -> None:
    bomb = lz4.frame.compress(bytes(100 << 20))
    chunk = xet.chunks(io.BytesIO(head(len(bomb), 1, 1000) + bomb), len(bomb) + 8)[0]
    with pytest.raises(Problem):
        xet.unpack(bomb, chunk)
    with pytest.raises(Problem):
        xet.chunks(io.BytesIO(head(8, 1, (1 << 20) + 1) + bytes(8)), 16)


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 9), st.integers(1, 99)), max_size=4))
def test_shards_are_read_as_they_are_written(rows: list[tuple[bytes, int, int]]) -> None:
    segments = [(xet.hexadecimal(xorb), start, start + 1, size) for xorb, start, size in rows]
    (found,) = xet.files(shard(("ab" * 32, segments)))
    assert found.sha256 == "ab" * 32 and found.size == sum(size for *_, size in rows)
    assert [(s.xorb, s.start, s.end, s.size) for s in found.spans] == segments


def test_the_real_client_sends_by_xet_and_again_to_another_repository(
    hub: HubInstance, client: HubClient, repo: str, tmp_path: Path
) -> None:
    """The second time it remembers what it has sent, and sends a shard alone."""
    folder = tmp_path / "release"
    folder.mkdir()
    weights = os.urandom(3 << 20) + b"\0\0\x80\x3f" * 200_000
    (folder / "model.safetensors").write_bytes(weights)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token}
    for name in (repo, f"{repo}-again"):
        command = [str(HF), "upload", name, str(folder), "."]
        done = subprocess.run(command, env=environment | {"NO_PROXY": "127.0.0.1"}, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        commit = client.refs.head(name)
        assert client.files.read(name, commit, "model.safetensors", max_bytes=1 << 24) == weights
        ledger = (hub.root / "repos" / "models" / f"{name}.git" / "contents").read_text()
        assert hashlib.sha256(weights).hexdigest() in ledger
    (packed,) = (hub.root / "blobs" / "uploads").glob("xet-*")
    assert not list(packed.iterdir())  # maps have taken their place
    assert examine(hub.root).faults == ()


@pytest.fixture
def bearer(hub: HubInstance, repo: str) -> dict[str, str]:
    return xet_token(hub, repo, hub.token)


def xet_token(hub: HubInstance, repo: str, token: str) -> dict[str, str]:
    status, headers, _ = ask(hub, "GET", f"/api/models/{repo}/xet-write-token/main", token=token)
    assert status == 200 and headers["x-xet-cas-url"] == f"{hub.url}/xet"
    return {"Authorization": f"Bearer {headers['x-xet-access-token']}"}


def send(hub: HubInstance, place: str, data: bytes, bearer: dict[str, str]) -> Answer:
    return ask(hub, "POST", f"/xet/v1/{place}", data, bearer, token="")


def test_only_what_has_its_sha256_is_kept(hub: HubInstance, repo: str, bearer: dict[str, str]) -> None:
    one, two = os.urandom(5000), os.urandom(7000)
    name, sha256 = os.urandom(32).hex(), hashlib.sha256(one + two).hexdigest()
    assert send(hub, f"xorbs/default/{name}", pack(one, 1) + pack(two, 0), bearer)[0] == 200
    for said in (
        shard((sha256, [(name, 0, 1, 5000)])),
        shard((sha256, [(name, 0, 2, 11_999)])),
        shard((sha256, [(name, 1, 2, 7000), (name, 0, 1, 5000)])),
        shard((sha256, [("0" * 64, 0, 2, 12_000)])),
        shard((sha256, [(name, 0, 2, 12_000)]), flags=0),
        shard((sha256, [(name, 0, 2, 12_000)]))[:-60],
        b"nonsense",
    ):
        assert send(hub, "shards", said, bearer)[0] in (400, 413, 422), said
        assert not hub.blob(sha256).exists()
    assert send(hub, "shards", shard((sha256, [(name, 0, 2, 12_000)])), bearer)[0] == 200
    assert hub.blob(sha256).read_bytes() == one + two
    again = hashlib.sha256(two + one).hexdigest()
    assert send(hub, "shards", shard((again, [(name, 1, 2, 7000), (name, 0, 1, 5000)])), bearer)[0] == 200  # by its map
    assert hub.blob(again).read_bytes() == two + one


def test_a_xorb_is_for_who_sent_it(hub: HubInstance, repo: str, bearer: dict[str, str]) -> None:
    secret, name = os.urandom(5000), os.urandom(32).hex()
    sha256 = hashlib.sha256(secret).hexdigest()
    assert send(hub, f"xorbs/default/{name}", pack(secret, 0), bearer)[0] == 200
    thief = hub.user("xet-thief", Role.WRITE)
    assert ask(hub, "POST", "/api/repos/create", {"name": "mine"}, token=thief)[0] in (200, 409)
    theirs = xet_token(hub, "xet-thief/mine", thief)
    whole = shard((sha256, [(name, 0, 1, 5000)]))
    assert send(hub, "shards", whole, theirs)[0] == 400
    assert send(hub, "shards", whole, bearer)[0] == 200
    assert send(hub, "shards", whole, theirs)[0] == 400
    reader = hub.user("reader", Role.READ, "glasshouse")
    assert ask(hub, "GET", f"/api/models/{repo}/xet-write-token/main", token=reader)[0] == 403


@pytest.mark.parametrize("place", ["xorbs/default/" + "0" * 64, "shards"])
def test_without_a_token_of_its_own_nothing_is_taken(
    hub: HubInstance, place: str, bearer: dict[str, str], repo: str
) -> None:
    token = bearer["Authorization"].removeprefix("Bearer ")
    claims = base64.urlsafe_b64decode(token).decode()
    forged = base64.urlsafe_b64encode(claims.replace("&token=", "&token=0").encode()).decode()
    link: Any = "Bearer " + base64.urlsafe_b64encode(b"action=xet&user=root").decode()
    for header in ("", f"Bearer {hub.token}", "Bearer !", f"Bearer {forged}", link):
        assert ask(hub, "POST", f"/xet/v1/{place}", b"x", {"Authorization": header}, token="")[0] == 401


@pytest.mark.parametrize("name", ["..", "0" * 63, "%2e%2e%2f", "A" * 64])
def test_xorbs_have_proper_names(hub: HubInstance, bearer: dict[str, str], name: str) -> None:
    assert send(hub, f"xorbs/default/{name}", pack(b"data", 0), bearer)[0] in (400, 404)
    assert send(hub, "xorbs/default/" + "1" * 64, b"no xorb at all", bearer)[0] == 400
    assert send(hub, "xorbs/default/" + "1" * 64, b"", bearer)[0] == 400


def test_two_tokens_of_one_name_do_not_share_what_they_sent(hub: HubInstance) -> None:
    """One of them may be for a namespace whose repositories are private."""
    lab, other = (hub.user("ci", Role.WRITE, owner, only=(owner,)) for owner in ("lab", "other"))
    for owner, token in (("lab", lab), ("other", other)):
        body = {"name": "one", "organization": owner, "private": owner == "lab"}
        assert ask(hub, "POST", "/api/repos/create", body, token=token)[0] in (200, 409)
    secret, name = os.urandom(5000), os.urandom(32).hex()
    whole = shard((hashlib.sha256(secret).hexdigest(), [(name, 0, 1, 5000)]))
    assert send(hub, f"xorbs/default/{name}", pack(secret, 0), xet_token(hub, "lab/one", lab))[0] == 200
    assert send(hub, "shards", whole, xet_token(hub, "other/one", other))[0] == 400
    assert send(hub, "shards", whole, xet_token(hub, "lab/one", lab))[0] == 200
    assert send(hub, "shards", whole, xet_token(hub, "other/one", other))[0] == 400


def test_empty_chunks_and_spans_cost_nothing(hub: HubInstance, bearer: dict[str, str]) -> None:
    """As they were: four million bytes of them, and twelve spans, cost 41 seconds."""
    empty = head(0, 0, 0) * 500_000
    assert send(hub, "xorbs/default/" + "2" * 64, empty, bearer)[0] == 400
    many = pack(b"x", 0) * (xet.MAX_CHUNKS + 1)
    assert send(hub, "xorbs/default/" + "2" * 64, many, bearer)[0] == 400
    name = os.urandom(32).hex()
    assert send(hub, f"xorbs/default/{name}", pack(b"x", 0), bearer)[0] == 200
    for span in ((name, 0, 0, 0), (name, 1, 0, 5), (name, 0, 1 << 20, 1 << 21), (name, 0, 1, 0), (name, 0, 2, 2)):
        assert send(hub, "shards", shard(("ab" * 32, [span] * 12)), bearer)[0] == 400


def test_few_bytes_do_not_become_many_on_the_disk(hub: HubInstance, bearer: dict[str, str]) -> None:
    name, size = os.urandom(32).hex(), 128 << 10
    assert send(hub, f"xorbs/default/{name}", pack(bytes(size), 1), bearer)[0] == 200
    uploads = hub.root / "blobs" / "uploads"
    before = {item.name for item in uploads.iterdir()}
    said = shard(("cd" * 32, [(name, 0, 1, size)] * 12_000))
    status, _, body = send(hub, "shards", said, bearer)
    assert status == 413 and b"HF_HUB_DISABLE_XET" in body and {item.name for item in uploads.iterdir()} == before
    assert send(hub, "shards", shard(("cd" * 32, [(name, 0, 1, size)] * 3)), bearer)[0] == 422


def test_chunks_of_a_byte_cost_no_more_than_they_are(hub: HubInstance, bearer: dict[str, str]) -> None:
    """As they were: a map was read and written once for each span, and a chunk unpacked as often as it was named."""
    data, name = os.urandom(12_000), os.urandom(32).hex()
    assert (
        send(hub, f"xorbs/default/{name}", b"".join(pack(data[at : at + 1], 0) for at in range(12_000)), bearer)[0]
        == 200
    )
    spans = [(name, number, number + 1, 1) for number in range(8000)]
    part = hashlib.sha256(data[:8000]).hexdigest()
    assert send(hub, "shards", shard((part, spans)), bearer)[0] == 200  # the xorb stays: not all is in a file
    whole = hashlib.sha256(data).hexdigest()
    assert send(hub, "shards", shard((whole, [(name, 0, 12_000, 12_000)])), bearer)[0] == 200
    again = hashlib.sha256(data[:8000] * 2).hexdigest()
    assert send(hub, "shards", shard((again, spans * 2)), bearer)[0] == 200  # by its map
    assert hub.blob(again).read_bytes() == data[:8000] * 2
    said = shard(("ef" * 32, [(name, 0, 12_000, 12_000)] * 5))
    status, _, body = send(hub, "shards", said, bearer)
    assert status == 413 and b"60000 chunks" in body
