"""One commit: what is large by Xet or LFS first, then the commit itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from registry.errors import Unavailable
from registry.hub.client.connection import Connection, commit_id, named
from registry.hub.client.refs import MAIN

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete

    Changes = Sequence[CommitOperationAdd | CommitOperationDelete]


class Commits:
    """The commits that are made at a Hub."""

    def __init__(self, connection: Connection) -> None:
        self._hub = connection
        self._xet: bool | None = None
        """Whether this Hub takes Xet; None before it was asked."""

    def make(self, repo: str, operations: Changes, message: str, parent: str, branch: str) -> str:
        """Upload what is large, then make the one commit upon `parent`; its id. branch: or `refs/pr/N`."""
        return commit_id(self._made(repo, operations, message, parent, branch).oid)

    def add(self, repo: str, files: Mapping[str, bytes], message: str, parent: str, branch: str) -> str:
        """One commit that adds `files`; its id. Raises Refused where `parent` is not the branch's head any more."""
        from huggingface_hub import CommitOperationAdd

        return self.make(
            repo, [CommitOperationAdd(path, data) for path, data in files.items()], message, parent, branch
        )

    def propose(self, repo: str, operations: Changes, message: str, parent: str, branch: str) -> str:
        """The same as a pull request to `branch`; its address."""
        made = self._made(repo, operations, message, parent, branch, create_pr=True)
        if not made.pr_url:
            raise Unavailable(f"{self._hub.endpoint} made no pull request", mend="check the endpoint")
        return str(made.pr_url)

    def _made(
        self, repo: str, operations: Changes, message: str, parent: str, branch: str, *, create_pr: bool = False
    ) -> CommitInfo:
        name, kind = named(repo)
        with self.large_files(repo, branch), self._hub.asking(repo), _quiet():
            return self._hub.api.create_commit(
                name,
                operations,
                commit_message=message,
                parent_commit=parent,
                revision=branch,
                repo_type=kind,
                create_pr=create_pr,
            )

    @contextmanager
    def large_files(self, repo: str, branch: str) -> Iterator[None]:
        """While it lasts, the library sends large files by Xet where this Hub has it, else by LFS.

        The library itself takes every Hub to have Xet, and does not fall back. HF_HUB_DISABLE_XET stands above both.
        """
        from huggingface_hub import constants

        chosen = constants.HF_HUB_DISABLE_XET
        constants.HF_HUB_DISABLE_XET = chosen or not self.offers_xet(repo, branch)
        try:
            yield
        finally:
            constants.HF_HUB_DISABLE_XET = chosen

    def offers_xet(self, repo: str, branch: str = MAIN) -> bool:
        """Whether this Hub takes large files by Xet, and this machine can send them so. Asked once.

        Raises Unavailable where it does not answer: that is not a no.
        """
        from huggingface_hub.utils._runtime import is_xet_available

        if not is_xet_available():
            return False
        if self._xet is None:
            self._xet = self._asked_for_xet(repo, branch)
        return self._xet

    def _asked_for_xet(self, repo: str, branch: str) -> bool:
        """A Hub with Xet answers the library's own question for a token by three headers; one without, by a 4xx."""
        from urllib.parse import quote

        from huggingface_hub import get_session
        from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]
        from huggingface_hub.utils._xet import (
            XetTokenType,
            parse_xet_connection_info_from_headers,
            xet_connection_info_refresh_url,
        )

        name, kind = named(repo)
        url = xet_connection_info_refresh_url(
            token_type=XetTokenType.WRITE,
            repo_id=name,
            repo_type=kind,
            revision=quote(branch, safe=""),
            endpoint=self._hub.endpoint,
        )
        api = self._hub.api
        with self._hub.reaching(repo):
            answer = get_session().get(url, headers=api._build_hf_headers())
            if answer.status_code in (408, 429) or answer.status_code >= 500:
                hf_raise_for_status(answer)
        return answer.status_code == 200 and parse_xet_connection_info_from_headers(answer.headers) is not None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's warnings about parquet beside a model, and about what it calls itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*data file.*", category=UserWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield
