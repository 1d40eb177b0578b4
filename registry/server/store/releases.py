"""Which commits of a repository carry a signed release: those stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from registry.server.store import git, refs

SIGNATURE = "model.sig"
"""A tag at a commit that holds this file carries a release."""
TAGS = "refs/tags/"


def among(folder: Path, commits: Sequence[str]) -> list[str]:
    """Those of these commits that carry a release."""
    given = "".join(f"{commit}:{SIGNATURE}\n" for commit in commits).encode()
    told = git.run(folder, "cat-file", "--batch-check", given=given).decode().splitlines() if commits else []
    return [commit for commit, line in zip(commits, told, strict=True) if not line.endswith(" missing")]


def tagged(folder: Path, head: str | None = None) -> list[str]:
    """The commits of the releases of a repository, by its tags; those in the history of `head`, where it is given."""
    merged = [] if head is None else [f"--merged={head}"]
    return among(folder, list(refs.named(folder, *merged, TAGS).values()))
