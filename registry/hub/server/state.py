"""What the routes share: where things are, who may write, and how to get at both from a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from registry.hub.server.auth import Links, Tokens, User
from registry.hub.server.blobs import BlobStore
from registry.hub.server.names import RepoName
from registry.hub.server.problems import Problem
from registry.hub.server.repository import Repository, sweep

PART_SIZE = 64 << 20
STALE_UPLOAD_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Hub:
    """One server's folder and its tokens.

    root: holds `repos/`, `blobs/` and `secret`.  part_size: bytes from which an upload comes in parts of that size.
    """

    root: Path
    tokens: Tokens
    part_size: int = PART_SIZE
    blobs: BlobStore = field(init=False)
    links: Links = field(init=False)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        object.__setattr__(self, "blobs", BlobStore(self.root / "blobs"))
        object.__setattr__(self, "links", Links(self.root))
        self.blobs.collect(STALE_UPLOAD_SECONDS)
        sweep(self.repositories)

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
    """The address under which the client reached the server, without a slash at the end."""
    return str(request.base_url).rstrip("/")


def writer(request: Request) -> User:
    """Who sent the request. Raises Problem 401 for nobody."""
    user = hub(request).tokens.user(request.headers.get("authorization"))
    if user is None:
        raise Problem(401, "a token is needed: set HF_TOKEN")
    return user


def repository(request: Request) -> Repository:
    """The repository that the path names, for reading. Raises Problem 404, and 401 for a token that is not known."""
    hub(request).tokens.user(request.headers.get("authorization"))
    params = request.path_params
    name = RepoName(params.get("kind", "models"), params["owner"], params["name"].removesuffix(".git"))
    return Repository.open(hub(request).repositories, name)


def writable(request: Request) -> tuple[Repository, User]:
    """The repository that the path names, and who may write it. Raises Problem 401, 403 and 404."""
    user = writer(request)
    found = repository(request)
    if not user.may_write(found.name.owner):
        raise Problem(403, f"the token of {user.name} may not write to {found.name.owner}")
    return found, user
