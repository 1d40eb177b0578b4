"""Histories of commits, as git tells them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.server.store import git

_FORM = "--format=%H%x00%an%x00%cd%x00%s%x00%b%x00%x1e"
_BRIEF = "--format=%H%x00%an%x00%cd%x00%<(500,trunc)%s%x00%x00%x1e"
"""The same of commits that say too much: how each begins."""
_STAMP = "--date=format-local:%Y-%m-%dT%H:%M:%S.000Z"
MAX_LOG = 4 << 20
"""Bytes of a history that are held in memory."""
MAX_LOOK_BACK = 1000
"""Commits that are looked through for the last change of a file."""
_COMMITTED = re.compile(rb"^committer .* ([0-9]{1,11}) [+-][0-9]{4}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. date: RFC 3339 with milliseconds and Z, the one form every client reads."""

    oid: str
    author: str
    date: str
    title: str
    message: str


def log(folder: Path, commit: str, *, limit: int, skip: int = 0, without: str | None = None) -> list[Commit]:
    """The history of `commit`, newest first: no commit before one that was made upon it.

    Where they say more than MAX_LOG bytes together, only how each begins is told.
    without: another commit, whose history is left out.
    """
    span = [commit, f"^{without}"] if without else [commit]
    words = ("log", "--topo-order", _STAMP, f"--max-count={limit}", f"--skip={skip}")
    told = git.head_of(folder, MAX_LOG + 1, *words, _FORM, *span)
    return _commits(told if len(told) <= MAX_LOG else git.run(folder, *words, _BRIEF, *span))


def last_changes(folder: Path, commit: str, paths: Sequence[str]) -> dict[str, Commit]:
    """{path: the newest commit on the main line of `commit` that changed it, or anything in it}; not of old ones."""
    asked: dict[str, str] = {}
    for portion in git.portions(paths):
        asked |= _last_changes(folder, commit, portion)
    words = ("log", "--no-walk=unsorted", _STAMP, _FORM, *sorted(set(asked.values())))
    commits = {each.oid: each for each in _commits(git.run(folder, *words))} if asked else {}
    return {path: commits[oid] for path, oid in asked.items()}


def _last_changes(folder: Path, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """The same, of as many as a command line may name: {path: the name of the commit}."""
    options = ("-m", "--first-parent", "--no-renames", "--name-only", "-z", f"--max-count={MAX_LOOK_BACK}")
    text = git.run(folder, "log", *options, "--format=%x1e%H", commit, "--", *paths).decode(errors="replace")
    found: dict[str, str] = {}
    oid = ""
    for token in text.split("\0"):
        name = token.lstrip("\n")
        if name.startswith("\x1e"):
            oid = name[1:]
            continue
        for path in (name, *(name[:place] for place, letter in enumerate(name) if letter == "/")):
            found.setdefault(path, oid)
    return {path: found[path] for path in paths if path in found}


def date_of(commit: bytes) -> str:
    """When a commit was made, from the bytes that git keeps of it: RFC 3339, as in Commit."""
    found = _COMMITTED.search(commit.partition(b"\n\n")[0])
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(int(found[1]) if found else 0))


def _commits(log: bytes) -> list[Commit]:
    """The commits that `git log` writes in _FORM."""
    found = []
    for chunk in log.decode(errors="replace").split("\0\x1e")[:-1]:
        oid, author, date, title, message = chunk.lstrip("\n").split("\0", 4)
        found.append(Commit(oid, author, date, title.rstrip(), message.strip()))
    return found
