"""Refs: which there are, and the commits that they stand for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from registry.server.problems import busy
from registry.server.store import git

_LOOSE = re.compile(rb"[0-9a-f]{40}\n")
"""What stands in the file of a ref that is not packed, and of no other ref."""
STALE_SECONDS = 3.0
"""Age of a lock of git's that nobody can hold any more, for a ref is moved in a moment."""


def named(folder: Path, *patterns: str) -> dict[str, str]:
    """{full name: commit} of the refs that match, or of all branches and tags; tags are followed to their commit."""
    form = "--format=%(refname)%00%(objecttype)%00%(objectname)%00%(*objectname)"
    found = {}
    told = git.run(folder, "for-each-ref", form, *(patterns or ("refs/heads/", "refs/tags/"))).decode()
    for line in told.splitlines():
        name, kind, oid, peeled = line.split("\0")
        found[name] = oid if kind == "commit" else peeled
    return found


def count(folder: Path) -> int:
    """How many branches and tags there are."""
    return len(git.run(folder, "for-each-ref", "--format=1", "refs/heads/", "refs/tags/")) // 2


def loose(folder: Path, branch: str) -> str | None:
    """The commit of a branch or a pull request, by its full name, as git wrote it last; None where git has to be asked.

    Source: gitrepository-layout(5), `refs` and `packed-refs`: the file of a ref counts before what is packed.
    """
    with suppress(OSError):
        data = (folder / branch).read_bytes()
        return data[:-1].decode() if _LOOSE.fullmatch(data) else None
    return None


def tip(folder: Path, branch: str) -> str | None:
    """The commit of a branch or a pull request, by its full name; None where there is none."""
    return loose(folder, branch) or named(folder, branch).get(branch)


def move(folder: Path, ref: str, new: str, old: str) -> None:
    """Let a ref stand for `new`, where it stood for `old`: ABSENT for none. The caller holds the repository's lock."""
    free(folder, ref)
    git.run(folder, "update-ref", ref, new, old)


def move_all(folder: Path, new: Mapping[str, str]) -> None:
    """Let each of these refs stand for that commit, all or none. The caller holds the repository's lock."""
    free(folder, *new)
    git.run(
        folder, "update-ref", "--stdin", given="".join(f"update {ref} {oid}\n" for ref, oid in new.items()).encode()
    )


def remove(folder: Path, ref: str, old: str | None = None) -> None:
    """Take a ref away; where it stood for `old`, if that is given. The caller holds the repository's lock."""
    free(folder, ref)
    git.run(folder, "update-ref", "-d", ref, *([] if old is None else [old]))


def free(folder: Path, *names: str) -> None:
    """Take away what a git that was killed has left in the way of changes to those refs, the caller being alone.

    Git locks a ref by a file beside it, and never asks whose that is. Raises Problem 503 where it was made just now: an
    orphan may still be at work.
    """
    for name in (*names, "HEAD", "packed-refs"):
        lock = folder / f"{name}.lock"
        with suppress(FileNotFoundError, NotADirectoryError):
            if lock.stat().st_mtime > time.time() - STALE_SECONDS:
                raise busy("git")
            lock.unlink()


def free_all(folder: Path) -> None:
    """`free` for every ref that there is, or was to be."""
    locks = (folder / "refs").rglob("*.lock")
    free(folder, *(path.relative_to(folder).as_posix().removesuffix(".lock") for path in locks))


def is_commit(folder: Path, oid: str) -> bool:
    """Whether the 40 hex characters `oid` are a commit of this repository."""
    told = git.run(folder, "cat-file", "--batch-check", given=f"{oid}\n".encode())
    return told.startswith(f"{oid} commit ".encode())


def whole(folder: Path, start: str) -> str | None:
    """The one commit of this repository whose name begins with the hex characters `start`; None for none or several."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{start}^{{commit}}")
    found = git.run(folder, *words, allowed=(0, 1, 128)).decode().strip()
    return found if found.startswith(start) else None
