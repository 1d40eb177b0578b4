"""The server under load: large files up and down against `cp` and `sha256sum`, and many clients at once.

GLASSHOUSE_BENCH_BYTES (5 GB), GLASSHOUSE_BENCH_SECONDS (120) and GLASSHOUSE_BENCH_CLIENTS (32) make it smaller.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from huggingface_hub import constants

from registry.hub.client import HubClient
from registry.manifest import Manifest
from registry.server.check import examine
from tests.hub_instance import HubInstance

BYTES = int(os.environ.get("GLASSHOUSE_BENCH_BYTES", 5_000_000_000))
SECONDS = float(os.environ.get("GLASSHOUSE_BENCH_SECONDS", 120))
CLIENTS = int(os.environ.get("GLASSHOUSE_BENCH_CLIENTS", 32))
FILES = 8
REPO = "glasshouse/model"
BLOCK = 1 << 20


def main() -> None:
    """Print both."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        throughput(Path(name))
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        mixed(Path(name))


def throughput(scratch: Path) -> None:
    """FILES files up and down, in the same run as `cp` and `sha256sum` of the same bytes."""
    folder = _files(scratch / "release")
    peer = _timed(lambda: _copy_and_hash(folder, scratch / "peer"))
    shutil.rmtree(scratch / "peer")
    manifest = Manifest.of_directory(folder)
    with HubInstance.start(scratch / "hub", xet=True) as hub:
        client = HubClient(hub.url, hub.token)
        up = _published(client, REPO, folder, manifest, xet=False)
        by_xet = _published(client, f"{REPO}-by-xet", folder, manifest, xet=True)
        shutil.rmtree(folder)
        commit = client.refs.head(REPO)
        down = _timed(lambda: client.trees.download(REPO, commit, scratch / "copy"))
        peak = peak_memory(hub)
    assert Manifest.of_directory(scratch / "copy") == manifest
    print(f"{BYTES / 1e9:.2f} GB in {FILES} files; {os.cpu_count()} cores; server peak {peak / 1e6:.0f} MB")
    for label, seconds in (("cp + sha256sum", peer), ("up", up), ("up by Xet", by_xet), ("down", down)):
        print(f"{label:16} {seconds:7.1f} s  {BYTES / seconds / 1e6:6.0f} MB/s  {seconds / peer:5.2f} x")


def _published(client: HubClient, repo: str, folder: Path, manifest: Manifest, *, xet: bool) -> float:
    """Seconds of one publication to a new repository, its large files sent by Xet or by LFS."""
    client.repos.ensure(repo)
    parent, before = client.refs.head(repo), constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = not xet
    try:
        return _timed(lambda: client.trees.publish(repo, folder, "Release", parent, manifest=manifest))
    finally:
        constants.HF_HUB_DISABLE_XET = before


def mixed(scratch: Path) -> None:
    """CLIENTS clients read and write for SECONDS: no answer but 2xx, 412 and 429, and a store that passes its check."""
    with HubInstance.start(scratch / "hub", options=("--workers", "2")) as hub:
        HubClient(hub.url, hub.token).repos.ensure(REPO)
        end = time.monotonic() + SECONDS
        with ThreadPoolExecutor(CLIENTS) as pool:
            counts = sum(pool.map(lambda n: _client(hub, n, end), range(CLIENTS)), Counter[int]())
        peak = peak_memory(hub)
    found = examine(scratch / "hub")
    print(f"{CLIENTS} clients, {SECONDS:.0f} s, {sum(counts.values()) / SECONDS:.0f} requests a second: {dict(counts)}")
    print(f"store: {found.repositories} repositories, {found.blobs} blobs, {len(found.faults)} faults")
    print(f"server peak {peak / 1e6:.0f} MB")
    assert not found.faults and not set(counts) - {200, 206, 412, 429}


def _client(hub: HubInstance, number: int, end: float) -> Counter[int]:
    """One client's requests until `end`; how many answers of each status it got."""
    with closing(Client(hub, number)) as client:
        while time.monotonic() < end:
            client.step()
    return client.counts


