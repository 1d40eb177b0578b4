"""What git knows of the source a release is made from.

This is the one door to git. What git answers depends on the repository alone: no variable, no settings of the person or
the machine, no attributes, hooks, filters or monitors, and no helper but git's own for the protocols below.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit

from registry.errors import InputError
from registry.project.command import run
from registry.records.release_record import MAX_REMOTE

PROTOCOLS = ("https", "http", "ssh", "git", "file")
"""How git may fetch: by what git itself brings, never by a `git-remote-...` that happens to be installed."""
CONFIG = (
    "core.autocrlf=false", "core.eol=lf", "core.attributesFile=/dev/null",
    "core.fsmonitor=false", "core.hooksPath=/dev/null",
    "log.showSignature=false", "credential.helper=",
    "http.lowSpeedLimit=1", "http.lowSpeedTime=60",
    "filter.lfs.smudge=", "filter.lfs.process=", "filter.lfs.required=false",
    "protocol.allow=never", *(f"protocol.{name}.allow=always" for name in PROTOCOLS),
)  # fmt: skip
"""Settings under which bytes are those of the commit, nothing runs that a repository or its address could name, and a
server that says nothing for a minute is given up."""
SEEN = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR"),
        *("SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)
"""The variables that git sees: where programs are, who asks, and what https and ssh need."""
NOBODY = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
"""Variables under which the settings of the person and the machine are not read."""
MAX_NESTED = 8
"""Submodules within submodules."""
PUBLIC = ("https", "http", "ssh", "git")
"""The schemes of addresses that mean the same on every machine."""
_SCP = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]{2,}):(?!:|//)(?P<path>.+)")
"""git's short form of an ssh address, `USER@HOST:PATH`. One letter before the colon is a disk."""


def ask(root: Path, *words: str, foreign: bool = False, variables: Mapping[str, str] = MappingProxyType({})) -> str:
    """What `git WORDS`, run in `root`, writes.

    foreign: the repository is not the person's own, so nothing of their settings is read; else only what CONFIG leaves
    of them is, such as `safe.directory`.  variables: for git to see. Raises as `command.run` does.
    """
    return run(command(*words), root, {**seen(), **(NOBODY if foreign else {}), **variables})


def command(*words: str) -> list[str]:
    """The command `git WORDS`, with CONFIG."""
    return ["git", *(word for line in CONFIG for word in ("-c", line)), *words]


def seen() -> dict[str, str]:
    """The variables that git sees, of this process."""
    return {name: value for name, value in os.environ.items() if name in SEEN}


@dataclass(frozen=True, slots=True)
class GitSource:
    """One commit of the source."""

    commit: str
    """The full id of the commit: 40 hex characters, or 64."""
    committed_at: str
    """When it was made: RFC 3339, UTC."""
    remote: str | None
    """Where others can fetch it, credentials taken out; None where no remote of the repository is such a place."""
    folder: str | None = None
    """Where the project lies in its repository, POSIX; None where it is the whole."""
    pushed: bool = False
    """Whether a branch of a remote, as far as this repository knows, has the commit."""


def source(root: Path) -> GitSource:
    """HEAD of the repository at `root`. Raises InputError outside a repository, or before the first commit."""
    commit, stamp = ask(root, "show", "--no-patch", "--format=%H %ct", "HEAD").split()
    return GitSource(
        commit=commit,
        committed_at=datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        remote=_remote(root),
        folder=ask(root, "rev-parse", "--show-prefix").rstrip("\n").rstrip("/") or None,
        pushed=bool(ask(root, "for-each-ref", "--contains", commit, "--count=1", "refs/remotes").strip()),
    )


def changes(root: Path) -> tuple[str, ...]:
    """Paths that differ from HEAD or are neither tracked nor ignored; empty for a clean tree."""
    listing = ask(root, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    return tuple(line[3:] for line in listing.split("\0") if len(line) > 3)


def committed(root: Path) -> dict[str, str]:
    """git's name for the bytes of each file and link at HEAD, by its path from `root`, below which it lies.

    Files of submodules are among them, where they are checked out: as of the commit of theirs that HEAD names.
    """
    return _tree(root, "HEAD", MAX_NESTED)


def _tree(root: Path, commit: str, nested: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in ask(root, "ls-tree", "-r", "-z", commit).split("\0"):
        about, _, path = row.partition("\t")
        match about.split():
            case [_, "blob", name]:
                found[path] = name
            case [_, "commit", name] if nested and (root / path / ".git").exists():
                with suppress(InputError):  # it is at another commit, and does not have this one
                    inner = _tree(root / path, name, nested - 1)
                    found |= {f"{path}/{file}": blob for file, blob in inner.items()}
    return found


def public(address: str) -> str | None:
    """The address of a remote as a URL that others can fetch from, or None where it means something here alone.

    Passwords and tokens are taken out; the user stays where ssh needs one. `USER@HOST:PATH` becomes an ssh URL.
    """
    if short := _SCP.fullmatch(address):
        user = f"{short['user']}@" if short["user"] else ""
        address = f"ssh://{user}{short['host']}/{short['path'].lstrip('/')}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in PUBLIC or not host:
        return None
    user = f"{parts.username}@" if parts.scheme == "ssh" and parts.username else ""
    place = f"{user}{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
    url = urlunsplit((parts.scheme, place, parts.path, "", ""))
    return url if len(url) <= MAX_REMOTE and url.isprintable() else None


def _remote(root: Path) -> str | None:
    """The address of `origin`, or of the only remote there is, as others can use it.

    A whole URL counts as the repository has it. A shorthand is what git makes of it here: `insteadOf` of the machine.
    """
    names = ask(root, "remote").split()
    name = "origin" if "origin" in names else names[0] if len(names) == 1 else None
    if name is None:
        return None
    written = ask(root, "config", "--default", "", "--get", f"remote.{name}.url").strip()
    return public(written if "://" in written else ask(root, "remote", "get-url", name).strip())
