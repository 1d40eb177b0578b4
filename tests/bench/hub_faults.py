"""kill -9 of the client, and of the server, at random points of a publication: no release, or the whole one.

Afterwards the same publication is run again, and finishes; the store passes its check; there is one commit and one tag.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from registry.hub.client import HubClient
from registry.hub.server.check import check
from registry.manifest import Manifest
from tests.hub_instance import HubInstance

POINTS = 20
SIZE = 48 << 20
REPO = "glasshouse/model"
TAG = "v1.0.0"
PUBLISH = """
import sys
from pathlib import Path
from registry.errors import Unavailable
from registry.hub.client import HubClient
url, token, folder, repo, tag = sys.argv[1:]
hub = HubClient(url, token)
try:
    hub.ensure_repo(repo)
    if tag not in hub.tags(repo):
        head = hub.head(repo)
        commit = hub.publish(repo, Path(folder), "Release", head)
        hub.tag(repo, tag, commit, "Release")
except Unavailable as problem:
    sys.exit(problem.exit_code)
"""


def main() -> None:
    """POINTS kills of each, spread over the time that an undisturbed publication takes."""
    chance = random.Random(20_261_123)
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        folder = release(Path(name) / "release", SIZE)
        took = undisturbed(Path(name) / "undisturbed", folder)
        print(f"a publication of {SIZE >> 20} MiB takes {took:.1f} s undisturbed")
        for who in ("client", "server"):
            seen = [
                killed(Path(name) / f"{who}-{n}", folder, who, chance.uniform(0, took * 1.1)) for n in range(POINTS)
            ]
            print(f"{who}: {POINTS} kills, {sum(seen)} left a whole release, {POINTS - sum(seen)} none; all finished")


def release(folder: Path, size: int) -> Path:
    """A folder to publish: large files of random bytes, and small ones."""
    folder.mkdir(parents=True)
    for number in range(4):
        (folder / f"model-{number}.safetensors").write_bytes(os.urandom(size // 4))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "model.sig").write_text("{}")
    return folder


def undisturbed(root: Path, folder: Path) -> float:
    """Seconds of one publication."""
    with HubInstance.start(root, part_size=4 << 20) as hub:
        started = time.monotonic()
        assert publisher(hub, folder).wait() == 0
        return time.monotonic() - started


def killed(root: Path, folder: Path, who: str, delay: float) -> bool:
    """One kill of `who` after `delay` seconds, and the publication again; whether a release was there in between."""
    with HubInstance.start(root, part_size=4 << 20) as hub:
        client = publisher(hub, folder)
        time.sleep(delay)
        (client if who == "client" else hub.process).kill()
        if who == "server":  # the client would wait for it, and try again
            client.kill()
        client.wait()
    assert check(root).faults == (), check(root).faults
    with HubInstance.start(root, part_size=4 << 20) as hub:
        manifest, reader = Manifest.of_directory(folder), HubClient(hub.url, hub.token)
        standing = reader.tags(REPO).get(TAG)
        assert standing is None or not reader.verify_remote(REPO, standing, manifest)
        assert publisher(hub, folder).wait() == 0
        made = reader.tags(REPO)[TAG]
        assert standing in (None, made)
        assert not reader.verify_remote(REPO, made, manifest)
        assert len(reader.history(REPO)) == 2
    assert check(root).faults == ()
    return standing is not None


def publisher(hub: HubInstance, folder: Path) -> subprocess.Popen[bytes]:
    """A client that publishes, in a process of its own."""
    command = [sys.executable, "-c", PUBLISH, hub.url, hub.token, str(folder), REPO, TAG]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
