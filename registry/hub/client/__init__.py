"""The one door to huggingface_hub: what a release needs of a Hub, in a few calls, with our own errors.

`HubClient` is one user at one Hub. What it can do stands in parts, each a small class over the same connection:

    account   account.py      whose token this is; a workflow's right to write
    repos     repos.py        whether a repository is there, and making it
    refs      refs.py         branches, tags, history: which commit a name stands for; making them
    files     files.py        what is there at a commit; the bytes of one file
    pulls     pulls.py        pull requests: reading, proposing, merging
    commits   commits.py      one commit; large files by Xet or LFS
    trees     trees.py        all files of a commit together: fetched, measured, compared, published

    connection.py   an endpoint and a token; the library, told how to behave
    bounds.py       what an answer may cost, in bytes, things, pages and seconds; whom a token may reach
    folder.py       what a tree is to be, and the commits that make it so
    series.py       a tree that is too much for one commit, by a pull request
    progress.py     how many bytes have left
    probing.py      one question to a Hub: is it there?

A repository is `owner/name`, or `datasets/owner/name`. The library is imported at the first call (350 ms).

Every call raises InputError for what is not there, CredentialsError where a token is needed, and Unavailable where the
Hub does not answer; `registry/hub/faults.py` has the whole list.
"""

from __future__ import annotations

from registry.hub.client.account import Account
from registry.hub.client.commits import Commits
from registry.hub.client.connection import PUBLIC_HUB, Connection
from registry.hub.client.files import RemoteFiles
from registry.hub.client.pulls import PullRequest, Pulls
from registry.hub.client.refs import Refs
from registry.hub.client.repos import Repos
from registry.hub.client.series import Series
from registry.hub.client.trees import Trees, in_parallel

__all__ = ["PUBLIC_HUB", "HubClient", "PullRequest", "in_parallel"]


class HubClient:
    """A Hub, as one user. endpoint, token: as `Connection` takes them."""

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self.connection = Connection(endpoint, token)
        self.account = Account(self.connection)
        self.repos = Repos(self.connection)
        self.refs = Refs(self.connection, self.repos)
        self.files = RemoteFiles(self.connection)
        self.commits = Commits(self.connection)
        self.pulls = Pulls(self.connection, self.refs, self.commits)
        series = Series(self.account, self.refs, self.files, self.commits, self.pulls)
        self.trees = Trees(self.refs, self.files, self.commits, series)

    @property
    def endpoint(self) -> str:
        """The Hub's address, without a slash at the end."""
        return self.connection.endpoint
