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
from pathlib import Path
from urllib.parse import urlsplit

from registry.hub.client import HubClient
from registry.hub.server.check import check
from registry.manifest import Manifest
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
    with HubInstance.start(scratch / "hub") as hub:
        client = HubClient(hub.url, hub.token)
        client.ensure_repo(REPO)
        parent = client.head(REPO)
        up = _timed(lambda: client.publish(REPO, folder, "Release", parent, manifest=manifest))
        shutil.rmtree(folder)
        commit = client.head(REPO)
        down = _timed(lambda: client.download(REPO, commit, scratch / "copy"))
        peak = _peak(hub.process.pid)
    assert Manifest.of_directory(scratch / "copy") == manifest
    print(f"{BYTES / 1e9:.2f} GB in {FILES} files; {os.cpu_count()} cores; server peak {peak / 1e6:.0f} MB")
    for label, seconds in (("cp + sha256sum", peer), ("up", up), ("down", down)):
        print(f"{label:16} {seconds:7.1f} s  {BYTES / seconds / 1e6:6.0f} MB/s  {seconds / peer:5.2f} x")


def mixed(scratch: Path) -> None:
    """CLIENTS clients read and write for SECONDS: no answer but 2xx, 412 and 429, and a store that passes its check."""
    with HubInstance.start(scratch / "hub", options=("--workers", "2")) as hub:
        HubClient(hub.url, hub.token).ensure_repo(REPO)
        end = time.monotonic() + SECONDS
        with ThreadPoolExecutor(CLIENTS) as pool:
            counts = sum(pool.map(lambda n: _client(hub, n, end), range(CLIENTS)), Counter[int]())
    found = check(scratch / "hub")
    print(f"{CLIENTS} clients, {SECONDS:.0f} s, {sum(counts.values()) / SECONDS:.0f} requests a second: {dict(counts)}")
    print(f"store: {found.repositories} repositories, {found.blobs} blobs, {len(found.faults)} faults")
    assert not found.faults and not set(counts) - {200, 206, 412, 429}


def _client(hub: HubInstance, number: int, end: float) -> Counter[int]:
    """One client's requests until `end`; how many answers of each status it got."""
    chance, counts, head = random.Random(number), Counter[int](), None
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=60)

    def ask(method: str, path: str, body: bytes | None = None) -> bytes:
        connection.request(method, path.removeprefix(hub.url), body, {"Authorization": f"Bearer {hub.token}"})
        response = connection.getresponse()
        counts[response.status] += 1
        return response.read()

    while time.monotonic() < end:
        match chance.randrange(6):
            case 0:
                head = json.loads(ask("GET", f"/api/models/{REPO}")).get("sha")
            case 1:
                ask("GET", f"/api/models/{REPO}/tree/main?recursive=true")
            case 2:
                ask("GET", f"/{REPO}/resolve/main/.gitattributes")
            case 3:
                ask("GET", f"/api/models/{REPO}/refs")
            case 4:
                value = {"path": f"{number}.txt", "content": str(chance.random()), "encoding": "utf-8"}
                ask("POST", f"/api/models/{REPO}/commit/main", _commit(head, {"key": "file", "value": value}))
            case 5:
                data = chance.randbytes(200_000)
                oid = hashlib.sha256(data).hexdigest()
                asked = {"operation": "upload", "objects": [{"oid": oid, "size": len(data)}]}
                answer = json.loads(ask("POST", f"/{REPO}.git/info/lfs/objects/batch", json.dumps(asked).encode()))
                if "objects" in answer:
                    ask("PUT", answer["objects"][0]["actions"]["upload"]["href"], data)
                    line = {"key": "lfsFile", "value": {"path": f"{number}.bin", "oid": oid, "algo": "sha256"}}
                    ask("POST", f"/api/models/{REPO}/commit/main", _commit(None, line))
    return counts


def _commit(parent: str | None, line: Mapping[str, object]) -> bytes:
    header = {"summary": "A change"} | ({"parentCommit": parent} if parent else {})
    return b"\n".join(json.dumps(row).encode() for row in ({"key": "header", "value": header}, line))


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


def _peak(pid: int) -> int:
    """Bytes of memory that the process had at most."""
    words = Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()
    return int(words[0]) * 1024
