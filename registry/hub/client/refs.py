"""Branches, tags and history: which commit a name stands for."""

from __future__ import annotations

from registry.errors import InputError, Refused, Unavailable, VerificationError
from registry.hub.client.connection import Connection, commit_id, named
from registry.hub.client.repos import Repos
from registry.hub.reference import check_revision, is_commit

MAIN = "main"
ATTEMPTS = 3
MAX_HISTORY = 10_000


class Refs:
    """The branches and tags of a Hub's repositories."""

    def __init__(self, connection: Connection, repos: Repos) -> None:
        self._hub = connection
        self._repos = repos

    def resolve(self, repo: str, revision: str) -> str:
        """The commit (40 hex characters) that a branch, a tag or a commit of `repo` stands for now.

        Raises VerificationError where a commit is asked for, and the Hub names another.
        """
        name, kind = named(repo)
        check_revision(revision)
        with self._hub.reading(f"{repo}@{revision}"):
            found = commit_id(self._hub.api.repo_info(name, repo_type=kind, revision=revision).sha)
        if is_commit(revision) and found != revision:
            raise VerificationError(
                f"{self._hub.endpoint} was asked for commit {revision} of {repo}, and names {found}",
                mend="do not use what it serves",
            )
        return found

    def branches(self, repo: str) -> dict[str, str]:
        """{branch: commit at its tip}."""
        return self._listed(repo, "branches")

    def tags(self, repo: str) -> dict[str, str]:
        """{tag: commit}; empty for a repository that is not there (yet)."""
        return self._listed(repo, "tags") if self._repos.exists(repo) else {}

    def head(self, repo: str, branch: str = MAIN) -> str:
        """The commit at the tip of `branch`."""
        branches = self.branches(repo)
        if branch not in branches:
            raise InputError(
                f"{repo} has no branch {branch[:200]!r}", mend=f"one of: {', '.join(sorted(branches)[:20])}"
            )
        return branches[branch]

    def history(self, repo: str, revision: str = MAIN) -> tuple[str, ...]:
        """The commits that led to `revision`, newest first."""
        name, kind = named(repo)
        check_revision(revision)
        with self._hub.reading(f"{repo}@{revision}"):
            found = self._hub.api.list_repo_commits(name, repo_type=kind, revision=revision)
            return tuple(commit_id(commit.commit_id) for commit in found[:MAX_HISTORY])

    def ensure_branch(self, repo: str, branch: str) -> str:
        """The head of `branch`, which is made at the first commit of main if it is not there."""
        name, kind = named(repo)
        check_revision(branch)
        standing = self.branches(repo).get(branch)
        if standing is not None:
            return standing
        start = self.history(repo)[-1]
        with self._hub.asking(f"{repo}@{branch}"):
            self._hub.api.create_branch(name, branch=branch, revision=start, repo_type=kind, exist_ok=True)
        return self.head(repo, branch)

    def tag(self, repo: str, name: str, commit: str, message: str) -> None:
        """Tag `commit`, unless the tag stands there already. Raises Refused where it stands elsewhere."""
        repo_id, kind = named(repo)
        check_revision(name)
        lost: Unavailable | Refused | None = None
        for _ in range(ATTEMPTS):
            if name in self.tags(repo):
                standing = self.resolve(repo, name)
                if standing == commit:
                    return
                raise Refused(
                    f"{repo} has a tag {name} at {standing[:12]}", mend="a release never moves: cut the next version"
                )
            try:
                with self._hub.asking(repo):
                    self._hub.api.create_tag(repo_id, tag=name, tag_message=message, revision=commit, repo_type=kind)
            except (Unavailable, Refused) as problem:
                lost = problem  # whether it is there is seen by looking
        raise Unavailable(f"{repo}: the tag {name} does not appear: {lost}", mend="publish again") from lost

    def _listed(self, repo: str, kind_of_ref: str) -> dict[str, str]:
        name, kind = named(repo)
        with self._hub.reading(repo):
            found = getattr(self._hub.api.list_repo_refs(name, repo_type=kind), kind_of_ref)
            names = [ref.name for ref in found]
            if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
                raise TypeError(f"its {kind_of_ref} are not named as git names them")
            return {ref.name: commit_id(ref.target_commit) for ref in found}
