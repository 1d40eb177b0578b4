"""What the routes share: where things are, who may write, and how to get at both from a request."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from registry.server.access import auth
from registry.server.access.auth import Links
from registry.server.access.limits import Limits
from registry.server.access.tokens import TokenStore, User
from registry.server.locks import locked
from registry.server.names import KINDS, RepoName
from registry.server.problems import REPO_NOT_FOUND, Problem
from registry.server.store.blobs import BlobStore, blob_store
from registry.server.store.ledger import usage
from registry.server.store.repository import Repository, sweep
from registry.server.store.uploads import Uploads

STALE_UPLOAD_SECONDS = 24 * 3600
COLLECT_SECONDS = 600
COLLECT_LOCK = "collect.lock"
UPLOADS = "blobs/uploads"


@dataclass(frozen=True)
class Hub:
    """One server's folder.

    root: holds `repos/`, `blobs/`, `tokens.json` and `secret`.  limits: what nobody gets more of.
    blobs_url: where large files are kept, if not in the folder; see `blob_store`.
    xet: whether uploads by Xet are taken.
    url: where clients reach it, behind a proxy; without a slash at the end.
    """

    root: Path
    limits: Limits = field(default_factory=Limits)
    blobs_url: str | None = None
    xet: bool = True
    url: str | None = None
    tokens: TokenStore = field(init=False)
    blobs: BlobStore = field(init=False)
    uploads: Uploads = field(init=False)
    links: Links = field(init=False)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        object.__setattr__(self, "tokens", TokenStore(self.root))
        object.__setattr__(self, "blobs", blob_store(self.root, self.blobs_url))
        object.__setattr__(self, "uploads", Uploads(self.root / UPLOADS, self.limits.open_uploads))
        object.__setattr__(self, "links", Links(self.root))
        self.uploads.collect(STALE_UPLOAD_SECONDS)
        sweep(self.repositories)

    def collect(self) -> None:
        """Take away what abandoned uploads left, at most once in COLLECT_SECONDS over all workers."""
        stamp = self.root / "collected"
        with suppress(FileNotFoundError):
            if stamp.stat().st_mtime > time.time() - COLLECT_SECONDS:
                return
        stamp.touch()
        self.uploads.collect(STALE_UPLOAD_SECONDS)

    @property
    def repositories(self) -> Path:
        """The folder of bare git repositories."""
        return self.root / "repos"


def hub(request: Request) -> Hub:
    """The server that got this request."""
    found = request.app.state.hub
    assert isinstance(found, Hub)
    return found


def base_url(request: Request) -> str:
    """The server's address, without a slash at the end: what it was told, else what the client asked for."""
    return hub(request).url or str(request.base_url).rstrip("/")


def user(request: Request) -> User | None:
    """Who sent the request; None for nobody. Raises Problem 401 for a token that is not known."""
    found = auth.user(hub(request).tokens, request.headers.get("authorization"))
    if found is not None and "seen" in request.scope:
        request.scope["seen"]["user"] = found.name
    return found


def member(request: Request) -> User:
    """Who sent the request. Raises Problem 401 for nobody."""
    found = user(request)
    if found is None:
        raise Problem(401, "a token is needed: set HF_TOKEN")
    return found


def repository(request: Request) -> Repository:
    """The repository that the path names, for reading.

    Raises Problem 404, also for a private one that is not theirs to read, and 401 for a token that is not known.
    """
    params = request.path_params
    name = RepoName(params.get("kind", "models"), params["owner"], params["name"].removesuffix(".git"))
    return readable(request, name)


def readable(request: Request, name: RepoName) -> Repository:
    """The repository of that name. Raises Problem as `repository` does."""
    asking = user(request)
    found = Repository.open(hub(request).repositories, name)
    if found.private and (asking is None or not asking.may_read(name)):
        raise Problem(404, "Repository not found", REPO_NOT_FOUND)
    return found


def writable(request: Request) -> tuple[Repository, User]:
    """The repository that the path names, and who may write it. Raises Problem 401, 403 and 404."""
    asking = member(request)
    found = repository(request)
    if not asking.may_write(found.name):
        raise Problem(403, f"the token of {asking.name} may not write to {found.name.owner}")
    return found, asking


def proposable(request: Request) -> tuple[Repository, User]:
    """The repository that the path names, and who may propose a change to it. Raises Problem 401, 403 and 404."""
    asking = member(request)
    found = repository(request)
    if not asking.may_propose:
        raise Problem(403, f"the token of {asking.name} is for reading only")
    return found, asking


def check_quota(request: Request, repo: Repository, more: int) -> None:
    """Raise Problem 403 where `more` bytes would take the namespace beyond its quota, or have no room on the disk."""
    if more > shutil.disk_usage(hub(request).root).free:
        raise Problem(403, f"the server's disk has no room for {more} bytes more")
    quota = hub(request).limits.quota
    if quota is None or more == 0:
        return
    used = sum(usage(hub(request).repositories / kind / repo.name.owner) for kind in KINDS)
    if used + more > quota:
        raise Problem(403, f"{repo.name.owner} has {used} of its {quota} bytes, and {more} more do not fit")


@contextmanager
def spending(request: Request, repo: Repository, more: int) -> Iterator[None]:
    """Around what makes a namespace `more` bytes larger, and enters them in its ledger: one at a time, where there is a
    quota, so that two together do not exceed it. Raises Problem 403 as `check_quota`."""
    if hub(request).limits.quota is None:
        yield
        return
    with locked(hub(request).root / "quota.lock"):
        check_quota(request, repo, more)
        yield


def collecting(request: Request) -> AbstractContextManager[None]:
    """Around putting a blob and entering it in a ledger: meanwhile `glasshouse serve --collect` takes none away."""
    return locked(hub(request).root / COLLECT_LOCK, shared=True)
