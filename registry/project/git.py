"""What git knows of the source a release is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from registry.errors import InputError
from registry.project.command import run


@dataclass(frozen=True, slots=True)
class Source:
    """One commit of the source.

    commit: 40 hex characters.  committed_at: RFC 3339, UTC.
    remote: where others can fetch it, credentials taken out; None where the repository has no `origin`.
    """

    commit: str
    committed_at: str
    remote: str | None


def source(root: Path) -> Source:
    """HEAD of the repository at `root`. Raises InputError outside a repository, or before the first commit."""
    commit, stamp = run(["git", "show", "--no-patch", "--format=%H %ct", "HEAD"], root).split()
    return Source(
        commit=commit,
        committed_at=datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        remote=_remote(root),
    )


def changes(root: Path) -> tuple[str, ...]:
    """Paths that differ from HEAD or are neither tracked nor ignored; empty for a clean tree."""
    listing = run(["git", "status", "--porcelain", "-z", "--untracked-files=all"], root)
    return tuple(line[3:] for line in listing.split("\0") if len(line) > 3)


def tracked(root: Path, path: str) -> bool:
    """Whether git holds the bytes of `path` at HEAD."""
    return bool(run(["git", "ls-tree", "--name-only", "HEAD", "--", path], root).strip())


def committed(root: Path) -> frozenset[str]:
    """The paths of all files below `root` at HEAD."""
    return frozenset(run(["git", "ls-tree", "-r", "-z", "--name-only", "HEAD"], root).split("\0")) - {""}


def _remote(root: Path) -> str | None:
    try:
        url = run(["git", "remote", "get-url", "origin"], root).strip()
    except InputError:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http", "ssh", "git"):
        return None  # a path of this machine means nothing to a reader
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))
