"""What a person types to name a release: `hf://org/model@v1.0.0`, or a directory.

Laws: `str(parse(text)) == text` for every canonical text, and `parse(str(reference)) == reference`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from registry.errors import InputError

SCHEME = "hf://"
DEFAULT_REVISION = "main"
DATASETS = "datasets/"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/+-]{0,253}[A-Za-z0-9_+-])?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MEND = "write hf://OWNER/NAME@REVISION (or hf://datasets/OWNER/NAME@REVISION), or the path of a directory"


def check_repository(repository: str) -> None:
    """Refuse, with InputError, all but `owner/name` and `datasets/owner/name` as the Hub allows them.

    Source: huggingface_hub, `validate_repo_id` (96 characters a part, neither `--` nor `..`, no `.git` at the end).
    """
    parts = repository.removeprefix(DATASETS).split("/")
    if len(parts) != 2 or not all(is_name(part) for part in parts):
        raise InputError(f"{repository[:200]!r} names no repository on a Hub", mend=_MEND)


def is_name(text: str) -> bool:
    """Whether `text` can name an owner or a repository."""
    return (
        _NAME.fullmatch(text) is not None
        and "--" not in text
        and ".." not in text
        and not text.lower().endswith((".git", ".lock"))
    )


def check_revision(revision: str) -> None:
    """Refuse, with InputError, what cannot be a branch, a tag or a commit. Source: git-check-ref-format(1)."""
    if not is_revision(revision):
        raise InputError(f"{revision[:200]!r} can be no branch, tag or commit", mend=_MEND)


def is_commit(text: str) -> bool:
    """Whether `text` is the full name of a commit: 40 hex characters."""
    return _COMMIT.fullmatch(text) is not None


def is_revision(text: str) -> bool:
    """Whether `text` can name a branch, a tag or a commit; stricter than git, so safe wherever it is quoted."""
    parts = text.split("/")
    return (
        _REVISION.fullmatch(text) is not None
        and ".." not in text
        and all(part and not part.startswith(".") and not part.endswith((".", ".lock")) for part in parts)
    )


@dataclass(frozen=True, slots=True)
class HubReference:
    """A release on a Hub.

    repository: `owner/name`, or `datasets/owner/name`.  revision: a branch, a tag or a commit.
    Raises InputError for any other shape.
    """

    repository: str
    revision: str = DEFAULT_REVISION

    def __post_init__(self) -> None:
        check_repository(self.repository)
        check_revision(self.revision)

    def __str__(self) -> str:
        return f"{SCHEME}{self.repository}@{self.revision}"


@dataclass(frozen=True, slots=True)
class DirectoryReference:
    """A release in a directory of this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def root(self) -> Path:
        """The directory itself, even where a link leads there. Raises InputError where there is none."""
        if self.path.is_dir():
            return self.path.resolve() if self.path.is_symlink() else self.path
        found = "not a directory" if self.path.exists() else "not there"
        repository, _, revision = str(self.path).partition("@")
        owner, _, name = repository.partition("/")
        wish = f"{SCHEME}{repository}@{revision or 'v1.0.0'}"
        hint = f"write {wish} for a release on a Hub, or the path of a directory"
        raise InputError(f"{self.path} is {found}", mend=hint if is_name(owner) and is_name(name) else _MEND)


Reference = HubReference | DirectoryReference


def parse(text: str) -> Reference:
    """What `text` names; a repository without `@REVISION` means its `main`. Raises InputError for what is neither."""
    if text.startswith(SCHEME):
        repository, _, revision = text.removeprefix(SCHEME).partition("@")
        return HubReference(repository, revision) if "@" in text else HubReference(repository)
    if not text or "\0" in text or "://" in text:
        raise InputError(f"{text[:200]!r} names no release", mend=_MEND)
    return DirectoryReference(Path(text))
