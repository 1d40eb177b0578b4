"""A server with releases that stand, one that was taken back, a hostile card, a private repository; and its pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry import api
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.predicates import Status
from registry.attest.statement import Statement
from registry.records import layout
from registry.server.access.accounts import Accounts
from registry.server.access.people import NamespaceRole
from registry.server.access.tokens import Role
from registry.server.names import RepoName
from registry.server.store import branching, git, refs
from registry.server.store.changes import Put
from registry.server.store.repository import Repository
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key
from tests.registry.server.asking import ask

HOSTILE = """---
license: mit
pipeline_tag: image-classification
---
# <script>alert(1)</script>

<img src=x onerror="alert(1)"> <svg onload="alert(1)"></svg> <iframe src="https://evil.example"></iframe>

[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,<script>alert(1)</script>) [d](vbscript:x)
[e](//evil.example) [f](/org/secret) [g](../../secret) ![h](https://evil.example/pixel.png) ![i](data:image/svg+xml,x)
![j](x.png"onerror="alert(1)) <javascript:alert(1)> [k](https://good.example/?a="onclick="x)

<style>body{display:none}</style> </div></section></main> {{ 7 * 7 }} {% raw %}
"""


@dataclass(frozen=True)
class Pages:
    """A server that runs.

    hub: the server.  key: the PEM of the maintainer's public key.  reader: the token of one who may read `secret`.
    """

    hub: HubInstance
    key: str
    reader: str

    def get(self, path: str, accept: str = "text/html", token: str = "") -> tuple[int, dict[str, str], str]:
        """(status, headers, text) of a page, as a browser asks for it."""
        status, headers, body = ask(self.hub, "GET", path, headers={"Accept": accept}, token=token)
        return status, headers, body.decode()

    def json(self, path: str, token: str = "") -> Any:
        """The JSON of a page that must be there."""
        status, headers, text = self.get(path, "application/json", token)
        assert (status, headers["content-type"]) == (200, "application/json"), text
        return json.loads(text)


def write(root: Path, name: str, files: Mapping[str, bytes], *, kind: str = "models", tag: str | None = None,
          branch: str = "main", private: bool = False) -> str:  # fmt: skip
    """Commit `files`, and nothing else, to a repository of the server at `root`, made if missing; the commit."""
    owner, short = name.split("/")
    repo_name = RepoName(kind, owner, short)
    Repository.create(root / "repos", repo_name, "builder", {}, private=private)
    repo = Repository.open(root / "repos", repo_name)
    puts = [Put(path, git.run(repo.folder, "hash-object", "-w", "--stdin", given=data).decode().strip())
            for path, data in files.items()]  # fmt: skip
    head = refs.named(repo.folder).get(f"refs/heads/{branch}", git.ABSENT)
    tree = repo.write(f"refs/heads/{branch}", git.ABSENT, puts, "builder", "a commit", old=head)
    if tag is not None:
        branching.tag(repo, tag, tree, "", "builder")
    return tree


def files_of(folder: Path) -> dict[str, bytes]:
    """{path: bytes} of every file in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def word(signer: api.KeySigner, release: Path, **said: Any) -> bytes:
    """A signed word on the status of the release in a folder."""
    data = (release / layout.RELEASE_ATTESTATION).read_bytes()
    statement = Statement.parse(Bundle.parse(data, max_bytes=MAX_MODEL_BYTES).envelope.payload)
    return signer.sign(Status(stated_at="2026-02-01T00:00:00Z", **said).about(statement.subjects))


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    root, signer = folder / "hub", api.KeySigner(write_key(folder / "private.pem"))
    with HubInstance.start(root, organizations=("org",)) as hub:
        for version, seed in (("1.0.0", 0), ("1.0.1", 1)):
            release = folder / version
            synthetic_release.write(release, repo="org/model", version=version, seed=seed,
                                    extra={layout.PARAMS: b"seed: 7\ntrain:\n  steps: %d\n" % (8 + seed)})  # fmt: skip
            api.sign(release, signer)
            write(root, "org/model", files_of(release), tag=f"v{version}")
        taken_back = word(signer, folder / "1.0.0", standing="yanked", reason="trained on <b>its own</b> test set",
                          successor="v1.0.1", number=1, severity="high")  # fmt: skip
        write(root, "org/model", {"v1.0.0/0001.sigstore.json": taken_back}, branch="status")
        write(root, "org/hostile", {"README.md": HOSTILE.encode(), "x.png": b"\x89PNG\r\n\x1a\n"})
        write(root, "org/secret", {"README.md": b"# The secret plan\n"}, private=True)
        write(root, "org/texts", {"README.md": b"---\nlicense: cc0-1.0\n---\n# Texts\n"}, kind="datasets")
        Accounts.of(root).people.create_user("member")
        Accounts.of(root).people.set_role("org", "member", NamespaceRole.OWNER)
        Accounts.of(root).issue("member", Role.READ, label="for the list")
        yield Pages(hub, signer.public_key.pem, hub.user("reader", Role.READ, "org"))
