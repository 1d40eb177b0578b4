"""kill -9 in the middle of `glasshouse release publish`, and what must hold afterwards.

`at_request` runs the command's own code in a process that kills itself at a chosen request; `command` is the command as
a person types it, to be killed from outside at any moment.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry import canonical
from registry.attest.localkey import KeySigner
from registry.digest import sha256_file
from registry.hub.client import HubClient
from registry.manifest import Manifest
from registry.records import layout as records
from registry.records.checkpoint_chain import Chain, FileDigests, ProfileName
from registry.records.training_folder import OPTIMIZER, STATE, WEIGHTS, step_name
from registry.release.signing import sign
from registry.server.check import examine
from registry.tensors import tensors_digest
from tests import synthetic_release
from tests.hub_instance import HubInstance

TAG = "v1.0.0"
PART_SIZE = 1 << 20
FEW = 10
DEADLINE_SECONDS = 120.0


@dataclass(frozen=True)
class Release:
    """What is published: a signed release, and the checkpoints of its chain."""

    repo: str
    folder: Path
    checkpoints: Path

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments of the command."""
        return ("release", "publish", str(self.folder), "--checkpoints-from", str(self.checkpoints))

    @classmethod
    def write(cls, root: Path, size: int, *, repo: str = synthetic_release.REPO, steps: int = 2) -> Release:
        """A release whose weights, and each of its checkpoints' files, take `size` bytes; signed with a key."""
        made = cls(repo, root / "release", root / "checkpoints")

        def chain(folder: Path) -> Chain:
            """The last checkpoint has the weights of the release."""
            last = (folder / records.WEIGHTS).read_bytes()
            found = Chain(
                tokens=sha256_file(folder / records.TOKENS),
                recipe="2" * 64,
                profile=ProfileName(name="portable", digest="3" * 64),
                entries=(),
            )
            for step in range(steps):
                place = made.checkpoints / step_name(step)
                place.mkdir(parents=True)
                weights = _tensors(place / WEIGHTS, size) if step < steps - 1 else _written(place / WEIGHTS, last)
                optimizer, loss = _tensors(place / OPTIMIZER, size), 1.0 if step else None
                found = found.extended(step=step, weights=weights, optimizer=optimizer, end=step, loss=loss)
                (place / STATE).write_bytes(canonical.dumps({"entry": found.entries[-1].as_json()}))
            return found

        synthetic_release.write(made.folder, repo=repo, weights_bytes=size, chain=chain)
        sign(made.folder, KeySigner(private_key(root / "private.pem")))
        return made


def command(hub: HubInstance, release: Release, *more: str) -> subprocess.Popen[bytes]:
    """The command, in a process of its own."""
    words = (str(Path(sys.executable).parent / "glasshouse"), *release.words, *more)
    environment = {**os.environ, **_environment(hub)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(words, env=environment, cwd=release.folder.parent, stdout=quiet, stderr=quiet)


def at_request(
    hub: HubInstance, release: Release, at: int | str | None, *, answered: bool = True, few: bool = False
) -> list[str]:
    """Run the command, and kill -9 it at a request that asks for a change; None lets it end.

    at: the number of the request, from 0, or what its path holds.  answered: when the answer is there, else before it
    is sent.  few: a commit takes FEW changes, so that main goes by a pull request.  Returns the requests, as words.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["registry.cli", "registry.release.publishing", "huggingface_hub", "httpx2"])
    log = release.folder.parent / "requests"
    log.unlink(missing_ok=True)
    child = context.Process(target=_dying, args=(_environment(hub), release.words, log, at, answered, few))
    child.start()
    child.join(DEADLINE_SECONDS)
    assert child.exitcode == (0 if at is None else -signal.SIGKILL), f"request {at}: {child.exitcode}"
    return log.read_text().splitlines()


def left_behind(hub: HubInstance, release: Release) -> bool:
    """What a kill left: a whole release (True) or none (False). Raises AssertionError for half of one."""
    assert examine(hub.root).faults == (), examine(hub.root).faults
    client = HubClient(hub.url, hub.token)
    tag = client.refs.tags(release.repo).get(TAG)
    if tag is not None:
        _is_whole(client, release, tag)
    return tag is not None


def finished(hub: HubInstance, release: Release, *, requests: int = 0) -> None:
    """What must hold once publishing again has ended: the whole release, each commit once.

    requests: pull requests that there must be, merged.
    """
    client = HubClient(hub.url, hub.token)
    _is_whole(client, release, client.refs.tags(release.repo)[TAG])
    assert [pull.status for pull in client.pulls.list(release.repo)] == ["merged"] * requests
    if not requests:
        assert len(client.refs.history(release.repo)) == 2
    assert examine(hub.root).faults == (), examine(hub.root).faults


def _is_whole(client: HubClient, release: Release, tag: str) -> None:
    repo = release.repo
    assert tag == client.refs.head(repo) and not client.trees.compare(repo, tag, Manifest.of_directory(release.folder))
    for folder in release.checkpoints.iterdir():
        head = client.refs.head(repo, folder.name)
        keep = (records.GIT_ATTRIBUTES,)
        assert not client.trees.compare(repo, head, Manifest.of_directory(folder), keep=keep)
        assert len(client.refs.history(repo, folder.name)) == 2


def _dying(
    environment: Mapping[str, str], words: tuple[str, ...], log: Path, at: int | str | None, answered: bool, few: bool
) -> None:
    """In the child: the command, with an eye on its requests."""
    import httpx2

    from registry.cli import main
    from registry.hub.client import folder

    os.environ.update(environment)
    os.chdir(log.parent)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    if few:
        folder.COMMIT_FILES = FEW
    send, count = httpx2.Client.send, [0]

    def sent(self: httpx2.Client, request: httpx2.Request, **named: Any) -> httpx2.Response:
        mine = request.method not in ("GET", "HEAD")
        path = str(request.url.path)
        here = mine and (at in path if isinstance(at, str) else count[0] == at)
        count[0] += mine
        if mine:
            with log.open("a") as stream:
                stream.write(f"{request.method} {path}\n")
        if here and not answered:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = send(self, request, **named)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    httpx2.Client.send = sent  # type: ignore[method-assign]
    sys.argv = ["glasshouse", *words]
    main()


def _environment(hub: HubInstance) -> dict[str, str]:
    return {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def _tensors(path: Path, size: int) -> FileDigests:
    data = synthetic_release.seeded(f"{path.parent.name} {path.name}", size)
    return _written(path, synthetic_release.safetensors({"w": data}))


def _written(path: Path, data: bytes) -> FileDigests:
    path.write_bytes(data)
    return FileDigests(file=sha256_file(path), tensors=tensors_digest(path))


def private_key(path: Path) -> Path:
    """A new P-256 key, written to `path`."""
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path