class Client:
    """Reads and writes by chance, with one connection. counts: {status: answers}.  commits: that were answered."""

    def __init__(self, hub: HubInstance, number: int) -> None:
        self.counts = Counter[int]()
        self.commits: list[str] = []
        self._hub = hub
        self._number = number
        self._chance = random.Random(number)
        self._connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=60)
        self._head: str | None = None
        self._sent = False

    def close(self) -> None:
        """Give the connection back, with an answer that was cut short too."""
        self._connection.close()

    def step(self) -> None:
        """One or a few requests of a kind."""
        match self._chance.randrange(8):
            case 0:
                self._head = json.loads(self._ask("GET", f"/api/models/{REPO}")[1]).get("sha")
            case 1:
                self._ask("GET", f"/api/models/{REPO}/tree/main?recursive=true")
            case 2:
                self._ask("GET", f"/{REPO}/resolve/main/.gitattributes")
            case 3:
                self._ask("GET", f"/api/models/{REPO}/refs")
            case 4:
                value = {"path": f"{self._number}.txt", "content": str(self._chance.random())}
                self._commit({"key": "file", "value": value}, self._head)
            case 5 if self._sent:
                self._ask("GET", f"/{REPO}/resolve/main/{self._number}.bin", headers={"Range": "bytes=1000-99999"})
            case 6:
                self._ask("POST", f"/api/models/{REPO}/tag/main", _json({"tag": f"t-{self._chance.random()}"}))
            case _:
                self._send()

    def _send(self) -> None:
        """A large file, and a commit of it."""
        data = self._chance.randbytes(200_000)
        oid = hashlib.sha256(data).hexdigest()
        asked = {"operation": "upload", "transfers": ["multipart"], "objects": [{"oid": oid, "size": len(data)}]}
        status, answer = self._ask("POST", f"/{REPO}.git/info/lfs/objects/batch", _json(asked))
        if status == 200:
            action = json.loads(answer)["objects"][0]["actions"]["upload"]
            size = int(action["header"].get("chunk_size", len(data)))
            parts = [url for key, url in sorted(action["header"].items()) if key.isdigit()]
            for number, url in enumerate(parts or [action["href"]]):
                status = max(status, self._ask("PUT", url, data[number * size : (number + 1) * size])[0])
            if parts and status == 200:
                status = self._ask("POST", action["href"], _json({"oid": oid, "parts": []}))[0]
        if status == 200:
            value = {"path": f"{self._number}.bin", "oid": oid, "algo": "sha256"}
            self._sent |= self._commit({"key": "lfsFile", "value": value}) == 200

    def _commit(self, line: Mapping[str, object], parent: str | None = None) -> int:
        header = {"key": "header", "value": {"summary": "A change"} | ({"parentCommit": parent} if parent else {})}
        status, body = self._ask("POST", f"/api/models/{REPO}/commit/main", _json(header) + b"\n" + _json(line))
        if status == 200:
            self.commits.append(json.loads(body)["commitOid"])
        return status

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._hub.token}", **headers}
        self._connection.request(method, path.removeprefix(self._hub.url), body, headers)
        response = self._connection.getresponse()
        self.counts[response.status] += 1
        return response.status, response.read()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _files(folder: Path) -> Path:
    folder.mkdir()
    for number in range(FILES):
        with (folder / f"model-{number}.safetensors").open("wb") as stream:
            for _ in range(BYTES // FILES // BLOCK):
                stream.write(os.urandom(BLOCK))
    return folder


def _copy_and_hash(folder: Path, target: Path) -> None:
    """What moving and checking the bytes costs without a server."""
    subprocess.run(["cp", "-r", folder, target], check=True)
    subprocess.run(["sha256sum", *sorted(target.iterdir())], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["sync", "-f", target], check=True)


def _timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def peak_memory(hub: HubInstance) -> int:
    """Bytes of memory that the largest of the server's processes had at most (`VmHWM`: what they share is in each)."""
    return max(_peak(pid) for pid in (hub.process.pid, *workers(hub)))


def workers(hub: HubInstance) -> list[int]:
    """The processes that the server has started and not ended: its workers, where it has several."""
    return [int(pid) for pid in Path(f"/proc/{hub.process.pid}/task/{hub.process.pid}/children").read_text().split()]


def _peak(pid: int) -> int:
    try:
        words = Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()
    except (FileNotFoundError, IndexError):  # it has just ended
        return 0
    return int(words[0]) * 1024
