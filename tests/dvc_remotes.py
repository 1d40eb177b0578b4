"""Remotes of DVC, each kept by a server process of its own on loopback: S3, SSH, plain HTTP, and a Hub."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import team_instance
from tests.hub_instance import HubInstance
from tests.mlflow_instance import free_port

START_SECONDS = 60
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
"""The program of openssh; None where it is not installed. It has to be called by its whole path."""
LARGE = "files/** filter=lfs diff=lfs merge=lfs -text\n"
"""Of a repository on the Hub: each object of DVC's is a large file, whose SHA-256 git and git-lfs go by."""


@dataclass(frozen=True)
class DvcRemote:
    """A remote of DVC's that is served."""

    url: str
    """Where DVC reads it."""
    put: Callable[[str, bytes], None]
    """(path, bytes): keep that under the path, whatever its name promises."""
    lose: Callable[[str], None]
    """(path): let it be gone."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What each person sets for it: `dvc remote modify --local`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the environment of its clients."""
    pushes: bool = True
    """Whether DVC can push to it. To others its objects come in another way."""


@contextmanager
def s3(folder: Path) -> Iterator[DvcRemote]:
    """A bucket of moto's server."""
    with team_instance.s3(folder, "data") as variables:
        client = team_instance.client(variables)
        yield DvcRemote(
            "s3://data/dvc",
            lambda path, data: client.put_object(Bucket="data", Key=f"dvc/{path}", Body=data),
            lambda path: client.delete_object(Bucket="data", Key=f"dvc/{path}"),
            {"endpointurl": variables["AWS_ENDPOINT_URL"]},
            variables,
        )


@contextmanager
def ssh(folder: Path) -> Iterator[DvcRemote]:
    """A folder behind openssh's sshd, which has a host key of its own, and lets in one key."""
    assert SSHD is not None
    port, place = free_port(), folder / "remote"
    place.mkdir()
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # the distribution's own unit makes it at its start
    settings = (
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", "PidFile none", "UsePAM no",
        f"AuthorizedKeysFile {folder}/person.pub", "StrictModes no", "PasswordAuthentication no",
        "PermitRootLogin prohibit-password", "Subsystem sftp internal-sftp",
    )  # fmt: skip
    (folder / "sshd_config").write_text("\n".join((*settings, "")))
    command = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    with _serving(command, port, folder / "sshd.log"):
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        own = {"port": str(port), "user": user, "keyfile": str(folder / "person"), "allow_agent": "false"}
        yield DvcRemote(f"ssh://127.0.0.1{place}", *_on_disk(place), own)


@contextmanager
def http(folder: Path) -> Iterator[DvcRemote]:
    """A folder behind a server of static files, which takes none."""
    port, place = free_port(), folder / "remote"
    place.mkdir()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(place), str(port)]
    with _serving(command, port, folder / "http.log"):
        yield DvcRemote(f"http://127.0.0.1:{port}", *_on_disk(place), pushes=False)


@contextmanager
def hub(folder: Path) -> Iterator[DvcRemote]:
    """A repository of data on a Hub, whose objects are large files of git-lfs. DVC reads it by HTTP, and a token."""
    with HubInstance.start(folder / "hub", xet=True) as server:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        api, repo = HfApi(server.url, server.token), "glasshouse/dvc"
        api.create_repo(repo, repo_type="dataset", private=True)

        def changed(operation: CommitOperationAdd | CommitOperationDelete) -> None:
            api.create_commit(repo, [operation], commit_message="Change", repo_type="dataset")

        changed(CommitOperationAdd(".gitattributes", LARGE.encode()))
        yield DvcRemote(
            f"{server.url}/datasets/{repo}/resolve/main",
            lambda path, data: changed(CommitOperationAdd(path, data)),
            lambda path: changed(CommitOperationDelete(path)),
            {"auth": "custom", "custom_auth_header": "Authorization", "password": f"Bearer {server.token}"},
            pushes=False,
        )


REMOTES = {"s3": s3, "ssh": ssh, "http": http, "hub": hub}


def _on_disk(place: Path) -> tuple[Callable[[str, bytes], None], Callable[[str], None]]:
    def put(path: str, data: bytes) -> None:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).unlink(missing_ok=True)  # DVC makes what it pushed read-only
        (place / path).write_bytes(data)

    return put, lambda path: (place / path).unlink()


@contextmanager
def _serving(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Within: the process of `command` runs, and listens on `port`."""
    with log.open("ab") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()
