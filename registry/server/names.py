"""What may be named in a request: kinds, repositories, refs, paths. All else is answered with a 4xx."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from registry.errors import InputError
from registry.hub.reference import is_commit, is_name, is_revision
from registry.manifest import check_path
from registry.server.problems import REPO_NOT_FOUND, REVISION_NOT_FOUND, Problem

KINDS = ("models", "datasets")
MAIN = "main"
"""The branch that every repository has."""
MAX_PART = 255
"""Bytes of one part of a path: what the file systems of clones take."""
MAX_REF_PART = 200
"""Characters of one part of the name of a branch or a tag: git writes `.lock` behind it."""
MAX_REF = 1_000
_GITS_OWN = re.compile(r"(?i)(\.git|git~[0-9]+)[ .]*(:.*)?")
"""Git's own folder, on disks that fold case, shorten names, end them early, or do not see some letters of them."""
RESERVED = frozenset(
    {"api", "models", "datasets", "spaces", "lfs", "healthz", "metrics", "oauth", "openapi.json", "v2", "xet",
     "settings", "sign-in", "sign-out", "signer", "favicon.svg", "glasshouse-licences.txt"}
)  # fmt: skip
"""What no namespace can be called."""


@dataclass(frozen=True, slots=True)
class RepoName:
    """A repository of this server. Raises Problem 404 for a name that none can have."""

    kind: str
    owner: str
    name: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not is_name(self.owner) or not is_name(self.name):
            raise Problem(404, "Repository not found", REPO_NOT_FOUND)

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def url_path(self) -> str:
        """Its place below the server's address, as the Hub has it: models have no prefix."""
        return f"{self}" if self.kind == "models" else f"{self.kind}/{self}"


def new_repo_name(kind: str, owner: str, name: str) -> RepoName:
    """The name of a repository to be made. Raises Problem 400 for one that is not allowed."""
    if kind not in KINDS or not is_name(owner) or not is_name(name) or owner.lower() in RESERVED:
        raise Problem(400, "a repository is OWNER/NAME of letters, digits, `.`, `_` and `-`, type model or dataset")
    return RepoName(kind, owner, name)


def revision(text: str) -> str:
    """A name to look up. Raises Problem 404 for one that nothing can have."""
    if not is_revision(text) or any(len(part) > MAX_PART for part in text.split("/")):
        raise Problem(404, f"Invalid rev id: {text[:100]}", REVISION_NOT_FOUND)
    return text


def new_ref(text: str) -> str:
    """A name for a new branch or tag. Raises Problem 400 for one that is not allowed or looks like a commit."""
    long = len(text) > MAX_REF or any(len(part) > MAX_REF_PART for part in text.split("/"))
    if long or not is_revision(text) or is_commit(text) or text.startswith("refs/") or text == "HEAD":
        raise Problem(400, f"Invalid reference name: {text[:100]}")
    return text


def pull_number(text: str) -> int:
    """The number of a pull request. Raises Problem 404 for what can be none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Problem(404, f"there is no pull request {text[:20]}")
    return int(text)


def file_path(text: str) -> str:
    """A path in a repository. Raises Problem 400 for one that could leave it, or that git keeps for itself."""
    try:
        check_path(text)
    except InputError as problem:
        raise Problem(400, problem.message) from problem
    for part in text.split("/"):
        seen = "".join(letter for letter in part if unicodedata.category(letter) != "Cf")
        if len(part.encode()) > MAX_PART or _GITS_OWN.fullmatch(seen):
            raise Problem(400, f"the path {text[:200]!r} is not allowed")
    return text
